"""Where? Exchanges, real or simulated, behind one protocol. Only hosts and wiring reach them."""
