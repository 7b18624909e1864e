"""The simulated venue by hand: one small market per rule."""

from decimal import Decimal

import pytest

from njord.core.contracts import Bar, BrokerCancelReq, BrokerFill, BrokerOrderAck, BrokerReject
from njord.core.errors import ConfigError, VenueRejected
from njord.core.types import InstrumentKind, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import EXACT
from tests.property.strategies import INTERVAL_NS, START_NS, bar, instrument
from tests.unit.venues.venue_case import BTC, PERP, ends, fills, placed, refusal, request, venue

ETH_PERP = instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))


# --- market orders ---


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 101), (Side.SELL, 99)])
def test_a_market_order_fills_at_the_next_open_moved_against_it(side: Side, price: int) -> None:
    where = placed(venue(PERP), request(side=side))
    first = where.on_bar(bar(0, 100, 120, 80, 110))
    assert fills(first) == [("c1", price, False)]
    assert ends(first) == [("c1", OrderStatus.FILLED, OrderReason.NONE)]
    assert where.slippage_paid == 1


def test_an_order_sent_while_a_bar_was_under_way_waits_for_the_next_one() -> None:
    where = placed(
        venue(slippage="0"), request(ts_ns=START_NS + 1), request("c2", limit=200, ts_ns=START_NS + 1)
    )
    assert where.on_bar(bar(0, 100, 300, 100, 300)) == []
    assert fills(where.on_bar(bar(1, 150, 150, 150, 150))) == [("c1", 150, False), ("c2", 150, False)]


# --- limit orders ---


def test_a_marketable_limit_takes_at_the_open_with_slippage_but_never_beyond_its_limit() -> None:
    where = placed(venue(), request("a", limit=110, qty_lots=1), request("b", limit=100, qty_lots=1))
    reports = where.on_bar(bar(0, 100, 120, 80, 110))
    assert fills(reports) == [("a", 101, False), ("b", 100, False)]
    assert where.slippage_paid == Decimal("0.1")


def test_a_buy_limit_10_with_the_market_at_9_5_fills_at_9_5() -> None:
    half = instrument(tick_size=Decimal("0.5"), lot_size=Decimal(1))
    where = placed(venue(half, slippage="0"), request(limit=20))
    assert fills(where.on_bar(bar(0, 19, 19, 19, 19))) == [("c1", 19, False)]


def test_a_limit_away_from_the_market_rests_and_never_fills() -> None:
    where = placed(venue(), request(limit=79))
    assert where.on_bar(bar(0, 100, 120, 80, 110)) == []
    assert where.n_working == 1
    assert [each.client_order_id for each in where.fetch_open_orders("BTC/USDT")] == ["c1"]


def test_a_limit_that_the_bar_touches_exactly_fills_at_the_limit_as_maker() -> None:
    where = placed(venue(), request(limit=80))
    reports = where.on_bar(bar(0, 100, 120, 80, 110))
    assert fills(reports) == [("c1", 80, True)]
    (fill,) = (each for each in reports if isinstance(each, BrokerFill))
    assert (fill.fee, fill.fee_asset) == (Decimal("0.016"), "USDT")  # 2 bps of 80.
    assert fill.ts_venue_ns == bar(0, 1, 1, 1, 1).ts_ns
    assert where.slippage_paid == 0


def test_a_resting_limit_that_the_market_gaps_through_fills_at_the_open_without_slippage() -> None:
    where = placed(venue(), request(limit=90))
    assert where.on_bar(bar(0, 100, 101, 95, 96)) == []
    reports = where.on_bar(bar(1, 70, 75, 60, 65))
    assert fills(reports) == [("c1", 70, True)]
    (fill,) = (each for each in reports if isinstance(each, BrokerFill))
    assert fill.ts_venue_ns == START_NS + INTERVAL_NS


def test_a_selling_limit_mirrors_all_of_it() -> None:
    where = placed(
        venue(PERP),
        request("a", side=Side.SELL, limit=120, qty_lots=1),
        request("b", side=Side.SELL, limit=100, qty_lots=1),
    )
    assert fills(where.on_bar(bar(0, 100, 120, 80, 110))) == [("b", 100, False), ("a", 120, True)]


@pytest.mark.parametrize(("high", "low"), [(99, 80), (120, 101), (80, 120)])
def test_of_a_bar_that_contradicts_itself_only_the_open_is_believed(high: int, low: int) -> None:
    where = placed(
        venue(PERP), request("a", limit=90), request("b", side=Side.SELL, limit=110), request("c", limit=100)
    )
    assert fills(where.on_bar(bar(0, 100, high, low, 100))) == [("c", 100, False)]


def test_an_immediate_order_fills_at_the_open_or_ends_there() -> None:
    ioc = TimeInForce.IOC
    where = placed(venue(slippage="0"), request("a", limit=100, tif=ioc), request("b", limit=90, tif=ioc))
    reports = where.on_bar(bar(0, 100, 120, 80, 110))
    assert fills(reports) == [("a", 100, False)]
    assert ends(reports)[1] == ("b", OrderStatus.CANCELED, OrderReason.IOC_REMAINDER)


# --- who comes first ---


def test_at_the_open_the_older_order_gets_the_last_of_the_cash() -> None:
    where = placed(venue(slippage="0", taker="0"), request("old", qty_lots=60), request("new", qty_lots=60))
    reports = where.on_bar(bar(0, 100, 100, 100, 100))
    assert fills(reports) == [("old", 100, False)]
    assert ends(reports)[1] == ("new", OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS)


def test_inside_a_bar_the_price_passes_the_nearer_limit_first_whatever_their_age() -> None:
    where = placed(
        venue(maker="0"), request("far", limit=90, qty_lots=60), request("near", limit=98, qty_lots=60)
    )
    reports = where.on_bar(bar(0, 100, 101, 85, 100))
    assert fills(reports) == [("near", 98, True)]
    assert ends(reports)[1] == ("far", OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS)


def test_equal_limits_inside_a_bar_fill_oldest_first() -> None:
    where = placed(venue(maker="0"), *(request(name, limit=90, qty_lots=10) for name in "zya"))
    assert [name for name, _, _ in fills(where.on_bar(bar(0, 100, 101, 85, 100)))] == ["z", "y", "a"]


def test_between_a_buy_and_a_sell_inside_a_bar_the_older_comes_first() -> None:
    where = placed(
        venue(PERP),
        request("far buy", limit=90, qty_lots=1),
        request("sell", side=Side.SELL, limit=101, qty_lots=1),
        request("near buy", limit=98, qty_lots=1),
    )
    names = [name for name, _, _ in fills(where.on_bar(bar(0, 100, 101, 85, 100)))]
    assert names == ["near buy", "sell", "far buy"]


# --- money ---


@pytest.mark.parametrize(("cash", "is_filled"), [("100.1", True), ("100.0999", False)])
def test_an_order_is_filled_to_the_last_unit_of_cash_fee_included_and_never_clipped(
    cash: str, is_filled: bool
) -> None:
    where = placed(venue(cash=cash, slippage="0"), request())
    reports = where.on_bar(bar(0, 100, 100, 100, 100))
    assert bool(fills(reports)) is is_filled
    assert where.cash == (Decimal(0) if is_filled else Decimal(cash))
    assert where.held_qty(0) == (1 if is_filled else 0)


def test_spot_can_not_be_sold_short() -> None:
    where = placed(venue(), request(side=Side.SELL))
    assert ends(where.on_bar(bar(0, 100, 100, 100, 100))) == [
        ("c1", OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS)
    ]


@pytest.mark.parametrize(("lots", "is_filled"), [(100, True), (101, False)])
def test_a_short_needs_its_own_worth_in_equity(lots: int, is_filled: bool) -> None:
    where = placed(venue(PERP, slippage="0", taker="0"), request(side=Side.SELL, qty_lots=lots))
    assert bool(fills(where.on_bar(bar(0, 100, 100, 100, 100)))) is is_filled


def test_the_proceeds_of_one_short_do_not_pay_for_another_position() -> None:
    where = venue(PERP, ETH_PERP, slippage="0", taker="0")
    placed(where, request(side=Side.SELL, qty_lots=80))
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert where.cash == 1800
    placed(where, request("c2", instrument=1, qty_lots=30, ts_ns=START_NS + INTERVAL_NS))
    placed(where, request("c3", instrument=1, qty_lots=20, ts_ns=START_NS + INTERVAL_NS))
    reports = where.on_bar(bar(1, 100, 100, 100, 100, index=1))
    assert fills(reports) == [("c3", 100, False)]
    assert ends(reports)[0] == ("c2", OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS)


def test_closing_is_always_funded_even_at_a_ruinous_price() -> None:
    where = placed(venue(PERP, slippage="0"), request(side=Side.SELL, qty_lots=90))
    where.on_bar(bar(0, 100, 100, 100, 100))
    placed(where, request("c2", qty_lots=90, ts_ns=START_NS + INTERVAL_NS))
    assert fills(where.on_bar(bar(1, 5000, 5000, 5000, 5000))) == [("c2", 5000, False)]
    assert where.held_qty(0) == 0
    assert where.cash < 0


def test_a_reduce_only_order_that_would_not_reduce_is_canceled_by_the_venue_too() -> None:
    where = placed(
        venue(PERP, slippage="0"),
        request("open", qty_lots=10),
        request("half", side=Side.SELL, qty_lots=6, reduce_only=True),
        request("flip", side=Side.SELL, qty_lots=6, reduce_only=True),
        request("rest", side=Side.SELL, qty_lots=4, reduce_only=True),
        request("none", side=Side.SELL, qty_lots=1, reduce_only=True),
    )
    reports = where.on_bar(bar(0, 100, 100, 100, 100))
    assert [name for name, _, _ in fills(reports)] == ["open", "half", "rest"]
    canceled = [(name, reason) for name, status, reason in ends(reports) if status is OrderStatus.CANCELED]
    assert canceled == [("flip", OrderReason.REDUCE_ONLY), ("none", OrderReason.REDUCE_ONLY)]


def test_more_than_28_digits_of_money_are_kept() -> None:
    fine = instrument(
        "BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("1e-18"), lot_size=Decimal("1e-18")
    )
    ticks = lots = 2**62 + 1
    where = placed(venue(fine, slippage="0", taker="0"), request(side=Side.SELL, qty_lots=lots))
    where.on_bar(bar(0, ticks, ticks, ticks, ticks))
    assert where.cash == EXACT.add(Decimal(1000), fine.notional(ticks, lots))


# --- filters, ids, cancels, the end ---


def test_filters_refuse_before_an_order_exists() -> None:
    strict = instrument(
        tick_size=Decimal(1),
        lot_size=Decimal("0.1"),
        min_qty=Decimal("0.5"),
        max_qty=Decimal(2),
        min_notional=Decimal(60),
    )
    where = venue(strict)
    assert refusal(where, request(qty_lots=4, limit=500)) is OrderReason.FILTER_QTY
    assert refusal(where, request(qty_lots=21, limit=100)) is OrderReason.FILTER_QTY
    assert refusal(where, request(qty_lots=0, limit=100)) is OrderReason.FILTER_QTY
    assert refusal(where, request(qty_lots=5, limit=119)) is OrderReason.FILTER_NOTIONAL
    assert refusal(where, request(qty_lots=5)) is OrderReason.FILTER_NOTIONAL  # No price is known yet.
    assert refusal(where, request(limit=0, type=OrderType.LIMIT)) is OrderReason.FILTER_PRICE
    assert refusal(where, request(limit=-1, type=OrderType.LIMIT)) is OrderReason.FILTER_PRICE
    assert refusal(where, request(limit=5, type=OrderType.MARKET)) is OrderReason.FILTER_PRICE
    where.observe(bar(0, 120, 120, 120, 120))
    placed(where, request(qty_lots=5), request("c2", qty_lots=5, limit=120), request("c3", qty_lots=20))
    assert where.drain() == []


def test_a_client_order_id_is_good_for_one_order() -> None:
    where = placed(venue(), request(limit=50))
    reply = where.place(request())
    assert isinstance(reply, BrokerReject) and reply.reason is OrderReason.DUPLICATE_ID
    assert where.n_working == 1
    where.expire_all(START_NS)
    again = where.place(request())
    assert isinstance(again, BrokerReject) and again.reason is OrderReason.DUPLICATE_ID


def test_a_cancel_ends_the_order_once() -> None:
    where = placed(venue(), request(limit=50))
    cancel = BrokerCancelReq(symbol="BTC/USDT", client_order_id="c1", ts_ns=START_NS)
    assert isinstance(where.cancel(cancel), BrokerOrderAck)
    assert ends(where.drain()) == [("c1", OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED)]
    assert isinstance(where.cancel(cancel), BrokerReject)
    assert where.drain() == [] and where.n_working == 0
    assert where.on_bar(bar(0, 40, 60, 30, 50)) == []


def test_the_end_of_data_expires_what_still_works() -> None:
    where = placed(venue(), request("a", limit=50), request("b", limit=51))
    assert ends(where.expire_all(START_NS)) == [
        (name, OrderStatus.EXPIRED, OrderReason.END_OF_DATA) for name in ("a", "b")
    ]
    assert where.expire_all(START_NS) == [] and where.n_working == 0


# --- what it answers when asked ---


def test_queries_tell_the_truth() -> None:
    where = placed(venue(slippage="0", taker="0"), request("a"), request("b", limit=50))
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert {each.asset: each.free for each in where.fetch_balances()} == {"USDT": 900, "BTC": 1}
    assert [each.client_order_id for each in where.fetch_trades("BTC/USDT", "")] == ["a"]
    assert where.fetch_trades("BTC/USDT", "1") == []
    assert where.server_time() == bar(0, 1, 1, 1, 1).ts_ns
    filled, missing = where.fetch_order("BTC/USDT", "a"), where.fetch_order("BTC/USDT", "zzz")
    assert filled is not None and filled.status is OrderStatus.FILLED and filled.filled_lots == 10
    assert missing is None
    assert where.exchange_rules() == (BTC,)
    with pytest.raises(VenueRejected, match="ETH/USDT is not traded here"):
        where.fetch_trades("ETH/USDT", "")
    with pytest.raises(VenueRejected, match="ETH/USDT is not traded here"):
        where.fetch_open_orders("ETH/USDT")


def test_trade_ids_are_compared_as_numbers() -> None:
    where = venue(cash="100000", slippage="0")
    placed(where, *(request(f"c{n}", qty_lots=1) for n in range(12)))
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert [each.venue_trade_id for each in where.fetch_trades("BTC/USDT", "9")] == ["10", "11", "12"]


def test_a_bar_that_nobody_waits_for_still_moves_its_clock() -> None:
    where = venue()
    where.observe(bar(3, 1, 1, 1, 1))
    assert where.server_time() == bar(3, 1, 1, 1, 1).ts_ns


@pytest.mark.parametrize("bps", ["-1", "NaN"])
def test_slippage_in_our_favor_is_refused(bps: str) -> None:
    with pytest.raises(ConfigError, match="slippage_bps must be >= 0"):
        venue(slippage=bps)


def test_the_bars_of_one_instrument_leave_the_orders_of_another_alone() -> None:
    where = placed(venue(BTC, ETH_PERP), request("eth", instrument=1, limit=100), request("btc"))
    quiet: Bar = bar(0, 100, 100, 100, 100)
    assert [name for name, _, _ in fills(where.on_bar(quiet))] == ["btc"]
    assert where.n_working == 1
