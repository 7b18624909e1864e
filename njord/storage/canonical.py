"""How do staged floats become the canonical rows? Ordered raw rows in; ticks, lots, hash and quality out."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_order import CHUNK_ROWS, Repair
from njord.storage.bars_rows import CLOSE, HIGH, LOW, OPEN, TS, VOLUME
from njord.storage.bars_text import show_time
from njord.storage.dataset import BarHash, BarQuality
from njord.storage.grid import TickInference, check_range, lots, snap
from njord.storage.interval import Gaps, common_step, note_gaps
from njord.storage.stage import ColumnStage

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PRICE_COLUMNS = (OPEN, HIGH, LOW, CLOSE)


class PriceCounts(msgspec.Struct):
    """What happened to the prices on their way onto the grid."""

    n_inconsistent: int = 0
    n_snapped: int = 0
    n_off_grid: int = 0
    n_flat_filled: int = 0
    n_zero_volume: int = 0


def infer_tick(raw: ColumnStage, where: str) -> Decimal:
    """Return the coarsest power of ten, 1 at most, that at least 99.9 % of the staged prices lie on, as a Decimal."""
    inference = TickInference(len(PRICE_COLUMNS) * raw.n_rows)
    for start, end in _ranges(raw.n_rows):
        for column in PRICE_COLUMNS:
            inference.add(raw.read(column, start, end))
    return inference.tick(where)


def infer_interval(raw: ColumnStage, where: str) -> int:
    """Return the most common step between the staged timestamps, in nanoseconds."""
    return common_step((raw.read(TS, start, end) for start, end in _ranges(raw.n_rows)), where)


def canonical_rows(
    raw: ColumnStage,
    into: ColumnStage,
    instrument: Instrument,
    interval_ns: int,
    shift_ns: int,
    repair: Repair,
    where: str,
) -> tuple[str, BarQuality, int]:
    """Write `raw` to `into` as whole ticks and lots.

    Args:
        raw: Ordered rows: ts_ns, then floats.
        into: Six int64 columns.
        instrument: Gives tick and lot.
        interval_ns: Length of a bar.
        shift_ns: Added to every timestamp, to make it the bar's open.
        repair: What sorting did, for the quality.
        where: The file's name, for messages.

    Returns:
        The dataset's hash, its quality, and the number of bars that open off the interval's grid.

    Raises:
        DataError: Bars overlap, or a price or volume does not fit the instrument.
    """
    counts, gaps, digest = PriceCounts(), Gaps(), BarHash(instrument, interval_ns)
    origin_ns = int(raw.read(TS, 0, 1)[0]) + shift_ns
    if origin_ns < 0:
        raise DataError(
            f"{where}: the first bar would open before 1970", "correct the timestamps or the timeframe"
        )
    last = np.empty(0, dtype=np.int64)
    for start, end in _ranges(raw.n_rows):
        ts_open_ns = raw.read(TS, start, end) + shift_ns
        note_gaps(
            np.concatenate((last, ts_open_ns)) if len(last) else ts_open_ns,
            interval_ns,
            origin_ns,
            gaps,
            where,
        )
        last = ts_open_ns[-1:]
        prices = [raw.read(column, start, end) for column in PRICE_COLUMNS]
        ticks = _to_ticks(prices, ts_open_ns, instrument, counts, where)
        volume_lots = lots(raw.read(VOLUME, start, end), instrument, where)
        counts.n_zero_volume += int(np.count_nonzero(volume_lots == 0))
        rows = [ts_open_ns, *ticks, volume_lots]
        digest.add(rows)
        into.append(rows)
    quality = BarQuality(
        n_rows=into.n_rows,
        n_gaps=gaps.n_gaps,
        n_missing_bars=gaps.n_missing_bars,
        largest_gap_ns=gaps.largest_gap_ns,
        first_gaps=tuple(gaps.first_gaps),
        **msgspec.structs.asdict(repair),
        **msgspec.structs.asdict(counts),
    )
    return digest.text(), quality, gaps.n_off_grid


def _to_ticks(
    prices: list[FloatArray], ts_open_ns: IntArray, instrument: Instrument, counts: PriceCounts, where: str
) -> list[IntArray]:
    check_range(max(float(column.max()) for column in prices), instrument, where)
    snapped = [snap(column, instrument.tick_scale, instrument.tick_multiple) for column in prices]
    off_grid = np.any([column.off_grid for column in snapped], axis=0)
    counts.n_snapped += sum(int(np.count_nonzero(column.dirty)) for column in snapped)
    counts.n_off_grid += sum(int(np.count_nonzero(column.off_grid)) for column in snapped)
    counts.n_flat_filled += int(np.count_nonzero(off_grid))
    opened, high, low, close = ticks = [column.ticks for column in snapped]
    for column, price in zip(ticks, prices, strict=True):
        if not column.all():
            index = int((column == 0).argmax())
            raise DataError(
                f"{where}: the price {price[index]:.17g} at {show_time(int(ts_open_ns[index]))} is less than half a tick of"
                f" {plain(instrument.tick_size)}",
                "give a finer tick with --tick",
            )
    inconsistent = (np.minimum(opened, close) < low) | (np.maximum(opened, close) > high)
    counts.n_inconsistent += int(np.count_nonzero(inconsistent))
    return ticks


def _ranges(n_rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_rows, CHUNK_ROWS):
        yield start, min(start + CHUNK_ROWS, n_rows)
