"""Amendments at the gate: what only takes away passes, what adds is asked of every rule, and nothing else gets through."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.contracts import AmendEvent, AmendIntent, OrderEvent, RiskDecision
from njord.core.types import OrderType, RefusalReason, Side, TradingState
from tests.unit.risk.risk_bench import Bench, priced

R = RefusalReason
SELL = Side.SELL


def amend(bench: Bench, order: OrderEvent, **fields: Any) -> tuple[RiskDecision, AmendEvent | None]:
    bench.n_intents += 1
    values: dict[str, Any] = {
        "ts_ns": bench.now_ns,
        "account_id": "main",
        "strategy_id": "a",
        "intent_id": f"a-{bench.n_intents}",
        "client_order_id": order.client_order_id,
    } | fields
    decision, *rest = bench.gate.handlers()[AmendIntent](AmendIntent(**values)) or ()
    assert isinstance(decision, RiskDecision)
    event = rest[0] if rest else None
    assert event is None or isinstance(event, AmendEvent)
    assert decision.allowed is (event is not None)
    return decision, event


def refused(bench: Bench, order: OrderEvent, **fields: Any) -> RefusalReason | None:
    return amend(bench, order, **fields)[0].reason


def test_an_approved_amendment_says_what_changes_and_counts_from_then_on() -> None:
    bench = priced()
    order = bench.order(limit_price_ticks=18, qty_lots=10)
    decision, event = amend(bench, order, qty_lots=30, limit_price_ticks=19)
    assert event == AmendEvent(
        ts_ns=bench.now_ns,
        instrument=0,
        account_id="main",
        strategy_id="a",
        intent_id="a-2",
        client_order_id=order.client_order_id,
        qty_lots=30,
        limit_price_ticks=19,
        decision_seq=2,
    )
    assert decision.allowed and decision.intent_id == "a-2"
    assert bench.exposure.working.side_lots(0, Side.BUY) == 30


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCE_ONLY])
def test_with_the_kill_switch_tripped_only_what_takes_lots_away_passes(state: TradingState) -> None:
    bench = priced()
    order = bench.order(limit_price_ticks=18, qty_lots=10)
    bench.read(state)
    assert refused(bench, order, qty_lots=11) in (R.KILL_SWITCH_HALTED, R.KILL_SWITCH_REDUCE_ONLY)
    assert refused(bench, order, limit_price_ticks=17) in (R.KILL_SWITCH_HALTED, R.KILL_SWITCH_REDUCE_ONLY)
    assert refused(bench, order, qty_lots=9) is None
    # While that is under way nobody knows from how many lots the next one would take away.
    assert refused(bench, order, qty_lots=8) in (R.KILL_SWITCH_HALTED, R.KILL_SWITCH_REDUCE_ONLY)


def test_a_way_out_may_be_repriced_while_only_reducing_is_allowed() -> None:
    bench = priced()
    bench.trade(20, qty_lots=10)
    order = bench.order(side=SELL, limit_price_ticks=24, qty_lots=10, reduce_only=True)
    bench.read(TradingState.REDUCE_ONLY)
    assert refused(bench, order, limit_price_ticks=21) is None
    assert refused(bench, order, qty_lots=11) is R.KILL_SWITCH_REDUCE_ONLY


@pytest.mark.parametrize(
    ("rules", "changed", "reason"),
    [
        ({"max_order_notional": {"cap_notional": 30}}, {"qty_lots": 40}, R.NOTIONAL_EXCEEDS_CAP),
        ({"max_position": {"cap_notional": 30}}, {"qty_lots": 40}, R.POSITION_EXCEEDS_CAP),
        (
            {"price_collar": {"max_distance_fraction": "0.2"}},
            {"limit_price_ticks": 25},
            R.PRICE_OUTSIDE_COLLAR,
        ),
        ({}, {"qty_lots": 1_001}, R.CASH_INSUFFICIENT),
        ({"order_rate": {"per_minute": 1}}, {"qty_lots": 11}, R.ORDER_RATE_EXCEEDED),
    ],
)
def test_what_adds_is_asked_of_every_rule(
    rules: dict[str, Any], changed: dict[str, int], reason: RefusalReason
) -> None:
    bench = priced(rules)
    order = bench.order(limit_price_ticks=18, qty_lots=10)
    assert refused(bench, order, **changed) is reason
    assert bench.exposure.working.side_lots(0, Side.BUY) == 10


def test_the_order_as_it_was_takes_no_room_from_the_order_as_it_would_be() -> None:
    bench = priced({"max_position": {"cap_notional": 30}, "open_orders": {"cap": 1}})
    order = bench.order(limit_price_ticks=18, qty_lots=20)
    assert refused(bench, order, qty_lots=30) is None
    assert refused(bench, order, qty_lots=31) is R.POSITION_EXCEEDS_CAP


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, R.AMEND_INVALID),
        ({"qty_lots": 10}, R.AMEND_INVALID),
        ({"limit_price_ticks": 18}, R.AMEND_INVALID),
        ({"qty_lots": 4}, R.AMEND_INVALID),
        ({"trigger_price_ticks": 18}, R.AMEND_INVALID),
        ({"qty_lots": -1}, R.INTENT_MALFORMED),
        ({"limit_price_ticks": 1.5}, R.INTENT_MALFORMED),
        ({"ts_ns": None}, R.INTENT_MALFORMED),
        ({"intent_id": "\ud800"}, R.INTENT_MALFORMED),
        ({"strategy_id": "b", "qty_lots": 5}, R.ORDER_NOT_FOUND),
        ({"client_order_id": "NJ-NOBODY", "qty_lots": 5}, R.ORDER_NOT_FOUND),
        ({"client_order_id": None, "qty_lots": 5}, R.ORDER_NOT_FOUND),
    ],
)
def test_what_is_no_amendment_of_an_own_order_is_refused(
    changed: dict[str, Any], reason: RefusalReason
) -> None:
    bench = priced()
    order = bench.order(limit_price_ticks=18, qty_lots=10)
    bench.fill(order, 18, lots=4)
    assert refused(bench, order, **changed) is reason


def test_a_market_order_has_no_price_to_amend_and_a_stop_has_its_trigger() -> None:
    bench = priced()
    at_market = bench.order(qty_lots=2)
    assert refused(bench, at_market, limit_price_ticks=19) is R.AMEND_INVALID
    stop = bench.order(type=OrderType.STOP, trigger_price_ticks=22)
    assert refused(bench, stop, limit_price_ticks=19) is R.AMEND_INVALID
    assert refused(bench, stop, trigger_price_ticks=23) is None


def test_an_exit_grows_no_larger_than_its_entry_and_not_at_all_once_that_has_ended() -> None:
    bench = priced()
    entry = bench.order(qty_lots=10)
    way_out = bench.order(
        side=SELL, limit_price_ticks=24, qty_lots=6, after_intent_id=entry.intent_id, reduce_only=True
    )
    assert refused(bench, way_out, qty_lots=11) is R.ENTRY_NOT_WORKING
    assert refused(bench, way_out, qty_lots=10) is None
    bench.fill(entry, 20)
    bench.end(entry)
    assert refused(bench, way_out, qty_lots=12) is R.ENTRY_NOT_WORKING
    assert refused(bench, way_out, limit_price_ticks=23) is None


def test_a_decision_on_an_amendment_can_be_written_whatever_it_held() -> None:
    bench = priced()
    decision, _ = amend(bench, bench.order(), strategy_id=object(), qty_lots=Decimal(1))
    assert decision.strategy_id == "(object)" and decision.instrument == 0


def test_an_amendment_that_adds_counts_toward_the_order_rate_and_one_that_takes_away_does_not() -> None:
    bench = priced({"order_rate": {"per_minute": 2}})
    order = bench.order(limit_price_ticks=18, qty_lots=10)
    assert refused(bench, order, qty_lots=9) is None
    assert refused(bench, order, qty_lots=12) is None
    assert refused(bench, order, qty_lots=13) is R.ORDER_RATE_EXCEEDED
