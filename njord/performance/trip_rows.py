"""All closed round trips of a run in little memory: they come in one by one, and are made again for who reads them."""

from decimal import Decimal
from struct import Struct
from typing import NamedTuple

from njord.core.columns import Rows, TextColumn, Words
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
        self._rows = bytearray()
        self._amounts = TextColumn()
        self._strategies = Words()

    def __len__(self) -> int:
        return len(self._amounts)

    def at(self, index: int) -> RoundTrip:
        """Return a round trip; 0 is the first."""
        trip = self.text_at(index)
        return RoundTrip(
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

    def text_at(self, index: int) -> TripText:
        """Return a round trip as it is reported."""
        open_ns, close_ns, fraction, instrument, strategy, is_long = _TRIP.unpack_from(
            self._rows, index * _TRIP.size
        )
        return TripText(
            self._strategies[strategy],
            instrument,
            BUY if is_long else SELL,
            open_ns,
            close_ns,
            fraction,
            *self._amounts.at(index).split(" "),
        )

    def add(self, strategy_id: str, trip: RoundTrip) -> None:
        """Add the next one."""
        self._rows += _TRIP.pack(
            trip.ts_open_ns,
            trip.ts_close_ns,
            trip.return_fraction,
            trip.instrument,
            self._strategies.number(strategy_id),
            trip.side is BUY,
        )
        amounts = (trip.qty, trip.entry_price, trip.exit_price, trip.fees, trip.pnl)
        self._amounts.append(" ".join(map(plain, amounts)))
