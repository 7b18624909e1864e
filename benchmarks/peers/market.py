"""The bars of W1 and W2: one million one-minute bars made from real ones, the same bytes on every machine.

Day blocks of a recorded month of BTC-PERP minutes are drawn with seed 42, each return is perturbed by 10 % noise, the
drift is taken out, and a slow pull to the first price keeps two years of prices in range; prices lie on a tick of 0.1.
Where the recording is not there the bars are synthetic, with the same seed, and the figures say so. Peers read the
arrays (`.npz`), we read the CSV that a user would have; both hold the same numbers.
"""

from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "bars" / "BTC-PERP-1m-20211231-20220201.csv.gz"
DATA = Path("var") / "bench"
SEED, BLOCK, START_PRICE, PULL, NOISE = 42, 1440, 46_000.0, 0.9999, 0.1
FIRST_MS, MINUTE_MS = 1_640_995_200_000, 60_000  # 2022-01-01
COLUMNS = ("ts", "open", "high", "low", "close", "volume")


class MarketFiles(NamedTuple):
    """The same bars twice, and where they are from: `recorded` or `synthetic`."""

    arrays: Path
    table: Path
    origin: str


def market_files(n_bars: int) -> MarketFiles:
    """Return the files of `n_bars` bars, made once."""
    origin = "recorded" if RECORDED.exists() else "synthetic"
    folder = DATA / f"peers-{origin}-{n_bars}"
    files = MarketFiles(folder / "bars.npz", folder / "BTC_USDT-1m.csv", origin)
    if not files.table.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(files, _from_recorded(n_bars) if origin == "recorded" else _synthetic(n_bars))
    return files


def _write(files: MarketFiles, columns: dict[str, Any]) -> None:
    import numpy as np
    import polars as pl

    np.savez(files.arrays, **columns)
    partial = files.table.with_suffix(".partial")
    pl.DataFrame(columns).rename({"ts": "timestamp"}).write_csv(partial)
    partial.replace(files.table)


def _from_recorded(n_bars: int) -> dict[str, Any]:
    import numpy as np
    import polars as pl

    source = pl.read_csv(RECORDED)
    open_, high, low, close, volume = (source[name].to_numpy().astype(float) for name in COLUMNS[1:])
    previous = np.r_[open_[0], close[:-1]]
    returns = np.log(close / previous)
    wick_up = np.maximum(np.log(high / np.maximum(previous, close)), 0)
    wick_down = np.maximum(np.log(np.minimum(previous, close) / low), 0)
    generator = np.random.default_rng(SEED)
    starts = generator.integers(0, len(close) - BLOCK, n_bars // BLOCK + 1)
    picked = (starts[:, None] + np.arange(BLOCK)).ravel()[:n_bars]
    steps = returns[picked] * (1 + NOISE * generator.standard_normal(n_bars))
    steps -= steps.mean()
    closes = np.round(START_PRICE * np.exp(_pulled(steps)), 1)
    opens = np.r_[START_PRICE, closes[:-1]]
    top, bottom = np.maximum(opens, closes), np.minimum(opens, closes)
    return {
        "ts": FIRST_MS + np.arange(n_bars, dtype=np.int64) * MINUTE_MS,
        "open": opens,
        "high": np.maximum(np.round(top * np.exp(wick_up[picked]), 1), top),
        "low": np.minimum(np.round(bottom * np.exp(-wick_down[picked]), 1), bottom),
        "close": closes,
        "volume": np.round(volume[picked] / closes, 5),
    }


def _pulled(steps: Any) -> Any:
    import numpy as np

    levels, level = np.empty(len(steps)), 0.0
    for index, step in enumerate(steps.tolist()):
        level = level * PULL + step
        levels[index] = level
    return levels


def _synthetic(n_bars: int) -> dict[str, Any]:
    import tempfile

    import polars as pl

    from njord.apps.synthetic import write_synthetic_csv

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        write_synthetic_csv(path, n_bars, SEED)
        frame = pl.read_csv(path)
    return {name: frame["timestamp" if name == "ts" else name].to_numpy() for name in COLUMNS}
