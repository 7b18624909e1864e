"""What happened in the market of a live session? What its feed said, block by block, as it was recorded; nothing of the
exchange's own time, and no columns: what is to come is not known.

The feed tells bars and, between them, the trades that they are made of; the venue trades on the bars.
"""

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from njord.backtest.market import MarketBlock
from njord.backtest.market_open import RecordedMarket
from njord.backtest.reported import PricePiece, Source
from njord.core.contracts import Bar
from njord.core.ids import short_hash
from njord.core.instrument import Instrument
from njord.storage.certificate.by_kind import checks_for
from njord.strategies.features import BarColumns

LIVE = "live"  # The kind of its sources.


class FeedMarket(RecordedMarket):
    """The market that a session's feed file holds; of a session that has just begun, none yet.

    Args:
        instruments: What is followed.
        interval_ns: Length of the bars.
        start_ns: When the session begins.
        read: Opens the blocks of the feed file from the start.
    """

    def __init__(
        self,
        instruments: tuple[Instrument, ...],
        interval_ns: int,
        start_ns: int,
        read: Callable[[], Iterator[MarketBlock]],
    ) -> None:
        self.instruments = instruments
        self.sources = tuple(
            _source(index, instrument, interval_ns, start_ns) for index, instrument in enumerate(instruments)
        )
        self.start_ns = self.end_ns = start_ns
        self.n_events = 0
        self.feed_delays_ns = np.empty(0, dtype=np.int64)
        self._read = read

    def has_ticks(self, instrument: int) -> bool:
        """Say whether the instrument is traded on ticks: it is not, its trades are told and its bars are traded."""
        return False

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield everything that the engine was told, from the start."""
        return self._read()

    def tick_rows(self, instrument: int) -> None:
        """Return None: the venue trades on bars."""

    def columns(self, instrument: int) -> BarColumns | None:
        """Return None: not all bars are known beforehand."""
        return None

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield the bars for a report."""
        for block in self._read():
            bars = [
                each for each in block.messages if isinstance(each, Bar) and each.instrument == instrument
            ]
            if bars:
                rows = [
                    (each.ts_open_ns, each.ts_ns, each.open, each.high, each.low, each.close) for each in bars
                ]
                yield PricePiece(*np.array(rows, dtype=np.int64).T)

    def close(self) -> None:
        """Do nothing: the file is the session's."""


# Its hash says what is followed; what was said is in the feed file, whose blocks carry their own.
def _source(index: int, instrument: Instrument, interval_ns: int, start_ns: int) -> Source:
    digest = short_hash(LIVE, msgspec.json.encode(instrument).decode(), f"{interval_ns}")
    return Source(
        instrument=index,
        kind=LIVE,
        name=f"{instrument.venue} {instrument.symbol}",
        hash=f"{LIVE}:{digest}",
        interval_ns=interval_ns,
        first_row=0,
        end_row=0,
        start_ns=start_ns,
        end_ns=start_ns,
        certificate=checks_for("bars", instrument, interval_ns).finish(f"{LIVE}:{digest}"),
        assumptions=(
            f"Bars of {instrument.symbol} are made of the exchange's aggregate trades as they came; the first ones are the "
            "exchange's own.",
        ),
    )
