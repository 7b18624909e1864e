"""A result adds up: contributions, round trips and the ledger, for several strategies on several symbols."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.account_books import account_books
from njord.backtest.findings_input import facts_of, with_checks
from njord.backtest.recorder import RecordedFunding, Recorder
from njord.backtest.reported import PricePiece
from njord.backtest.result import RESULT_SCHEMA, BacktestResult
from njord.backtest.run_data import n_within
from njord.backtest.samples import positions_at, prices_at
from njord.backtest.session import BacktestRequest, encode_result, prepare, run_backtest
from njord.core.contracts import VENUE, FillEvent, FundingEvent
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, Side
from njord.core.units import ZERO
from njord.performance.contribution import in_all
from njord.system import HostedSpec, SystemSpec

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("two_symbols")
    for symbol, seed in (("BTC", 1), ("ETH", 2)):
        write_synthetic_csv(made / f"{symbol}_USDT-1m.csv", 900, seed=seed)
    return made


def run(
    folder: Path, name: str, *strategies: str, params: tuple[str, ...] = ("weight=0.3",)
) -> BacktestResult:
    data = tuple(folder / f"{symbol}_USDT-1m.csv" for symbol in ("BTC", "ETH"))
    request = BacktestRequest(strategy=strategies, data=data, params=params, synthetic=True)
    prepared = prepare(request, load_config(folder, {}, {}).config, {})
    try:
        return run_backtest(prepared, folder, folder=folder / name).result
    finally:
        prepared.market.close()


@pytest.fixture(scope="module")
def mixed(folder: Path) -> Iterator[BacktestResult]:
    """Two strategies on BTC, one of them on ETH as well."""
    made = run(
        folder,
        "mixed",
        "both=sma_cross",
        "slow=sma_cross@BTC/USDT",
        params=("weight=0.3", "slow.fast=20", "slow.slow=60"),
    )
    assert made.fills
    yield made


def test_the_tables_of_contributions_add_up_to_the_net_profit_to_the_last_digit(
    mixed: BacktestResult,
) -> None:
    net = Decimal(mixed.stats["net_profit"])
    assert net
    parts = mixed.contributions
    for name in ("pairs", "symbols", "strategies"):
        assert sum((Decimal(row["pnl"]) for row in parts[name]), ZERO) == net
        assert sum(row["n_fills"] for row in parts[name]) == len(mixed.fills)
    assert Decimal(parts["total"]["pnl"]) == net
    assert [(row["strategy_id"], row["symbol"]) for row in parts["pairs"]] == [
        ("both", "BTC/USDT"), ("both", "ETH/USDT"), ("slow", "BTC/USDT"),
    ]  # fmt: skip
    assert sum(row["share"] for row in parts["pairs"]) == pytest.approx(1.0)
    split = mixed.maker_taker
    assert Decimal(split["maker"]["fees"]) + Decimal(split["taker"]["fees"]) == Decimal(mixed.fees)


def test_one_strategy_of_two_symbols_earns_what_two_strategies_of_a_symbol_each_earn(folder: Path) -> None:
    one = run(folder, "one", "sma_cross")
    two = run(folder, "two", "a=sma_cross@BTC/USDT", "b=sma_cross@ETH/USDT")
    assert one.fills
    assert one.order_list_hash == two.order_list_hash
    assert one.final_equity == two.final_equity
    without = ("strategy_id", "symbol")
    assert {k: v for k, v in one.contributions["total"].items() if k not in without} == {
        k: v for k, v in two.contributions["total"].items() if k not in without
    }
    assert [row["pnl"] for row in one.contributions["symbols"]] == [
        row["pnl"] for row in two.contributions["symbols"]
    ]


def test_round_trips_and_orders_say_whose_they_are(mixed: BacktestResult) -> None:
    pairs = {(row["strategy_id"], row["symbol"]) for row in mixed.contributions["pairs"] if row["n_fills"]}
    assert {(trip.strategy_id, trip.symbol) for trip in mixed.round_trips} == pairs
    assert {(order.strategy_id, order.symbol) for order in mixed.orders} == pairs
    assert mixed.n_orders == len(mixed.orders) == sum(mixed.endings.values())
    assert mixed.n_never_filled == sum(order.filled == "0" for order in mixed.orders)


def test_buy_and_hold_is_equal_parts_of_both_symbols(mixed: BacktestResult) -> None:
    assert len(mixed.benchmark_curve) == len(mixed.equity_curve)
    assert mixed.benchmark["final_equity"] == mixed.benchmark_curve[-1]
    own = mixed.stats["total_return"] - mixed.benchmark["total_return"]
    assert mixed.benchmark["added_return"] == pytest.approx(own)


def test_exposure_and_turnover_follow_from_the_fills(mixed: BacktestResult) -> None:
    traded = sum((Decimal(fill.price) * Decimal(fill.qty) for fill in mixed.fills), ZERO)
    assert Decimal(mixed.turnover["traded_notional"]) == traded
    gross, symbols = mixed.exposure["gross"], mixed.exposure["symbols"]
    assert 0.25 < gross["mean_invested"] <= gross["largest"] < 1.0
    assert mixed.exposure["time_in_market"] >= max(each["time_in_market"] for each in symbols) > 0
    assert len(mixed.exposure["curve"]) == gross["n_samples"]


def test_orders_that_never_waited_in_the_book_are_not_counted_as_resting(folder: Path) -> None:
    found = run(folder, "resting", "grid@ETH/USDT", params=())
    waited = [order for order in found.orders if order.type == "limit" and order.liquidity != "taker"]
    assert waited
    assert found.queue["n_orders"] == len(waited)
    assert found.queue["n_filled"] == sum(order.terminal == "filled" for order in waited)
    assert found.queue["median_ahead_lots"] is None, "bars know no queue"
    market = run(folder, "taking", "sma_cross")
    assert market.queue["n_orders"] == 0


def test_every_dataset_is_described(mixed: BacktestResult) -> None:
    assert [(each["symbol"], each["kind"], each["n_rows"]) for each in mixed.data] == [
        ("BTC/USDT", "bars", 900),
        ("ETH/USDT", "bars", 900),
    ]
    assert mixed.title == "both, slow on BTC/USDT, ETH/USDT"


def test_the_result_is_json_and_comes_back_as_it_was(mixed: BacktestResult) -> None:
    assert mixed.schema == RESULT_SCHEMA == 2
    encoded = encode_result(mixed)
    assert encode_result(msgspec.json.decode(encoded, type=BacktestResult)) == encoded


POISON: dict[str, Any] = {
    "n_cuts_asked": 3, "n_cuts": 3, "n_decisions": 12, "acausal_fills": [],
    "leaks": [{"kind": "Target", "strategy_id": "slow", "ts_ns": 0, "cut_ns": 10**9, "read": "feature 'x'"}],
}  # fmt: skip


def test_a_leak_found_afterwards_becomes_the_first_finding(mixed: BacktestResult) -> None:
    assert "poison_off" in [finding.code for finding in mixed.findings]
    leaking = with_checks(mixed, POISON, None)
    assert leaking.findings[0].says.startswith(
        "The run reads the future: Target of slow at 1970-01-01T00:00 changed with what came after 1970-01-01T00:00:01"
    )
    early = {"strategy_id": "slow", "symbol": "X", "ts_ns": 10**9, "began_ns": 0}
    assert (
        "before it could have been there"
        in with_checks(mixed, {**POISON, "leaks": [], "acausal_fills": [early]}, None).findings[0].says
    )
    sound = with_checks(mixed, {**POISON, "leaks": []}, {"strategies": []})
    assert not {"future_leak", "poison_off", "poison_empty"} & {finding.code for finding in sound.findings}


def test_what_a_warm_up_check_found_is_said(mixed: BacktestResult) -> None:
    one = {"strategy_id": "slow", "difference": "buys 1, not 2", "skipped": "", "n_compared": 7}
    found = with_checks(mixed, None, {"strategies": [one]})
    assert "slow: buys 1, not 2" in next(each.says for each in found.findings if each.code == "warm_up")


def test_orders_that_the_venue_turned_down_are_told_from_those_that_were_canceled(
    mixed: BacktestResult,
) -> None:
    endings = {
        "filled": 1, "canceled/CANCEL_REQUESTED": 10, "canceled/INSUFFICIENT_FUNDS": 3, "rejected/FILTER_QTY": 4,
        "rejected/POST_ONLY_WOULD_TAKE": 100, "expired/END_OF_DATA": 2,
    }  # fmt: skip
    assert facts_of(msgspec.structs.replace(mixed, endings=endings)).n_failed == 7


# --- a perpetual account by hand: funding and a liquidation, shared by two strategies ---

PERPETUAL = Instrument(
    symbol="BTC/USDT:USDT", venue="v", base="BTC", quote="USDT", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"),
    kind=InstrumentKind.LINEAR,
)  # fmt: skip
SPEC = SystemSpec(
    run_id="r", account_id="main", report_asset="USDT", capital=Decimal(1000), instruments=(PERPETUAL,),
    strategies=(HostedSpec(strategy_id="a", objects=()), HostedSpec(strategy_id="b", objects=())),
    risk_profile="research", risk_rules={}, cost_bps=ZERO,
)  # fmt: skip


def liquidated(fee_asset: str = "USDT") -> Recorder:
    made = Recorder([PERPETUAL])
    trades = [
        ("a", BUY, 10_000, 300, "0.1"),
        ("b", BUY, 10_000, 100, "0.1"),
        (VENUE, SELL, 9_000, 400, "1.00000001"),
    ]
    for number, (owner, side, ticks, lots, fee) in enumerate(trades, start=1):
        fill = FillEvent(
            ts_ns=number, instrument=0, account_id="main", strategy_id=owner, intent_id="", client_order_id="",
            venue_trade_id=f"{number}", side=side, price_ticks=ticks, qty_lots=lots, fee=Decimal(fee),
            fee_asset=fee_asset, is_maker=False, ts_venue_ns=number,
        )  # fmt: skip
        made.fills.add(fill, made.orders.add_unsent(fill, "filled"))
    paid = FundingEvent(
        ts_ns=2, instrument=0, account_id="main", rate=Decimal("0.0001"), mark_ticks=10_000, amount=Decimal("-0.04"),
        asset="USDT", ts_venue_ns=2,
    )  # fmt: skip
    made.funding.append(RecordedFunding(2, paid))
    return made


# Bought 0.4 at 1000, liquidated at 900: -40; fees 1.20000001; funding -0.04.
PROFIT = Decimal("-41.24000001")


def test_a_liquidation_closes_every_strategys_holding_and_its_fee_and_funding_are_shared() -> None:
    books = account_books(SPEC, liquidated(), [Decimal(900)], PROFIT)
    assert in_all(books.pairs).pnl == PROFIT
    first, second = books.pairs
    assert (first.strategy_id, first.realized_pnl, first.fees, first.funding) == (
        "a", Decimal(-30), Decimal("0.85"), Decimal("-0.03"),
    )  # fmt: skip
    assert (second.strategy_id, second.realized_pnl, second.fees, second.funding) == (
        "b", Decimal(-10), Decimal("0.35000001"), Decimal("-0.01"),
    )  # fmt: skip
    said = books.trips.texts(range(2))
    assert [(each.strategy_id, each.qty) for each in said] == [("a", "0.3"), ("b", "0.1")]
    assert len(books.trips) == 2
    assert not books.lots


def test_books_that_miss_the_ledgers_profit_by_the_last_digit_are_refused() -> None:
    with pytest.raises(InvariantError, match=r"profit is -41\.24, its contributions add up to -41\.24000001"):
        account_books(SPEC, liquidated(), [Decimal(900)], Decimal("-41.24"))


def test_a_fee_that_nothing_here_can_price_is_refused() -> None:
    with pytest.raises(InvariantError, match="fee in BNB"):
        account_books(SPEC, liquidated("BNB"), [Decimal(900)], PROFIT)


# --- samples and places ---


def test_moments_are_counted_within_half_open_ranges() -> None:
    ranges = np.array([[10, 20], [30, 40]], dtype=np.int64)
    assert n_within(ranges, np.array([9, 10, 19, 20, 25, 30, 39, 40], dtype=np.int64)) == 4
    assert n_within(ranges[:0], np.array([9], dtype=np.int64)) == n_within(ranges, ranges[:0, 0]) == 0


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_last_price_known_holds_until_the_next_whatever_the_pieces(size: int) -> None:
    ts_ns = np.array([10, 20, 20, 40, 50], dtype=np.int64)
    close = np.array([1000, 1010, 1020, 1030, 1040], dtype=np.int64)
    pieces = [
        PricePiece(*(column[i : i + size] for column in (ts_ns, ts_ns, close, close, close, close)))
        for i in range(0, 5, size)
    ]
    times = np.array([5, 10, 19, 20, 39, 50, 60], dtype=np.int64)
    found = prices_at(pieces, PERPETUAL, times)
    assert np.isnan(found[0])
    assert found[1:].tolist() == pytest.approx([100.0, 100.0, 102.0, 102.0, 104.0, 104.0])


def test_a_position_is_held_from_when_its_fill_was_known() -> None:
    made = liquidated()
    held = positions_at(
        made.fills.steps(0, PERPETUAL.base), PERPETUAL, np.array([0, 1, 2, 3, 9], dtype=np.int64)
    )
    assert held.tolist() == [0.0, 0.3, 0.4, 0.0, 0.0]
