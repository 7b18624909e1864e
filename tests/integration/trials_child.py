"""A process that adds trials to a ledger until it is killed: `python trials_child.py LEDGER NAME N`; prints each when it is durable."""

import sys
from pathlib import Path

from njord.storage.trials import Trial, TrialLedger, TrialRecord


def main() -> None:
    """Add N records of one trial each."""
    ledger, name, n = TrialLedger(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    for index in range(n):
        ledger.add(
            TrialRecord(
                kind="backtest",
                idea="cross",
                ts_ns=index,
                symbols=("BTC/USDT",),
                interval_ns=60_000_000_000,
                points=(Trial(name * 1_000_000 + index, 0.1),),
            )
        )
        print(index, flush=True)


main()
