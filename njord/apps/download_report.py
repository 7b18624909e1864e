"""What is asked of a download, and what does it tell: while it runs, and when it is done?"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from njord.apps.ranges import IntArray, Range
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_text import show_time
from njord.storage.certificate.facts import NO_FACTS, PLACES_MAX, Place, Seen, SourceFacts

Columns = Mapping[str, IntArray]
GAPS_SHOWN = 10
_NOTHING = Seen()


class DownloadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch.

    Attributes:
        symbol: CCXT unified.
        start_ns: First time, inclusive; epoch ns.
        end_ns: First time that is not wanted; None = up to the venue's now.
        interval_ns: Length of a bar; 0 = trades.
    """

    symbol: str
    start_ns: int
    end_ns: int | None = None
    interval_ns: int = 0


class DownloadProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is; places are bars or trade ids.

    Attributes:
        n_rows: Rows fetched so far.
        n_done: Places that are settled: fetched, or found missing at the venue.
        n_total: Places that the store was missing at the start.
        until_ns: Time of the newest row so far; 0 = none yet.
        left_s: Estimated seconds to go; None = nothing to estimate from.
    """

    n_rows: int
    n_done: int
    n_total: int
    until_ns: int
    left_s: float | None


class VenueGap(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that the venue was asked for again and does not have.

    Attributes:
        first: Opening time of the first missing bar in epoch ns, or the first missing trade id.
        end: The first place after the gap.
        n_missing: Bars or trades.
    """

    first: int
    end: int
    n_missing: int


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a download did.

    Attributes:
        instrument: Whose ticks and lots the rows are in: the store's own where it has the dataset, else the venue's.
        venue_instrument: The venue's rules now; where they differ, they changed since the dataset was begun.
        start_ns: First time asked for, on the grid of bars.
        end_ns: First time not asked for.
        interval_ns: Length of a bar; 0 = trades.
        n_rows: Rows fetched and committed.
        n_known: Places in that time that the store had before.
        n_pages: Answers read.
        n_commits: Pieces committed.
        n_duplicates: Rows that the venue gave again, dropped.
        n_conflicts: Rows that came twice in one answer with different content: both dropped, and asked for again.
        n_unasked: Rows outside of what was asked for, dropped, such as a bar that is still open.
        n_disordered: Rows that came after a later one, sorted.
        n_rounded_volumes: Bars whose volume was rounded to the nearest lot.
        n_unusable: Rows that can not be, such as one with a price of zero: left out, so that they are missing.
        off_grid: Rows committed with a price (or a trade's quantity) off the instrument's grid, each rounded to the
            nearest step, and the times of the first of them; the certificate names them too.
        gaps: What the venue itself does not have, in order.
        is_complete: Nothing is missing but the gaps; False after Ctrl-C.
    """

    instrument: Instrument
    venue_instrument: Instrument
    start_ns: int
    end_ns: int
    interval_ns: int = 0
    n_rows: int = 0
    n_known: int = 0
    n_pages: int = 0
    n_commits: int = 0
    n_duplicates: int = 0
    n_conflicts: int = 0
    n_unasked: int = 0
    n_disordered: int = 0
    n_rounded_volumes: int = 0
    n_unusable: int = 0
    off_grid: Seen = _NOTHING
    gaps: tuple[VenueGap, ...] = ()
    is_complete: bool = True

    def notes(self) -> list[str]:
        """Return what a reader should know besides the number of rows, a sentence each; nothing if all went well."""
        notes = []
        what = "bars" if self.interval_ns else "trades"
        for gap in self.gaps[:GAPS_SHOWN]:
            if self.interval_ns:
                between = f"between {show_time(gap.first)} and {show_time(gap.end)}"
            else:
                between = f"with ids {gap.first} to {gap.end - 1}"
            notes.append(f"the venue has no {what} {between} ({gap.n_missing:,} missing)")
        if len(self.gaps) > GAPS_SHOWN:
            n_missing = sum(gap.n_missing for gap in self.gaps[GAPS_SHOWN:])
            notes.append(f"and {len(self.gaps) - GAPS_SHOWN:,} more such gaps ({n_missing:,} missing)")
        if self.off_grid.n:
            tick = plain(self.instrument.tick_size)
            first = show_time(self.off_grid.places[0].ts_ns)
            notes.append(
                f"{self.off_grid.n:,} {what} are off the grid (tick {tick}) and rounded to it, the first at {first}"
            )
        if self.n_rounded_volumes:
            lot = plain(self.instrument.lot_size)
            notes.append(f"{self.n_rounded_volumes:,} volumes are rounded to whole lots of {lot}")
        for n, say in (
            (self.n_unusable, "rows can not be (a price of zero, another length) and are left out"),
            (self.n_conflicts, "rows came with two contents and were asked for again"),
            (self.n_duplicates, "rows came more than once and were dropped"),
            (self.n_disordered, "rows came in disorder and were sorted"),
        ):
            if n:
                notes.append(f"{n:,} {say}")
        if self.instrument.tick_size != self.venue_instrument.tick_size:
            notes.append(
                f"the venue's tick is {plain(self.venue_instrument.tick_size)} now, the dataset's {plain(self.instrument.tick_size)}"
            )
        return notes


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What a sink should know about the rows that it gets.

    Attributes:
        instrument: Whose ticks and lots they are in.
        venue_instrument: The venue's rules now.
        venue_now_ns: When that was asked, by the venue's clock.
        facts: Which of the rows lay off the grid.
    """

    instrument: Instrument
    venue_instrument: Instrument
    venue_now_ns: int
    facts: SourceFacts = NO_FACTS


class HistorySink(Protocol):
    """Where rows of one dataset go. A place is the opening time of a bar, or the id of a trade."""

    @property
    def instrument(self) -> Instrument | None:
        """The instrument of the rows that are there; None = there are none yet."""

    def missing_ranges(self, first: int, end: int, step: int) -> list[Range]:
        """Return the ranges of places in [first, end) that have no row yet, in order; places are `step` apart."""

    def write(self, columns: Columns, piece: Piece) -> None:
        """Commit rows, non-decreasing in time: all of them or none. Rows that are there already change nothing."""


class Tally:
    """Counts while a download runs; becomes the report."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.n_pages = 0
        self.n_commits = 0
        self.n_duplicates = 0
        self.n_conflicts = 0
        self.n_unasked = 0
        self.n_disordered = 0
        self.n_rounded_volumes = 0
        self.gaps: list[Range] = []
        self.off_grid = Seen()
        self._unusable: set[tuple[int, int]] = set()

    @property
    def n_unusable(self) -> int:
        """Rows that can not be; one that comes again with the next answer counts once."""
        return len(self._unusable)

    def note_unusable(self, rows: tuple[tuple[int, int], ...]) -> None:
        """Count rows that can not be, by time and place."""
        self._unusable.update(rows)


def off_grid_facts(times_ns: IntArray) -> SourceFacts:
    """Return what the certificate should know of rows at these times that were rounded onto the grid."""
    return SourceFacts(off_grid=Seen(len(times_ns), tuple(map(Place, times_ns[:PLACES_MAX].tolist()))))
