"""All fills of a run in little memory: packed one behind the other, unpacked for those who read them, columns as arrays."""

from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate, islice
from struct import Struct

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.columns import BATCH, Rows, TextColumn, Words
from njord.core.contracts import FillEvent
from njord.core.types import BUY, SELL, Side
from njord.core.units import ZERO

IntArray = NDArray[np.int64]


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


class PositionSteps(msgspec.Struct, frozen=True):
    """How the fills of one instrument moved its position, a value for each fill in the order they were booked.

    Attributes:
        ts_venue_ns: When it happened, shape (n,).
        ts_ns: When it was known, shape (n,).
        lots: Bought less sold with it and all before it, exact; fees in kind are not taken off.
        fees_in_kind: Paid for each in the base asset, exact; empty if none was.
    """

    ts_venue_ns: IntArray
    ts_ns: IntArray
    lots: list[int]
    fees_in_kind: list[Decimal]


_FILL = Struct("<qqqqiiH??")
_FILL_COLUMNS = np.dtype(
    [
        ("ts_venue_ns", "<i8"), ("ts_ns", "<i8"), ("price_ticks", "<i8"), ("qty_lots", "<i8"), ("order_no", "<i4"),
        ("instrument", "<i4"), ("fee_asset", "<u2"), ("is_buy", "?"), ("is_maker", "?"),
    ]
)  # fmt: skip


class FillRows(Rows[RecordedFill]):
    """All fills, in the order in which they were booked."""

    def __init__(self) -> None:
        self._latest: list[FillEvent] = []  # Not packed yet.
        self._order_nos: list[int] = []  # Theirs.
        self._rows = bytearray()
        self._fees = TextColumn()
        self._assets = Words()
        self._by_order = _ByOrder(np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._fees) + len(self._latest)

    def at(self, index: int) -> RecordedFill:
        """Return a fill; 0 is the first."""
        return self.many((index,))[0]

    def many(self, places: Sequence[int]) -> list[RecordedFill]:
        """Return the fills at some places."""
        self._settle()
        rows, unpack_from, size, assets = self._rows, _FILL.unpack_from, _FILL.size, self._assets.texts
        return [
            RecordedFill(
                ts_venue_ns,
                ts_ns,
                instrument,
                BUY if is_buy else SELL,
                price_ticks,
                qty_lots,
                Decimal(fee),
                assets[asset],
                is_maker,
                order_no,
            )
            for place, fee in zip(places, self._fees.many(places), strict=True)
            for (
                ts_venue_ns, ts_ns, price_ticks, qty_lots, order_no, instrument, asset, is_buy, is_maker,
            ) in (unpack_from(rows, place * size),)
        ]  # fmt: skip

    def steps(self, instrument: int, base: str) -> "PositionSteps":
        """Return how the fills of one instrument, whose base asset is `base`, moved its position."""
        own = np.flatnonzero(self.column("instrument") == instrument)
        qty_lots, is_buy = self.column("qty_lots")[own], self.column("is_buy")[own]
        fees: list[Decimal] = []
        if base in self._assets.texts:
            in_kind = (self.column("fee_asset")[own] == self._assets.texts.index(base)).tolist()
            texts = self._fees.many(own.tolist())
            fees = [Decimal(fee) if is_so else ZERO for fee, is_so in zip(texts, in_kind, strict=True)]
        return PositionSteps(
            ts_venue_ns=self.column("ts_venue_ns")[own],
            ts_ns=self.column("ts_ns")[own],
            lots=list(accumulate(np.where(is_buy, qty_lots, -qty_lots).tolist())),
            fees_in_kind=fees if any(fees) else [],
        )

    def of_orders(self, order_nos: Iterable[int]) -> list[tuple[RecordedFill, ...]]:
        """Return the fills of each of some orders, oldest first."""
        if self._by_order.n_fills != len(self):
            self._by_order = _ByOrder(self.column("order_no"))
        own = [self._by_order.places(order_no) for order_no in order_nos]
        fills = iter(self.many([place for each in own for place in each]))
        return [tuple(islice(fills, len(each))) for each in own]

    def column(self, name: str) -> IntArray:
        """Return all values of a whole number of `RecordedFill`, or of the flags `is_buy` and `is_maker`."""
        self._settle()
        return np.frombuffer(self._rows, dtype=_FILL_COLUMNS)[name].astype(np.int64)

    def add(self, fill: FillEvent, order_no: int) -> None:
        """Book a fill of an order."""
        latest = self._latest
        latest.append(fill)
        self._order_nos.append(order_no)
        if len(latest) >= BATCH:
            self._pack()

    def _settle(self) -> None:
        if self._latest:
            self._pack()

    def _pack(self) -> None:
        latest, pack, assets = self._latest, _FILL.pack, self._assets
        self._rows += b"".join(
            [
                pack(
                    fill.ts_venue_ns,
                    fill.ts_ns,
                    fill.price_ticks,
                    fill.qty_lots,
                    order_no,
                    fill.instrument,
                    assets[fill.fee_asset],
                    fill.side is BUY,
                    fill.is_maker,
                )
                for fill, order_no in zip(latest, self._order_nos, strict=True)
            ]
        )
        self._fees.extend([str(fill.fee) for fill in latest])
        latest.clear()
        self._order_nos.clear()


class _ByOrder:
    # Where the fills of each order are: `order_nos` tells whose each fill is.
    def __init__(self, order_nos: IntArray) -> None:
        self.n_fills = order_nos.size
        places = np.argsort(order_nos, kind="stable")
        self._n_orders = int(order_nos.max(initial=0))  # The newest one with a fill.
        starts = np.searchsorted(order_nos[places], np.arange(1, self._n_orders + 2))
        self._places = array("i", places.astype(np.int32).tobytes())
        self._starts = array("i", starts.astype(np.int32).tobytes())

    def places(self, order_no: int) -> "array[int]":
        if order_no > self._n_orders:
            return self._places[:0]
        return self._places[self._starts[order_no - 1] : self._starts[order_no]]
