"""Every reason that the gate can give is reached, by its rule, with its numbers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from njord.core.types import RefusalReason, Side, TimeInForce, TradingState
from tests.unit.risk.risk_bench import MINUTE, NOON, Bench, priced, spot

R = RefusalReason
BUY, SELL = Side.BUY, Side.SELL


# What belongs to the gate; the other reasons are given before an intent reaches it.
ELSEWHERE = {R.WARM_UP, R.TARGET_BELOW_LOT, R.STRATEGY_SUSPENDED}
# Said of cancels and amendments: tests/unit/risk/test_amend.py and test_gate.py.
OF_WORKING_ORDERS = {R.ORDER_NOT_FOUND, R.AMEND_INVALID}


def halted() -> Bench:
    bench = priced()
    bench.read(TradingState.HALTED)
    return bench


def reduce_only() -> Bench:
    bench = priced()
    bench.read(TradingState.REDUCE_ONLY)
    return bench


def stale() -> Bench:
    bench = priced()
    bench.now_ns += 3 * MINUTE + 1
    return bench


def busy() -> Bench:
    bench = priced({"order_rate": {"per_minute": 5, "per_strategy_per_minute": 1}, "open_orders": {"cap": 9}})
    bench.order()
    return bench


def after_loss(**rules: Any) -> Bench:
    bench = priced(rules)
    bench.trade(20, qty_lots=10)
    bench.trade(18, side=SELL, qty_lots=10)
    return bench


def decided() -> Bench:
    bench = priced()
    bench.ask(intent_id="a-77")
    return bench


def grouped() -> Bench:
    bench = priced()
    bench.order(group_id="g")
    return bench


REACHED: dict[RefusalReason, tuple[Callable[[], Bench], dict[str, Any]]] = {
    R.KILL_SWITCH_HALTED: (halted, {}),
    R.KILL_SWITCH_REDUCE_ONLY: (reduce_only, {}),
    R.KILL_SWITCH_UNKNOWN: (lambda: priced(is_on=False), {}),
    R.INTENT_MALFORMED: (priced, {"qty_lots": 0}),
    R.INTENT_DUPLICATE: (decided, {"intent_id": "a-77"}),
    R.SYMBOL_NOT_ALLOWED: (lambda: priced({"symbol_allowed": {"symbols": ["X/Y"]}}), {}),
    R.QTY_BELOW_MIN: (lambda: priced(spot=spot(min_qty=Decimal(1))), {}),
    R.QTY_ABOVE_MAX: (lambda: priced(spot=spot(max_qty=Decimal(1))), {"qty_lots": 11}),
    R.NOTIONAL_BELOW_MIN: (lambda: priced(spot=spot(min_notional=Decimal(10))), {}),
    R.PRICE_UNKNOWN: (Bench, {}),
    R.PRICE_STALE: (stale, {}),
    R.PRICE_OUTSIDE_COLLAR: (lambda: priced({"price_collar": {}}), {"limit_price_ticks": 30}),
    R.NOTIONAL_EXCEEDS_CAP: (lambda: priced({"max_order_notional": {"cap_notional": "0.5"}}), {}),
    R.POSITION_EXCEEDS_CAP: (lambda: priced({"max_position": {"cap_notional": "0.5"}}), {}),
    R.GROSS_EXCEEDS_CAP: (lambda: priced({"max_gross": {"cap_notional": "0.5"}}), {}),
    R.OPEN_ORDERS_EXCEED_CAP: (lambda: busy_with({"open_orders": {"cap": 1}}), {}),
    R.ORDER_RATE_EXCEEDED: (lambda: busy_with({"order_rate": {"per_minute": 1}}), {}),
    R.STRATEGY_RATE_EXCEEDED: (busy, {}),
    R.DAILY_LOSS_EXCEEDED: (lambda: after_loss(daily_loss={"cap_notional": 1}), {}),
    R.COOLING_DOWN: (lambda: after_loss(cool_down={"seconds": 1}), {}),
    R.CASH_INSUFFICIENT: (priced, {"qty_lots": 1_001}),
    R.NAKED_SHORT: (priced, {"side": SELL}),
    R.REDUCE_ONLY_INCREASES: (priced, {"reduce_only": True}),
    R.ENTRY_NOT_WORKING: (priced, {"side": SELL, "after_intent_id": "a-77"}),
    R.GROUP_INVALID: (grouped, {"side": SELL, "group_id": "g"}),
    R.EXPIRY_PAST: (priced, {"tif": TimeInForce.GTD, "expire_ns": NOON}),
}


def busy_with(rules: dict[str, Any]) -> Bench:
    bench = priced(rules)
    bench.order()
    return bench


def test_the_list_of_reachable_reasons_is_complete() -> None:
    assert set(REACHED) == set(RefusalReason) - ELSEWHERE - OF_WORKING_ORDERS


@pytest.mark.parametrize("reason", REACHED)
def test_every_reason_is_reached_with_its_rule_and_its_numbers(reason: RefusalReason) -> None:
    make, fields = REACHED[reason]
    decision, order = make().send(**fields)
    assert decision.reason is reason
    assert not decision.allowed
    assert order is None
    assert decision.rule
    assert decision.evidence
    assert all(key and text for key, text in decision.evidence)
