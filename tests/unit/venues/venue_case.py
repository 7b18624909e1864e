"""A small venue for tests by hand: one BTC market of tick 1 and lot 0.1, and short words for orders and reports."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerFill,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReject,
)
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.venues.fees import FeeModel
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import VenueTerms
from tests.property.strategies import START_NS, instrument

BTC = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"))
PERP = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))


def venue(
    *traded: Instrument,
    cash: str = "1000",
    slippage: str = "100",
    taker: str = "10",
    maker: str = "2",
    fees: FeeModel | None = None,
    **terms: Any,
) -> SimulatedVenue:
    """Return a venue with 100 bps of slippage unless told otherwise; `terms` are those of VenueTerms."""
    return SimulatedVenue(
        traded or (BTC,),
        fees or FeeModel(maker_bps=Decimal(maker), taker_bps=Decimal(taker)),
        VenueTerms(slippage_bps=Decimal(slippage), **terms),
        Decimal(cash),
        "USDT",
    )


def request(name: str = "c1", **given: Any) -> BrokerOrderReq:
    """Return an order, a buy of 10 lots at market unless told otherwise: limit, trigger, trail, after, group, ..."""
    limit = given.pop("limit", 0)
    values: dict[str, Any] = {
        "instrument": 0,
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT if limit else OrderType.MARKET,
        "tif": TimeInForce.GTC,
        "qty_lots": 10,
        "limit_price_ticks": limit,
        "reduce_only": False,
        "client_order_id": name,
        "ts_ns": START_NS,
        "trigger_price_ticks": given.pop("trigger", 0),
        "trail_ticks": given.pop("trail", 0),
        "group_id": given.pop("group", ""),
        "after_client_order_id": given.pop("after", ""),
        **given,
    }
    return BrokerOrderReq(**values)


def amended(
    name: str = "c1", lots: int = 0, limit: int = 0, trigger: int = 0, ts_ns: int = START_NS
) -> BrokerAmendReq:
    """Return an amendment."""
    return BrokerAmendReq(
        symbol="BTC/USDT", client_order_id=name, qty_lots=lots, limit_price_ticks=limit, trigger_price_ticks=trigger, ts_ns=ts_ns
    )  # fmt: skip


def fills(reports: Sequence[Report]) -> list[tuple[str, int, bool]]:
    """Return (order, price, is_maker) of the fills."""
    return [
        (each.client_order_id, each.price_ticks, each.is_maker)
        for each in reports
        if isinstance(each, BrokerFill)
    ]


def lots(reports: Sequence[Report]) -> list[tuple[str, int]]:
    """Return (order, lots) of the fills."""
    return [(each.client_order_id, each.qty_lots) for each in reports if isinstance(each, BrokerFill)]


def ends(reports: Sequence[Report]) -> list[tuple[str, OrderStatus, OrderReason]]:
    """Return (order, status, reason) of the updates."""
    return [
        (each.client_order_id, each.status, each.reason)
        for each in reports
        if isinstance(each, BrokerOrderUpdate)
    ]


def canceled(reports: Sequence[Report]) -> list[tuple[str, OrderReason]]:
    """Return (order, reason) of the orders that ended without a complete fill."""
    return [
        (name, reason)
        for name, status, reason in ends(reports)
        if status in (OrderStatus.CANCELED, OrderStatus.EXPIRED)
    ]


def story(reports: Sequence[Report]) -> list[str]:
    """Return reports as words, in order: "c1 filled 10 at 101", "c1 triggered", "c1 canceled oco_sibling"."""
    words = []
    for each in reports:
        if isinstance(each, BrokerFill):
            words.append(f"{each.client_order_id} {each.qty_lots} at {each.price_ticks}")
        elif isinstance(each, BrokerOrderUpdate) and each.status is not OrderStatus.FILLED:
            words.append(f"{each.client_order_id} {str(each.reason or each.status).lower()}")
    return words


def placed(where: SimulatedVenue, *orders: BrokerOrderReq) -> SimulatedVenue:
    """Place orders that must be accepted."""
    for order in orders:
        assert isinstance(where.place(order), BrokerOrderAck)
    return where


def refusal(where: SimulatedVenue, order: BrokerOrderReq) -> OrderReason:
    """Place an order that must be rejected, and return why."""
    reply = where.place(order)
    assert isinstance(reply, BrokerReject)
    assert where.n_working == 0
    return reply.reason
