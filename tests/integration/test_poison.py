"""Future poison and warm-up on recorded markets: all shipped strategies pass, on bars and on ticks, and a venue that
runs ahead of its own clock is caught.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from njord.adapters.config_loader import load_config
from njord.adapters.plugins import strategy_names
from njord.backtest import simulation
from njord.backtest.market import Market
from njord.backtest.market_view import MarketView
from njord.backtest.poison import check, examine
from njord.backtest.session import BacktestRequest, Prepared, prepare, run_backtest
from njord.backtest.warm_up_check import check_warm_up
from njord.cli.poison import look
from njord.storage.bars_options import BarOptions
from njord.venues.simulated import SimulatedVenue
from njord.venues.tick_market import MarketRows
from tests.integration.test_data_verbs import njord

pytestmark = pytest.mark.integration

PERP = "bars/BTC-PERP-1m-20211231-20220201.csv.gz"
PAIRS = ("bars/ETH_BTC-5m-20180110-20180130.csv.gz", "bars/LTC_BTC-5m-20180110-20180130.csv.gz")
SYMBOLS = ("ETH/BTC", "LTC/BTC")
CAPTURE = "capture/ETHUSDT-binance-spot-20240808.jsonl.gz"
TICKS = ("trades/binance/ETH-USDT", "book/binance/ETH-USDT")


@contextmanager
def prepared_run(
    folder: Path, strategies: tuple[str, ...], data: tuple[Path, ...], *params: str, **settings: str
) -> Iterator[Prepared]:
    """Prepare a run; its market is open within the block."""
    given = {f"backtest.{name}": value for name, value in settings.items()}
    request = BacktestRequest(strategy=strategies, data=data, params=params, bars=BarOptions())
    prepared = prepare(request, load_config(folder, given, {}).config, {})
    with prepared.market:
        yield prepared


@pytest.fixture
def ticks(recordings: Path, tmp_path: Path) -> tuple[Path, ...]:
    """The capture's trades and book, imported into a store."""
    njord(tmp_path, "data", "import", recordings / CAPTURE, "--venue", "binance")
    return tuple(tmp_path / "var" / "data" / name for name in TICKS)


ON_BARS = [name for name in strategy_names() if name != "market_maker"]
QUICK = (
    "sma_cross",
    "limit_entry",
)  # A signal, and orders that wait; the others are as right and take longer.
PARAMS = {"trendline_break": ("break_bps=20",)}  # Its own are for wilder markets.


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in ON_BARS],
)
def test_every_strategy_that_is_shipped_passes_on_bars(name: str, tmp_path: Path, recordings: Path) -> None:
    with prepared_run(tmp_path, (name,), (recordings / PERP,), *PARAMS.get(name, ())) as prepared:
        finished = run_backtest(prepared, tmp_path)
        verdict = check(prepared, prepared.market, finished.folder, 3, 42)
        deep = examine(prepared, prepared.market, finished.folder, 1, 42)
        warm_up = check_warm_up(prepared, prepared.market)
    assert not finished.result.error
    assert verdict.passed and verdict.n_cuts == 3 and verdict.n_decisions and verdict.n_fills
    assert verdict.n_events_replayed <= verdict.n_events // 4
    assert deep.passed
    assert warm_up.passed and not warm_up.strategies[0].skipped


def test_two_strategies_on_two_symbols_pass_together(tmp_path: Path, recordings: Path) -> None:
    data = tuple(recordings / name for name in PAIRS)
    with prepared_run(
        tmp_path, ("a=sma_cross", "b=rsi_tema_bb@LTC/BTC"), data, "a.weight=0.4", capital="50"
    ) as prepared:
        outcome = look(prepared, 5)
    assert outcome.passed and outcome.poison.n_cuts == 5 and outcome.poison.n_fills > 50
    assert [each.strategy_id for each in outcome.warm_up.strategies] == ["a", "b"]
    assert all(not each.skipped and each.n_compared for each in outcome.warm_up.strategies)


@pytest.mark.parametrize("latency_ns", [pytest.param("0", marks=pytest.mark.long), "10000000"])
def test_the_market_maker_passes_on_ticks(latency_ns: str, tmp_path: Path, ticks: tuple[Path, ...]) -> None:
    latency = {"entry_latency_ns": latency_ns, "response_latency_ns": latency_ns}
    with prepared_run(tmp_path, ("market_maker",), ticks, account="margin", **latency) as prepared:
        outcome = look(prepared, 3)
    assert outcome.passed and outcome.poison.n_cuts == 3
    assert outcome.poison.n_decisions > 500 and outcome.poison.n_fills > 100
    assert outcome.warm_up.strategies[0].skipped


class HastyMarket(MarketView):
    """An exchange whose ticks happen two seconds before they happen."""

    def tick_rows(self, instrument: int) -> Iterator[MarketRows] | None:
        rows = super().tick_rows(instrument)
        return None if rows is None else (each._replace(ts_ns=each.ts_ns - 2_000_000_000) for each in rows)


def test_a_venue_that_is_ahead_of_its_clock_is_caught(
    tmp_path: Path, ticks: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = simulation.venue_of

    def hasty(spec: Any, settings: Any, market: Market) -> SimulatedVenue:
        return honest(spec, settings, HastyMarket(market))

    monkeypatch.setattr(simulation, "venue_of", hasty)
    with prepared_run(tmp_path, ("market_maker",), ticks, account="margin") as prepared:
        poison = look(prepared, 2).poison
    assert poison.leaks and poison.leaks[0].read.startswith("the venue: its ")
