"""What does one period hold after an import? Its stored parts and the incoming rows in; its new parts and counts out.

Parts that the incoming rows do not touch are kept as they are. Where nothing is new, nothing is written.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.storage.bars_text import show_time
from njord.storage.stage import ColumnStage
from njord.storage.store.kinds import COLUMNS, DataKind, IntArray
from njord.storage.store.manifest import Part
from njord.storage.store.merge_rows import (
    Merged,
    Rows,
    aligned,
    contradicted,
    is_in,
    joined,
    merge_block,
    select,
)
from njord.storage.store.parts import BLOCK_ROWS, PART_ROWS, as_columns, blocks, read_bytes
from njord.storage.store.transaction import StagedPart, Transaction

_TRADE_ID = COLUMNS[DataKind.TRADES].index("trade_id")
_NO_IDS: IntArray = np.empty(0, dtype=np.int64)


class PeriodMerge(msgspec.Struct):
    """The parts of one period after an import, in order, and what became of the incoming rows."""

    parts: list[StagedPart]
    n_added: int = 0
    n_known: int = 0
    n_replaced: int = 0


class PeriodMerger:
    """Merges incoming rows into the periods of one dataset."""

    def __init__(self, transaction: Transaction, kind: DataKind, replace: bool) -> None:
        self._transaction = transaction
        self._kind = kind
        self._replace = replace
        self._empty: Rows = [np.empty(0, dtype=np.int64) for _ in COLUMNS[kind]]

    def merge(self, period: str, stage: ColumnStage, old: Sequence[StagedPart]) -> PeriodMerge:
        """Merge the staged rows (one at least) into the period's parts.

        Raises:
            DataError: A row contradicts a stored one, or the disk refuses.
        """
        first_ns = int(stage.read(0, 0, 1)[0])
        last_ns = int(stage.read(0, stage.n_rows - 1, stage.n_rows)[0])
        start, end = _touched([one.part for one in old], first_ns, last_ns)
        if not old:
            return PeriodMerge(self._write(period, self._incoming(stage)), n_added=stage.n_rows)
        done, added = self._counted(stage, old[start:end])
        dropped = _NO_IDS
        if self._kind is DataKind.TRADES and len(added[0]):
            dropped = self._contradicted([one.part for one in old], added)
            if len(dropped):
                start, end = 0, len(old)  # The rows to drop may lie anywhere in the period.
                done.n_replaced = int(np.count_nonzero(is_in(added[_TRADE_ID], dropped)))
                done.n_added -= done.n_replaced
        if not done.n_added and not done.n_replaced:
            done.parts = list(old)
            return done
        merged = (block.rows for block in self._merged(stage, old[start:end], dropped))
        done.parts = [*old[:start], *self._write(period, merged), *old[end:]]
        return done

    # The first pass, which writes nothing: an import repeated ends here.
    def _counted(self, stage: ColumnStage, old: Sequence[StagedPart]) -> tuple[PeriodMerge, Rows]:
        done = PeriodMerge([])
        added: list[Rows] = [self._empty]
        for block in self._merged(stage, old, _NO_IDS):
            if block.conflict_ns >= 0 and not self._replace:
                raise self._conflict(block.conflict_ns)
            done.n_added += len(block.added[0])
            done.n_known += block.n_known
            done.n_replaced += block.n_replaced
            if self._kind is DataKind.TRADES and len(block.added[0]):
                added.append(block.added)
        return done, joined(added)

    def _merged(self, stage: ColumnStage, old: Sequence[StagedPart], dropped: IntArray) -> Iterator[Merged]:
        stored = self._stored([one.part for one in old], COLUMNS[self._kind])
        if len(dropped):
            stored = (select(rows, ~is_in(rows[_TRADE_ID], dropped)) for rows in stored)
            stored = (rows for rows in stored if len(rows[0]))
        for ours, theirs in aligned(stored, self._incoming(stage), self._empty):
            yield merge_block(self._kind, ours, theirs)

    # Ids of new trades under which the period has a trade of another content.
    def _contradicted(self, old: Sequence[Part], added: Rows) -> IntArray:
        news = np.sort(added[_TRADE_ID])
        shared = [block[0][is_in(block[0], news)] for block in self._stored(old, ("trade_id",))]
        ids = np.setdiff1d(np.concatenate(shared), 0)
        if not len(ids):
            return ids
        stored = joined(
            [self._empty]
            + [select(rows, is_in(rows[_TRADE_ID], ids)) for rows in self._stored(old, COLUMNS[self._kind])]
        )
        bad, conflict_ns = contradicted(stored, select(added, is_in(added[_TRADE_ID], ids)), _TRADE_ID)
        if len(bad) and not self._replace:
            raise self._conflict(conflict_ns)
        return bad

    def _stored(self, parts: Sequence[Part], columns: Sequence[str]) -> Iterator[Rows]:
        path = self._transaction.path
        for part in parts:
            data = read_bytes(self._transaction.folder / part.file, part, path)
            yield from blocks(data, part, columns, path)

    def _incoming(self, stage: ColumnStage) -> Iterator[Rows]:
        for first in range(0, stage.n_rows, BLOCK_ROWS):
            end = min(first + BLOCK_ROWS, stage.n_rows)
            yield [stage.read(column, first, end) for column in range(len(self._empty))]

    def _write(self, period: str, rows: Iterator[Rows]) -> list[StagedPart]:
        staged: list[StagedPart] = []
        waiting: list[Rows] = []
        n_waiting = 0
        for block in rows:
            waiting.append(block)
            n_waiting += len(block[0])
            while n_waiting >= PART_ROWS:
                whole = joined(waiting)
                staged.append(self._write_part(period, [column[:PART_ROWS] for column in whole]))
                waiting, n_waiting = [[column[PART_ROWS:] for column in whole]], n_waiting - PART_ROWS
        if n_waiting:
            staged.append(self._write_part(period, joined(waiting)))
        return staged

    def _write_part(self, period: str, rows: Rows) -> StagedPart:
        return self._transaction.write_part(period, as_columns(self._kind, rows))

    def _conflict(self, ts_ns: int) -> DataError:
        what = "bar" if self._kind is DataKind.BARS else "trade"
        return DataError(
            f"{self._transaction.path} has another {what} than the file at {show_time(ts_ns)}",
            "keep the stored one by leaving the file out, or import with --replace",
        )


# The parts [start, end) that incoming rows of [first_ns, last_ns] touch. A small part right before them is taken in,
# or appending a few rows at a time would leave as many parts.
def _touched(parts: Sequence[Part], first_ns: int, last_ns: int) -> tuple[int, int]:
    start = sum(part.last_ns < first_ns for part in parts)
    end = len(parts) - sum(part.first_ns > last_ns for part in parts)
    if start and parts[start - 1].n_rows < PART_ROWS // 2:
        start -= 1
    return start, max(start, end)
