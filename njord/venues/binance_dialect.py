"""How does Binance.US write orders, trades and accounts? Requests out of ours, and its answers into exact steps.

Numbers go out as plain decimal texts made by the Instrument, and come in as texts that must lie on its grid. Whatever
has not the form that was asked for raises `Unreadable`: it is no evidence of anything.
"""

from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from njord.core.contracts import BalanceSnapshot, BrokerOrderReq
from njord.core.errors import VenueError
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, MARKET, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import NS_PER_MS, ZERO, plain
from njord.venues.binance_rows import parse_steps

Params = tuple[tuple[str, str], ...]
Form = TypeVar("Form")

MAX_MS = 2**63 // NS_PER_MS - 1
TRADES_PAGE = 1000


class Unreadable(VenueError):
    """What came back is not what was asked for; one line says why."""


# --- out: orders ---

WIRE_TYPES = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
}
WIRE_TIFS = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


def wire_symbol(instrument: Instrument) -> str:
    """Return the venue's name of a symbol, such as BTCUSDT."""
    return instrument.base + instrument.quote


def wire_type(req: BrokerOrderReq) -> str | None:
    """Return the venue's order type; None if it has nothing of the kind."""
    if req.group_id or req.after_client_order_id or req.trail_ticks:
        return None
    if req.type is not MARKET and req.tif not in WIRE_TIFS:
        return None
    if req.post_only:
        # A maker that may not rest is a contradiction, and so is a market order that may not take.
        return "LIMIT_MAKER" if req.type is LIMIT and req.tif is TimeInForce.GTC else None
    return WIRE_TYPES.get(req.type)


def order_params(req: BrokerOrderReq, instrument: Instrument, type_: str) -> Params:
    """Return the parameters of POST order."""
    params = [
        ("symbol", wire_symbol(instrument)),
        ("side", "BUY" if req.side is Side.BUY else "SELL"),
        ("type", type_),
    ]
    if req.type.has_limit and type_ != "LIMIT_MAKER":
        params.append(("timeInForce", WIRE_TIFS[req.tif]))
    params.append(("quantity", plain(instrument.qty(req.qty_lots))))
    if req.type.has_limit:
        params.append(("price", plain(instrument.price(req.limit_price_ticks))))
    if req.type.has_trigger:
        params.append(("stopPrice", plain(instrument.price(req.trigger_price_ticks))))
    params += [("newClientOrderId", req.client_order_id), ("newOrderRespType", "FULL")]
    return tuple(params)


# --- in: forms ---


class WireFill(msgspec.Struct, frozen=True, rename="camel"):
    """An execution inside the answer to an order: always as taker."""

    price: str
    qty: str
    commission: str
    commission_asset: str
    trade_id: int = -1


class WireOrder(msgspec.Struct, frozen=True, rename="camel"):
    """An order in any REST answer."""

    symbol: str
    order_id: int
    client_order_id: str
    status: str
    side: str
    orig_qty: str
    executed_qty: str
    orig_client_order_id: str = ""
    update_time: int = 0
    transact_time: int = 0
    fills: list[WireFill] = []


class WireTrade(msgspec.Struct, frozen=True, rename="camel"):
    """A row of myTrades."""

    symbol: str
    id: int
    order_id: int
    price: str
    qty: str
    commission: str
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class WireBalance(msgspec.Struct, frozen=True):
    """One asset of the account."""

    asset: str
    free: str
    locked: str


class WireAccount(msgspec.Struct, frozen=True, rename="camel"):
    """GET account."""

    balances: list[WireBalance]
    update_time: int
    can_trade: bool = True
    uid: int = 0


class WireTime(msgspec.Struct, frozen=True, rename="camel"):
    """GET time."""

    server_time: int


class WireListenKey(msgspec.Struct, frozen=True, rename="camel"):
    """POST userDataStream."""

    listen_key: str


class WireReport(
    msgspec.Struct,
    frozen=True,
    rename={
        "symbol": "s", "client_order_id": "c", "orig_client_order_id": "C", "side": "S", "orig_qty": "q",
        "execution": "x", "status": "X", "order_id": "i", "executed_qty": "z",
        "transact_time": "T", "trade_id": "t", "last_qty": "l", "last_price": "L", "commission": "n",
        "commission_asset": "N", "is_maker": "m", "is_working": "w",
    },
):  # fmt: skip
    """An executionReport."""

    symbol: str
    client_order_id: str
    side: str
    orig_qty: str
    execution: str
    status: str
    order_id: int
    executed_qty: str
    transact_time: int
    orig_client_order_id: str | None = None
    trade_id: int = -1
    last_qty: str = "0"
    last_price: str = "0"
    commission: str | None = None
    commission_asset: str | None = None
    is_maker: bool = False
    is_working: bool = False


class Envelope(msgspec.Struct, frozen=True, rename={"type": "e"}):
    """What any user event begins with, bare, or wrapped by the WebSocket API or a combined stream."""

    type: str = ""
    event: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


def read(body: bytes, form: type[Form]) -> Form:
    """Return a body in the form that was asked for.

    Raises:
        Unreadable: It has another.
    """
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the answer of {len(body)} bytes is not {form}: {str(error)[:80]}") from None


# --- in: values ---


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue sees it at one time.

    Attributes:
        client_order_id: The one it was placed with.
        status: ACCEPTED and PARTIALLY_FILLED = it works; PENDING counts as that.
        is_self_trade: It expired because it would have met an order of the same account.
        lots: Of the whole order.
        executed_lots: Of them.
    """

    client_order_id: str
    order_id: str
    symbol: str
    side: Side
    status: OrderStatus
    is_self_trade: bool = False
    lots: int
    executed_lots: int
    ts_venue_ns: int


class TradeView(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of the account; `is_exact` is False where its price did not lie on the grid, and was rounded."""

    trade_id: int
    order_id: str
    symbol: str
    side: Side
    price_ticks: int
    lots: int
    fee: Decimal
    fee_asset: str
    is_maker: bool
    ts_venue_ns: int
    is_exact: bool = True


_STATUS = {
    "NEW": OrderStatus.ACCEPTED,
    "PENDING_NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "PENDING_CANCEL": OrderStatus.ACCEPTED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


class Reader:
    """Turns what the venue writes of one instrument into exact steps.

    Args:
        instrument: Whose grid prices and quantities must lie on.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = wire_symbol(instrument)

    def order(self, order: WireOrder) -> OrderView:
        """Return an order of a REST answer.

        Raises:
            Unreadable: It is of another symbol, or a word or number in it is none.
        """
        return self._view(order, order.orig_client_order_id or order.client_order_id,
                          max(order.update_time, order.transact_time))  # fmt: skip

    def named(self, order: WireOrder, client_order_id: str) -> OrderView:
        """Return the order that was asked for by our name; raises as `order`, and where it is another one."""
        view = self.order(order)
        if view.client_order_id != client_order_id:
            raise Unreadable(f"asked for {client_order_id}, got {view.client_order_id[:40]!a}")
        return view

    def report(self, report: WireReport) -> OrderView:
        """Return the order that an executionReport tells of; raises as `order`."""
        name = report.client_order_id
        if report.execution in ("CANCELED", "REPLACED") and report.orig_client_order_id not in (
            None,
            "",
            "null",
        ):
            name = str(report.orig_client_order_id)
        return self._view(report, name, report.transact_time)

    def _view(self, order: WireOrder | WireReport, name: str, ts_ms: int) -> OrderView:
        self._check_symbol(order.symbol)
        status, side = _STATUS.get(order.status), _SIDES.get(order.side)
        if status is None or side is None:
            raise Unreadable(f"no order status or side: {order.status[:30]!a}, {order.side[:30]!a}")
        return OrderView(
            client_order_id=name,
            order_id=str(order.order_id),
            symbol=order.symbol,
            side=side,
            status=status,
            is_self_trade=order.status == "EXPIRED_IN_MATCH",
            lots=self._lots(order.orig_qty),
            executed_lots=self._lots(order.executed_qty),
            ts_venue_ns=ms_to_ns(ts_ms),
        )

    def fills(self, order: WireOrder) -> list[TradeView]:
        """Return the executions in the answer to an order, as far as they carry their ids; raises as `order`."""
        return [
            self._trade(
                each.trade_id, order.order_id, order.side == "BUY", each.price, each.qty,
                each.commission, each.commission_asset, False, order.transact_time,
            )
            for each in order.fills
            if each.trade_id >= 0
        ]  # fmt: skip

    def trade(self, trade: WireTrade) -> TradeView:
        """Return a row of myTrades; raises as `order`."""
        self._check_symbol(trade.symbol)
        return self._trade(
            trade.id, trade.order_id, trade.is_buyer, trade.price, trade.qty,
            trade.commission, trade.commission_asset, trade.is_maker, trade.time,
        )  # fmt: skip

    def report_trade(self, report: WireReport) -> TradeView | None:
        """Return the execution that a report tells of, None if it tells of none; raises as `order`."""
        if report.execution != "TRADE" or report.trade_id < 0:
            return None
        return self._trade(
            report.trade_id, report.order_id, report.side == "BUY", report.last_price, report.last_qty,
            report.commission or "0", report.commission_asset or "", report.is_maker, report.transact_time,
        )  # fmt: skip

    def _trade(
        self, trade_id: int, order_id: int, is_buy: bool, price: str, qty: str, fee: str, asset: str,
        is_maker: bool, ts_ms: int,
    ) -> TradeView:  # fmt: skip
        instrument = self.instrument
        try:
            ticks, is_exact = parse_steps(price, instrument.tick_scale, instrument.tick_multiple)
        except ValueError as error:
            raise Unreadable(f"trade {trade_id}: {error}") from None
        lots = self._lots(qty)
        charged = decimal(fee)
        if ticks <= 0 or lots <= 0:
            raise Unreadable(f"trade {trade_id} of {self.symbol} has no price or no quantity")
        return TradeView(
            trade_id=trade_id,
            order_id=str(order_id),
            symbol=self.symbol,
            side=Side.BUY if is_buy else Side.SELL,
            price_ticks=ticks,
            lots=lots,
            fee=charged,
            fee_asset=asset or (instrument.quote if not charged else ""),
            is_maker=is_maker,
            ts_venue_ns=ms_to_ns(ts_ms),
            is_exact=is_exact,
        )

    def _check_symbol(self, symbol: str) -> None:
        if symbol != self.symbol:
            raise Unreadable(f"asked for {self.symbol}, got {symbol[:30]!a}")

    def _lots(self, text: str) -> int:
        instrument = self.instrument
        try:
            lots, is_exact = parse_steps(text, instrument.lot_scale, instrument.lot_multiple)
        except ValueError as error:
            raise Unreadable(str(error)) from None
        if not is_exact:
            raise Unreadable(f"quantity {text[:40]} of {self.symbol} is not a multiple of its lot")
        return lots


def decimal(text: str) -> Decimal:
    """Return an amount of money; a rebate is negative.

    Raises:
        Unreadable: It is no plain finite decimal.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Unreadable(f"expected a decimal, was {text[:40]!a}") from None
    if not value.is_finite() or len(text) > 60:
        raise Unreadable(f"expected a decimal, was {text[:40]!a}")
    return value if value else ZERO


def ms_to_ns(ms: int) -> int:
    """Return a venue's time in nanoseconds; raises Unreadable where it is none."""
    if not 0 <= ms <= MAX_MS:
        raise Unreadable(f"no time: {ms} ms")
    return ms * NS_PER_MS


def balances(account: WireAccount) -> tuple[BalanceSnapshot, ...]:
    """Return what the account holds, by asset, in order of their names.

    Raises:
        Unreadable: A number is none, is negative, or an asset comes twice.
    """
    ts_ns = ms_to_ns(account.update_time)
    found: dict[str, BalanceSnapshot] = {}
    for row in account.balances:
        free, locked = decimal(row.free), decimal(row.locked)
        if free < 0 or locked < 0 or row.asset in found:
            raise Unreadable(f"no balance of {row.asset[:20]!a}: {row.free[:40]!a}")
        found[row.asset] = BalanceSnapshot(asset=row.asset, free=free, locked=locked, ts_venue_ns=ts_ns)
    return tuple(found[asset] for asset in sorted(found))
