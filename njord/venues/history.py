"""What does a venue tell about its past? Pages of closed bars and of trades, and the rules of an instrument.

`HistoryVenue` is what a download needs of a venue. Rows come as exact ticks and lots, in the order in which the venue
gave them: sorting, dropping what comes twice and finding what is missing is the work of whoever asks.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import VenueRejected
from njord.core.instrument import Instrument

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class VenueRefusal(VenueRejected):
    """The venue refused a request for good: asking again will not help.

    Attributes:
        status: The HTTP status.
        code: The venue's own number for the reason; 0 = it gave none.
    """

    def __init__(self, message: str, status: int = 0, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one answer, as the venue gave them: unsorted, and with repeats where it repeats itself.

    Attributes:
        columns: The columns of stored bars or trades by name, int64, all of equal length.
        off_grid: Per row, whether a price (or a trade's quantity) lies off the instrument's grid and was rounded to
            the nearest step; never silently.
        rounded_volume: Per row, whether a bar's volume is no whole number of lots and was rounded to the nearest.
        unusable: Time and place (a bar's opening time, a trade's id) of each row left out: a price of zero, a bar of
            another length. 0 where that itself can not be.
    """

    columns: Mapping[str, IntArray]
    off_grid: BoolArray
    rounded_volume: BoolArray
    unusable: tuple[tuple[int, int], ...] = ()


class Depth(NamedTuple):
    """A book as the venue tells it: the id of the last change in it, and the answer as it came."""

    update_id: int
    body: bytes


class HistoryVenue(Protocol):
    """A venue that can be asked for its past. Every method may raise VenueUnavailable (later) and VenueRefusal."""

    name: str
    rows_max: int  # In one page.

    def server_time_ns(self) -> int:
        """Return the venue's own time."""

    def instrument(self, symbol: str) -> Instrument:
        """Return the rules of `symbol` (CCXT unified) as they are now.

        Raises:
            ConfigError: The venue does not know the symbol.
        """

    def check_interval(self, interval_ns: int) -> None:
        """Refuse a length of bars that the venue does not offer.

        Raises:
            ConfigError: It does not.
        """

    def bars(self, instrument: Instrument, interval_ns: int, start_ns: int, end_ns: int) -> HistoryPage:
        """Return the first `rows_max` bars that open in [start_ns, end_ns), fewer where the venue has no more."""

    def trades(self, instrument: Instrument, first_id: int, end_id: int) -> HistoryPage:
        """Return the first `rows_max` trades with ids in [first_id, end_id); ids of a market are consecutive."""

    def trade_id_at(self, instrument: Instrument, ts_ns: int) -> int:
        """Return the id of the first trade at or after `ts_ns`; one more than the newest where there is none yet."""


class DepthVenue(HistoryVenue, Protocol):
    """A venue that tells its book too."""

    def depth(self, instrument: Instrument) -> Depth:
        """Return the book as it is now."""
