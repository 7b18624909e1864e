"""Margin and perpetual accounts by hand: what may be opened, funding, liquidation. Tick 1, lot 0.1, no slippage."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.contracts import Bar, BrokerFunding, BrokerLiquidation
from njord.core.types import InstrumentKind, OrderReason, OrderType, Side
from njord.core.units import NS_PER_S, ZERO
from njord.venues.funding import INTERVAL_NS as FUNDING_NS
from njord.venues.funding import FundingSchedule
from njord.venues.margin import CashAccount
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import VenueTerms
from tests.property.strategies import INTERVAL_NS, START_NS, bar, instrument
from tests.unit.venues.venue_case import BTC, PERP, canceled, ends, fills, placed, request, story, venue

SELL = Side.SELL
ETH = instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))


def margin(*traded: Any, leverage: int = 1, kind: str = "perpetual", **given: Any) -> SimulatedVenue:
    values: dict[str, Any] = {"slippage": "0", "taker": "0", "maker": "0", **given}
    return venue(*traded or (PERP,), account=kind, leverage=Decimal(leverage), **values)


def flat(number: int, price: int, index: int = 0) -> Bar:
    return bar(number, price, price, price, price, index)


def liquidations(reports: list[Report]) -> list[tuple[int, int, Side, Decimal]]:
    return [
        (each.price_ticks, each.qty_lots, each.side, each.fee)
        for each in reports
        if isinstance(each, BrokerLiquidation)
    ]


# --- what may be opened ---


def test_a_margin_account_may_be_short_of_an_asset_up_to_its_equity() -> None:
    assert fills(placed(margin(BTC, kind="margin"), request(side=SELL, qty_lots=100)).on_bar(flat(0, 100)))
    assert not fills(
        placed(margin(BTC, kind="margin"), request(side=SELL, qty_lots=101)).on_bar(flat(0, 100))
    )


def test_who_pays_in_full_may_still_be_short_of_a_contract_up_to_its_equity() -> None:
    for lots, is_covered in ((100, True), (101, False)):
        where = placed(margin(BTC, PERP, kind="spot"), request(side=SELL, qty_lots=lots, instrument=1))
        assert bool(fills(where.on_bar(flat(0, 100, 1)))) is is_covered


@pytest.mark.parametrize(
    ("held", "traded", "shrinks"),
    [
        (2, -1, True), (2, -2, True), (2, -3, False), (2, 1, False), (-2, 1, True), (-2, 2, True), (-2, 3, False),
        (-2, -1, False), (0, 1, False), (0, -1, False),
    ],
)  # fmt: skip
def test_reduce_only_is_what_leaves_less_of_a_position_and_never_turns_it(
    held: int, traded: int, shrinks: bool
) -> None:
    account = CashAccount((BTC,), Decimal(1000), [0], VenueTerms(account="margin"))
    account.held[0] = Decimal(held)
    refused = account.trade(0, Decimal(traded), 100, Decimal(100 * traded), ZERO, False, True)
    assert refused is (None if shrinks else OrderReason.REDUCE_ONLY)


def test_leverage_multiplies_what_equity_covers_long_and_short() -> None:
    for kind, traded in (("margin", BTC), ("perpetual", PERP)):
        for side in Side:
            enough = placed(margin(traded, kind=kind, leverage=3), request(side=side, qty_lots=300))
            assert fills(enough.on_bar(flat(0, 100)))
            too_much = placed(margin(traded, kind=kind, leverage=3), request(side=side, qty_lots=301))
            assert canceled(too_much.on_bar(flat(0, 100))) == [("c1", OrderReason.INSUFFICIENT_FUNDS)]


def test_fees_count_before_the_order_is_covered() -> None:
    where = placed(margin(leverage=3, taker="10"), request(qty_lots=300))
    assert canceled(where.on_bar(flat(0, 100))) == [("c1", OrderReason.INSUFFICIENT_FUNDS)]
    assert where.cash == 1000


def test_an_unrealized_loss_leaves_less_to_open_with_and_closing_is_always_allowed() -> None:
    where = margin(PERP, ETH, leverage=2, maintenance_margin_bps=Decimal(0))
    placed(where, request(qty_lots=100))
    where.on_bar(flat(0, 100))
    where.on_bar(flat(1, 60))  # Equity 600 covers 1200, of which 600 are used.
    at = {"instrument": 1, "ts_ns": START_NS + 2 * INTERVAL_NS}
    placed(where, request("much", qty_lots=61, **at), request("all", qty_lots=60, **at))
    assert [name for name, _, _ in fills(where.on_bar(flat(2, 100, index=1)))] == ["all"]
    placed(where, request("close", side=SELL, qty_lots=100, ts_ns=START_NS + 2 * INTERVAL_NS))
    assert fills(where.on_bar(flat(2, 60)))


def test_an_asset_in_a_perpetual_account_is_paid_in_full_and_backs_no_contract() -> None:
    where = margin(BTC, PERP, leverage=5)
    placed(where, request(qty_lots=60))
    where.on_bar(flat(0, 100))
    assert where.cash == 400
    at = {"instrument": 1, "ts_ns": START_NS + INTERVAL_NS}
    placed(where, request("much", qty_lots=201, **at), request("all", qty_lots=200, **at))
    assert [name for name, _, _ in fills(where.on_bar(flat(1, 100, index=1)))] == ["all"]
    placed(where, request("short", side=SELL, qty_lots=61, ts_ns=START_NS + INTERVAL_NS))
    assert canceled(where.on_bar(flat(1, 100))) == [("short", OrderReason.INSUFFICIENT_FUNDS)]


def test_a_contract_settles_profit_only() -> None:
    where = placed(margin(leverage=10, taker="10"), request(qty_lots=100))
    where.on_bar(flat(0, 100))
    assert where.cash == 999
    placed(where, request("half", side=SELL, qty_lots=50, ts_ns=START_NS + INTERVAL_NS))
    where.on_bar(flat(1, 110))
    assert where.cash == 999 + 50 - Decimal("0.55")


# --- funding ---


def funded(ts_open_ns: int, interval_ns: int, *prices: int) -> Bar:
    open_, high, low, close = prices
    return Bar(
        ts_ns=ts_open_ns + interval_ns, instrument=0, ts_open_ns=ts_open_ns, open=open_, high=high, low=low, close=close
    )  # fmt: skip


NOON = (START_NS // FUNDING_NS + 1) * FUNDING_NS  # A time of payment.
SCHEDULE = FundingSchedule(rate=Decimal("0.001"))


def payments(reports: list[Report]) -> list[tuple[int, int, Decimal]]:
    return [
        ((each.ts_venue_ns - NOON) // NS_PER_S, each.mark_ticks, each.amount)
        for each in reports
        if isinstance(each, BrokerFunding)
    ]


def test_longs_pay_and_shorts_receive_on_the_last_known_price() -> None:
    for side, amount in ((Side.BUY, Decimal("-1.1")), (SELL, Decimal("1.1"))):
        where = margin(funding=SCHEDULE)
        placed(where, request(side=side, qty_lots=100, ts_ns=NOON - 2 * INTERVAL_NS))
        assert payments(where.on_bar(funded(NOON - INTERVAL_NS, INTERVAL_NS, 100, 110, 100, 110))) == []
        cash = where.cash
        assert payments(where.on_bar(funded(NOON, INTERVAL_NS, 120, 120, 120, 120))) == [(0, 110, amount)]
        assert where.cash == cash + amount
        assert payments(where.on_bar(funded(NOON + INTERVAL_NS, INTERVAL_NS, 120, 120, 120, 120))) == []


def test_who_opens_at_the_time_of_payment_does_not_pay_and_who_closes_then_does() -> None:
    where = placed(margin(funding=SCHEDULE), request(qty_lots=100, ts_ns=NOON))
    assert payments(where.on_bar(funded(NOON, INTERVAL_NS, 100, 100, 100, 100))) == []
    placed(where, request("close", side=SELL, qty_lots=100, ts_ns=NOON + FUNDING_NS))
    reports = where.on_bar(funded(NOON + FUNDING_NS, INTERVAL_NS, 100, 100, 100, 100))
    assert isinstance(reports[0], BrokerFunding) and fills(reports)
    assert payments(reports) == [(8 * 3600, 100, Decimal(-1))]


def test_inside_a_long_bar_the_open_is_the_mark_and_gaps_are_paid_for() -> None:
    where = placed(margin(funding=SCHEDULE), request(qty_lots=100, ts_ns=NOON))
    day = funded(NOON, 3 * FUNDING_NS, 100, 130, 100, 120)
    assert payments(where.on_bar(day)) == [(8 * 3600, 100, Decimal(-1)), (16 * 3600, 100, Decimal(-1))]
    late = where.on_bar(funded(NOON + 4 * FUNDING_NS, INTERVAL_NS, 120, 120, 120, 120))
    assert payments(late) == [(24 * 3600, 120, Decimal("-1.2")), (32 * 3600, 120, Decimal("-1.2"))]


def test_payments_are_rounded_once_against_us() -> None:
    coarse = instrument(
        "BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"), money_scale=1
    )
    for side, amount in ((Side.BUY, Decimal("-0.2")), (SELL, Decimal("0.1"))):
        where = placed(
            margin(coarse, funding=SCHEDULE), request(side=side, qty_lots=15, ts_ns=NOON - INTERVAL_NS)
        )
        where.on_bar(funded(NOON - INTERVAL_NS, INTERVAL_NS, 100, 100, 100, 100))
        assert payments(where.on_bar(funded(NOON, INTERVAL_NS, 100, 100, 100, 100))) == [(0, 100, amount)]


def test_a_schedule_may_name_its_own_times_and_rates() -> None:
    schedule = FundingSchedule(rates=((5, Decimal(1)), (9, Decimal(-1))))
    assert list(schedule.between(4, 9)) == [(5, Decimal(1)), (9, Decimal(-1))]
    assert list(schedule.between(5, 8)) == []
    assert list(FundingSchedule().between(0, 10**18)) == []


def test_bars_are_needed_while_a_contract_is_held() -> None:
    where = placed(margin(), request(qty_lots=10))
    needs = [where.needs_bars]
    where.on_bar(flat(0, 100))
    needs.append(where.needs_bars)
    placed(where, request("close", side=SELL, qty_lots=10, ts_ns=START_NS + INTERVAL_NS))
    where.on_bar(flat(1, 100))
    assert [*needs, where.needs_bars] == [False, True, False]


# --- liquidation: 1000 of cash at 5x, 500 lots at 100 are 5000; maintenance 1 % ---

HALF: dict[str, Any] = {"maintenance_margin_bps": Decimal(100), "liquidation_fee_bps": Decimal(10)}
# Long: 1000 + 50 (p - 100) = 0.5 p at p = 80.8; the first whole tick is 80. Short: at 118.8, so 119.


def ruined(side: Side, *prices: int, extra: Any = ()) -> tuple[SimulatedVenue, list[Report]]:
    where = placed(margin(leverage=5, **HALF), request(side=side, qty_lots=500))
    where.on_bar(flat(0, 100))
    placed(where, *extra)
    return where, where.on_bar(bar(1, *prices))


def test_a_position_is_liquidated_at_the_price_where_margin_has_run_out() -> None:
    where, reports = ruined(Side.BUY, 100, 100, 80, 100)
    assert liquidations(reports) == [(80, 500, SELL, Decimal(4))]
    assert (where.held_qty(0), where.cash) == (Decimal(0), Decimal(1000 - 50 * 20 - 4))
    assert not where.needs_bars
    assert liquidations(ruined(Side.BUY, 100, 130, 81, 100)[1]) == []
    assert liquidations(ruined(SELL, 100, 119, 100, 100)[1]) == [(119, 500, Side.BUY, Decimal("5.95"))]
    assert liquidations(ruined(SELL, 100, 118, 60, 100)[1]) == []


def test_a_gap_beyond_it_liquidates_at_the_open_and_the_rest_is_owed() -> None:
    where, reports = ruined(Side.BUY, 70, 75, 60, 70)
    assert liquidations(reports) == [(70, 500, SELL, Decimal("3.5"))]
    assert reports[0].ts_venue_ns == START_NS + INTERVAL_NS
    assert where.cash == Decimal("-503.5")


def test_its_orders_end_first_and_a_stop_before_it_saves_the_position() -> None:
    at = START_NS + INTERVAL_NS
    far = request("far", side=SELL, type=OrderType.STOP, trigger=79, qty_lots=500, ts_ns=at)
    where, reports = ruined(Side.BUY, 100, 100, 70, 100, extra=[far])
    assert story(reports) == ["far liquidated"] and liquidations(reports)
    assert ends(reports)[0][0] == "far" and where.n_working == 0
    near = request("near", side=SELL, type=OrderType.STOP, trigger=82, qty_lots=500, ts_ns=at)
    _, reports = ruined(Side.BUY, 100, 100, 70, 100, extra=[near])
    assert fills(reports) == [("near", 82, False)] and not liquidations(reports)


def test_a_position_opened_inside_a_bar_is_ruined_only_by_what_came_after() -> None:
    where = placed(margin(leverage=5, **HALF), request(type=OrderType.STOP, trigger=100, qty_lots=500))
    assert liquidations(where.on_bar(bar(0, 90, 101, 75, 100))) == []
    again = placed(margin(leverage=5, **HALF), request(type=OrderType.STOP, trigger=100, qty_lots=500))
    assert liquidations(again.on_bar(bar(0, 90, 101, 75, 80))) == [(80, 500, SELL, Decimal(4))]
    down = placed(margin(leverage=5, **HALF), request(limit=100, qty_lots=500))
    assert liquidations(down.on_bar(bar(0, 110, 110, 80, 110))) == [(80, 500, SELL, Decimal(4))]


def test_funding_can_ruin_an_account() -> None:
    where = margin(leverage=5, funding=FundingSchedule(rate=Decimal("0.16")), **HALF)
    placed(where, request(qty_lots=500, ts_ns=NOON - INTERVAL_NS))
    where.on_bar(funded(NOON - INTERVAL_NS, INTERVAL_NS, 100, 100, 100, 100))
    reports = where.on_bar(funded(NOON, INTERVAL_NS, 97, 97, 97, 97))  # 1000 - 800 - 150 = 50 > 48.5.
    assert payments(reports) and not liquidations(reports)
    assert liquidations(where.on_bar(funded(NOON + INTERVAL_NS, INTERVAL_NS, 97, 97, 96, 96)))


def test_profit_elsewhere_keeps_a_losing_position_alive() -> None:
    where = margin(PERP, ETH, leverage=5, **HALF)
    placed(where, request("btc", qty_lots=250), request("eth", instrument=1, side=SELL, qty_lots=250))
    where.on_bar(flat(0, 100))
    where.on_bar(flat(0, 100, index=1))
    where.on_bar(flat(1, 60, index=1))  # Earns 1000.
    assert liquidations(where.on_bar(bar(1, 100, 100, 30, 30))) == []
    where.on_bar(flat(2, 100, index=1))
    assert liquidations(where.on_bar(flat(2, 30)))


def test_a_long_at_no_leverage_is_never_liquidated() -> None:
    where = placed(margin(), request(qty_lots=100))
    where.on_bar(flat(0, 100))
    assert liquidations(where.on_bar(bar(1, 1, 1, 1, 1))) == []
