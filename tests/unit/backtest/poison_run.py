"""Shared by the tests of poison and warm-up: a small seeded market, a strategy's text, a finished run."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

from njord.adapters.config_loader import load_config
from njord.backtest.poison import PoisonVerdict, examine
from njord.backtest.session import BacktestRequest, prepare
from njord.backtest.simulation import Prepared, simulate
from njord.storage.bars_options import BarOptions
from njord.storage.journal import JournalWriter

START_S = 1_704_067_200
HEADER = """
import numpy as np

from njord.strategies import *


class Case(Strategy):
"""
# Long while feature x is positive; the answer is a target that is repeated only where it changes.
ON_FEATURE = """
    def on_bar(self, ctx, bar):
        wants = ctx.feature("x") > 0
        if wants is bool(ctx.qty):
            return None
        return Target(weight=0.5 if wants else 0.0, features=(("x", float(np.nan_to_num(ctx.feature("x")))),))
"""


class Run(NamedTuple):
    """A finished run, ready to be run again."""

    prepared: Prepared
    folder: Path
    error: str


def write_market(path: Path, n_bars: int = 400, seed: int = 5, start_s: int = START_S) -> Path:
    """Write minute bars of a random walk in whole ticks."""
    random = np.random.default_rng(seed)
    close = np.maximum(2_000 + np.cumsum(random.integers(-9, 10, n_bars)), 100)
    rows = ["timestamp,open,high,low,close,volume"]
    last = int(close[0])
    for number, ticks in enumerate(close.tolist()):
        high, low = max(last, ticks) + 2, min(last, ticks) - 2
        rows.append(f"{start_s + 60 * number},{last},{high},{low},{ticks},{1 + number % 7}")
        last = ticks
    path.write_text("\n".join(rows) + "\n")
    return path


@contextmanager
def run(folder: Path, strategy: str, params: tuple[str, ...] = (), n_bars: int = 400) -> Iterator[Run]:
    """Backtest a strategy, given by its text or its name; the run is open within the block."""
    reference = strategy
    if "\n" in strategy:
        path = folder / "case.py"
        path.write_text(strategy)
        reference = str(path)
    data = write_market(folder / "BTC_USDT.csv", n_bars)
    request = BacktestRequest(
        strategy=reference,
        data=data,
        params=params,
        bars=BarOptions(tick=Decimal(1), min_notional=Decimal(0)),
    )
    prepared = prepare(request, load_config(folder, {}, {}).config, {})
    try:
        journal = JournalWriter(folder / "journal")
        suspended = simulate(prepared, prepared.market, journal).recorder.suspended
        journal.close()
        yield Run(prepared, folder, suspended[0].error if suspended else "")
    finally:
        prepared.market.close()


def poisoned(which: Run, n_cuts: int = 6, seed: int = 1) -> PoisonVerdict:
    """Return what cuts anywhere in the run show."""
    return examine(which.prepared, which.prepared.market, which.folder, n_cuts, seed)
