"""Shared by the tests of the fast lane: a prepared run, and its journal with and without waking."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from njord.adapters.config_loader import load_config
from njord.backtest.session import BacktestRequest, prepare
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.summing_up import Outcome
from njord.core.codec import encode
from njord.core.contracts import Bar, Message
from njord.storage.bars_options import BarOptions
from tests.unit.backtest.poison_run import START_S, write_market

ROW = b"a row of the data"


class EveryRow:
    """A journal that is told every message, bars included: nobody sleeps."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.n_skipped = 0

    def append(self, message: Message) -> None:
        self.lines.append(ROW if isinstance(message, Bar) else encode(message))


class CountedRows(EveryRow):
    """A journal that can count rows: who says where it wakes sleeps elsewhere."""

    def count_rows(self, n_rows: int) -> None:
        self.lines += [ROW] * n_rows
        self.n_skipped += n_rows


@contextmanager
def prepared_run(
    folder: Path, strategies: tuple[str, ...], n_bars: int = 400, params: tuple[str, ...] = ()
) -> Iterator[Prepared]:
    """Prepare strategies, each given by name, by path or by its text, on one seeded market of minute bars."""
    references = []
    for number, strategy in enumerate(strategies):
        if "\n" in strategy:
            path = folder / f"case_{number}.py"
            path.write_text(strategy)
            strategy = f"s{number}={path}"
        references.append(strategy)
    data = folder / "BTC_USDT.csv"
    if not data.exists():
        write_market(data, n_bars, start_s=START_S - 2 * 3_600)  # A UTC day ends among them.
    request = BacktestRequest(
        strategy=tuple(references),
        data=data,
        params=params,
        bars=BarOptions(tick=Decimal(1), min_notional=Decimal(0)),
    )
    run = prepare(request, load_config(folder, {}, {}).config, {})
    try:
        yield run
    finally:
        run.market.close()


def ran(run: Prepared, journal: EveryRow) -> tuple[list[bytes], Outcome]:
    """Return the journal's lines and what the run left."""
    outcome = simulate(run, run.market, journal)
    return journal.lines, outcome
