"""The gate: every intent gets one decision, only an approved one an order, and a cancel always passes."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from njord.core.codec import decode, encode
from njord.core.contracts import BookEvent, CancelEvent, CancelIntent, ConfigChanged, RiskDecision
from njord.core.types import OrderStatus, OrderType, RefusalReason, Side, TimeInForce, TradingState
from tests.unit.risk.risk_bench import Bench, S, priced

R = RefusalReason


def cancel(bench: Bench, **fields: Any) -> list[Any]:
    values: dict[str, Any] = {
        "ts_ns": bench.now_ns,
        "account_id": "main",
        "strategy_id": "a",
        "intent_id": "a-900",
        "client_order_id": "NJ-X",
    }
    return list(bench.gate.handlers()[CancelIntent](CancelIntent(**values | fields)) or ())


def test_an_order_is_exactly_what_was_asked_for_and_its_approval_ends_after_ten_seconds() -> None:
    bench = priced()
    wish: dict[str, Any] = {
        "instrument": 1,
        "side": Side.SELL,
        "type": OrderType.LIMIT,
        "tif": TimeInForce.IOC,
        "qty_lots": 7,
        "limit_price_ticks": 21,
        "parent_id": "p",
        "execution_id": "e",
        "slice_id": "s",
    }
    order = bench.order(**wish)
    assert {name: getattr(order, name) for name in wish} == wish
    assert order.expires_ns == bench.now_ns + 10 * S
    assert bench.order().expires_ns == bench.now_ns + 10 * S


def test_every_order_has_an_id_and_a_decision_of_its_own() -> None:
    bench = priced()
    orders = [bench.order() for _ in range(20)]
    assert len({order.client_order_id for order in orders}) == 20
    assert [order.decision_seq for order in orders] == list(range(1, 21))


def test_an_order_is_reserved_before_anyone_hears_of_it() -> None:
    bench = priced()
    order = bench.order(qty_lots=3)
    assert bench.exposure.working.get(order.client_order_id) is not None
    assert bench.exposure.working_qty(0, Side.BUY) == Decimal("0.3")


def test_the_first_rule_that_refuses_answers_and_the_kill_switch_is_asked_first() -> None:
    bench = priced({"symbol_allowed": {"symbols": ["X/Y"]}, "max_order_notional": {"cap_notional": 1}})
    assert bench.ask(qty_lots=50).rule == "symbol_allowed"
    assert bench.ask(qty_lots=0).rule == "well_formed"
    bench.read(TradingState.HALTED)
    assert bench.ask(qty_lots=0).rule == "kill_switch"


GARBAGE: list[Any] = [
    None,
    7,
    -1,
    2**70,
    1.5,
    float("nan"),
    b"x",
    [1],
    {"a": 1},
    object(),
    "\ud800",
    Decimal("NaN"),
]


@pytest.mark.parametrize(
    "field", ["ts_ns", "instrument", "account_id", "strategy_id", "intent_id", "parent_id"]
)
@pytest.mark.parametrize("state", list(TradingState))
def test_whatever_an_intent_holds_its_decision_can_be_written_and_read(
    field: str, state: TradingState
) -> None:
    bench = priced()
    bench.trade(20, qty_lots=5)
    bench.read(state)
    for value in GARBAGE:
        decision, order = bench.send(**{field: value, "qty_lots": 1, "side": Side.SELL})
        assert decode(encode(decision)) == decision
        if not decision.allowed:
            assert order is None


def test_no_decision_ever_shows_an_address_of_the_machine() -> None:
    bench = priced()
    for field in ("qty_lots", "side", "intent_id", "parent_id"):
        assert b"0x" not in encode(bench.ask(**{field: object()}))


def test_a_cancel_passes_in_every_state_of_the_kill_switch() -> None:
    for state in TradingState:
        bench = priced()
        order = bench.order()
        bench.read(state)
        decision, event = cancel(bench, client_order_id=order.client_order_id)
        assert decision.allowed
        assert isinstance(event, CancelEvent)
        assert (event.client_order_id, event.instrument) == (order.client_order_id, 0)
        assert event.decision_seq == 2
    unknown = Bench(is_on=False)
    unknown.bar(20)
    assert cancel(unknown)[0].reason is R.ORDER_NOT_FOUND


def test_a_cancel_of_anothers_or_of_an_ended_order_is_refused() -> None:
    bench = priced()
    order = bench.order()
    (decision,) = cancel(bench, client_order_id=order.client_order_id, strategy_id="b")
    assert decision.reason is R.ORDER_NOT_FOUND
    bench.end(order)
    (decision,) = cancel(bench, client_order_id=order.client_order_id)
    assert decision.reason is R.ORDER_NOT_FOUND
    assert decision.evidence == (("client_order_id", order.client_order_id),)


def test_a_cancel_of_garbage_is_refused_in_writing() -> None:
    bench = priced()
    for value in GARBAGE:
        (decision,) = cancel(bench, client_order_id=value, intent_id=value)
        assert isinstance(decision, RiskDecision)
        assert decision.reason is R.ORDER_NOT_FOUND
        assert decode(encode(decision)) == decision


def test_the_id_of_a_cancel_can_not_be_used_for_an_order() -> None:
    bench = priced()
    cancel(bench, intent_id="a-500")
    assert bench.ask(intent_id="a-500").reason is R.INTENT_DUPLICATE


def test_sending_the_same_intent_twice_yields_one_order_and_one_denial() -> None:
    bench = priced()
    intent = bench.intent()
    first, order = bench.decide(intent)
    again, none = bench.decide(intent)
    assert (first.allowed, again.allowed) == (True, False)
    assert order is not None
    assert none is None
    assert again.reason is R.INTENT_DUPLICATE


def test_a_change_of_limits_shows_on_every_later_decision() -> None:
    bench = priced()
    assert bench.ask().limits_version == 1
    bench.gate.handlers()[ConfigChanged](
        ConfigChanged(ts_ns=bench.now_ns, config_hash="h", limits_version=5, diff="")
    )
    decision, order = bench.send()
    assert order is not None
    assert decision.limits_version == order.limits_version == 5


def test_a_late_fill_of_an_ended_order_moves_the_position_that_limits_see() -> None:
    bench = priced({"max_position": {"cap_notional": 20}})
    order = bench.order(qty_lots=20)
    bench.end(order, OrderStatus.CANCELED)
    bench.fill(order, 20, lots=15)
    assert bench.ask(qty_lots=6).reason is R.POSITION_EXCEEDS_CAP
    assert bench.ask(qty_lots=5).allowed


def test_before_the_first_trade_a_snapshot_s_middle_is_the_price_and_after_it_trades_are() -> None:
    bench = Bench()
    on_book = bench.gate.handlers()[BookEvent]
    book = BookEvent(
        ts_ns=bench.now_ns, instrument=0, bids=((18, 5), (19, 5)), asks=((23, 5), (22, 5)), is_snapshot=True,
        first_update_id=1, last_update_id=1, ts_venue_ns=bench.now_ns,
    )  # fmt: skip
    on_book(replace(book, is_snapshot=False))
    on_book(replace(book, asks=()))
    assert bench.exposure.mark_ticks[0] == 0
    on_book(book)
    assert (bench.exposure.mark_ticks[0], bench.exposure.mark_ts_ns[0]) == (20, bench.now_ns)
    bench.exposure.observe_price(0, 25, bench.now_ns)
    on_book(book)
    assert bench.exposure.mark_ticks[0] == 25
