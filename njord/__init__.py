"""Njord Quant: one ordered engine that decides the same way in backtest, paper and live.

Five questions, five folders, one direction:

    what?      strategies   what happened -> what position is wanted
    how much?  portfolio    target minus current -> orders; the ledger
    how?       execution    working orders, the way to the venue
    whether?   risk         the gate: the only maker of approvals
    where?     venues       the exchange, real or simulated

Below them stands the vocabulary (`core`), above them the edges that touch the world (`venues`, `storage`,
`adapters`) and the hosts that drive the engine (`backtest`). Start reading at `njord/system.py`.
"""

__version__ = "0.1.0"
