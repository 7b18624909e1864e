"""How? The state of our orders, and the one way to a venue."""
