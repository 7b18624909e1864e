"""Who takes part in which work, in which environment, and what must agree."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from benchmarks.peers.market import MarketFiles, market_files

BARS, SWEEP_BARS = 1_000_000, 43_200
SMALL_BARS, SMALL_SWEEP_BARS = 20_000, 5_000
SLOW_STEP, SMALL_SLOW_STEP = 10, 50  # Peers evaluate every tenth slow window of the sweep.


class Contender(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: As the table shows it.
        module: Below benchmarks.peers; run as a process.
        words: Its arguments.
        venv: The peer's environment; empty for ours.
    """

    name: str
    module: str
    words: tuple[str, ...]
    venv: str = ""

    @property
    def is_ours(self) -> bool:
        """It is measured against the others, and runs in this environment."""
        return self.name.startswith("njord")


class Work(NamedTuple):
    """What all sides do.

    Attributes:
        title: What it is, in words.
        unit: What one nanosecond figure is per.
        contenders: Ours first.
        tolerances: By figure, the relative difference that is known between exact and float engines: they decide the
            exact ties of averages differently, and nothing else.
        origin: Where the input is from.
    """

    title: str
    unit: str
    contenders: tuple[Contender, ...]
    tolerances: dict[str, float]
    origin: str


def works(is_small: bool) -> Iterator[tuple[str, Work]]:
    """Yield every comparison that is measured here, its input made where it is not there."""
    bars = market_files(SMALL_BARS if is_small else BARS)
    yield "W1", _single(bars, SMALL_BARS if is_small else BARS)
    sweep = market_files(SMALL_SWEEP_BARS) if is_small else _first(bars, SWEEP_BARS)
    yield "W2", _sweep(sweep, *((SMALL_SLOW_STEP, SMALL_SLOW_STEP) if is_small else (1, SLOW_STEP)))


def _single(files: MarketFiles, n_bars: int) -> Work:
    arrays, table = str(files.arrays), str(files.table)
    return Work(
        f"{n_bars:,} one-minute bars, SMA 10/30 cross, one unit, 10 bp",
        "bar",
        (
            Contender("njord ordered", "w1_ordered", (table, "sma_cross")),
            Contender("njord fast lane", "w1_ordered", (table, "sma_cross_python.py")),
            Contender("njord fused", "w1_fused", (table,)),
            Contender("vectorbt numba", "w1_vectorbt", (arrays, "numba"), "vectorbt"),
            Contender("vectorbt rust", "w1_vectorbt", (arrays, "rust"), "vectorbt"),
            Contender("backtesting.py", "w1_backtesting", (arrays,), "backtesting"),
            Contender("nautilus", "w1_nautilus", (arrays,), "nautilus"),
        ),
        {"orders": 2e-3, "equity": 1e-5},
        files.origin,
    )


def _sweep(files: MarketFiles, own_step: int, step: int) -> Work:
    arrays, table = str(files.arrays), str(files.table)
    return Work(
        "10,000 combinations of the SMA cross, 100 fast by 100 slow windows, on a month of minutes",
        "bar-evaluation",
        (
            Contender("njord sweep", "w2_sweep", (table, f"{own_step}", f"{step}")),
            Contender("njord kernel", "w2_kernel", (table, f"{own_step}", f"{step}")),
            Contender("njord compiled", "w2_sweep", (table, f"{step}", f"{step}", "compiled_cross.py")),
            Contender("vectorbt numba", "w2_vectorbt", (arrays, "numba", f"{step}"), "vectorbt"),
            Contender("vectorbt rust", "w2_vectorbt", (arrays, "rust", f"{step}"), "vectorbt"),
        ),
        {"orders": 2e-3, "equity": 1e-5},
        files.origin,
    )


def _first(files: MarketFiles, n_bars: int) -> MarketFiles:
    """Return the first bars of a market as files of their own."""
    import numpy as np

    folder = files.arrays.parent / f"first-{n_bars}"
    found = MarketFiles(folder / files.arrays.name, folder / files.table.name, files.origin)
    if not found.table.exists():
        folder.mkdir(exist_ok=True)
        with np.load(files.arrays) as bars:
            np.savez(found.arrays, **{name: bars[name][:n_bars] for name in bars.files})
        with files.table.open(encoding="utf-8") as table:
            lines = list(islice(table, n_bars + 1))
        partial = found.table.with_suffix(".partial")
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(found.table)
    return found
