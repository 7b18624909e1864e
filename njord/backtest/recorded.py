"""Orders and fills in little memory: some hundred bytes for one with its fills, whoever looks at them sees structures.

Rows are packed one behind the other and unpacked for those who read them; columns of fills are read as arrays.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.recorded_fills import FillRows, RecordedFill
from njord.core.columns import BATCH, Rows, TextColumn, Words
from njord.core.contracts import NO_PRICE, FillEvent, OrderEvent
from njord.core.types import BUY, MARKET, SELL, OrderType, Side, TimeInForce

IntArray = NDArray[np.int64]
NEVER: Final = -(2**63)  # A time at which nothing happened.
_TYPES, _TIFS = tuple(OrderType), tuple(TimeInForce)
_TYPE_CODES = {each: code for code, each in enumerate(_TYPES)}
_TIF_CODES = {each: code for code, each in enumerate(_TIFS)}


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


class RecordedOrder(msgspec.Struct, frozen=True, gc=False):
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


class Unsent(msgspec.Struct, frozen=True, gc=False):
    """What nobody sent, such as a liquidation, where an order is asked for."""

    ts_ns: int
    instrument: int
    strategy_id: str
    side: Side
    qty_lots: int
    type: OrderType = MARKET
    tif: TimeInForce = TimeInForce.IOC
    client_order_id: str = ""
    limit_price_ticks: int = NO_PRICE
    decision_seq: int = 0
    slice_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    trigger_price_ticks: int = NO_PRICE
    trail_ticks: int = 0
    expire_ns: int = 0
    group_id: str = ""
    after_client_order_id: str = ""


class Course(msgspec.Struct, gc=False):
    """What is known of an order as long as it works: how it was approved, and what became of it."""

    order: OrderEvent | Unsent
    order_no: int
    accepted_ns: int = NEVER
    triggered_ns: int = NEVER
    end_ns: int = NEVER
    terminal: str = ""
    detail: str = ""


# How it was approved, and behind it what became of it.
_ORDER = Struct("<qqqqiiHBB???qqqii")
_COURSE = Struct("<qqqii")
_COURSE_AT = _ORDER.size - _COURSE.size
_STRATEGY, _STRATEGY_AT = Struct("<H"), 40
_ORDER_COLUMNS = np.dtype(
    {
        "names": ["limit_price_ticks", "terminal"],
        "formats": ["<i8", "<i4"],
        "offsets": [8, _ORDER.size - 8],
        "itemsize": _ORDER.size,
    }
)


class OrderRows(Rows[RecordedOrder]):
    """All orders, in the order of their approval.

    Those that work when they are packed stay beside it until they have ended.

    Args:
        fills: Theirs.
    """

    def __init__(self, fills: FillRows) -> None:
        self._fills = fills
        self._latest: list[Course] = []  # Not packed yet.
        self._n_packed = 0
        self._working: dict[int, Course] = {}  # By their index: packed as they were.
        self._rows = bytearray()
        self._ids = TextColumn()
        self._strategies = Words()
        self._slices, self._terminals, self._details = Words(""), Words(""), Words("")  # 0: nothing is said.
        self._terms: dict[int, SpecialTerms] = {}
        self._amended: dict[int, Amended] = {}

    def __len__(self) -> int:
        return self._n_packed + len(self._latest)

    def at(self, index: int) -> RecordedOrder:
        """Return an order with its fills; 0 is the first."""
        return self.many((index,))[0]

    def many(self, places: Sequence[int]) -> list[RecordedOrder]:
        """Return the orders at some places, with their fills."""
        self._settle()
        fills = self._fills.of_orders([place + 1 for place in places])
        return list(map(self._made, places, self._ids.many(places), fills))

    def with_limit(self) -> Iterator[RecordedOrder]:
        """Yield the orders that were sent with a limit price."""
        places = np.flatnonzero(self._column("limit_price_ticks")).tolist()
        for first in range(0, len(places), BATCH):
            yield from self.many(places[first : first + BATCH])

    def _made(self, index: int, client_order_id: str, fills: tuple[RecordedFill, ...]) -> RecordedOrder:
        (
            ts_ns, limit, qty_lots, decision_seq, instrument, slice_, strategy, type_, tif,
            is_buy, post_only, reduce_only, accepted_ns, triggered_ns, end_ns, terminal, detail,
        ) = _ORDER.unpack_from(self._rows, index * _ORDER.size)  # fmt: skip
        # By position, as it is declared: more than 15 keywords take six times as long.
        return RecordedOrder(
            index + 1,
            ts_ns,
            instrument,
            self._strategies.texts[strategy],
            BUY if is_buy else SELL,
            _TYPES[type_],
            _TIFS[tif],
            limit,
            qty_lots,
            client_order_id,
            decision_seq,
            self._slices.texts[slice_],
            post_only,
            reduce_only,
            self._terms.get(index, _NO_TERMS),
            None if accepted_ns == NEVER else accepted_ns,
            None if end_ns == NEVER else end_ns,
            self._terminals.texts[terminal],
            self._details.texts[detail],
            None if triggered_ns == NEVER else triggered_ns,
            self._amended.get(index),
            fills,
        )

    def strategy_at(self, index: int) -> str:
        """Return whose order it is."""
        self._settle()
        number: int = _STRATEGY.unpack_from(self._rows, index * _ORDER.size + _STRATEGY_AT)[0]
        return self._strategies.texts[number]

    def n_never_filled(self) -> int:
        """Return how many have no fill."""
        return len(self) - int(np.unique(self._fills.column("order_no")).size)

    def endings(self) -> Counter[str]:
        """Return how orders ended, counted."""
        counts = np.bincount(self._column("terminal"), minlength=1).tolist()
        return Counter(
            {text: n for text, n in zip(self._terminals.texts, counts, strict=False) if text and n}
        )

    def find(self, client_order_id: str) -> int:
        """Return the number of an order, 0 if there is none; the newest ones are looked at first."""
        self._settle()
        numbers = range(len(self), 0, -1)
        return next((number for number in numbers if self._ids.at(number - 1) == client_order_id), 0)

    def entries(self) -> dict[str, int]:
        """Return the numbers of the orders that others wait for, by client order id."""
        self._settle()
        names = {each.after_client_order_id for each in self._terms.values()} - {""}
        if not names:
            return {}
        return {name: number for number, name in enumerate(self._ids, 1) if name in names}

    def add(self, order: OrderEvent | Unsent) -> Course:
        """Add an approved order; what becomes of it is noted in what is returned, until it has ended."""
        latest = self._latest
        if len(latest) >= BATCH:
            self._pack()
        course = Course(order, self._n_packed + len(latest) + 1)
        latest.append(course)
        return course

    def add_unsent(self, fill: FillEvent, terminal: str) -> int:
        """Add what nobody sent, as one order for one trade that has ended at once, and return its number."""
        order = Unsent(fill.ts_ns, fill.instrument, fill.strategy_id, fill.side, fill.qty_lots)
        course = self.add(order)
        course.accepted_ns = course.end_ns = fill.ts_venue_ns
        course.terminal = terminal
        return course.order_no

    def amended(self, course: Course) -> Amended:
        """Return what the amendments of an order have come to, to be changed."""
        index, order = course.order_no - 1, course.order
        amended = self._amended.get(index)
        if amended is None:
            amended = self._amended[index] = Amended(order.qty_lots, order.limit_price_ticks)
        return amended

    def _column(self, name: str) -> IntArray:
        self._settle()
        return np.frombuffer(self._rows, dtype=_ORDER_COLUMNS)[name].astype(np.int64)

    # For a reader: every row as it is now.
    def _settle(self) -> None:
        if self._latest or self._working:
            self._pack()

    def _pack(self) -> None:
        latest, first = self._latest, self._n_packed
        self._update()
        pack, slices, strategies = _ORDER.pack, self._slices, self._strategies
        terminals, details = self._terminals, self._details
        self._rows += b"".join(
            [
                pack(
                    order.ts_ns,
                    order.limit_price_ticks,
                    order.qty_lots,
                    order.decision_seq,
                    order.instrument,
                    slices[order.slice_id],
                    strategies[order.strategy_id],
                    _TYPE_CODES[order.type],
                    _TIF_CODES[order.tif],
                    order.side is BUY,
                    order.post_only,
                    order.reduce_only,
                    course.accepted_ns,
                    course.triggered_ns,
                    course.end_ns,
                    terminals[course.terminal],
                    details[course.detail],
                )
                for course in latest
                for order in (course.order,)
            ]
        )
        self._ids.extend([course.order.client_order_id for course in latest])
        for index, course in enumerate(latest, first):
            order = course.order
            if course.end_ns == NEVER:
                self._working[index] = course
            if (
                order.trigger_price_ticks
                or order.trail_ticks
                or order.expire_ns
                or order.group_id
                or order.after_client_order_id
            ):
                self._terms[index] = _terms(order)
        self._n_packed += len(latest)
        latest.clear()

    # What became of those that worked when they were packed.
    def _update(self) -> None:
        for index, course in tuple(self._working.items()):
            _COURSE.pack_into(
                self._rows,
                index * _ORDER.size + _COURSE_AT,
                course.accepted_ns,
                course.triggered_ns,
                course.end_ns,
                self._terminals[course.terminal],
                self._details[course.detail],
            )
            if course.end_ns != NEVER:
                del self._working[index]


def _terms(order: OrderEvent | Unsent) -> SpecialTerms:
    return SpecialTerms(
        order.trigger_price_ticks,
        order.trail_ticks,
        order.expire_ns,
        order.group_id,
        order.after_client_order_id,
    )
