"""The simulation's checkers: a run without fault passes, and every planted lie in books or truth is caught by its name."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from njord.core.account import SpotAccount
from njord.core.contracts import (
    EXTERNAL_OWNER,
    Alert,
    BalanceAdjusted,
    FillEvent,
    Message,
    OrderEvent,
    OrderUpdate,
)
from njord.core.orders import WorkingOrders
from njord.core.types import OrderReason, OrderStatus, OrderType, Severity, Side, TimeInForce, TradingState
from njord.core.units import NS_PER_S
from njord.simulation.invariants import Evidence, always, converged
from njord.simulation.shell import SentOrder
from tests.unit.apps.live_world import BTC

NOW_NS = 1_700_000_000 * NS_PER_S


def order(name: str = "t-1", lots: int = 100) -> OrderEvent:
    return OrderEvent(
        ts_ns=NOW_NS,
        instrument=0,
        account_id="main",
        strategy_id="trader",
        intent_id=name,
        client_order_id=name,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.GTC,
        qty_lots=lots,
        limit_price_ticks=10_000,
        decision_seq=1,
        limits_version=1,
        expires_ns=NOW_NS + NS_PER_S,
    )


def update(status: OrderStatus, name: str = "t-1") -> OrderUpdate:
    return OrderUpdate(
        ts_ns=NOW_NS,
        instrument=0,
        account_id="main",
        strategy_id="trader",
        intent_id=name,
        client_order_id=name,
        status=status,
        reason=OrderReason.NONE,
        ts_venue_ns=NOW_NS,
    )


def fill(trade_id: str = "5", lots: int = 40, name: str = "t-1") -> FillEvent:
    return FillEvent(
        ts_ns=NOW_NS,
        instrument=0,
        account_id="main",
        strategy_id="trader",
        intent_id=name,
        client_order_id=name,
        side=Side.BUY,
        price_ticks=10_000,
        qty_lots=lots,
        fee=Decimal("0.004"),
        fee_asset="USDT",
        is_maker=True,
        venue_trade_id=trade_id,
        ts_venue_ns=NOW_NS,
    )


# One order of 0.1 BTC at 100, 0.04 of it filled, the rest resting.
def truth() -> dict[str, Any]:
    return {
        "balances": {
            "USDT": {"free": "989.996", "locked": "6"},
            "BTC": {"free": "0.04", "locked": "0"},
        },
        "orders": [
            {
                "client_order_id": "t-1",
                "symbol": "BTCUSDT",
                "side": "BUY",
                "orig_qty": "0.1",
                "executed_qty": "0.04",
                "status": "PARTIALLY_FILLED",
                "placed_ns": NOW_NS,
                "ended_ns": 0,
            }
        ],
        "trades": [
            {
                "trade_id": 5,
                "client_order_id": "t-1",
                "symbol": "BTCUSDT",
                "side": "BUY",
                "price": "100.00",
                "qty": "0.04",
                "commission": "0.004",
                "commission_asset": "USDT",
                "ts_ns": NOW_NS,
            }
        ],
        "transfers": [],
        "requests": [
            {"method": "POST", "path": "/api/v3/order", "client_order_id": "t-1", "status": 200, "code": 0}
        ],
    }


def evidence(**changes: Any) -> Evidence:
    journal: list[Message] = [order(), update(OrderStatus.ACCEPTED), fill()]
    account = SpotAccount((BTC,), "USDT", Decimal(1000))
    account.apply_fill(fill(), [10_000])
    working = WorkingOrders()
    for message in (order(), update(OrderStatus.ACCEPTED), fill()):
        working.apply(message)
    whole = Evidence(
        instruments=(BTC,),
        truth=truth(),
        journal=journal,
        sent=[SentOrder(NOW_NS, "t-1", "POST")],
        opening={},
        account=account,
        working=working,
        suspended=[],
        state=TradingState.ACTIVE,
        reason="",
        tripped_ns=None,
        position_cap=Decimal(10),
        measures_exposure=True,
    )
    return replace(whole, **changes)


def found(seen: Evidence) -> set[str]:
    return {line.partition(":")[0] for line in [*always(seen), *converged(seen)]}


def test_books_that_are_the_truth_pass() -> None:
    assert found(evidence()) == set()


def with_truth(change: Callable[[dict[str, Any]], None]) -> Evidence:
    changed = truth()
    change(changed)
    return evidence(truth=changed)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda t: t["balances"]["USDT"].update(free="989.99600001"), "I1"),
        (lambda t: t["balances"].update(ETH={"free": "1", "locked": "0"}), "I1"),
        (lambda t: t["transfers"].append({"asset": "USDT", "amount": "5", "ts_ns": NOW_NS}), "I10"),
        (lambda t: t["trades"].clear(), "I3"),
        (lambda t: t["trades"].append({**t["trades"][0], "trade_id": 6}), "I3"),
        (lambda t: t["trades"][0].update(commission="0.005"), "I10"),
        (lambda t: t["trades"][0].update(price="100.01"), "I10"),
        (lambda t: t["trades"][0].update(client_order_id="web_1"), "I2"),
        (lambda t: t["orders"][0].update(status="FILLED"), "I1"),
        (lambda t: t["orders"][0].update(orig_qty="0.2"), "R2"),
        (lambda t: t["orders"].append(t["orders"][0]), "I6"),
        (lambda t: t["requests"].append(t["requests"][0]), "I6"),
        (lambda t: t["requests"][0].update(client_order_id="t-9"), "R2"),
    ],
)
def test_a_truth_that_is_not_the_books_is_caught(change: Callable[[dict[str, Any]], None], name: str) -> None:
    assert name in found(with_truth(change))


@pytest.mark.parametrize(
    ("journal", "name"),
    [
        ([order(), fill(), fill()], "I3"),
        ([order()], "I3"),
        ([update(OrderStatus.ACCEPTED)], "R2"),
        ([order(), fill(), update(OrderStatus.CANCELED), update(OrderStatus.ACCEPTED)], "I8"),
        ([order(), update(OrderStatus.CANCELED), fill()], "I7"),
        ([order(), fill(), update(OrderStatus.REJECTED)], "I8"),
        ([order(), fill(), order()], "I6"),
        ([order(), replace(fill(), strategy_id=EXTERNAL_OWNER)], "I2"),
        ([order(lots=99), fill()], "R2"),
    ],
)
def test_a_journal_that_is_not_what_happened_is_caught(journal: list[Message], name: str) -> None:
    assert name in found(evidence(journal=journal))


def test_an_order_that_leaves_after_the_kill_is_caught_and_a_cancel_is_not() -> None:
    late = [SentOrder(NOW_NS, "t-1", "POST"), SentOrder(NOW_NS + 9 * NS_PER_S, "t-1", "DELETE")]
    assert "I4" not in found(evidence(sent=late, tripped_ns=NOW_NS))
    assert "I4" in found(evidence(sent=late, tripped_ns=NOW_NS - 2 * NS_PER_S))


def test_an_order_that_works_after_a_kill_that_cancels_is_caught() -> None:
    assert "R3" in found(evidence(tripped_ns=NOW_NS))


def test_what_could_be_held_beyond_the_limit_is_caught() -> None:
    assert found(evidence(position_cap=Decimal("9.99"))) == {"I5"}


def test_a_halt_without_a_name_is_caught() -> None:
    assert found(evidence(state=TradingState.HALTED)) == {"I15"}
    assert found(evidence(state=TradingState.HALTED, reason="the key was revoked")) == set()
    assert found(evidence(state=None)) == {"I15"}


def test_a_word_that_the_host_could_not_believe_is_caught() -> None:
    alert = Alert(
        ts_ns=NOW_NS,
        severity=Severity.ERROR,
        category="execution",
        source="gateway",
        title="an order filled beyond its quantity",
        message="",
    )
    assert "I9" in found(evidence(journal=[order(), fill(), alert]))


def test_a_suspended_strategy_is_caught() -> None:
    assert "C7" in found(evidence(suspended=["ValueError"]))


def test_books_that_follow_the_venue_where_nothing_came_are_caught() -> None:
    adopted = BalanceAdjusted(
        ts_ns=NOW_NS, account_id="main", asset="USDT", amount=Decimal(5), instrument=-1, reason=""
    )
    journal = [order(), update(OrderStatus.ACCEPTED), fill(), adopted]
    assert found(evidence(journal=journal)) == {"I10"}
    back = replace(adopted, amount=Decimal(-5))
    assert found(evidence(journal=[*journal, back])) == {"I10"}
