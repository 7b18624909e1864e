"""Orders and fills in little memory: some hundred bytes for one with its fills, whoever looks at them sees structures.

Rows are packed one behind the other and unpacked for those who read them; columns of fills are read as arrays.
"""

from collections.abc import Iterator
from decimal import Decimal
from struct import Struct
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.columns import Rows, TextColumn, Words
from njord.core.contracts import NO_PRICE, FillEvent, OrderEvent
from njord.core.types import BUY, LIMIT, MARKET, SELL, OrderType, Side, TimeInForce

IntArray = NDArray[np.int64]
_NEVER: Final = -(2**63)  # A time at which nothing happened.
_TYPES, _TIFS = tuple(OrderType), tuple(TimeInForce)
_TYPE_CODES = {each: code for code, each in enumerate(_TYPES)}
_TIF_CODES = {each: code for code, each in enumerate(_TIFS)}
_MARKET_CODE, _LIMIT_CODE = _TYPE_CODES[MARKET], _TYPE_CODES[LIMIT]
_GTC, _IOC = TimeInForce.GTC, TimeInForce.IOC
_GTC_CODE, _IOC_CODE = _TIF_CODES[_GTC], _TIF_CODES[_IOC]
_IS_BUY, _POST_ONLY, _REDUCE_ONLY = 1, 2, 4


class RecordedFill(msgspec.Struct, frozen=True, gc=False):
    """One fill, as short as it can be said."""

    ts_venue_ns: int
    ts_ns: int
    instrument: int
    side: Side
    price_ticks: int
    qty_lots: int
    fee: Decimal
    fee_asset: str
    is_maker: bool
    order_no: int


class Amended(msgspec.Struct, gc=False):
    """What became of the amendments of one order.

    Attributes:
        n_done: How often the venue amended it.
        n_refused: How often it would not.
        qty_lots: What holds at the venue.
        limit_price_ticks: Likewise; 0 without a limit.
    """

    qty_lots: int
    limit_price_ticks: int
    n_done: int = 0
    n_refused: int = 0


class SpecialTerms(msgspec.Struct, frozen=True, gc=False):
    """What few orders have; see `OrderEvent`."""

    trigger_price_ticks: int = NO_PRICE
    trail_ticks: int = 0
    expire_ns: int = 0
    group_id: str = ""
    after_client_order_id: str = ""


_NO_TERMS = SpecialTerms()


class RecordedOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order that the gate approved, and how it ended.

    Attributes:
        ts_ns: When it was approved, engine time.
        limit_price_ticks: As it was sent; amendments do not change what stands here.
        qty_lots: As it was sent.
        client_order_id: Empty for a liquidation, which nobody sent.
        decision_seq: Of the gate's decision; 0 where nobody sent it.
        slice_id: Of what execution cut; empty otherwise.
        terms: What few orders have.
        accepted_ns: When the venue took it, venue time; None if it never did.
        end_ns: When it ended, venue time; None while it works.
        terminal: Status, and the reason if there is one: `canceled/IOC_REMAINDER`; empty while it works.
        detail: What the venue said beyond the reason.
        triggered_ns: When its trigger was reached; None if it has none, or was not.
        amended: None if nobody asked for it.
        fills: Its own, in the order in which they were booked.
    """

    order_no: int
    ts_ns: int
    instrument: int
    strategy_id: str
    side: Side
    type: OrderType
    tif: TimeInForce
    limit_price_ticks: int
    qty_lots: int
    client_order_id: str = ""
    decision_seq: int = 0
    slice_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    terms: SpecialTerms = _NO_TERMS
    accepted_ns: int | None = None
    end_ns: int | None = None
    terminal: str = ""
    detail: str = ""
    triggered_ns: int | None = None
    amended: Amended | None = None
    fills: tuple[RecordedFill, ...] = ()

    @property
    def asked_lots(self) -> int:
        """What it asks for in the end."""
        return self.qty_lots if self.amended is None else self.amended.qty_lots


_FILL = Struct("<qqqqiiiH??")
_FILL_COLUMNS = np.dtype(
    [
        ("ts_venue_ns", "<i8"), ("ts_ns", "<i8"), ("price_ticks", "<i8"), ("qty_lots", "<i8"), ("order_no", "<i4"),
        ("previous", "<i4"), ("instrument", "<i4"), ("fee_asset", "<u2"), ("is_buy", "?"), ("is_maker", "?"),
    ]
)  # fmt: skip


class FillRows(Rows[RecordedFill]):
    """All fills, in the order in which they were booked."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._fees = TextColumn()
        self._assets = Words()

    def __len__(self) -> int:
        return len(self._fees)

    def at(self, index: int) -> RecordedFill:
        """Return a fill; 0 is the first."""
        (
            ts_venue_ns, ts_ns, price_ticks, qty_lots, order_no, _, instrument, asset, is_buy, is_maker,
        ) = _FILL.unpack_from(self._rows, index * _FILL.size)  # fmt: skip
        return RecordedFill(
            ts_venue_ns,
            ts_ns,
            instrument,
            BUY if is_buy else SELL,
            price_ticks,
            qty_lots,
            Decimal(self._fees[index]),
            self._assets[asset],
            is_maker,
            order_no,
        )

    def of(self, instrument: int) -> Iterator[RecordedFill]:
        """Yield the fills of one instrument."""
        return map(self.at, np.flatnonzero(self.column("instrument") == instrument).tolist())

    def column(self, name: str) -> NDArray[np.int64]:
        """Return all values of a whole number of `RecordedFill`, or of the flags `is_buy` and `is_maker`."""
        return np.frombuffer(self._rows, dtype=_FILL_COLUMNS)[name].astype(np.int64)

    def add(self, fill: FillEvent, order_no: int, previous: int) -> None:
        """Book a fill of an order; `previous` is the index of the order's fill before, -1 if it is the first."""
        self._rows += _FILL.pack(
            fill.ts_venue_ns,
            fill.ts_ns,
            fill.price_ticks,
            fill.qty_lots,
            order_no,
            previous,
            fill.instrument,
            self._assets.number(fill.fee_asset),
            fill.side is BUY,
            fill.is_maker,
        )
        self._fees.append(str(fill.fee))

    def back_from(self, index: int) -> tuple[RecordedFill, ...]:
        """Return the fills of the order whose last one is at `index`, oldest first; none for -1."""
        if index < 0:
            return ()
        fills = []
        while index >= 0:
            fills.append(self.at(index))
            index = _PREVIOUS.unpack_from(self._rows, index * _FILL.size + _PREVIOUS_AT)[0]
        return tuple(reversed(fills))


_PREVIOUS, _PREVIOUS_AT = Struct("<i"), 36

# What is known of an order when it is approved, and behind it what becomes of it.
_APPROVED = Struct("<qqqqiiHBBB")
_COURSE = Struct("<qqiqii")
_COURSE_AT, _ORDER_SIZE = _APPROVED.size, _APPROVED.size + _COURSE.size
_TIME, _PLACE, _END = Struct("<q"), Struct("<i"), Struct("<qii")
_ACCEPTED_AT, _TRIGGERED_AT, _LAST_FILL_AT, _END_AT = (_COURSE_AT + each for each in (0, 8, 16, 20))
_STRATEGY, _STRATEGY_AT = Struct("<H"), 40
_NOTHING_YET = _COURSE.pack(_NEVER, _NEVER, -1, _NEVER, 0, 0)


class OrderRows(Rows[RecordedOrder]):
    """All orders, in the order of their approval.

    Args:
        fills: Theirs.
    """

    def __init__(self, fills: FillRows) -> None:
        self._fills = fills
        self._rows = bytearray()
        self._ids = TextColumn()
        self._strategies, self._slices, self._terminals, self._details = Words(), Words(), Words(), Words()
        for words in (self._slices, self._terminals, self._details):
            words.number("")  # 0: nothing is said.
        self._terms: dict[int, SpecialTerms] = {}
        self._amended: dict[int, Amended] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def at(self, index: int) -> RecordedOrder:
        """Return an order with its fills; 0 is the first."""
        start = index * _ORDER_SIZE
        ts_ns, limit, qty_lots, decision_seq, instrument, slice_, strategy, type_, tif, flags = (
            _APPROVED.unpack_from(self._rows, start)
        )
        accepted_ns, triggered_ns, last_fill, end_ns, terminal, detail = _COURSE.unpack_from(
            self._rows, start + _COURSE_AT
        )
        return RecordedOrder(
            order_no=index + 1,
            ts_ns=ts_ns,
            instrument=instrument,
            strategy_id=self._strategies[strategy],
            side=BUY if flags & _IS_BUY else SELL,
            type=_TYPES[type_],
            tif=_TIFS[tif],
            limit_price_ticks=limit,
            qty_lots=qty_lots,
            client_order_id=self._ids[index],
            decision_seq=decision_seq,
            slice_id=self._slices[slice_],
            post_only=bool(flags & _POST_ONLY),
            reduce_only=bool(flags & _REDUCE_ONLY),
            terms=self._terms.get(index, _NO_TERMS),
            accepted_ns=None if accepted_ns == _NEVER else accepted_ns,
            end_ns=None if end_ns == _NEVER else end_ns,
            terminal=self._terminals[terminal],
            detail=self._details[detail],
            triggered_ns=None if triggered_ns == _NEVER else triggered_ns,
            amended=self._amended.get(index),
            fills=self._fills.back_from(last_fill),
        )

    def strategy_at(self, index: int) -> str:
        """Return whose order it is."""
        return self._strategies[_STRATEGY.unpack_from(self._rows, index * _ORDER_SIZE + _STRATEGY_AT)[0]]

    def n_never_filled(self) -> int:
        """Return how many have no fill."""
        rows = np.frombuffer(self._rows, dtype=np.uint8).reshape(-1, _ORDER_SIZE)
        last_fill = np.ascontiguousarray(rows[:, _LAST_FILL_AT : _LAST_FILL_AT + 4]).view("<i4")
        return int(np.count_nonzero(last_fill < 0))

    def find(self, client_order_id: str) -> int:
        """Return the index of an order, -1 if there is none; the newest ones are looked at first."""
        indices = range(len(self) - 1, -1, -1)
        return next((index for index in indices if self._ids[index] == client_order_id), -1)

    def entries(self) -> dict[str, int]:
        """Return the numbers of the orders that others wait for, by client order id."""
        names = {each.after_client_order_id for each in self._terms.values()} - {""}
        if not names:
            return {}
        return {name: number for number, name in enumerate(self._ids, 1) if name in names}

    def add(self, order: OrderEvent) -> int:
        """Add an approved order and return its index."""
        type_, tif = order.type, order.tif
        flags = _IS_BUY if order.side is BUY else 0
        if order.post_only:
            flags |= _POST_ONLY
        if order.reduce_only:
            flags |= _REDUCE_ONLY
        index = len(self._ids)
        self._rows += _APPROVED.pack(
            order.ts_ns,
            order.limit_price_ticks,
            order.qty_lots,
            order.decision_seq,
            order.instrument,
            self._slices.number(order.slice_id) if order.slice_id else 0,
            self._strategies.number(order.strategy_id),
            _MARKET_CODE if type_ is MARKET else _LIMIT_CODE if type_ is LIMIT else _TYPE_CODES[type_],
            _GTC_CODE if tif is _GTC else _IOC_CODE if tif is _IOC else _TIF_CODES[tif],
            flags,
        )
        self._rows += _NOTHING_YET
        self._ids.append(order.client_order_id)
        if (
            order.trigger_price_ticks
            or order.trail_ticks
            or order.expire_ns
            or order.group_id
            or order.after_client_order_id
        ):
            self._terms[index] = SpecialTerms(
                order.trigger_price_ticks,
                order.trail_ticks,
                order.expire_ns,
                order.group_id,
                order.after_client_order_id,
            )
        return index

    def add_unsent(self, fill: FillEvent, terminal: str) -> int:
        """Add what nobody sent, as one order for one trade that has ended at once, and return its index."""
        index = len(self._ids)
        flags = _IS_BUY if fill.side is BUY else 0
        self._rows += _APPROVED.pack(
            fill.ts_ns, NO_PRICE, fill.qty_lots, 0, fill.instrument, 0, self._strategies.number(fill.strategy_id),
            _MARKET_CODE, _IOC_CODE, flags,
        )  # fmt: skip
        self._rows += _NOTHING_YET
        self._ids.append("")
        self.accept(index, fill.ts_venue_ns)
        self.end(index, fill.ts_venue_ns, terminal)
        return index

    # --- what becomes of an order ---

    def accept(self, index: int, ts_ns: int) -> None:
        """Note when the venue first took it."""
        at = index * _ORDER_SIZE + _ACCEPTED_AT
        if _TIME.unpack_from(self._rows, at)[0] == _NEVER:
            _TIME.pack_into(self._rows, at, ts_ns)

    def trigger(self, index: int, ts_ns: int) -> None:
        """Note when its trigger was reached."""
        _TIME.pack_into(self._rows, index * _ORDER_SIZE + _TRIGGERED_AT, ts_ns)

    def end(self, index: int, ts_ns: int, terminal: str, detail: str = "") -> None:
        """Note how it ended."""
        _END.pack_into(
            self._rows,
            index * _ORDER_SIZE + _END_AT,
            ts_ns,
            self._terminals.number(terminal),
            self._details.number(detail) if detail else 0,
        )

    def fill(self, index: int, fill: FillEvent) -> None:
        """Book a fill of it."""
        at = index * _ORDER_SIZE + _LAST_FILL_AT
        self._fills.add(fill, index + 1, _PLACE.unpack_from(self._rows, at)[0])
        _PLACE.pack_into(self._rows, at, len(self._fills) - 1)

    def amended(self, index: int) -> Amended:
        """Return what its amendments have come to, to be changed."""
        amended = self._amended.get(index)
        if amended is None:
            order = self.at(index)
            amended = self._amended[index] = Amended(order.qty_lots, order.limit_price_ticks)
        return amended
