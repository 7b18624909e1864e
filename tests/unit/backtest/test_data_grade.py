"""A run says what its data are worth, and how much bad time it held a position through."""

import io
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.recorder import Recorder
from njord.backtest.session import BacktestRequest, Finished, encode_result, prepare, run_backtest
from njord.cli.summary import print_summary
from njord.core.contracts import FillEvent
from njord.core.instrument import Instrument
from njord.core.types import Side
from njord.core.units import NS_PER_MINUTE, ZERO

BTC = Instrument(
    symbol="BTC/USDT",
    venue="v",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)


def recorder(*fills: tuple[int, Side, int], instrument: int = 0) -> Recorder:
    made = Recorder((BTC, BTC))
    for ts_ns, side, lots in fills:
        event = FillEvent(
            ts_ns=ts_ns, instrument=instrument, account_id="a", strategy_id="s", intent_id="s-1", client_order_id="o",
            venue_trade_id="t", side=side, price_ticks=1, qty_lots=lots, fee=ZERO, fee_asset="USDT", is_maker=False,
            ts_venue_ns=ts_ns,
        )  # fmt: skip
        made.fills.add(event, order_no=1)
    return made


def test_a_position_is_held_from_its_first_fill_to_the_one_that_ends_it() -> None:
    buy, sell = Side.BUY, Side.SELL
    made = recorder((10, buy, 3), (12, buy, 1), (15, sell, 4), (20, sell, 2), (30, buy, 2), (40, buy, 5))
    assert made.held_ranges(0, 99) == [(10, 15), (20, 30), (40, 99)]
    assert made.held_ranges(0, 25) == [(10, 15), (20, 25)]
    assert made.held_ranges(1, 99) == []


def test_a_position_that_turns_around_is_one_and_one_that_ends_at_once_none() -> None:
    buy, sell = Side.BUY, Side.SELL
    assert recorder((10, buy, 3), (20, sell, 5), (30, buy, 2)).held_ranges(0, 99) == [(10, 30)]
    assert recorder((10, buy, 3), (10, sell, 3)).held_ranges(0, 99) == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run over a market with two holes of which only one lies inside a position."""
    folder = tmp_path_factory.mktemp("graded")
    path = folder / "SYNTHUSDT-1m.csv"
    write_synthetic_csv(path, n_bars=600, seed=7)
    lines = path.read_text().splitlines()
    kept = [line for number, line in enumerate(lines) if not (100 <= number < 103 or 400 <= number < 405)]
    path.write_text("\n".join(kept) + "\n")
    strategy = folder / "hold.py"
    strategy.write_text(HOLD)
    config = load_config(folder, {}).config
    prepared = prepare(BacktestRequest(strategy=str(strategy), data=path), config, {})
    with prepared.market:
        return run_backtest(prepared, folder)


HOLD = '''"""Long from the 201st bar on."""

import msgspec

from njord.strategies import BarView, Context, Proposals, Strategy, StrategyParams, Target


class Hold(Strategy):
    """Buys once."""

    class Params(StrategyParams, frozen=True):
        """None."""

    class State(msgspec.Struct):
        """Bars seen."""

        n: int = 0

    state: State

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Go long late."""
        self.state.n += 1
        return Target(weight=1.0) if self.state.n == 201 else None
'''


def test_bad_time_inside_positions_is_told_from_the_rest(finished: Finished) -> None:
    (data,) = finished.result.data
    assert len(finished.result.fills) == 1
    assert data["bad_ns"] == 8 * NS_PER_MINUTE
    assert data["bad_in_positions_ns"] == 5 * NS_PER_MINUTE
    assert data["certificate"]["grade"] == "D"
    assert data["certificate"]["because"] == "8 of 600 expected bars are missing"
    assert data["certificate"]["dataset_hash"] == data["hash"]
    assert data["certificate_hash"].startswith("sha256:")
    assert "8 of 600 expected bars are missing" in finished.result.warnings


def test_the_result_holds_the_findings_with_their_places_and_nothing_for_machines(finished: Finished) -> None:
    certificate = msgspec.json.decode(encode_result(finished.result))["data"][0]["certificate"]
    (missing,) = (finding for finding in certificate["findings"] if finding["check"] == "missing_bars")
    assert [place["row"] for place in missing["places"]] == [99, 396]
    assert {"bad_ranges", "facts"}.isdisjoint(certificate)


def test_the_summary_prints_the_grade_its_reason_and_the_bad_time(finished: Finished) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    print_summary(console, finished)
    text = console.export_text()
    assert re.search(r"grade +D: 8 of 600 expected bars are missing", text)
    assert re.search(r"bad time +8 min, 5 min of it inside positions", text)


def test_sound_data_say_so(tmp_path: Path) -> None:
    path = tmp_path / "SYNTHUSDT-1m.csv"
    write_synthetic_csv(path, n_bars=300, seed=7)
    config = load_config(tmp_path, {}).config
    prepared = prepare(BacktestRequest(strategy="sma_cross", data=path), config, {})
    with prepared.market as market:
        result = run_backtest(prepared, tmp_path).result
    (data,) = result.data
    assert (data["certificate"]["grade"], data["bad_ns"], result.warnings) == ("A", 0, [])
    assert market.sources[0].certificate.bad_range_array().dtype == np.int64
