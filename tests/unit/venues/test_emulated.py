"""Orders that the venue lacks, kept on our side, by hand."""

from decimal import Decimal

import pytest

from njord.core.contracts import BrokerCancelReq, BrokerOrderAck, BrokerReject
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.venues.emulated import EmulatingBroker
from njord.venues.simulated import SimulatedVenue
from tests.property.strategies import INTERVAL_NS, START_NS, bar
from tests.unit.venues.venue_case import PERP, amended, ends, fills, request, story, venue

TRAILING, STOP_LIMIT = OrderType.TRAILING_STOP, OrderType.STOP_LIMIT
SELL = Side.SELL


def brokers(lacks: OrderType = TRAILING) -> tuple[EmulatingBroker, SimulatedVenue]:
    inner = venue(PERP, slippage="0")
    return EmulatingBroker(inner, frozenset({lacks})), inner


def test_a_trailing_stop_is_kept_until_the_price_comes_back_to_it() -> None:
    broker, inner = brokers()
    assert isinstance(broker.place(request(type=TRAILING, side=SELL, trail=5)), BrokerOrderAck)
    assert inner.n_working == 0
    for price in (100, 110, 106):
        assert broker.on_price(0, price, START_NS) == []
    assert ends(broker.on_price(0, 105, START_NS)) == [("c1", OrderStatus.ACCEPTED, OrderReason.TRIGGERED)]
    assert fills(inner.on_bar(bar(0, 104, 104, 104, 104))) == [("c1", 104, False)]
    assert broker.on_price(0, 1, START_NS) == []


def test_a_stop_limit_is_sent_as_a_limit_order() -> None:
    broker, inner = brokers(STOP_LIMIT)
    broker.place(request(type=STOP_LIMIT, trigger=110, limit=112))
    assert broker.on_price(1, 200, START_NS) == []  # Another instrument.
    broker.on_price(0, 110, START_NS)
    (order,) = inner.fetch_open_orders(None)
    assert (order.type, order.limit_price_ticks, order.qty_lots) == (OrderType.LIMIT, 112, 10)


def test_what_was_sent_at_its_trigger_is_seen_by_the_bars_after_it() -> None:
    broker, inner = brokers()
    broker.place(request(type=TRAILING, side=SELL, trail=5))
    broker.on_price(0, 110, START_NS)
    broker.on_price(0, 105, START_NS + 1)
    assert inner.on_bar(bar(0, 105, 105, 105, 105)) == []
    assert fills(inner.on_bar(bar(1, 104, 104, 104, 104)))


def test_other_types_go_straight_through() -> None:
    broker, inner = brokers()
    broker.place(request(type=OrderType.STOP, side=SELL, trigger=90))
    assert inner.n_working == 1


def test_a_held_order_is_told_of_canceled_and_amended_like_any_other() -> None:
    broker, _ = brokers(STOP_LIMIT)
    broker.place(request(type=STOP_LIMIT, trigger=110, limit=112))
    broker.place(request("there", limit=90))
    assert [each.client_order_id for each in broker.fetch_open_orders(None)] == ["c1", "there"]
    assert isinstance(broker.amend(amended(lots=5, trigger=120)), BrokerOrderAck)
    held = broker.fetch_order("BTC/USDT", "c1")
    assert held is not None and (held.qty_lots, held.trigger_price_ticks) == (5, 120)
    assert ends(broker.drain()) == [("c1", OrderStatus.ACCEPTED, OrderReason.AMENDED)]
    assert broker.on_price(0, 115, START_NS) == []
    broker.cancel(BrokerCancelReq(symbol="", client_order_id="c1", ts_ns=START_NS))
    assert ends(broker.drain()) == [("c1", OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED)]
    gone = broker.fetch_order("BTC/USDT", "c1")
    assert gone is not None and gone.status is OrderStatus.CANCELED
    assert broker.on_price(0, 130, START_NS) == []
    again = broker.place(request(type=STOP_LIMIT, trigger=110, limit=112))
    assert isinstance(again, BrokerReject) and again.reason is OrderReason.DUPLICATE_ID


def test_a_sent_order_is_amended_and_canceled_at_the_venue() -> None:
    broker, inner = brokers(STOP_LIMIT)
    broker.place(request(type=STOP_LIMIT, trigger=110, limit=90))
    broker.on_price(0, 110, START_NS)
    broker.amend(amended(limit=95))
    assert story(inner.drain()) == ["c1 amended"]
    broker.cancel(BrokerCancelReq(symbol="", client_order_id="c1", ts_ns=START_NS))
    assert story(inner.drain()) == ["c1 cancel_requested"]


def test_a_held_order_expires() -> None:
    broker, _ = brokers()
    order = request(type=TRAILING, trail=5, tif=TimeInForce.GTD, expire_ns=START_NS + INTERVAL_NS)
    broker.place(order)
    assert broker.on_price(0, 100, START_NS) == []
    assert story(broker.on_price(0, 200, START_NS + INTERVAL_NS)) == ["c1 gtd_expired"]


def test_what_the_venue_refuses_at_the_trigger_ends_there() -> None:
    inner = venue(PERP)
    broker = EmulatingBroker(inner, frozenset({STOP_LIMIT}))
    inner.place(request("c1", limit=9))
    broker.place(request(type=STOP_LIMIT, trigger=110, limit=112))
    assert ends(broker.on_price(0, 110, START_NS)) == [("c1", OrderStatus.CANCELED, OrderReason.DUPLICATE_ID)]


def test_what_can_not_be_emulated_is_refused() -> None:
    broker, _ = brokers()
    linked = broker.place(request(type=TRAILING, trail=5, group="g"))
    assert isinstance(linked, BrokerReject) and "links" in linked.detail
    shapeless = broker.place(request(type=TRAILING))
    assert isinstance(shapeless, BrokerReject) and shapeless.reason is OrderReason.FILTER_TRIGGER
    with pytest.raises(ValueError, match="limit orders have no trigger"):
        EmulatingBroker(venue(), frozenset({OrderType.LIMIT}))


def test_everything_else_is_the_venues_own_answer() -> None:
    broker, inner = brokers()
    assert broker.exchange_rules() == inner.exchange_rules()
    assert broker.fetch_balances() == inner.fetch_balances()
    assert broker.fetch_trades(PERP.symbol, "") == []
    assert broker.server_time() == inner.server_time()
    assert broker.fetch_order("", "x") is None and Decimal(inner.cash) == 1000
