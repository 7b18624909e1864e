"""All closed round trips of a run in little memory: they come in one by one, and are made again for who reads them."""

from collections.abc import Sequence
from decimal import Decimal
from struct import Struct
from typing import NamedTuple

from njord.core.columns import BATCH, Rows, TextColumn, Words
from njord.core.types import BUY, SELL, Side
from njord.core.units import plain
from njord.performance.trades import RoundTrip

_TRIP = Struct("<qqdiH?")


class TripText(NamedTuple):
    """A `RoundTrip` whose amounts are plain text, and whose it is."""

    strategy_id: str
    instrument: int
    side: Side
    ts_open_ns: int
    ts_close_ns: int
    return_fraction: float
    qty: str
    entry_price: str
    exit_price: str
    fees: str
    pnl: str


class TripRows(Rows[RoundTrip]):
    """Round trips in the order in which they were closed, some 80 bytes each."""

    def __init__(self) -> None:
        self._latest: list[tuple[str, RoundTrip]] = []  # Not packed yet.
        self._rows = bytearray()
        self._amounts = TextColumn()
        self._strategies = Words()

    def __len__(self) -> int:
        return len(self._amounts) + len(self._latest)

    def at(self, index: int) -> RoundTrip:
        """Return a round trip; 0 is the first."""
        return self.many((index,))[0]

    def many(self, places: Sequence[int]) -> list[RoundTrip]:
        """Return the round trips at some places."""
        return [
            RoundTrip(
                instrument=trip.instrument,
                side=trip.side,
                ts_open_ns=trip.ts_open_ns,
                ts_close_ns=trip.ts_close_ns,
                qty=Decimal(trip.qty),
                entry_price=Decimal(trip.entry_price),
                exit_price=Decimal(trip.exit_price),
                fees=Decimal(trip.fees),
                pnl=Decimal(trip.pnl),
                return_fraction=trip.return_fraction,
                duration_ns=trip.ts_close_ns - trip.ts_open_ns,
            )
            for trip in self.texts(places)
        ]

    def texts(self, places: Sequence[int]) -> list[TripText]:
        """Return the round trips at some places as they are reported."""
        if self._latest:
            self._pack()
        rows, unpack_from, size, strategies = (
            self._rows,
            _TRIP.unpack_from,
            _TRIP.size,
            self._strategies.texts,
        )
        return [
            TripText(
                strategies[strategy],
                instrument,
                BUY if is_long else SELL,
                open_ns,
                close_ns,
                fraction,
                *amounts.split(" "),
            )
            for place, amounts in zip(places, self._amounts.many(places), strict=True)
            for open_ns, close_ns, fraction, instrument, strategy, is_long in (
                unpack_from(rows, place * size),
            )
        ]

    def add(self, strategy_id: str, trip: RoundTrip) -> None:
        """Add the next one."""
        latest = self._latest
        latest.append((strategy_id, trip))
        if len(latest) >= BATCH:
            self._pack()

    def _pack(self) -> None:
        strategies = self._strategies
        self._rows += b"".join(
            [
                _TRIP.pack(
                    trip.ts_open_ns,
                    trip.ts_close_ns,
                    trip.return_fraction,
                    trip.instrument,
                    strategies[strategy_id],
                    trip.side is BUY,
                )
                for strategy_id, trip in self._latest
            ]
        )
        self._amounts.extend(
            [
                " ".join(map(plain, (trip.qty, trip.entry_price, trip.exit_price, trip.fees, trip.pnl)))
                for _, trip in self._latest
            ]
        )
        self._latest.clear()
