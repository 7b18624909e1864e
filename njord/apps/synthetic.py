"""Write a synthetic market to a file, the way a user's own recording would look."""

import os
from pathlib import Path

import numpy as np
import polars as pl

from njord.venues.synthetic import SyntheticMarket, synthetic_bars

_TICKS_PER_UNIT = 10  # A tick of 0.1 on prices around 60,000.
_NS_PER_MS = 1_000_000


def write_synthetic_csv(path: Path, n_bars: int, seed: int, market: SyntheticMarket | None = None) -> None:
    """Write `n_bars` bars as CSV (epoch ms, open, high, low, close, volume); the same seed gives the same bytes.

    The file appears whole or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            batches = synthetic_bars(market or SyntheticMarket(), n_bars, np.random.default_rng(seed))
            for number, bars in enumerate(batches):
                frame = pl.DataFrame(
                    {
                        "timestamp": bars.ts_open_ns // _NS_PER_MS,
                        "open": bars.open / _TICKS_PER_UNIT,
                        "high": bars.high / _TICKS_PER_UNIT,
                        "low": bars.low / _TICKS_PER_UNIT,
                        "close": bars.close / _TICKS_PER_UNIT,
                        "volume": bars.volume / 100,
                    }
                )
                frame.write_csv(file, include_header=number == 0)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
