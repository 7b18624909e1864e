"""How does a venue's past get into the store, whole, although venue, network and machine fail in between?

What is missing is asked for and nothing else, in order of time. An answer is compared with what was asked: rows that
come twice or unasked are dropped and counted, rows in disorder are sorted, and whatever an answer left out is asked
for again before the work goes on, and once more at the end; what is still missing then is the venue's own gap and
reported as such. Rows are committed in pieces, so that a crash loses half a minute, and the next run, which asks the
store what is missing, ends with the same rows.

Bars and trades take the same way: a row's place is the opening time of a bar or the id of a trade; places follow each
other at a fixed step (the interval; 1), which shows what is missing.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec
import numpy as np

from njord.apps.download_report import (
    Columns,
    DownloadProgress,
    DownloadReport,
    DownloadRequest,
    HistorySink,
    Piece,
    Tally,
    VenueGap,
    off_grid_facts,
)
from njord.apps.ranges import Range, count, merged, missing_between
from njord.core.clock import Clock
from njord.core.errors import ConfigError, VenueError, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_S
from njord.storage.bars_text import show_time
from njord.venues.history import HistoryPage, HistoryVenue, IntArray

PIECE_PAGES = 500
PIECE_NS = 30 * NS_PER_S
# A bar may still change a moment after its end, and a trade may still be missing: the venue's machines are many.
SETTLE_NS = 2 * NS_PER_S
_ANSWERS_PER_GAP = 2  # Answers that leave a row out before the work goes on without it.
_OFF_GRID = "is_off_grid"
_NONSENSE_MAX = 5  # Answers in a row that hold nothing of what was asked.


class _Span(NamedTuple):
    """Missing places, and how many answers have left them out so far."""

    first: int
    end: int
    n_answers: int


class Task(NamedTuple):
    """One market's rows: how to ask for them, and how their places lie."""

    ask: Callable[[int, int], HistoryPage]
    place: str
    step: int
    first: int
    end: int


def download(
    request: DownloadRequest,
    venue: HistoryVenue,
    sink: HistorySink,
    clock: Clock,
    progress: Callable[[DownloadProgress], None],
    piece_pages: int = PIECE_PAGES,
) -> DownloadReport:
    """Fetch what `sink` is missing of the request; Ctrl-C keeps what is done and returns an incomplete report.

    Args:
        request: What to fetch.
        venue: Where from.
        sink: Where to; it says what is missing.
        clock: For pieces and estimates.
        progress: Called after every answer.
        piece_pages: Answers after which a piece is committed; it is after 30 s in any case.

    Raises:
        ConfigError: The venue does not know the symbol or the interval, or no time is asked for.
        VenueError: The venue refuses, or can not be reached; what came until then is committed.
        DataError: The sink can not take the rows.
    """
    venue_instrument = venue.instrument(request.symbol)
    instrument = sink.instrument or venue_instrument
    now_ns = venue.server_time_ns()
    start_ns, end_ns = _times(request, venue, now_ns)
    task = _task(request, venue, instrument, start_ns, end_ns)
    missing = sink.missing_ranges(task.first, task.end, task.step)
    piece = Piece(instrument=instrument, venue_instrument=venue_instrument, venue_now_ns=now_ns)
    work = _Work(task, missing, venue.rows_max, sink, piece, clock, progress, piece_pages)
    is_complete = work.run()
    tally = work.tally
    return DownloadReport(
        instrument=instrument,
        venue_instrument=venue_instrument,
        start_ns=start_ns,
        end_ns=end_ns,
        interval_ns=request.interval_ns,
        n_rows=tally.n_rows,
        n_known=count([(task.first, task.end)], task.step) - count(missing, task.step),
        n_pages=tally.n_pages,
        n_commits=tally.n_commits,
        n_duplicates=tally.n_duplicates,
        n_conflicts=tally.n_conflicts,
        n_unasked=tally.n_unasked,
        n_disordered=tally.n_disordered,
        n_rounded_volumes=tally.n_rounded_volumes,
        n_unusable=tally.n_unusable,
        off_grid=tally.off_grid,
        gaps=tuple(
            VenueGap(first=first, end=end, n_missing=count([(first, end)], task.step))
            for first, end in merged(tally.gaps)
        ),
        is_complete=is_complete,
    )


# The time to fetch, [start, end): whole bars that have closed, or trades up to the venue's now.
def _times(request: DownloadRequest, venue: HistoryVenue, now_ns: int) -> tuple[int, int]:
    if request.interval_ns:
        venue.check_interval(request.interval_ns)
    if request.end_ns is not None and request.end_ns <= request.start_ns:
        raise ConfigError(
            f"--end {show_time(request.end_ns)} does not lie after --start {show_time(request.start_ns)}",
            "give a later --end, or leave it out for everything up to now",
        )
    if request.start_ns > now_ns:
        raise ConfigError(
            f"--start {show_time(request.start_ns)} lies in the future; it is {show_time(now_ns)} at the venue",
            "give an earlier --start",
        )
    settled_ns = now_ns - SETTLE_NS
    step = request.interval_ns or 1
    start_ns = -(-request.start_ns // step) * step
    end_ns = settled_ns // step * step
    if request.end_ns is not None:
        end_ns = min(end_ns, -(-request.end_ns // step) * step)
    return start_ns, max(start_ns, end_ns)


def _task(
    request: DownloadRequest, venue: HistoryVenue, instrument: Instrument, start_ns: int, end_ns: int
) -> Task:
    interval_ns = request.interval_ns
    if interval_ns:
        return Task(
            lambda first, end: venue.bars(instrument, interval_ns, first, end),
            "ts_open_ns",
            interval_ns,
            start_ns,
            end_ns,
        )
    first_id, end_id = venue.trade_id_at(instrument, start_ns), venue.trade_id_at(instrument, end_ns)
    return Task(lambda first, end: venue.trades(instrument, first, end), "trade_id", 1, first_id, end_id)


class _Work:
    """What is still to do, what came and is not yet committed, and what was seen on the way."""

    def __init__(
        self,
        task: Task,
        missing: list[Range],
        rows_max: int,
        sink: HistorySink,
        about: Piece,
        clock: Clock,
        progress: Callable[[DownloadProgress], None],
        piece_pages: int,
    ) -> None:
        self.tally = Tally()
        self._task = task
        self._spans = [_Span(first, end, 0) for first, end in reversed(missing)]  # The next one last.
        self._rows_max = rows_max
        self._sink = sink
        self._about = about
        self._piece_pages = piece_pages
        self._clock = clock
        self._progress = progress
        self._n_total = self._n_left = count(missing, task.step)
        self._begun_ns = self._piece_ns = clock.now_ns()
        self._piece: list[Columns] = []  # With the mask of rows off the grid as one more column.
        self._until_ns = 0
        self._n_fetched = 0
        self._n_nonsense = 0

    def run(self) -> bool:
        """Do all of it; False if Ctrl-C ended it."""
        try:
            self._settle_spans()
            # Once more, now that some time has passed.
            again = merged(self.tally.gaps)
            self.tally.gaps.clear()
            self._spans = [_Span(first, end, _ANSWERS_PER_GAP - 1) for first, end in reversed(again)]
            self._n_left += count(again, self._task.step)
            self._settle_spans()
        except KeyboardInterrupt:
            self._commit()
            return False
        except VenueError:
            # What came is kept; a second trouble, that of the store, must not hide the first.
            with suppress(VenueError):
                self._commit()
            raise
        return True

    def _settle_spans(self) -> None:
        n_pages = 0
        while self._spans:
            spans = self._next_spans()
            page = self._task.ask(spans[0].first, spans[-1].end)
            self._take(page, spans)
            n_pages += 1
            if n_pages >= self._piece_pages or self._clock.now_ns() - self._piece_ns >= PIECE_NS:
                self._commit()
                n_pages = 0
            self._report()
        self._commit()

    # The next missing places that one answer can hold; short ranges close to each other share it.
    def _next_spans(self) -> list[_Span]:
        spans = [self._spans[-1]]
        reach = spans[0].first + self._rows_max * self._task.step
        for span in reversed(self._spans[:-1]):
            if span.end > reach:
                break
            spans.append(span)
        return spans

    # Keep what was asked for, and put back on the list what the answer left out.
    def _take(self, page: HistoryPage, spans: list[_Span]) -> None:
        self.tally.n_pages += 1
        self.tally.note_unusable(page.unusable)
        first, end = spans[0].first, spans[-1].end
        rows = self._rows_inside(page, first, end)
        said_until = self._said_until(page, rows, first, end)
        rows = self._without_repeats(page.columns, rows)
        places = page.columns[self._task.place][rows]
        wanted = np.zeros(len(places), dtype=np.bool_)
        left: list[_Span] = []
        for span in spans:
            wanted |= (places >= span.first) & (places < span.end)
            for hole in missing_between(span.first, span.end, places, self._task.step):
                left += self._after_answer(hole, said_until, span.n_answers, said_until > first)
        self._keep(page, rows[wanted])
        del self._spans[-len(spans) :]
        self._spans += reversed(left)

    # An answer speaks of every place below this: up to its last row, or of all that was asked for if it has none or
    # goes on behind it. One that lies before what was asked for speaks of nothing.
    def _said_until(self, page: HistoryPage, rows: IntArray, first: int, end: int) -> int:
        places = [place for _, place in page.unusable]
        places += page.columns[self._task.place].tolist() if not len(rows) else []
        inside = [place for place in places if first <= place < end]
        if len(rows):
            inside.append(int(page.columns[self._task.place][rows[-1]]))
        is_nonsense = bool(places) and not inside and max(places) < end
        self._n_nonsense = self._n_nonsense + 1 if is_nonsense else 0
        if self._n_nonsense > _NONSENSE_MAX:
            raise VenueUnavailable(
                f"the venue's answers hold nothing of what is asked for, {self._n_nonsense} times in a row; try again later"
            )
        if is_nonsense:
            return first
        return max(inside) + 1 if inside else end

    # What remains of a hole once an answer that speaks of places below `said_until` has left it out. Rows prove an
    # empty answer wrong that was given before: what lies behind them begins anew.
    def _after_answer(self, hole: Range, said_until: int, n_answers: int, has_rows: bool) -> list[_Span]:
        first, end = hole
        step = self._task.step
        border = min(end, max(first, first - (first - said_until) // step * step))
        left = [_Span(border, end, 0 if has_rows else n_answers)] if border < end else []
        if first < border:
            if n_answers + 1 < _ANSWERS_PER_GAP:
                return [_Span(first, border, n_answers + 1), *left]
            self.tally.gaps.append((first, border))
            self._n_left -= count([(first, border)], step)
        return left

    # Indices of the rows within [first, end), in order of place; the others are counted.
    def _rows_inside(self, page: HistoryPage, first: int, end: int) -> IntArray:
        tally = self.tally
        places = page.columns[self._task.place]
        tally.n_disordered += int(np.count_nonzero(places < np.maximum.accumulate(places)))
        inside = (places >= first) & (places < end) & ((places - first) % self._task.step == 0)
        is_seen = (places >= self._task.first) & (places < first)
        tally.n_duplicates += int(np.count_nonzero(is_seen))
        tally.n_unasked += int(np.count_nonzero(~inside & ~is_seen))
        rows = np.flatnonzero(inside)
        return rows[np.argsort(places[rows], kind="stable")]

    # A row that comes twice counts once; with two contents it is not believed at all, and asked for again.
    def _without_repeats(self, columns: Columns, rows: IntArray) -> IntArray:
        places = columns[self._task.place][rows]
        is_repeat = np.zeros(len(rows), dtype=np.bool_)
        is_repeat[1:] = places[1:] == places[:-1]
        if not is_repeat.any():
            return rows
        differs = np.zeros(len(rows), dtype=np.bool_)
        for values in columns.values():
            differs[1:] |= is_repeat[1:] & (values[rows[1:]] != values[rows[:-1]])
        doubtful = np.isin(places, places[differs])
        self.tally.n_duplicates += int(np.count_nonzero(is_repeat & ~doubtful))
        self.tally.n_conflicts += int(np.count_nonzero(doubtful))
        return rows[~is_repeat & ~doubtful]

    def _keep(self, page: HistoryPage, rows: IntArray) -> None:
        if not len(rows):
            return
        kept = {name: values[rows] for name, values in page.columns.items()}
        self._piece.append(kept)
        self._n_left -= len(rows)
        self._n_fetched += len(rows)
        self.tally.n_rounded_volumes += int(np.count_nonzero(page.rounded_volume[rows]))
        kept[_OFF_GRID] = page.off_grid[rows].astype(np.int64)

    # Hand the piece to the sink, in order of time.
    def _commit(self) -> None:
        if self._piece:
            columns = {name: np.concatenate([part[name] for part in self._piece]) for name in self._piece[0]}
            times_ns, places = next(iter(columns.values())), columns[self._task.place]
            order = np.lexsort((places, times_ns))
            self._write({name: values[order] for name, values in columns.items()})
            self._piece.clear()
        self._piece_ns = self._clock.now_ns()

    def _write(self, columns: dict[str, IntArray]) -> None:
        is_off_grid = columns.pop(_OFF_GRID) != 0
        times_ns = next(iter(columns.values()))
        facts = off_grid_facts(times_ns[is_off_grid])
        self._sink.write(columns, msgspec.structs.replace(self._about, facts=facts))
        self.tally.n_commits += 1
        self.tally.n_rows += len(times_ns)
        self.tally.off_grid = self.tally.off_grid.plus(facts.off_grid)

    def _report(self) -> None:
        n_done = self._n_total - self._n_left
        elapsed_s = (self._clock.now_ns() - self._begun_ns) / NS_PER_S
        times_ns = next(iter(self._piece[-1].values())) if self._piece else None
        if times_ns is not None:
            self._until_ns = max(self._until_ns, int(times_ns[-1]))
        self._progress(
            DownloadProgress(
                n_rows=self._n_fetched,
                n_done=n_done,
                n_total=self._n_total,
                until_ns=self._until_ns,
                left_s=elapsed_s * self._n_left / n_done if n_done > 0 else None,
            )
        )
