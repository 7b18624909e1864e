"""Our fills beside those of other simulators, trade by trade: the same data and orders, every difference named.

`bars` compares with backtesting.py, `ticks` with hftbacktest. The others live in environments of their own and are
started as processes; nothing here imports them except the `*_peer` modules, which their interpreters run.
"""
