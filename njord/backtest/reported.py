"""What does a report need to know of a market? What a run was fed with, by dataset, and its prices in pieces; no
events and no order.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.storage.certificate.certificate import Certificate

IntArray = NDArray[np.int64]


class PricePiece(NamedTuple):
    """Prices of one instrument as columns of equal length, in ticks; a trade opens, peaks and closes at its price.

    Attributes:
        ts_open_ns: When each began, not decreasing.
        ts_ns: When each was known: a bar's close, a trade's own time.
    """

    ts_open_ns: IntArray
    ts_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset that a run was fed with.

    Attributes:
        instrument: Index of the instrument it is of.
        kind: "bars", "trades" or "book".
        interval_ns: Of its bars; 0 if it has none.
        first_row: The first row that was run.
        end_row: The row after the last one.
        start_ns: When the first row begins.
        end_ns: When the last row ends.
        assumptions: What was assumed while reading it, in sentences.
    """

    instrument: int
    kind: str
    name: str
    hash: str
    interval_ns: int
    first_row: int
    end_row: int
    start_ns: int
    end_ns: int
    certificate: Certificate
    assumptions: tuple[str, ...] = ()


class ReportedMarket(Protocol):
    """A market, as far as a report speaks of it."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Return all instruments, in the run's order."""

    @property
    def start_ns(self) -> int:
        """Return when the first event begins."""

    @property
    def end_ns(self) -> int:
        """Return when the last event is known."""

    @property
    def sources(self) -> Sequence[Source]:
        """Return the datasets, in the order of their instruments."""

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield the prices of one instrument in order, in pieces of bounded size: bars, or the trades where none are."""
