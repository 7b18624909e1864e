"""Whether at all: switch, form, price and pace, each rule at its edge, and the numbers it is refused with."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.types import OrderStatus, OrderType, RefusalReason, Side, TradingState
from tests.unit.risk.risk_bench import FOREVER, MINUTE, Bench, S, evidence, priced, spot

R = RefusalReason
BUY, SELL = Side.BUY, Side.SELL


# --- kill switch --------------------------------------------------------------------------------------------------


def test_without_a_reading_the_kill_switch_is_tripped() -> None:
    decision = priced(is_on=False).ask()
    assert (decision.reason, decision.rule) == (R.KILL_SWITCH_UNKNOWN, "kill_switch")


def test_a_reading_counts_until_the_nanosecond_it_ends_and_not_before_it_was_taken() -> None:
    bench = priced(is_on=False)
    bench.read(TradingState.ACTIVE, valid_until_ns=bench.now_ns + S)
    assert bench.ask(ts_ns=bench.now_ns + S).allowed
    assert bench.ask(ts_ns=bench.now_ns + S + 1).reason is R.KILL_SWITCH_UNKNOWN
    assert bench.ask(ts_ns=bench.now_ns - 1).reason is R.KILL_SWITCH_UNKNOWN


def test_halted_lets_nothing_pass_not_even_what_shrinks() -> None:
    bench = priced()
    bench.trade(20, qty_lots=5)
    bench.read(TradingState.HALTED)
    assert bench.ask(side=SELL, reduce_only=True).reason is R.KILL_SWITCH_HALTED
    assert bench.ask().reason is R.KILL_SWITCH_HALTED


def test_reduce_only_lets_pass_what_shrinks_and_counts_reducers_under_way() -> None:
    bench = priced()
    bench.trade(20, qty_lots=5)
    bench.read(TradingState.REDUCE_ONLY)
    assert bench.ask().reason is R.KILL_SWITCH_REDUCE_ONLY
    assert bench.ask(side=SELL, qty_lots=6).reason is R.KILL_SWITCH_REDUCE_ONLY
    assert bench.ask(side=SELL, qty_lots=3).allowed
    assert bench.ask(side=SELL, qty_lots=3).reason is R.KILL_SWITCH_REDUCE_ONLY
    assert bench.ask(side=SELL, qty_lots=2).allowed


def test_of_two_sources_the_strictest_counts_whichever_spoke_last() -> None:
    bench = priced(is_on=False)
    bench.read(TradingState.HALTED, source="redis")
    bench.read(TradingState.ACTIVE, source="file")
    assert bench.ask().reason is R.KILL_SWITCH_HALTED
    bench.read(TradingState.ACTIVE, source="redis")
    assert bench.ask().allowed


def test_one_source_gone_silent_trips_however_fresh_the_other_is() -> None:
    bench = priced(is_on=False)
    bench.read(TradingState.ACTIVE, source="redis", valid_until_ns=bench.now_ns + S)
    bench.read(TradingState.ACTIVE, source="file", valid_until_ns=FOREVER)
    bench.now_ns += 2 * S
    bench.read(TradingState.ACTIVE, source="file", valid_until_ns=FOREVER)
    assert bench.ask().reason is R.KILL_SWITCH_UNKNOWN


@pytest.mark.parametrize("field", ["instrument", "qty_lots", "side"])
def test_reduce_only_survives_an_intent_of_wrong_types(field: str) -> None:
    bench = priced()
    bench.trade(20, qty_lots=5)
    bench.read(TradingState.REDUCE_ONLY)
    for value in (None, "5", float("nan"), Decimal("NaN"), object(), 2**63, 10**5000, -1):
        assert bench.ask(**{"side": SELL, field: value}).reason is R.KILL_SWITCH_REDUCE_ONLY


# --- form, repetition, filters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"qty_lots": 0}, ("qty_lots", "int 0")),
        ({"qty_lots": -5}, ("qty_lots", "int -5")),
        ({"qty_lots": 2**63}, ("qty_lots", "an int beyond 64 bits")),
        ({"qty_lots": 10**5000}, ("qty_lots", "an int beyond 64 bits")),
        ({"qty_lots": float("nan")}, ("qty_lots", "float nan")),
        ({"qty_lots": 5.0}, ("qty_lots", "float 5.0")),
        ({"qty_lots": True}, ("qty_lots", "bool True")),
        ({"qty_lots": Decimal(5)}, ("qty_lots", "Decimal Decimal('5')")),
        ({"qty_lots": None}, ("qty_lots", "NoneType None")),
        ({"qty_lots": object()}, ("qty_lots", "a object")),
        ({"side": "buy"}, ("side", "str 'buy'")),
        ({"side": "hold"}, ("side", "str 'hold'")),
        ({"type": "market"}, ("type", "str 'market'")),
        ({"tif": "gtc"}, ("tif", "str 'gtc'")),
        ({"reduce_only": 1}, ("reduce_only", "int 1")),
        ({"instrument": 2}, ("instrument", "int 2")),
        ({"instrument": -1}, ("instrument", "int -1")),
        ({"instrument": "AAA/USD"}, ("instrument", "str 'AAA/USD'")),
        ({"limit_price_ticks": 0}, ("limit_price_ticks", "0")),
        ({"limit_price_ticks": -1}, ("limit_price_ticks", "int -1")),
        ({"limit_price_ticks": 19.5}, ("limit_price_ticks", "float 19.5")),
        ({"intent_id": ""}, ("intent_id", "str ''")),
        ({"intent_id": 7}, ("intent_id", "int 7")),
        ({"intent_id": ["a-1"]}, ("intent_id", "a list")),
        ({"strategy_id": ""}, ("strategy_id", "str ''")),
        ({"parent_id": 5}, ("parent_id", "int 5")),
        ({"slice_id": "\ud800"}, ("slice_id", "str '\\ud800'")),
    ],
)
def test_what_can_not_be_an_order_is_malformed_and_shown(
    fields: dict[str, Any], shown: tuple[str, str]
) -> None:
    decision = priced().ask(**fields)
    assert (decision.reason, decision.rule) == (R.INTENT_MALFORMED, "well_formed")
    assert shown in decision.evidence


def test_a_market_order_with_a_price_and_a_limit_order_without_one_are_malformed() -> None:
    bench = priced()
    market = bench.intent(limit_price_ticks=20)
    as_market = msgspec.structs.replace(market, type=OrderType.MARKET)
    assert bench.decide(as_market)[0].reason is R.INTENT_MALFORMED
    assert bench.ask(type=OrderType.LIMIT).reason is R.INTENT_MALFORMED


def test_an_intent_id_is_decided_once_across_midnight_and_whatever_came_of_it() -> None:
    bench = priced()
    assert bench.ask(intent_id="a-100").allowed
    assert bench.ask(intent_id="a-101", qty_lots=-1).reason is R.INTENT_MALFORMED
    bench.now_ns += 86_400 * S
    bench.bar(20)
    for again in ("a-100", "a-101"):
        decision = bench.ask(intent_id=again)
        assert decision.reason is R.INTENT_DUPLICATE
        assert decision.evidence == (("intent_id", again),)


def test_a_list_of_symbols_allows_these_alone_and_an_empty_one_all() -> None:
    bench = priced({"symbol_allowed": {"symbols": ["BBB/USD:USD"]}})
    assert evidence(bench) == {"symbol": "AAA/USD"}
    assert bench.ask().reason is R.SYMBOL_NOT_ALLOWED
    assert bench.ask(instrument=1).allowed
    assert priced({"symbol_allowed": {}}).ask().allowed


def test_filters_hold_at_their_edges() -> None:
    bench = priced(spot=spot(min_qty=Decimal("0.3"), max_qty=Decimal(2), min_notional=Decimal(5)))
    assert bench.ask(qty_lots=2).reason is R.QTY_BELOW_MIN
    assert evidence(bench, qty_lots=2) == {"qty": "0.2", "min_qty": "0.3"}
    assert bench.ask(qty_lots=4).reason is R.NOTIONAL_BELOW_MIN
    assert evidence(bench, qty_lots=4) == {"notional": "4", "min_notional": "5"}
    assert bench.ask(qty_lots=5).allowed
    assert bench.ask(qty_lots=20).allowed
    assert bench.ask(qty_lots=21).reason is R.QTY_ABOVE_MAX
    assert evidence(bench, qty_lots=21) == {"qty": "2.1", "max_qty": "2"}


def test_the_smallest_notional_of_a_limit_order_is_measured_at_its_own_price() -> None:
    bench = priced(spot=spot(min_notional=Decimal(5)))
    assert bench.ask(qty_lots=5, limit_price_ticks=19).reason is R.NOTIONAL_BELOW_MIN
    assert bench.ask(qty_lots=5, limit_price_ticks=20).allowed


# --- prices -------------------------------------------------------------------------------------------------------


def test_without_a_price_nothing_passes() -> None:
    bench = Bench()
    assert bench.ask().reason is R.PRICE_UNKNOWN
    assert Bench(spot=spot(min_notional=Decimal(5))).ask().reason is R.PRICE_UNKNOWN


def test_a_price_keeps_for_its_intervals_and_no_nanosecond_longer() -> None:
    bench = priced({"market_price": {"max_age_intervals": 3}})
    assert bench.ask(ts_ns=bench.now_ns + 3 * MINUTE).allowed
    late = bench.ask(ts_ns=bench.now_ns + 3 * MINUTE + 1)
    assert late.reason is R.PRICE_STALE
    assert dict(late.evidence) == {"age_ns": str(3 * MINUTE + 1), "max_age_ns": str(3 * MINUTE)}


def test_a_price_from_the_future_is_a_clock_that_jumped_and_counts_as_stale() -> None:
    bench = priced()
    bench.now_ns += MINUTE
    bench.bar(20)
    assert bench.ask(ts_ns=bench.now_ns - 1).reason is R.PRICE_STALE


def test_of_two_ages_the_shorter_counts() -> None:
    bench = priced({"market_price": {"max_age_ns": 10 * S, "max_age_intervals": 3}})
    assert bench.ask(ts_ns=bench.now_ns + 10 * S).allowed
    assert bench.ask(ts_ns=bench.now_ns + 10 * S + 1).reason is R.PRICE_STALE


def test_where_ticks_are_traded_a_price_has_no_intervals_but_an_age_of_its_own() -> None:
    params: dict[str, Any] = {"max_age_intervals": 3, "max_age_ticks_ns": 5 * S}
    bench = Bench({"market_price": params})
    bench.exposure.observe_price(0, 20, bench.now_ns)
    assert bench.ask(ts_ns=bench.now_ns + 5 * S).allowed
    late = bench.ask(ts_ns=bench.now_ns + 5 * S + 1)
    assert late.reason is R.PRICE_STALE
    assert dict(late.evidence) == {"age_ns": str(5 * S + 1), "max_age_ns": str(5 * S)}
    assert priced({"market_price": params}).ask(ts_ns=bench.now_ns + 5 * S + 1).allowed


def test_a_price_of_ticks_keeps_for_a_minute_unless_told_otherwise_and_not_at_all_without_a_limit() -> None:
    for params, allowed_ns in (
        ({"max_age_intervals": 3}, MINUTE),
        ({"max_age_ns": S}, S),
        ({"max_age_ns": S, "max_age_ticks_ns": 0}, S),
        ({"max_age_ns": S, "max_age_ticks_ns": S - 1}, S - 1),
        ({"max_age_intervals": 3, "max_age_ticks_ns": 0}, -1),
    ):
        bench = Bench({"market_price": params})
        bench.exposure.observe_price(0, 20, bench.now_ns)
        assert bench.ask(ts_ns=bench.now_ns + max(allowed_ns, 0)).allowed is (allowed_ns >= 0)
        assert bench.ask(ts_ns=bench.now_ns + allowed_ns + 1).reason is R.PRICE_STALE


@pytest.mark.parametrize("ticks", [0, -20])
def test_a_price_of_zero_or_less_is_no_price(ticks: int) -> None:
    bench = priced()
    bench.bar(ticks)
    assert bench.ask().reason is R.PRICE_UNKNOWN
    bench.bar(20)
    bench.exposure.observe_price(0, ticks, bench.now_ns)
    assert bench.ask().reason is R.PRICE_UNKNOWN


def test_a_limit_price_may_lie_on_the_collar_and_not_beyond_it() -> None:
    bench = priced({"price_collar": {"max_distance_fraction": "0.1"}})
    for side in Side:
        fields: dict[str, Any] = {"side": side, "instrument": 1}
        assert bench.ask(limit_price_ticks=18, **fields).allowed
        assert bench.ask(limit_price_ticks=22, **fields).allowed
        assert bench.ask(limit_price_ticks=17, **fields).reason is R.PRICE_OUTSIDE_COLLAR
        assert bench.ask(limit_price_ticks=23, **fields).reason is R.PRICE_OUTSIDE_COLLAR
    shown = evidence(bench, limit_price_ticks=23)
    assert shown == {"limit_price": "11.5", "reference": "10", "max_distance_fraction": "0.1"}


# --- pace ---------------------------------------------------------------------------------------------------------


def test_a_reduce_only_order_that_would_grow_or_flip_is_refused() -> None:
    bench = priced()
    assert bench.ask(reduce_only=True).reason is R.REDUCE_ONLY_INCREASES
    bench.trade(20, qty_lots=5)
    assert evidence(bench, side=SELL, qty_lots=6, reduce_only=True) == {"position": "0.5", "qty": "0.6"}
    assert bench.ask(side=SELL, qty_lots=5, reduce_only=True).allowed


def test_open_orders_are_counted_until_they_end_and_unknown_ones_count() -> None:
    bench = priced({"open_orders": {"cap": 2}})
    first, second = bench.order(), bench.order()
    assert evidence(bench) == {"open_orders": "2", "cap": "2"}
    bench.end(first, OrderStatus.UNKNOWN)
    assert bench.ask().reason is R.OPEN_ORDERS_EXCEED_CAP
    bench.end(second, OrderStatus.CANCELED)
    assert bench.ask().allowed


def test_the_31st_order_within_a_minute_is_refused_and_the_first_after_it_passes() -> None:
    bench = priced({"order_rate": {"per_minute": 30}, "open_orders": {"cap": 100}})
    for _ in range(30):
        bench.order()
    assert evidence(bench) == {"orders": "30", "per_minute": "30"}
    bench.now_ns += MINUTE - 1
    assert bench.ask().reason is R.ORDER_RATE_EXCEEDED
    bench.now_ns += 1
    assert bench.ask().allowed


def test_refused_intents_do_not_use_up_the_rate() -> None:
    bench = priced({"order_rate": {"per_minute": 2}})
    for _ in range(10):
        assert not bench.ask(qty_lots=0).allowed
    assert bench.ask().allowed
    assert bench.ask().allowed


def test_each_strategy_has_a_rate_of_its_own_below_the_accounts() -> None:
    bench = priced({"order_rate": {"per_minute": 3, "per_strategy_per_minute": 2}})
    bench.order(strategy_id="a")
    bench.order(strategy_id="a")
    assert bench.ask(strategy_id="a").reason is R.STRATEGY_RATE_EXCEEDED
    bench.order(strategy_id="b")
    assert bench.ask(strategy_id="b").reason is R.ORDER_RATE_EXCEEDED
    bench.now_ns += MINUTE
    assert bench.ask(strategy_id="a").allowed


def test_after_a_loss_only_what_shrinks_passes_until_the_wait_is_over() -> None:
    bench = priced({"cool_down": {"seconds": 60}})
    bench.trade(20, qty_lots=10)
    bench.trade(19, side=SELL, qty_lots=2)
    refused = bench.ask()
    assert refused.reason is R.COOLING_DOWN
    assert refused.evidence == (("seconds_left", "60"),)
    assert bench.ask(side=SELL, qty_lots=2).allowed
    assert bench.ask(instrument=1).allowed
    bench.now_ns += 60 * S - 1
    assert evidence(bench) == {"seconds_left": "1"}
    bench.now_ns += 1
    assert bench.ask().allowed


def test_the_days_loss_counts_open_positions_and_fees_and_refuses_at_the_cap() -> None:
    bench = priced({"daily_loss": {"cap_notional": 10}}, ticks=200)
    bench.trade(200, qty_lots=10, fee="1")  # One unit at 100.
    bench.bar(183)
    assert bench.ask().allowed  # 8.5 unrealized and 1 of fees.
    bench.bar(182)
    assert bench.ask(instrument=1).reason is R.DAILY_LOSS_EXCEEDED
    assert evidence(bench) == {"day_pnl": "-10", "cap": "10"}
    assert bench.ask(side=SELL, qty_lots=5).allowed


def test_a_daily_loss_as_a_share_is_a_share_of_the_days_opening_equity() -> None:
    bench = priced({"daily_loss": {"cap_equity_fraction": "0.1"}}, ticks=200)
    bench.trade(200, qty_lots=90)
    bench.bar(178)
    assert bench.ask().allowed  # 99 of 1,000 lost.
    bench.bar(177)
    assert evidence(bench) == {"day_pnl": "-103.5", "cap": "100"}
