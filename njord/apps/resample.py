"""How do stored rows become bars? Blocks of trades or bars in, blocks of bars out, in the same order, never all at once.

Time bars are aligned to the wall clock (`njord/kernels/bars.py`) and always built by the minute first where the
timeframe is made of minutes: a higher timeframe is the fold of its minutes, so that no two ever disagree. Trades are
placed by when they happened at the venue; one whose minute is already complete is late: dropped and counted, or the
whole run refused. The last time bar is kept though its time may not be over; the last tick, volume or dollar bar, which
did not fill, is left out. Either can be asked for otherwise.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, plain
from njord.kernels import bars as kernels
from njord.kernels.bars import NO_BAR, OpenBar, base_interval_ns, origin_ns
from njord.kernels.bars_activity import LOTS, NOTIONAL, TRADES, activity_bars
from njord.kernels.bars_fold import folded_bars
from njord.storage.bars_text import show_interval, show_time
from njord.storage.interval import parse_timeframe
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

IntArray = NDArray[np.int64]
Gaps = Literal["hole", "flat"]
Late = Literal["drop", "refuse"]
TimeColumn = Literal["ts_venue_ns", "ts_ns"]

BLOCK_ROWS = 1 << 20
FLAT_BARS_MAX = 50_000_000  # In one silence: 95 years of minutes. A longer one is a wrong timestamp.
_BARS = COLUMNS[DataKind.BARS]
_NOTHING: IntArray = np.empty((kernels.N_OUT, 0), dtype=np.int64)


class ResampleCounts(msgspec.Struct):
    """What happened on the way; complete when the last block is out."""

    n_rows: int = 0  # Read.
    n_bars: int = 0  # Given out, flat ones included.
    n_flat: int = 0  # Put in the place of missing bars.
    n_late: int = 0  # Trades dropped because their bar was complete.
    first_late_ns: int | None = None
    n_partial: int = 0  # 1 if the last bar was left out because it had not filled, or its time was not over.


class Resampled:
    """An iterator over blocks of bars, with the counts beside it.

    The blocks have the columns of stored bars; those of tick, volume and dollar bars have `ts_close_ns` too, the time
    of the last trade, since nothing else says when they end.

    Attributes:
        counts: What happened so far.
        interval_ns: Of the bars; 0 for tick, volume and dollar bars.
    """

    def __init__(self, bars: Iterator[IntArray], counts: ResampleCounts, interval_ns: int) -> None:
        self.counts = counts
        self.interval_ns = interval_ns
        self._bars = bars

    def __iter__(self) -> Iterator[Columns]:
        return self

    def __next__(self) -> Columns:
        block = next(self._bars)
        while not block.shape[1]:
            block = next(self._bars)
        self.counts.n_bars += block.shape[1]
        columns = {name: block[row] for row, name in enumerate(_BARS)}
        return columns if self.interval_ns else columns | {"ts_close_ns": block[kernels.LAST]}


def resample(
    rows: Iterable[Columns],
    instrument: Instrument,
    *,
    timeframe: str | None = None,
    ticks: int | None = None,
    volume: Decimal | None = None,
    notional: Decimal | None = None,
    gaps: Gaps = "hole",
    late: Late = "drop",
    keep_partial: bool | None = None,
    time: TimeColumn = "ts_venue_ns",
    interval_ns: int = 0,
) -> Resampled:
    """Turn `rows` into bars of one kind: exactly one of timeframe, ticks, volume and notional is given.

    Args:
        rows: Blocks of stored trades, or of stored bars for a higher timeframe, int64, in their order.
        instrument: Whose ticks and lots they are in.
        timeframe: Such as 1m, 4h or 1w.
        ticks: Trades a bar.
        volume: Base a bar: the bar is complete with the trade that reaches it.
        notional: Quote a bar, likewise.
        gaps: What stands for a time without trades: nothing, or a bar at the last close with no volume.
        late: What becomes of a trade whose bar is complete.
        keep_partial: Whether the last bar is given out though it may not be over; None = time bars yes, others no.
        time: Which of a trade's times places it.
        interval_ns: Of `rows`, if they are bars.

    Raises:
        DataError: At once if the request makes no sense; while iterating if rows can not be bars, or a sum would not fit.
    """
    counts = ResampleCounts()
    wanted = [value for value in (timeframe, ticks, volume, notional) if value is not None]
    if len(wanted) != 1:
        raise DataError(
            f"{len(wanted)} of timeframe, ticks, volume and notional are given, bars have exactly one",
            "give one, such as --timeframe 5m",
        )
    if timeframe is not None:
        width = parse_timeframe(timeframe)
        _check_fold(interval_ns, width)
        bars = _by_time(rows, instrument, width, interval_ns, late, keep_partial is not False, time, counts)
        return Resampled(_flat_filled(bars, width, counts) if gaps == "flat" else bars, counts, width)
    if gaps == "flat" or interval_ns:
        said = "have no gaps to fill" if gaps == "flat" else "are made of trades, these rows are bars"
        raise DataError(f"tick, volume and notional bars {said}", "give --timeframe, such as --timeframe 5m")
    measure, threshold = _threshold(instrument, ticks, volume, notional)
    found = _by_activity(rows, instrument, measure, threshold, bool(keep_partial), time, counts)
    return Resampled(found, counts, 0)


# --- what is asked for ----------------------------------------------------------------------------------------


def _threshold(
    instrument: Instrument, ticks: int | None, volume: Decimal | None, notional: Decimal | None
) -> tuple[int, int]:
    if ticks is not None:
        measure, asked, unit, name = TRADES, Decimal(ticks), Decimal(1), "trades"
    elif volume is not None:
        measure, asked, unit, name = LOTS, volume, instrument.qty(1), f"lots of {plain(instrument.lot_size)}"
    else:
        assert notional is not None
        measure, asked, unit = NOTIONAL, notional, instrument.notional(1, 1)
        name = f"units (tick x lot) of {plain(unit)}"
    try:
        whole, rest = EXACT.divmod(asked, unit)
    except InvalidOperation:
        whole, rest = Decimal(0), unit
    if rest or not 1 <= whole <= kernels.INT64_MAX:
        raise DataError(
            f"a bar of {asked} is no whole number of {name} that an int64 holds",
            f"give a multiple of {plain(unit)}",
        )
    return measure, int(whole)


def _check_fold(interval_ns: int, width: int) -> None:
    if interval_ns and (width % interval_ns or (origin_ns(width) - origin_ns(interval_ns)) % interval_ns):
        raise DataError(
            f"bars of {show_interval(width)} are not made of whole bars of {show_interval(interval_ns)}",
            f"give a multiple of {show_interval(interval_ns)}, or resample the trades",
        )


# --- blocks of rows in, blocks of complete bars out -------------------------------------------------------------


# Without the right to write, which all kernels then see alike: compiled once, whoever made the arrays.
def _views(block: Columns, names: tuple[str, ...]) -> list[IntArray]:
    missing = [name for name in names if name not in block]
    if missing:
        kind = "bars" if "ts_open_ns" in names else "trades"
        raise DataError(f"rows without {missing[0]} are no {kind}", f"resample stored {kind}")
    views = []
    for name in names:
        view = np.ascontiguousarray(block[name].astype(np.int64, casting="safe", copy=False)).view()
        view.flags.writeable = False
        views.append(view)
    return views


def _pieces(
    rows: Iterable[Columns], names: tuple[str, ...], counts: ResampleCounts
) -> Iterator[list[IntArray]]:
    for block in rows:
        views = _views(block, names)
        for first in range(0, views[0].size, BLOCK_ROWS):
            piece = [view[first : first + BLOCK_ROWS] for view in views]
            yield piece
            counts.n_rows += piece[0].size


def _room(n_bars: int) -> IntArray:
    return np.empty((kernels.N_OUT, n_bars + 1), dtype=np.int64)


def _last(bar: OpenBar, keep: bool, counts: ResampleCounts) -> IntArray:
    if bar.open == 0:
        return _NOTHING
    if not keep:
        counts.n_partial = 1
        return _NOTHING
    out = _room(0)
    kernels.write_bar(out, 0, bar)
    return out


def _by_time(
    rows: Iterable[Columns],
    instrument: Instrument,
    width: int,
    interval_ns: int,
    late: Late,
    keep_partial: bool,
    time: TimeColumn,
    counts: ResampleCounts,
) -> Iterator[IntArray]:
    if interval_ns:
        bars = (np.stack(views) for views in _pieces(rows, _BARS, counts))
        return _folded(bars, instrument, interval_ns, width, keep_partial, counts)
    base_ns = base_interval_ns(width)
    if base_ns == width:
        return _from_trades(rows, instrument, width, late, keep_partial, time, counts)
    minutes = _from_trades(rows, instrument, base_ns, late, True, time, counts)
    return _folded(minutes, instrument, base_ns, width, keep_partial, counts)


def _from_trades(
    rows: Iterable[Columns],
    instrument: Instrument,
    width: int,
    late: Late,
    keep_partial: bool,
    time: TimeColumn,
    counts: ResampleCounts,
) -> Iterator[IntArray]:
    bar, origin = NO_BAR, origin_ns(width)
    for ts_ns, price, lots in _pieces(rows, (time, "price_ticks", "qty_lots"), counts):
        # In order, a bar takes at least one row and its share of the time.
        room = _room(min(ts_ns.size, max(0, int(ts_ns[-1] - ts_ns[0])) // width + 1))
        found = kernels.sorted_time_bars(bar, ts_ns, price, lots, width, origin, room)
        if found[0] == kernels.UNSORTED:
            room = _room(ts_ns.size)
            found = kernels.time_bars(bar, ts_ns, price, lots, width, origin, room)
        status, row, n_bars, n_late, first_late, bar = found
        if n_late:
            if late == "refuse":
                raise _late(counts.n_rows + first_late, int(ts_ns[first_late]), width)
            if counts.first_late_ns is None:
                counts.first_late_ns = int(ts_ns[first_late])
            counts.n_late += n_late
        if status != kernels.JOINED:
            raise _refusal(
                status, instrument, counts.n_rows + row, [int(c[row]) for c in (ts_ns, price, lots)], bar
            )
        yield room[:, :n_bars].copy()
    yield _last(bar, keep_partial, counts)


def _by_activity(
    rows: Iterable[Columns],
    instrument: Instrument,
    measure: int,
    threshold: int,
    keep_partial: bool,
    time: TimeColumn,
    counts: ResampleCounts,
) -> Iterator[IntArray]:
    bar, counted = NO_BAR, 0
    for ts_ns, price, lots in _pieces(rows, (time, "price_ticks", "qty_lots"), counts):
        room = _room(ts_ns.size)
        status, row, n_bars, bar, counted = activity_bars(
            bar, counted, ts_ns, price, lots, measure, threshold, room
        )
        if status != kernels.JOINED:
            raise _refusal(
                status, instrument, counts.n_rows + row, [int(c[row]) for c in (ts_ns, price, lots)], bar
            )
        yield room[:, :n_bars].copy()
    yield _last(bar, keep_partial, counts)


def _folded(
    bars: Iterable[IntArray],
    instrument: Instrument,
    interval_ns: int,
    width: int,
    keep_partial: bool,
    counts: ResampleCounts,
) -> Iterator[IntArray]:
    bar, origin, n_rows = NO_BAR, origin_ns(width), 0
    for block in bars:
        starts = block[kernels.START]
        across = np.flatnonzero((starts - origin) % width > width - interval_ns)
        if across.size:
            raise DataError(
                f"the bar of {instrument.symbol} at {show_time(int(starts[across[0]]))} lies across two bars of {show_interval(width)}",
                "resample the trades, or remove the bar",
            )
        room = _room(starts.size)
        starts, open_, high, low, close, volume = block[: len(_BARS)]
        status, row, n_bars, bar = folded_bars(
            bar, starts, open_, high, low, close, volume, width, origin, room
        )
        if status == kernels.VOLUME_RANGE:
            raise _refusal(status, instrument, n_rows + row, [], bar)
        if status != kernels.JOINED:
            said = "does not rise above the one before" if status == kernels.LATE else "is no bar"
            raise DataError(
                f"row {n_rows + row:,} of {instrument.symbol}, a bar at {show_time(int(starts[row]))}, {said}",
                "look at it with njord data verify, and import the file anew",
            )
        n_rows += starts.size
        yield room[:, :n_bars].copy()
    yield _last(bar, keep_partial, counts)


def _flat_filled(bars: Iterator[IntArray], width: int, counts: ResampleCounts) -> Iterator[IntArray]:
    next_ns, close = 0, 0
    for block in bars:
        if not block.shape[1]:
            continue
        starts = block[kernels.START]
        missing = np.diff(starts, prepend=(next_ns if close else starts[0]) - width) // width - 1
        longest = int(missing.argmax())
        if missing[longest] > FLAT_BARS_MAX:
            raise DataError(
                f"nothing was traded for {missing[longest]:,} bars before {show_time(int(starts[longest]))}, more than {FLAT_BARS_MAX:,}",
                "leave the gap open with --gaps hole",
            )
        row = 0
        while row < block.shape[1]:
            room = _room(min(BLOCK_ROWS, int(missing.sum()) + starts.size))
            row, next_ns, close, n_out, n_flat = kernels.flat_filled(block, row, next_ns, close, width, room)
            counts.n_flat += n_flat
            yield room[:, :n_out].copy()


# --- refusals -------------------------------------------------------------------------------------------------


def _late(row: int, ts_ns: int, width: int) -> DataError:
    return DataError(
        f"the trade in row {row:,} at {show_time(ts_ns)} is late: its bar of {show_interval(width)} is complete",
        "drop late trades with --late drop",
    )


def _refusal(status: int, instrument: Instrument, row: int, trade: list[int], bar: OpenBar) -> DataError:
    if status == kernels.ROW_RANGE:
        ts_ns, price, lots = trade
        return DataError(
            f"row {row:,} of {instrument.symbol} ({ts_ns} ns, {price} ticks, {lots} lots) is no trade between 1970 and 2260 with a price and a quantity above 0",
            "look at it with njord data verify, and import the file anew",
        )
    what = "volume" if status == kernels.VOLUME_RANGE else "notional (MONEY_RANGE)"
    at = f"from {show_time(int(bar.start_ns))}" if bar.open else "of one trade"
    return DataError(
        f"the {what} of the bar {at} does not fit 63 bits at row {row:,} of {instrument.symbol}",
        "import it with a coarser lot, such as --lot 0.001",
    )
