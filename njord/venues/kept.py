"""What can a simulated venue still be asked about? Every order that was ever placed, and every fill; those that have ended
are packed, because a long run has hundreds of thousands. Where nobody will ask, `BriefOrders` remembers what its own
rules need.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from struct import Struct
from typing import Final

from njord.core.columns import BATCH, Rows, TextColumn, TextIndex, Words
from njord.core.contracts import BrokerFill, BrokerOrderUpdate
from njord.core.errors import VenueRejected
from njord.core.types import BUY, SELL, OrderReason, OrderStatus, OrderType
from njord.venues.working import Working

_ENDED: Final = Struct("<qqqqqHBBB?")
_TYPES, _STATUSES, _REASONS = tuple(OrderType), tuple(OrderStatus), tuple(OrderReason)
_TYPE_CODES = {each: code for code, each in enumerate(_TYPES)}
_STATUS_CODES = {each: code for code, each in enumerate(_STATUSES)}
_REASON_CODES = {each: code for code, each in enumerate(_REASONS)}


class KeptOrders:
    """Orders by client order id: those that work as they are, those that have ended as the venue's last word on them.

    The venue's own name of an order is how many there were with it. An id that is not packed yet belongs to an order that
    works, or to one of the last words that are not packed yet either.

    Attributes:
        working: By client order id; only to be looked at.
    """

    __slots__ = ("_ended", "_ids", "_latest", "_names", "_rows", "_symbols", "_unseen", "working")

    def __init__(self) -> None:
        self.working: dict[str, Working] = {}
        self._latest: dict[str, BrokerOrderUpdate] = {}  # Of those that have ended, not packed yet.
        self._ended: list[int] = []  # Their numbers.
        self._unseen: dict[str, BrokerOrderUpdate] = {}  # Of the few that ended on their way here.
        self._names: list[str] = []  # The newest ids, not packed yet.
        self._ids = TextIndex()
        self._symbols = Words()
        self._rows = bytearray()

    def __len__(self) -> int:
        return len(self._ids) + len(self._names)

    def __contains__(self, client_order_id: str) -> bool:
        return (
            client_order_id in self.working
            or client_order_id in self._latest
            or self._ids.find(client_order_id) >= 0
            or client_order_id in self._unseen
        )

    def id_at(self, number: int) -> str:
        """Return the client order id of the order with this number."""
        n_packed = len(self._ids)
        return self._ids[number] if number < n_packed else self._names[number - n_packed]

    def add(self, order: Working) -> None:
        """Take in a new order, whose number is how many came before."""
        name = order.req.client_order_id
        self.working[name] = order
        self._names.append(name)

    def end(self, order: Working, update: BrokerOrderUpdate) -> None:
        """Keep the last word on an order."""
        name = update.client_order_id
        del self.working[name]
        latest = self._latest
        latest[name] = update
        self._ended.append(order.number)
        if len(latest) >= BATCH:
            self._pack()

    def end_unseen(self, update: BrokerOrderUpdate) -> None:
        """Keep the last word on an order that was never taken in."""
        self._unseen[update.client_order_id] = update

    def ended(self, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return the last word on an order that has ended; None if it works, or was never seen."""
        latest = self._latest.get(client_order_id)
        if latest is not None or client_order_id in self.working:
            return latest
        number = self._ids.find(client_order_id)
        if number < 0:
            return self._unseen.get(client_order_id)
        qty_lots, filled_lots, limit, trigger, ts_venue_ns, symbol, type_, status, reason, is_buy = (
            _ENDED.unpack_from(self._rows, number * _ENDED.size)
        )
        return BrokerOrderUpdate(
            client_order_id=client_order_id,
            venue_order_id=str(number + 1),
            symbol=self._symbols.texts[symbol],
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

    def filled_lots(self, client_order_id: str) -> int | None:
        """Return what an order that has ended has filled; None if it works, or was never seen."""
        word = self.ended(client_order_id)
        return None if word is None else word.filled_lots

    # Room for every id that came, and what has ended since the last time.
    def _pack(self) -> None:
        self._ids.extend(self._names)
        self._names.clear()
        rows, pack_into, size, symbols = self._rows, _ENDED.pack_into, _ENDED.size, self._symbols
        rows += bytes(len(self._ids) * size - len(rows))
        for number, update in zip(self._ended, self._latest.values(), strict=True):
            pack_into(
                rows,
                number * size,
                update.qty_lots,
                update.filled_lots,
                update.limit_price_ticks,
                update.trigger_price_ticks,
                update.ts_venue_ns,
                symbols[update.symbol],
                _TYPE_CODES[update.type],
                _STATUS_CODES[update.status],
                _REASON_CODES[update.reason],
                update.side is BUY,
            )
        self._ended.clear()
        self._latest.clear()


class BriefOrders:
    """Orders of a venue that nobody asks about those that have ended: their ids, and what each has filled.

    Attributes:
        working: By client order id; only to be looked at.
    """

    __slots__ = ("_filled", "working")

    def __init__(self) -> None:
        self.working: dict[str, Working] = {}
        self._filled: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all, those that have ended first."""
        return chain(self._filled, self.working)

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self._filled or client_order_id in self.working

    def add(self, order: Working) -> None:
        """Take in a new order."""
        self.working[order.req.client_order_id] = order

    def end(self, order: Working, update: BrokerOrderUpdate) -> None:
        """Keep what an order has filled."""
        name = update.client_order_id
        del self.working[name]
        self._filled[name] = update.filled_lots

    def end_unseen(self, update: BrokerOrderUpdate) -> None:
        """Keep the id of an order that was never taken in."""
        self._filled[update.client_order_id] = update.filled_lots

    def ended(self, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return None if an order was never seen.

        Raises:
            VenueRejected: It has ended: the last word on it is not kept.
        """
        if client_order_id in self._filled:
            raise VenueRejected(f"order {client_order_id} has ended, and this venue keeps no history")
        return None

    def filled_lots(self, client_order_id: str) -> int | None:
        """Return what an order that has ended has filled; None if it works, or was never seen."""
        return self._filled.get(client_order_id)


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
        self._latest: list[BrokerFill] = []  # Not packed yet.
        self._numbers: list[int] = []  # Of their orders.

    def __len__(self) -> int:
        return len(self._fees) + len(self._latest)

    def at(self, index: int) -> BrokerFill:
        """Return a fill; 0 is the oldest."""
        n_packed = len(self._fees)
        if index >= n_packed:
            return self._latest[index - n_packed]
        trade_id, price_ticks, qty_lots, ts_venue_ns, order, asset, is_maker = _FILL.unpack_from(
            self._rows, index * _FILL.size
        )
        return BrokerFill(
            client_order_id=self._orders.id_at(order),
            venue_trade_id=str(trade_id),
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            fee=Decimal(self._fees.at(index)),
            fee_asset=self._assets.texts[asset],
            is_maker=is_maker,
            ts_venue_ns=ts_venue_ns,
        )

    def add(self, fill: BrokerFill, order: int) -> None:
        """Keep a fill of the order that has this number."""
        latest = self._latest
        latest.append(fill)
        self._numbers.append(order)
        if len(latest) >= BATCH:
            self._pack()

    def _pack(self) -> None:
        latest, pack, assets = self._latest, _FILL.pack, self._assets
        self._rows += b"".join(
            [
                pack(
                    int(fill.venue_trade_id),
                    fill.price_ticks,
                    fill.qty_lots,
                    fill.ts_venue_ns,
                    order,
                    assets[fill.fee_asset],
                    fill.is_maker,
                )
                for fill, order in zip(latest, self._numbers, strict=True)
            ]
        )
        self._fees.extend([str(fill.fee) for fill in latest])
        latest.clear()
        self._numbers.clear()
