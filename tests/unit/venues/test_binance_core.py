"""The core at a local exchange that does nothing wrong: orders, cancels, refusals, fills, restarts."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.contracts import (
    BrokerFill,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
)
from njord.core.types import BUY, SELL, OrderReason, OrderStatus, OrderType, TimeInForce, TradingState
from njord.core.units import NS_PER_S
from njord.venues.binance_options import CoreOptions, StreamKind
from njord.venues.broker_wire import Balances, ExternalFill, Health
from tests.unit.exchange.exchange_case import change, trade
from tests.unit.venues.binance_case import SYMBOL, CoreCase

S = OrderStatus


@pytest.fixture
def case() -> CoreCase:
    """A core that is ready, at a book of 5 at 99 and 101; at 8 s a trade sweeps the bids down to 90."""
    case = CoreCase(trade(8, 90, 200, trade_id=5))
    case.to(2)
    assert case.core.is_ready
    return case


def test_core_is_halted_by_name_until_it_has_reconciled() -> None:
    case = CoreCase()
    assert case.core.is_ready is False
    assert case.health.reason == "clock: the venue's time was not measured yet"
    reply = case.place("NJ-1")
    assert isinstance(reply, BrokerReject)
    assert reply.reason is OrderReason.VENUE_NOT_READY
    case.to(2)
    assert case.health.state is TradingState.ACTIVE
    assert case.sent("POST", "order") == []


def test_a_resting_order_is_accepted_filled_and_ended_once(case: CoreCase) -> None:
    assert case.place("NJ-1", price=95) == BrokerPending(client_order_id="NJ-1")
    case.to(30)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    assert [each.qty_lots for each in case.fills("NJ-1")] == [10]
    case.check()


def test_an_order_goes_out_as_plain_decimals_under_its_own_id(case: CoreCase) -> None:
    case.place("NJ-1", lots=7, price=95)
    case.place("NJ-2", price=80, post_only=True)
    case.place("NJ-3", type_=OrderType.MARKET)
    case.place("NJ-4", type_=OrderType.STOP_LIMIT, side=SELL, trigger_price_ticks=85, price=80)
    case.to(3)
    signed = {"timestamp", "recvWindow", "signature"}
    sent = {each["newClientOrderId"]: each for each in case.sent("POST", "order")}
    plain = {name: {k: v for k, v in each.items() if k not in signed} for name, each in sent.items()}
    common = {"symbol": "BTCUSDT", "newOrderRespType": "FULL"}
    assert plain["NJ-1"] == common | {
        "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.7", "price": "95",
        "newClientOrderId": "NJ-1",
    }  # fmt: skip
    assert plain["NJ-2"] == common | {
        "side": "BUY", "type": "LIMIT_MAKER", "quantity": "1", "price": "80", "newClientOrderId": "NJ-2",
    }  # fmt: skip
    assert plain["NJ-3"] == common | {
        "side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": "NJ-3",
    }  # fmt: skip
    assert plain["NJ-4"] == common | {
        "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "80",
        "stopPrice": "85", "newClientOrderId": "NJ-4",
    }  # fmt: skip
    assert sent["NJ-1"]["recvWindow"] == "5000"


@pytest.mark.parametrize(
    "terms",
    [
        {"type_": OrderType.STOP, "trigger_price_ticks": 110},
        {"type_": OrderType.TRAILING_STOP, "trail_ticks": 5},
        {"tif": TimeInForce.GTD, "expire_ns": 2**62},
        {"group_id": "g"},
        {"after_client_order_id": "NJ-0"},
        {"post_only": True, "tif": TimeInForce.IOC},
    ],
)
def test_what_the_venue_does_not_offer_is_refused_before_sending(
    case: CoreCase, terms: dict[str, Any]
) -> None:
    reply = case.place("NJ-1", **terms)
    assert isinstance(reply, BrokerReject)
    assert reply.reason is OrderReason.TYPE_NOT_OFFERED
    case.to(3)
    assert case.sent("POST", "order") == []


def test_a_cancel_ends_an_order_once_and_says_that_it_was_asked_for(case: CoreCase) -> None:
    case.place("NJ-1", price=80)
    case.to(3)
    case.cancel("NJ-1")
    case.cancel("NJ-1")
    case.to(4)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.CANCELED]
    assert case.updates("NJ-1")[-1].reason is OrderReason.CANCEL_REQUESTED
    assert len(case.sent("DELETE", "order")) == 1
    case.check()


def test_a_cancel_that_overtakes_the_answer_waits_for_it(case: CoreCase) -> None:
    case.place("NJ-1", price=80)
    case.cancel("NJ-1")
    case.to(3)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.CANCELED]
    assert [path for method, path, _ in case.trouble.heard if method in ("POST", "DELETE")] == ["order"] * 2
    case.check()


def test_an_order_that_waits_for_the_budget_is_withdrawn_without_the_venue() -> None:
    case = CoreCase(options=CoreOptions(place_wait_ns=30 * NS_PER_S), orders_per_10s=3)
    case.to(2)
    for number in range(5):
        case.place(f"NJ-{number}", price=80)
    case.to(3)
    case.cancel("NJ-3")
    case.to(20)
    assert case.statuses("NJ-3") == [S.CANCELED]
    assert case.statuses("NJ-4") == [S.ACCEPTED]
    assert case.sent("DELETE", "order") == []
    case.check()


@pytest.mark.parametrize(
    ("terms", "status", "reason"),
    [
        ({"lots": 5000, "price": 90}, S.REJECTED, OrderReason.INSUFFICIENT_FUNDS),
        ({"price": 101, "post_only": True}, S.REJECTED, OrderReason.POST_ONLY_WOULD_TAKE),
        ({"lots": 80, "price": 101, "tif": TimeInForce.IOC}, S.CANCELED, OrderReason.IOC_REMAINDER),
        ({"lots": 80, "price": 101, "tif": TimeInForce.FOK}, S.CANCELED, OrderReason.FOK_UNFILLED),
    ],
)
def test_an_end_at_the_venue_is_told_with_its_reason(
    case: CoreCase, terms: dict[str, Any], status: OrderStatus, reason: OrderReason
) -> None:
    case.place("NJ-1", **terms)
    case.to(4)
    last = case.updates("NJ-1")[-1]
    assert (last.status, last.reason) == (status, reason)
    case.check()


def test_a_trigger_that_was_reached_is_told_once_and_before_the_trades() -> None:
    case = CoreCase(change(5, [(99, 0), (98, 0), (95, 4)]), trade(6, 95, 1), trade(9, 94, 200, buys=True))
    case.to(2)
    case.place("NJ-1", lots=10, price=94, side=SELL, type_=OrderType.STOP_LIMIT, trigger_price_ticks=95)
    case.to(8)
    told = [
        each.qty_lots if isinstance(each, BrokerFill) else each.reason
        for each in case.words
        if isinstance(each, BrokerFill | BrokerOrderUpdate)
    ]
    assert told == [OrderReason.NONE, OrderReason.TRIGGERED, 4]
    case.restart()
    case.to(20)
    reasons = [each.reason for each in case.updates("NJ-1")]
    assert reasons.count(OrderReason.TRIGGERED) == 1
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"lots": 1, "price": 90}, OrderReason.FILTER_NOTIONAL),
        ({"lots": 0, "price": 90}, OrderReason.FILTER_QTY),
        ({"price": 0}, OrderReason.FILTER_PRICE),
    ],
)
def test_an_order_against_the_rules_in_force_is_not_sent(
    case: CoreCase, terms: dict[str, Any], reason: OrderReason
) -> None:
    reply = case.place("NJ-1", **terms)
    assert isinstance(reply, BrokerReject)
    assert reply.reason is reason


def test_an_order_beyond_the_budget_is_refused_and_cancels_still_leave(case: CoreCase) -> None:
    case = CoreCase(orders_per_10s=3)
    case.to(2)
    replies = [case.place(f"NJ-{number}", price=80) for number in range(5)]
    refused = [each for each in replies if isinstance(each, BrokerReject)]
    assert [each.reason for each in refused] == [OrderReason.RATE_LIMITED] * 2
    case.to(3)
    case.cancel("NJ-0")
    case.to(4)
    assert case.statuses("NJ-0")[-1] is S.CANCELED
    assert {each["status"] for each in case.case.exchange.truth()["accounts"]["alice"]["requests"]} == {200}


def test_the_stream_can_come_by_a_listen_key_that_is_renewed() -> None:
    case = CoreCase(options=CoreOptions(stream=StreamKind.LISTEN_KEY, listen_key_renew_ns=20 * NS_PER_S))
    case.to(50)
    assert case.core.is_ready
    assert len(case.sent("POST", "userDataStream")) == 1
    assert len(case.sent("PUT", "userDataStream")) == 2
    case.place("NJ-1", price=80)
    case.to(51)
    assert case.statuses("NJ-1") == [S.ACCEPTED]


def test_a_listen_key_that_ends_is_replaced_and_the_books_are_read_before_trading() -> None:
    """A15."""
    case = CoreCase(trade(8, 90, 200, trade_id=5), options=CoreOptions(stream=StreamKind.LISTEN_KEY))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(7)
    case.case.exchange.operator.expire_listen_keys()
    case.to(12)
    assert any("stream: " in each.reason for each in case.words[-8:] if isinstance(each, Health))
    assert case.health.state is TradingState.ACTIVE
    assert len(case.sent("POST", "userDataStream")) == 2
    case.check()


def test_balances_are_told_when_nothing_explains_a_change_twice(case: CoreCase) -> None:
    """A21: a withdrawal."""
    case.to(40)
    case.case.exchange.operator.withdraw("alice", "USDT", Decimal(1000))
    case.words.clear()
    case.to(130)
    told = [each for each in case.words if isinstance(each, Balances)]
    assert {each.asset: each.free for each in told[0].balances} == {"BTC": 10, "USDT": 9000}


def test_an_order_by_hand_is_told_as_the_owners(case: CoreCase) -> None:
    """A21: a manual order, by stream and by list alike."""
    case.case.exchange.operator.place_by_hand("alice", "BTCUSDT", BUY, OrderType.MARKET, Decimal("0.5"))
    case.to(30)
    fills = [each for each in case.words if isinstance(each, ExternalFill)]
    assert [(each.symbol, each.fill.qty_lots) for each in fills] == [(SYMBOL, 5)]
    assert case.titles().count("an order that is not ours is on the account") == 1
    case.check()


def test_a_session_that_was_killed_goes_on_and_tells_what_happened_meanwhile(case: CoreCase) -> None:
    case.place("NJ-1", price=95)
    case.place("NJ-2", price=80)
    case.place("NJ-3", type_=OrderType.MARKET)
    case.to(3)
    case.shell.stop()
    case.to(20)
    assert case.fills("NJ-1") == []
    case.restart()
    case.to(30)
    assert case.core.is_ready
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.FILLED]
    case.check()


def test_a_restart_reads_trades_that_the_stream_told_out_of_order(case: CoreCase) -> None:
    """The journal's newest trade is no cursor: an older one may never have been told."""
    case.place("NJ-0", type_=OrderType.MARKET)
    case.to(3)
    case.case.exchange.operator.place_by_hand("alice", "BTCUSDT", BUY, OrderType.MARKET, Decimal("0.5"))
    case.place("NJ-1", type_=OrderType.MARKET)
    case.to(4)
    case.words[:] = [each for each in case.words if not isinstance(each, ExternalFill)]
    case.restart()
    case.to(6)
    case.check()


def test_symbol_that_is_halted_or_changed_is_refused_here() -> None:
    """A19."""
    case = CoreCase(change(1, [(98, 10)]), options=CoreOptions(rules_every_ns=NS_PER_S))
    case.to(2)
    case.case.exchange.operator.halt("BTCUSDT")
    case.to(4)
    halted = case.place("NJ-1")
    case.case.exchange.operator.resume("BTCUSDT")
    case.case.exchange.operator.change_filters("BTCUSDT", lot=Decimal("0.5"))
    case.to(6)
    odd = case.place("NJ-2", lots=7)
    assert isinstance(halted, BrokerReject)
    assert isinstance(odd, BrokerReject)
    assert (halted.reason, odd.reason) == (OrderReason.SYMBOL_HALTED, OrderReason.FILTER_QTY)
    assert case.titles().count("the venue has changed a symbol's rules") == 3
    assert case.place("NJ-3", lots=10) == BrokerPending(client_order_id="NJ-3")


def test_options_refuse_an_absence_shorter_than_the_window() -> None:
    with pytest.raises(Exception, match="an order could still arrive"):
        CoreOptions(absent_ns=6 * NS_PER_S)
    assert msgspec.structs.asdict(CoreOptions())["absent_ns"] == 60 * NS_PER_S
