"""How is a stored dataset read? In time order: whole ranges at once on all cores, or block by block in little memory.

A dataset is opened at one state and stays at it: it holds the readers' lock, so that `compact` leaves its parts alone,
and commits only add files.
"""

import os
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.store.files import lock_readers, read_regular, real_folder
from njord.storage.store.kinds import COLUMNS, IntArray
from njord.storage.store.manifest import Manifest, Part, certificate_of, decode
from njord.storage.store.parts import Parallel, blocks, read_bytes, rows_of

if TYPE_CHECKING:
    import pandas
    import polars as pl
    import pyarrow

MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES_MAX = 64 * 1024 * 1024
_WORKERS_MAX = 8
# The folders that frames of this process may still read: a LazyFrame has no end that could be seen.
_scanned: dict[tuple[Path, str], "StoredDataset"] = {}


def read_manifest(folder: Path, where: str) -> Manifest:
    """Return the manifest of a dataset's folder.

    Raises:
        DataError: It is missing, damaged, of a newer schema, or that of another dataset.
    """
    try:
        data = read_regular(folder / MANIFEST_FILE, f"{where}/{MANIFEST_FILE}", MANIFEST_BYTES_MAX)
    except FileNotFoundError:
        raise DataError(
            f"{where} has no {MANIFEST_FILE}", "restore it from a copy, or remove the folder and import again"
        ) from None
    manifest = decode(data, where)
    if manifest.key.path != where:
        raise DataError(
            f"the manifest in {where} is that of {manifest.key.path}", "move the folder back to its place"
        )
    return manifest


class StoredDataset:
    """One dataset of a store at the state at which it was opened; a context manager, whose `close` ends reading."""

    def __init__(self, root: Path, path: str) -> None:
        """Open the dataset at `path` below `root`.

        Raises:
            DataError: There is none, it is damaged, or a link leads out of the store.
        """
        self.root, self.path = root, path
        self.folder = real_folder(root, path)
        lock = lock_readers(self.folder, exclusive=False)
        self._release = weakref.finalize(self, os.close, lock) if lock is not None else None
        try:
            self.manifest = read_manifest(self.folder, path)
        except BaseException:
            self.close()
            raise
        self.key = self.manifest.key
        self.instrument = self.manifest.instrument
        self.interval_ns = self.manifest.interval_ns
        self.n_rows = self.manifest.n_rows
        self.hash = self.manifest.hash
        self.columns = COLUMNS[self.key.kind]

    @property
    def certificate(self) -> bytes | None:
        """The quality certificate as JSON, or None."""
        return certificate_of(self.manifest)

    def close(self) -> None:
        """Let `compact` remove what this state alone needs."""
        if self._release is not None:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- arrays -----------------------------------------------------------------------------------------------------

    def chunks(
        self,
        start_ns: int | None = None,
        end_ns: int | None = None,
        columns: Sequence[str] | None = None,
        size: int = 65_536,
        ahead: int = 0,
    ) -> Iterator[dict[str, IntArray]]:
        """Yield the rows whose first column lies in [start_ns, end_ns), `size` at a time (the last ones fewer).

        Args:
            start_ns: None = from the first row.
            end_ns: None = to the last row.
            columns: Names; None = all.
            size: Rows of a chunk.
            ahead: Parts that threads decode in advance; each costs its memory. 0 = one row group in memory.

        Raises:
            DataError: A part is missing or damaged.
            ValueError: `size` is not positive, or a column is none of this kind.
        """
        if size < 1:
            raise ValueError(f"size must be >= 1, was {size}")
        names = self._names(columns)
        waiting: list[list[IntArray]] = []
        n_waiting = 0
        for block in self._blocks(start_ns, end_ns, names, ahead):
            waiting.append(block)
            n_waiting += len(block[0])
            while n_waiting >= size:
                joined = _joined(waiting)
                yield {name: values[:size] for name, values in zip(names, joined, strict=True)}
                waiting = [[values[size:] for values in joined]]
                n_waiting -= size
        if n_waiting:
            yield dict(zip(names, _joined(waiting), strict=True))

    def read(
        self, start_ns: int | None = None, end_ns: int | None = None, columns: Sequence[str] | None = None
    ) -> dict[str, IntArray]:
        """Return the rows whose first column lies in [start_ns, end_ns) as one array per column, decoded on all cores.

        Raises:
            DataError: A part is missing or damaged.
            ValueError: A column is none of this kind.
        """
        names = self._names(columns)
        parts = self.parts_between(start_ns, end_ns)
        time = self.columns[0]
        cut = any(not _is_inside(part, start_ns, end_ns) for part in parts)
        wanted = [*names, time] if cut and time not in names else names
        n_rows = sum(part.n_rows for part in parts)
        into = {name: np.empty(n_rows, dtype=np.int64) for name in wanted}

        def load(part: Part, first: int) -> None:
            arrays = rows_of(self._bytes(part), part, wanted, self.path, parallel=parallel)
            for name, values in zip(wanted, arrays, strict=True):
                into[name][first : first + part.n_rows] = values

        firsts = np.cumsum([0, *(part.n_rows for part in parts)])[:-1].tolist()
        n_workers = min(os.cpu_count() or 1, _WORKERS_MAX, len(parts))
        parallel: Parallel = "none" if n_workers > 1 else "auto"
        if n_workers > 1:
            with ThreadPoolExecutor(n_workers) as pool:
                list(pool.map(load, parts, firsts))
        else:
            for part, first in zip(parts, firsts, strict=True):
                load(part, first)
        if cut:
            rows = _rows_between(into[time], start_ns, end_ns)
            return {name: into[name][slice(*rows)] for name in names}
        return into

    def parts_between(self, start_ns: int | None, end_ns: int | None) -> list[Part]:
        """Return the parts that hold rows of [start_ns, end_ns), in time order."""
        return [
            part
            for part in self.manifest.parts
            if (start_ns is None or part.last_ns >= start_ns) and (end_ns is None or part.first_ns < end_ns)
        ]

    # --- frames for research ------------------------------------------------------------------------------------------

    def scan(
        self,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        decode: bool = False,
        check: bool = True,
    ) -> "pl.LazyFrame":
        """Return a lazy frame over the parts of [start_ns, end_ns) that polars reads only as far as it must.

        The parts it names are hashed first, once per process, since polars reads them itself later; the range is
        that of whole parts, rows are for `filter` to choose.

        Args:
            start_ns: None = from the first part.
            end_ns: None = to the last part.
            decode: Add prices and quantities as floats and times as UTC datetimes, see `scan.decoded`.
            check: False leaves it at the size of each file, which reads nothing: for more data than is worth hashing.

        Raises:
            DataError: A part is missing or damaged.
        """
        from njord.storage.store import scan

        parts = self.parts_between(start_ns, end_ns)
        for part in parts:
            scan.check_part(self.folder / part.file, part, self.path, hashed=check)
        _scanned[self.folder, self.hash] = self
        frame = scan.lazy(self.key.kind, [self.folder / part.file for part in parts])
        return scan.decoded(frame, self.key.kind, self.instrument) if decode else frame

    def to_arrow(
        self, start_ns: int | None = None, end_ns: int | None = None, columns: Sequence[str] | None = None
    ) -> "pyarrow.Table":
        """Return the rows as a pyarrow table of int64 columns.

        Raises:
            UserError: pyarrow is not installed.
        """
        from njord.storage.store import scan

        return scan.to_arrow(self.read(start_ns, end_ns, columns))

    def to_pandas(
        self, start_ns: int | None = None, end_ns: int | None = None, columns: Sequence[str] | None = None
    ) -> "pandas.DataFrame":
        """Return the rows as a pandas frame of int64 columns.

        Raises:
            UserError: pandas is not installed.
        """
        from njord.storage.store import scan

        return scan.to_pandas(self.read(start_ns, end_ns, columns))

    # --- inside -------------------------------------------------------------------------------------------------------

    def part_rows(self, part: Part, columns: Sequence[str], rows: tuple[int, int]) -> list[IntArray]:
        """Return rows [first, end) of one part, one array per column."""
        return rows_of(self._bytes(part), part, columns, self.path, rows)

    def _blocks(
        self, start_ns: int | None, end_ns: int | None, names: Sequence[str], ahead: int
    ) -> Iterator[list[IntArray]]:
        parts = self.parts_between(start_ns, end_ns)
        if not ahead:
            for part in parts:
                yield from self._part_blocks(part, start_ns, end_ns, names)
            return
        pool = ThreadPoolExecutor(ahead)
        coming: deque[Future[list[list[IntArray]]]] = deque()
        try:
            for part in parts:
                coming.append(
                    pool.submit(lambda part: list(self._part_blocks(part, start_ns, end_ns, names)), part)
                )
                if len(coming) > ahead:
                    yield from coming.popleft().result()
            while coming:
                yield from coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _part_blocks(
        self, part: Part, start_ns: int | None, end_ns: int | None, names: Sequence[str]
    ) -> Iterator[list[IntArray]]:
        data = self._bytes(part)
        rows = None
        if not _is_inside(part, start_ns, end_ns):
            times = rows_of(data, part, self.columns[:1], self.path)[0]
            rows = _rows_between(times, start_ns, end_ns)
        yield from blocks(data, part, names, self.path, rows)

    def _bytes(self, part: Part) -> bytes:
        return read_bytes(self.folder / part.file, part, self.path)

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        names = list(self.columns if columns is None else columns)
        unknown = [name for name in names if name not in self.columns]
        if unknown or not names:
            raise ValueError(
                f"{self.path} has the columns {', '.join(self.columns)}, not {one_line(unknown)}"
            )
        return names


def _is_inside(part: Part, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or part.first_ns >= start_ns) and (end_ns is None or part.last_ns < end_ns)


def _rows_between(times: IntArray, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    first = 0 if start_ns is None else int(np.searchsorted(times, start_ns, "left"))
    end = len(times) if end_ns is None else int(np.searchsorted(times, end_ns, "left"))
    return first, max(first, end)


def _joined(pieces: list[list[IntArray]]) -> list[IntArray]:
    if len(pieces) == 1:
        return pieces[0]
    return [np.concatenate(column) for column in zip(*pieces, strict=True)]
