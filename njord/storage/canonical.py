"""How do staged floats become the canonical rows? Ordered raw rows in; ticks, lots, hash and certificate out."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_order import CHUNK_ROWS
from njord.storage.bars_rows import CLOSE, HIGH, LOW, OPEN, TS, VOLUME
from njord.storage.bars_text import show_time
from njord.storage.certificate.bars import COLUMNS, BarChecks
from njord.storage.certificate.certificate import Certificate
from njord.storage.certificate.facts import NO_FACTS, NO_ROW, FactCollector, SourceFacts
from njord.storage.dataset import BarHash
from njord.storage.grid import TickInference, check_range, lots, snap
from njord.storage.interval import common_step, refuse_overlap
from njord.storage.stage import ColumnStage

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PRICE_COLUMNS = (OPEN, HIGH, LOW, CLOSE)


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
    repaired: SourceFacts,
    where: str,
) -> Certificate:
    """Write `raw` to `into` as whole ticks and lots.

    Args:
        raw: Ordered rows: ts_ns, then floats.
        into: Six int64 columns.
        instrument: Gives tick and lot.
        interval_ns: Length of a bar.
        shift_ns: Added to every timestamp, to make it the bar's open.
        repaired: What sorting and dropping did.
        where: The file's name, for messages.

    Returns:
        The rows' certificate, which names their hash.

    Raises:
        DataError: Bars overlap, or a price or volume does not fit the instrument.
    """
    if int(raw.read(TS, 0, 1)[0]) + shift_ns < 0:
        raise DataError(
            f"{where}: the first bar would open before 1970", "correct the timestamps or the timeframe"
        )
    digest, checks = BarHash(instrument, interval_ns), BarChecks(instrument, interval_ns)
    # What sorting moved has no row of the file any more.
    onto_grid = _OntoGrid(instrument, where, rows_are_known=repaired == NO_FACTS)
    last = np.empty(0, dtype=np.int64)
    for start, end in _ranges(raw.n_rows):
        ts_open_ns = raw.read(TS, start, end) + shift_ns
        refuse_overlap(np.concatenate((last, ts_open_ns)), interval_ns, where)
        last = ts_open_ns[-1:]
        prices = [raw.read(column, start, end) for column in PRICE_COLUMNS]
        ticks = onto_grid.ticks(prices, ts_open_ns, start)
        rows = [ts_open_ns, *ticks, lots(raw.read(VOLUME, start, end), instrument, where)]
        digest.add(rows)
        checks.add(dict(zip(COLUMNS, rows, strict=True)))
        into.append(rows)
    facts = repaired.shifted(shift_ns).merged(onto_grid.facts.facts())
    return checks.finish(digest.text(), facts)


class _OntoGrid:
    def __init__(self, instrument: Instrument, where: str, rows_are_known: bool) -> None:
        self.facts = FactCollector()
        self._instrument, self._where, self._rows_are_known = instrument, where, rows_are_known

    def ticks(self, prices: list[FloatArray], ts_open_ns: IntArray, first_row: int) -> list[IntArray]:
        instrument, where = self._instrument, self._where
        check_range(max(float(column.max()) for column in prices), instrument, where)
        snapped = [snap(column, instrument.tick_scale, instrument.tick_multiple) for column in prices]
        self._note("snapped", [column.dirty for column in snapped], ts_open_ns, first_row)
        self._note("off_grid", [column.off_grid for column in snapped], ts_open_ns, first_row)
        for column, price in zip(snapped, prices, strict=True):
            if not column.ticks.all():
                index = int((column.ticks == 0).argmax())
                raise DataError(
                    f"{where}: the price {price[index]:.17g} at {show_time(int(ts_open_ns[index]))} is less than half a tick of"
                    f" {plain(instrument.tick_size)}",
                    "give a finer tick with --tick",
                )
        return [column.ticks for column in snapped]

    def _note(self, fact: str, columns: list[BoolArray], ts_open_ns: IntArray, first_row: int) -> None:
        n = sum(int(np.count_nonzero(column)) for column in columns)
        if n:
            at = np.flatnonzero(np.logical_or.reduce(columns))
            rows = at + (first_row + 1) if self._rows_are_known else np.full(len(at), NO_ROW)
            self.facts.note(fact, ts_open_ns[at], rows, n=n)


def _ranges(n_rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n_rows, CHUNK_ROWS):
        yield start, min(start + CHUNK_ROWS, n_rows)
