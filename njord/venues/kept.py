"""What can a simulated venue still be asked about? Every order that was ever placed, and every fill; those that have ended
are packed, because a long run has hundreds of thousands.
"""

from decimal import Decimal
from struct import Struct
from typing import Final

from njord.core.columns import Rows, TextColumn, TextIndex, Words
from njord.core.contracts import BrokerFill, BrokerOrderUpdate
from njord.core.types import BUY, SELL, OrderReason, OrderStatus, OrderType
from njord.venues.working import Working

_ENDED: Final = Struct("<qqqqqHBBB?")
_NOT_YET: Final = bytes(_ENDED.size)
_TYPES, _STATUSES, _REASONS = tuple(OrderType), tuple(OrderStatus), tuple(OrderReason)
_TYPE_CODES = {each: code for code, each in enumerate(_TYPES)}
_STATUS_CODES = {each: code for code, each in enumerate(_STATUSES)}
_REASON_CODES = {each: code for code, each in enumerate(_REASONS)}


class KeptOrders:
    """Orders by client order id: those that work as they are, those that have ended as the venue's last word on them.

    Attributes:
        working: By client order id; only to be looked at.
    """

    __slots__ = ("_ids", "_rows", "_symbols", "_venue_ids", "working")

    def __init__(self) -> None:
        self.working: dict[str, Working] = {}
        self._ids = TextIndex()
        self._venue_ids = TextColumn()
        self._symbols = Words()
        self._rows = bytearray()

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self.working or self._ids.find(client_order_id) >= 0

    def id_at(self, number: int) -> str:
        """Return the client order id that `add` has numbered."""
        return self._ids[number]

    def add(self, order: Working) -> int:
        """Take in an order whose id was never seen, and number it from 0."""
        req = order.req
        self.working[req.client_order_id] = order
        return self._number(req.client_order_id, order.venue_order_id)

    def _number(self, client_order_id: str, venue_order_id: str) -> int:
        self._rows += _NOT_YET
        self._venue_ids.append(venue_order_id)
        return self._ids.add(client_order_id)

    def end(self, update: BrokerOrderUpdate) -> None:
        """Keep the last word on an order, which need not have been taken in."""
        name = update.client_order_id
        order = self.working.pop(name, None)
        number = order.number if order is not None else self._ids.find(name)
        if number < 0:
            number = self._number(name, update.venue_order_id)
        _ENDED.pack_into(
            self._rows,
            number * _ENDED.size,
            update.qty_lots,
            update.filled_lots,
            update.limit_price_ticks,
            update.trigger_price_ticks,
            update.ts_venue_ns,
            self._symbols.number(update.symbol),
            _TYPE_CODES[update.type],
            _STATUS_CODES[update.status],
            _REASON_CODES[update.reason],
            update.side is BUY,
        )

    def ended(self, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return the last word on an order that has ended; None if it works, or was never seen."""
        if client_order_id in self.working:
            return None
        number = self._ids.find(client_order_id)
        if number < 0:
            return None
        qty_lots, filled_lots, limit, trigger, ts_venue_ns, symbol, type_, status, reason, is_buy = (
            _ENDED.unpack_from(self._rows, number * _ENDED.size)
        )
        return BrokerOrderUpdate(
            client_order_id=client_order_id,
            venue_order_id=self._venue_ids.at(number),
            symbol=self._symbols[symbol],
            side=BUY if is_buy else SELL,
            type=_TYPES[type_],
            status=_STATUSES[status],
            reason=_REASONS[reason],
            qty_lots=qty_lots,
            filled_lots=filled_lots,
            limit_price_ticks=limit,
            ts_venue_ns=ts_venue_ns,
            trigger_price_ticks=trigger,
        )


_FILL: Final = Struct("<qqqqiH?")


class KeptFills(Rows[BrokerFill]):
    """Fills of one instrument, oldest first; the trade id is a number.

    Args:
        orders: Whose they are.
    """

    def __init__(self, orders: KeptOrders) -> None:
        self._orders = orders
        self._rows = bytearray()
        self._fees = TextColumn()
        self._assets = Words()

    def __len__(self) -> int:
        return len(self._fees)

    def at(self, index: int) -> BrokerFill:
        """Return a fill; 0 is the oldest."""
        trade_id, price_ticks, qty_lots, ts_venue_ns, order, asset, is_maker = _FILL.unpack_from(
            self._rows, index * _FILL.size
        )
        return BrokerFill(
            client_order_id=self._orders.id_at(order),
            venue_trade_id=str(trade_id),
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            fee=Decimal(self._fees.at(index)),
            fee_asset=self._assets[asset],
            is_maker=is_maker,
            ts_venue_ns=ts_venue_ns,
        )

    def add(self, fill: BrokerFill, trade_id: int, order: int) -> None:
        """Keep the fill number `trade_id`, of the order that has this number."""
        self._rows += _FILL.pack(
            trade_id,
            fill.price_ticks,
            fill.qty_lots,
            fill.ts_venue_ns,
            order,
            self._assets.number(fill.fee_asset),
            fill.is_maker,
        )
        self._fees.append(str(fill.fee))
