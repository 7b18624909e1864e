"""Linked orders, conditional orders and leverage at the gate."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.accounts import AccountTerms
from njord.core.contracts import RiskDecision
from njord.core.filters import FilterChange
from njord.core.types import OrderType, RefusalReason, Side, TimeInForce, TradingState
from tests.unit.risk.risk_bench import NOON, Bench, S, priced, spot

R = RefusalReason
SELL = Side.SELL
PERP = 1


def exit_of(bench: Bench, intent_id: str, **fields: Any) -> RiskDecision:
    values = {"side": SELL, "qty_lots": 10, "after_intent_id": intent_id, "reduce_only": True}
    return bench.ask(**values | fields)


def test_two_exits_of_one_position_both_pass_because_only_one_can_fill() -> None:
    bench = priced()
    bench.trade(20, qty_lots=10)
    for terms in ({"limit_price_ticks": 24}, {"type": OrderType.STOP, "trigger_price_ticks": 16}):
        assert bench.ask(side=SELL, qty_lots=10, reduce_only=True, group_id="a-9", **terms).allowed
    alone = bench.ask(side=SELL, qty_lots=1, reduce_only=True, limit_price_ticks=25)
    assert alone.reason is R.REDUCE_ONLY_INCREASES


def test_a_bracket_passes_before_its_entry_has_filled_and_needs_no_room() -> None:
    bench = priced({"max_position": {"cap_notional": 10}, "max_order_notional": {"cap_notional": 10}})
    entry = bench.order(qty_lots=10)
    for ticks in (24, 26):
        assert exit_of(bench, entry.intent_id, limit_price_ticks=ticks, group_id="g").allowed
    assert bench.exposure.worst_qty(0) == 1


@pytest.mark.parametrize(
    ("changed", "differs"),
    [({"side": Side.BUY}, "side"), ({"strategy_id": "b"}, "strategy_id"), ({"instrument": 1}, "instrument")],
)
def test_an_exit_is_of_its_entrys_instrument_and_strategy_and_of_the_other_side(
    changed: dict[str, Any], differs: str
) -> None:
    bench = priced()
    entry = bench.order(qty_lots=10)
    decision = exit_of(bench, entry.intent_id, **changed)
    assert decision.reason is R.ENTRY_NOT_WORKING
    assert ("differs", differs) in decision.evidence


def test_an_entry_of_another_instrument_makes_no_order_a_way_out() -> None:
    bench = priced()
    entry = bench.order(qty_lots=10)
    bench.fill(entry, 20, lots=10)
    bench.read(TradingState.REDUCE_ONLY)
    stranger = exit_of(bench, entry.intent_id, instrument=PERP, qty_lots=1, reduce_only=False)
    assert stranger.reason is R.KILL_SWITCH_REDUCE_ONLY


def test_all_exits_of_an_entry_together_do_not_exceed_it_a_group_counting_once() -> None:
    bench = priced()
    entry = bench.order(qty_lots=10)
    for group_id in ("g", "g", "h", "h"):
        assert exit_of(bench, entry.intent_id, qty_lots=5, group_id=group_id).allowed
    assert exit_of(bench, entry.intent_id, qty_lots=1).reason is R.ENTRY_NOT_WORKING


def test_an_exit_that_would_reopen_what_its_entry_closes_is_no_way_out() -> None:
    bench = priced()
    bench.trade(20, qty_lots=10)
    bench.read(TradingState.REDUCE_ONLY)
    entry = bench.order(side=SELL, qty_lots=10)
    again = bench.ask(side=Side.BUY, qty_lots=10, after_intent_id=entry.intent_id)
    assert again.reason is R.KILL_SWITCH_REDUCE_ONLY


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"side": SELL, "instrument": PERP}, "instrument"),
        ({"side": SELL}, "side"),
        ({"strategy_id": "b"}, "strategy_id"),
        ({"after_intent_id": "a-2"}, "side"),
    ],
)
def test_a_group_is_of_one_instrument_side_and_strategy(changed: dict[str, Any], differs: str) -> None:
    bench = priced()
    bench.order(qty_lots=3, group_id="g")
    bench.order(qty_lots=3)
    wish = {"group_id": "g", **changed}
    if "after_intent_id" in wish:
        wish["side"] = SELL
    decision = bench.ask(**wish)
    assert decision.reason is R.GROUP_INVALID
    assert ("differs", differs) in decision.evidence


def test_members_of_one_group_wait_for_the_same_entry_or_for_none() -> None:
    bench = priced()
    bench.trade(20, qty_lots=10)
    bench.order(side=SELL, qty_lots=3, group_id="g")
    entry = bench.order(qty_lots=3)
    assert exit_of(bench, entry.intent_id, qty_lots=3, group_id="g").reason is R.GROUP_INVALID


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": OrderType.STOP}, R.INTENT_MALFORMED),
        ({"type": OrderType.STOP, "trigger_price_ticks": 22, "limit_price_ticks": 22}, R.INTENT_MALFORMED),
        ({"type": OrderType.STOP_LIMIT, "trigger_price_ticks": 22}, R.INTENT_MALFORMED),
        ({"type": OrderType.TRAILING_STOP}, R.INTENT_MALFORMED),
        ({"trail_ticks": 2}, R.INTENT_MALFORMED),
        ({"trigger_price_ticks": 22}, R.INTENT_MALFORMED),
        ({"post_only": True}, R.INTENT_MALFORMED),
        ({"post_only": True, "limit_price_ticks": 19, "tif": TimeInForce.IOC}, R.INTENT_MALFORMED),
        ({"tif": TimeInForce.GTD}, R.INTENT_MALFORMED),
        ({"expire_ns": NOON + S}, R.INTENT_MALFORMED),
        ({"tif": TimeInForce.GTD, "expire_ns": NOON}, R.EXPIRY_PAST),
        ({"tif": TimeInForce.GTD, "expire_ns": NOON + 1}, None),
        ({"post_only": True, "limit_price_ticks": 19}, None),
        ({"type": OrderType.STOP, "trigger_price_ticks": 22}, None),
        ({"type": OrderType.TAKE_PROFIT_LIMIT, "trigger_price_ticks": 18, "limit_price_ticks": 18}, None),
        ({"type": OrderType.TRAILING_STOP, "trail_ticks": 2}, None),
        ({"type": OrderType.TRAILING_STOP, "trail_ticks": 2, "trigger_price_ticks": 23}, None),
    ],
)
def test_each_type_carries_its_own_prices_and_no_others(
    fields: dict[str, Any], reason: RefusalReason | None
) -> None:
    assert priced().ask(**fields).reason is reason


@pytest.mark.parametrize(
    ("fields", "ticks"),
    [
        ({"type": OrderType.STOP, "trigger_price_ticks": 26}, 26),
        ({"type": OrderType.STOP_LIMIT, "trigger_price_ticks": 24, "limit_price_ticks": 25}, 25),
        ({"type": OrderType.TAKE_PROFIT, "trigger_price_ticks": 14}, 20),
        ({"type": OrderType.TRAILING_STOP, "trail_ticks": 3}, 23),
        ({"side": SELL, "type": OrderType.STOP, "trigger_price_ticks": 14}, 20),
        ({"side": SELL, "type": OrderType.TRAILING_STOP, "trail_ticks": 3}, 20),
    ],
)
def test_a_conditional_order_is_measured_at_the_dearest_price_it_may_trade_at(
    fields: dict[str, Any], ticks: int
) -> None:
    bench = priced()
    intent = bench.intent(**fields)
    assert bench.exposure.reference_ticks(intent) == ticks


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"type": OrderType.STOP, "trigger_price_ticks": 23}, "trigger_price"),
        ({"type": OrderType.STOP_LIMIT, "trigger_price_ticks": 22, "limit_price_ticks": 23}, "limit_price"),
        ({"type": OrderType.TRAILING_STOP, "trail_ticks": 3}, "trailed_price"),
    ],
)
def test_the_collar_looks_at_every_price_of_an_order(fields: dict[str, Any], name: str) -> None:
    decision = priced({"price_collar": {"max_distance_fraction": "0.1"}}).ask(**fields)
    assert decision.reason is R.PRICE_OUTSIDE_COLLAR
    assert decision.evidence[0][0] == name


def test_the_filters_of_the_time_count() -> None:
    coin = spot(
        filter_changes=(FilterChange(from_ns=NOON, min_qty=Decimal(1), lot_multiple=4, tick_multiple=3),)
    )
    bench = priced(spot=coin, now_ns=NOON - 1)
    assert bench.ask(qty_lots=2).allowed
    bench.now_ns += 1
    assert bench.ask(qty_lots=9).reason is R.QTY_BELOW_MIN
    assert bench.ask(qty_lots=14).evidence == (("qty_lots", "14"), ("multiple_of", "4"))
    assert bench.ask(qty_lots=12, limit_price_ticks=20).reason is R.INTENT_MALFORMED
    assert bench.ask(qty_lots=12, limit_price_ticks=21).allowed


def leveraged(kind: Any, rules: Any = None) -> Bench:
    return priced(rules, terms=AccountTerms(kind=kind, leverage=Decimal(5)), cost_bps="10")


def test_leverage_widens_what_is_affordable_and_costs_are_paid_on_all_of_it() -> None:
    # 1,000 of equity; a lot of the contract is worth 10: 497 lots need 994 of margin and 4.97 of costs.
    bench = leveraged("perpetual")
    assert bench.ask(instrument=PERP, qty_lots=498).reason is R.CASH_INSUFFICIENT
    assert bench.ask(instrument=PERP, qty_lots=497).allowed


def test_fractions_of_equity_are_of_equity_times_leverage_and_a_day_may_lose_no_more_for_it() -> None:
    bench = leveraged("perpetual", {"max_position": {"cap_equity_fraction": "0.5"}})
    assert bench.ask(instrument=PERP, qty_lots=251).reason is R.POSITION_EXCEEDS_CAP
    assert bench.ask(instrument=PERP, qty_lots=250).allowed
    # The same account pays spot in full.
    assert bench.ask(qty_lots=501).reason is R.POSITION_EXCEEDS_CAP

    lost = leveraged("perpetual", {"daily_loss": {"cap_equity_fraction": "0.1"}})
    lost.trade(20, instrument=PERP, qty_lots=100)
    lost.bar(18, index=PERP)
    assert lost.ask(instrument=PERP).reason is R.DAILY_LOSS_EXCEEDED


def test_a_margin_account_may_sell_short_what_is_backed() -> None:
    bench = leveraged("margin")
    assert bench.ask(side=SELL, qty_lots=4_980).reason is R.CASH_INSUFFICIENT
    assert bench.ask(side=SELL, qty_lots=4_970).allowed


def test_a_purchase_above_the_market_pays_that_premium_in_full() -> None:
    bench = priced(terms=AccountTerms(kind="perpetual", leverage=Decimal(5)))
    # 400 lots at 11 while the market is at 10: margin of 800, and 400 gone at once.
    assert bench.ask(instrument=PERP, limit_price_ticks=22, qty_lots=400).reason is R.CASH_INSUFFICIENT
    assert bench.ask(instrument=PERP, limit_price_ticks=22, qty_lots=333).allowed


def test_a_group_needs_what_its_most_lots_cost_at_its_highest_price() -> None:
    bench = priced()
    bench.order(group_id="g", limit_price_ticks=20, qty_lots=300)
    bench.order(group_id="g", limit_price_ticks=24, qty_lots=100)
    # 30 at 12: 360 of 1,000 are bound.
    assert bench.ask(qty_lots=641).reason is R.CASH_INSUFFICIENT
    assert bench.ask(qty_lots=640).allowed


class Vague:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise TypeError


@pytest.mark.parametrize("name", ["group_id", "after_intent_id"])
def test_what_is_no_name_of_a_link_reduces_nothing_and_is_never_asked_what_it_is(name: str) -> None:
    bench = priced()
    bench.trade(20, qty_lots=10)
    bench.read(TradingState.REDUCE_ONLY)
    assert bench.ask(side=SELL, **{name: Vague()}).reason is R.KILL_SWITCH_REDUCE_ONLY
    bench.read(TradingState.ACTIVE)
    assert bench.ask(side=SELL, **{name: Vague()}).evidence == ((name, "a Vague"),)
