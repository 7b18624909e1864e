"""The local exchange: the Binance.US dialect over the simulated venue's rules, and the truth that checkers read.

`exchange.py` is all of it without I/O: requests and the time in, answers and stream frames out. `server.py` puts it on
sockets, `faults.py` wraps it in trouble. Nothing here is used by a live session: the live adapter meets it as it meets
the venue, through the wire.
"""
