"""The gateway: what it sends, what it refuses to send, and whose order a venue speaks of."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest

from njord.core.contracts import (
    VENUE,
    BalanceSnapshot,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
    BrokerReply,
    BrokerUnknown,
    CancelEvent,
    FillEvent,
    FundingEvent,
    OrderEvent,
    OrderUpdate,
)
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.execution.gateway import Gateway
from tests.property.strategies import START_NS, amend_event, instrument, order_event


class ScriptedBroker:
    """A broker that answers as told and remembers what it was asked."""

    def __init__(self, *replies: BrokerReply) -> None:
        self.replies = list(replies)
        self.placed: list[BrokerOrderReq] = []
        self.canceled: list[BrokerCancelReq] = []
        self.amended: list[BrokerAmendReq] = []

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        self.placed.append(req)
        return self.replies.pop(0)

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        self.canceled.append(req)
        return self.replies.pop(0)

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        self.amended.append(req)
        return self.replies.pop(0)

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        raise NotImplementedError

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        raise NotImplementedError

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        raise NotImplementedError

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        raise NotImplementedError

    def server_time(self) -> int:
        raise NotImplementedError

    def exchange_rules(self) -> Sequence[Instrument]:
        raise NotImplementedError


ACK = BrokerOrderAck(client_order_id="c1", venue_order_id="77", ts_venue_ns=5)
ORDER = order_event(
    parent_id="p",
    execution_id="e",
    slice_id="3",
    side="sell",
    type="limit",
    tif="ioc",
    limit_price_ticks=99,
    reduce_only=True,
)
LINEAGE = (
    "account_id",
    "strategy_id",
    "intent_id",
    "client_order_id",
    "parent_id",
    "execution_id",
    "slice_id",
)


def gateway(*replies: BrokerReply) -> tuple[Gateway, ScriptedBroker]:
    broker = ScriptedBroker(*replies)
    return Gateway(broker, (instrument(),), "main"), broker


def sent(which: Gateway, order: OrderEvent = ORDER, now_ns: int = START_NS) -> OrderUpdate:
    update = which.send(order, now_ns)
    assert update is not None
    assert all(getattr(update, name) == getattr(order, name) for name in LINEAGE)
    return update


def report(status: OrderStatus, name: str = "c1") -> BrokerOrderUpdate:
    return BrokerOrderUpdate(
        client_order_id=name,
        venue_order_id="77",
        symbol="BTC/USDT",
        side=Side.SELL,
        type=OrderType.LIMIT,
        status=status,
        reason=OrderReason.NONE,
        qty_lots=10,
        filled_lots=4,
        limit_price_ticks=99,
        ts_venue_ns=6,
    )


def broker_fill(name: str = "c1") -> BrokerFill:
    return BrokerFill(
        client_order_id=name,
        venue_trade_id="9",
        price_ticks=99,
        qty_lots=4,
        fee=Decimal("0.1"),
        fee_asset="BNB",
        is_maker=True,
        ts_venue_ns=6,
    )


def test_an_order_goes_out_as_it_was_approved_and_is_accepted() -> None:
    which, broker = gateway(ACK)
    update = sent(which, now_ns=START_NS + 3)
    assert (update.status, update.venue_order_id, update.ts_venue_ns) == (OrderStatus.ACCEPTED, "77", 5)
    assert update.ts_ns == START_NS + 3
    assert broker.placed == [
        BrokerOrderReq(
            instrument=0,
            symbol="BTC/USDT",
            side=Side.SELL,
            type=OrderType.LIMIT,
            tif=TimeInForce.IOC,
            qty_lots=10,
            limit_price_ticks=99,
            reduce_only=True,
            client_order_id="c1",
            ts_ns=START_NS + 3,
        )
    ]


def test_an_approval_is_good_until_its_last_nanosecond_and_not_after() -> None:
    which, broker = gateway(ACK)
    late = sent(which, now_ns=ORDER.expires_ns + 1)
    assert (late.status, late.reason) == (OrderStatus.EXPIRED, OrderReason.APPROVAL_EXPIRED)
    assert broker.placed == []
    assert sent(which, now_ns=ORDER.expires_ns).status is OrderStatus.ACCEPTED


def test_a_refusal_of_the_venue_ends_the_order_with_the_venues_reason() -> None:
    which, _ = gateway(
        BrokerReject(client_order_id="c1", reason=OrderReason.FILTER_QTY, detail="too small", ts_venue_ns=5)
    )
    update = sent(which)
    assert (update.status, update.reason, update.detail) == (
        OrderStatus.REJECTED,
        OrderReason.FILTER_QTY,
        "too small",
    )
    with pytest.raises(InvariantError, match="c1, which was never sent"):
        which.translate(report(OrderStatus.FILLED), START_NS)


def test_no_answer_is_neither_yes_nor_no() -> None:
    which, _ = gateway(BrokerUnknown(client_order_id="c1", detail="timeout", ts_venue_ns=5))
    update = sent(which)
    assert (update.status, update.reason) == (OrderStatus.UNKNOWN, OrderReason.OUTCOME_UNKNOWN)
    # Evidence that comes later is still known to be ours.
    assert isinstance(which.translate(broker_fill(), START_NS), FillEvent)


def test_one_approval_is_sent_once() -> None:
    which, broker = gateway(ACK, ACK)
    sent(which)
    with pytest.raises(InvariantError, match="order c1 was sent before"):
        which.send(ORDER, START_NS)
    assert len(broker.placed) == 1


def test_a_cancel_goes_out_and_says_nothing_itself() -> None:
    which, broker = gateway(ACK)
    cancel = CancelEvent(
        ts_ns=1,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id="s-2",
        client_order_id="c1",
        decision_seq=2,
    )
    assert which.send(cancel, START_NS) is None
    assert broker.canceled == [BrokerCancelReq(symbol="BTC/USDT", client_order_id="c1", ts_ns=START_NS)]


def test_a_fill_carries_the_whole_lineage_of_its_order() -> None:
    which, _ = gateway(ACK)
    sent(which)
    fill = which.translate(broker_fill(), START_NS + 9)
    assert isinstance(fill, FillEvent)
    assert all(getattr(fill, name) == getattr(ORDER, name) for name in LINEAGE)
    assert (fill.side, fill.price_ticks, fill.qty_lots) == (Side.SELL, 99, 4)
    assert (fill.fee, fill.fee_asset, fill.is_maker) == (Decimal("0.1"), "BNB", True)
    assert (fill.venue_trade_id, fill.ts_ns, fill.ts_venue_ns) == ("9", START_NS + 9, 6)


def test_an_order_is_forgotten_with_its_end_and_not_before() -> None:
    which, _ = gateway(ACK)
    sent(which)
    partial = which.translate(report(OrderStatus.PARTIALLY_FILLED), START_NS)
    assert isinstance(partial, OrderUpdate) and partial.filled_lots == 4
    assert all(getattr(partial, name) == getattr(ORDER, name) for name in LINEAGE)
    which.translate(report(OrderStatus.CANCELED), START_NS)
    with pytest.raises(InvariantError, match="never sent"):
        which.translate(report(OrderStatus.CANCELED), START_NS)


def test_an_order_can_be_forgotten_by_name_and_one_of_before_a_restart_is_known_and_not_sent_again() -> None:
    which, broker = gateway(ACK)
    which.adopt(ORDER)
    with pytest.raises(InvariantError, match="order c1 was sent before"):
        which.send(ORDER, START_NS)
    which.forget("c1")
    which.forget("c1")
    sent(which)
    assert len(broker.placed) == 1


def test_a_stranger_is_not_booked() -> None:
    with pytest.raises(InvariantError, match="never sent"):
        gateway()[0].translate(broker_fill("stranger"), START_NS)


def test_an_order_on_its_way_has_no_first_word_and_its_report_comes_later() -> None:
    which, _ = gateway(BrokerPending(client_order_id="c1"))
    assert which.send(ORDER, START_NS) is None
    update = which.translate(report(OrderStatus.ACCEPTED), START_NS + 9)
    assert isinstance(update, OrderUpdate) and update.status is OrderStatus.ACCEPTED


def test_an_amendment_goes_out_as_approved_and_comes_back_with_what_holds() -> None:
    which, broker = gateway(ACK, ACK)
    sent(which)
    assert which.send(amend_event(qty_lots=7, limit_price_ticks=98), START_NS) is None
    assert broker.amended == [
        BrokerAmendReq(
            symbol="BTC/USDT",
            client_order_id="c1",
            qty_lots=7,
            limit_price_ticks=98,
            trigger_price_ticks=0,
            ts_ns=START_NS,
        )
    ]
    for reason, holds in ((OrderReason.AMENDED, 10), (OrderReason.TRIGGERED, 0)):
        answer = msgspec.structs.replace(report(OrderStatus.PARTIALLY_FILLED), reason=reason)
        update = which.translate(answer, START_NS)
        assert isinstance(update, OrderUpdate) and update.qty_lots == holds


def test_an_amendment_of_an_order_that_has_ended_is_not_sent() -> None:
    which, broker = gateway(ACK)
    sent(which)
    which.translate(report(OrderStatus.FILLED), START_NS)
    assert which.send(amend_event(qty_lots=7), START_NS) is None
    assert not broker.amended


def test_a_liquidation_is_the_venues_own_trade() -> None:
    liquidation = BrokerLiquidation(
        instrument=0,
        side=Side.SELL,
        price_ticks=90,
        qty_lots=4,
        fee=Decimal("0.2"),
        fee_asset="USDT",
        venue_trade_id="9",
        ts_venue_ns=6,
    )
    fill = gateway()[0].translate(liquidation, START_NS)
    assert isinstance(fill, FillEvent)
    assert (fill.strategy_id, fill.account_id, fill.intent_id) == (VENUE, "main", "")
    assert (fill.side, fill.price_ticks, fill.qty_lots, fill.fee) == (Side.SELL, 90, 4, Decimal("0.2"))


def test_funding_is_the_accounts_and_no_orders() -> None:
    paid = BrokerFunding(
        instrument=0,
        rate=Decimal("0.0001"),
        mark_ticks=90,
        amount=Decimal("-0.5"),
        asset="USDT",
        ts_venue_ns=6,
    )
    event = gateway()[0].translate(paid, START_NS)
    assert isinstance(event, FundingEvent)
    assert (event.account_id, event.amount, event.mark_ticks) == ("main", Decimal("-0.5"), 90)
