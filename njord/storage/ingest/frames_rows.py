"""Where do rows wait until their grid is known, and what are they when it is? Exact numbers in, ticks and lots out.

A source of unknown origin shows its tick and lot only when all of it was read: until then prices and quantities are
staged as exact decimals, two integers each, on anonymous temporary files.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.bars_order import CHUNK_ROWS
from njord.storage.certificate.facts import FactCollector, SourceFacts
from njord.storage.grid import TickInference
from njord.storage.ingest.decimals import DecimalsUsed, Numbers, Steps, in_steps
from njord.storage.ingest.frames_layout import FIELDS, Field, Role
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

IntArray = NDArray[np.int64]

ROW = 0  # The first staged column: the row's number in its source, from 1.
_DECIMAL = (Role.PRICE, Role.QTY)


class RowSource:
    """Rows of one kind in order, as whole ticks and lots; a context manager, whose `close` removes the staging.

    Attributes:
        kind: Which columns the rows have.
        instrument: Gives the steps of prices and quantities.
        interval_ns: Length of a bar; 0 for the other kinds.
        key: What the file calls its dataset or topic; may be empty.
        n_rows: How many rows there are.
        hash: Of the canonical rows, as the store computes it.
        facts: What was wrong with the source, with the first places.
        assumptions: What was taken for granted, as sentences.
    """

    def __init__(
        self,
        *,
        kind: DataKind,
        instrument: Instrument,
        interval_ns: int,
        key: str,
        stage: ColumnStage,
        digest: str,
        facts: SourceFacts,
        assumptions: tuple[str, ...],
    ) -> None:
        self.kind = kind
        self.instrument = instrument
        self.interval_ns = interval_ns
        self.key = key
        self.n_rows = stage.n_rows
        self.hash = digest
        self.facts = facts
        self.assumptions = assumptions
        self._stage = stage

    def rows(self, size: int = CHUNK_ROWS) -> Iterator[Columns]:
        """Yield the rows in order, `size` at a time."""
        names = COLUMNS[self.kind]
        for start, end in ranges(self.n_rows, size):
            yield {name: self._stage.read(index, start, end) for index, name in enumerate(names)}

    def close(self) -> None:
        """Remove the staged rows; the source's facts stay readable."""
        self._stage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RawRows:
    """Staged rows of one kind whose grid is not known yet."""

    def __init__(self, kind: DataKind, where: str) -> None:
        self._fields = FIELDS[kind]
        self._where = where
        self._used = {role: DecimalsUsed() for role in _DECIMAL}
        self.first_column: dict[str, int] = {}
        width = 1
        for field in self._fields:
            self.first_column[field.name] = width
            width += 2 if field.role in _DECIMAL else 1
        self.dtypes = (np.int64,) * width
        self.stage = ColumnStage(self.dtypes)

    def append(self, rows: IntArray, columns: Mapping[str, IntArray | Numbers]) -> None:
        """Stage rows.

        Args:
            rows: Their numbers in the source, from 1.
            columns: Per field name its integers, or the exact numbers of a price or quantity.
        """
        staged = [rows]
        for field in self._fields:
            values = columns[field.name]
            if isinstance(values, Numbers):
                self._used[field.role].add(values)
                staged += values
            else:
                staged.append(values)
        self.stage.append(staged)

    def infer(self, role: Role) -> Decimal:
        """Return the coarsest power of ten, 1 at most, that the prices or quantities lie on.

        All of them must; where that would be finer than 1e-12, float dirt among them is the likelier cause, and 99.9 %
        are enough.

        Raises:
            DataError: They lie on no such grid.
        """
        step = self._used[role].step()
        if step is not None:
            return step
        fields = [field for field in self._fields if field.role is role]
        inference = TickInference(len(fields) * self.stage.n_rows)
        for field in fields:
            for start, end in ranges(self.stage.n_rows):
                digits, decimals = self._numbers(field, start, end)
                inference.add((digits / 10.0**decimals)[digits > 0])
        return inference.tick(self._where)

    def onto_grid(self, instrument: Instrument, facts: FactCollector, into: ColumnStage) -> None:
        """Write the rows to `into` as whole ticks and lots; what lies off the grid is rounded, counted and placed.

        Raises:
            DataError: A value is beyond an int64, or rounds to nothing.
        """
        for start, end in ranges(self.stage.n_rows):
            rows, ts_ns = self.stage.read(ROW, start, end), self.stage.read(ROW + 1, start, end)
            for index, field in enumerate(self._fields):
                if field.role not in _DECIMAL:
                    into.extend(index, self.stage.read(self.first_column[field.name], start, end))
                    continue
                numbers = self._numbers(field, start, end)
                steps = in_steps(numbers, *field.step(instrument))
                if steps is None:
                    raise _too_large(numbers, field, instrument, rows, self._where)
                _check_nothing_vanished(numbers, steps, field, instrument, rows, self._where)
                for fact, hit in (("snapped", steps.dirty), ("off_grid", steps.off_grid)):
                    if hit.any():
                        facts.note(fact, ts_ns[hit], rows[hit], field.name)
                into.extend(index, steps.values)

    def replace(self, stage: ColumnStage) -> None:
        """Take `stage`, the same columns in another order, in the place of the rows so far."""
        self.stage.close()
        self.stage = stage

    def _numbers(self, field: Field, start: int, end: int) -> Numbers:
        first = self.first_column[field.name]
        return Numbers(self.stage.read(first, start, end), self.stage.read(first + 1, start, end))

    def close(self) -> None:
        """Remove the staged rows."""
        self.stage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ranges(n_rows: int, size: int = CHUNK_ROWS) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of successive pieces of `n_rows` rows."""
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


def _check_nothing_vanished(
    numbers: Numbers, steps: Steps, field: Field, instrument: Instrument, rows: IntArray, where: str
) -> None:
    gone = (steps.values == 0) & (numbers.digits != 0)
    if gone.any():
        index = int(gone.argmax())
        size, flag = _step_of(field, instrument)
        raise DataError(
            f"{where} row {rows[index]}: {field.name} {_shown(numbers, index)} is less than half a step of {size}",
            f"give a finer one with {flag}",
        )


def _too_large(
    numbers: Numbers, field: Field, instrument: Instrument, rows: IntArray, where: str
) -> DataError:
    index = max(range(len(rows)), key=lambda row: abs(_value(numbers, row)))
    size, flag = _step_of(field, instrument)
    return DataError(
        f"{where} row {rows[index]}: {field.name} {_shown(numbers, index)} is too large for a step of {size} (2**63 steps at most)",
        f"give a coarser one with {flag}",
    )


def _step_of(field: Field, instrument: Instrument) -> tuple[str, str]:
    return (
        (plain(instrument.tick_size), "--tick")
        if field.role is Role.PRICE
        else (plain(instrument.lot_size), "--lot")
    )


def _value(numbers: Numbers, index: int) -> Decimal:
    return Decimal(int(numbers.digits[index])).scaleb(-int(numbers.decimals[index]))


def _shown(numbers: Numbers, index: int) -> str:
    return plain(_value(numbers, index))
