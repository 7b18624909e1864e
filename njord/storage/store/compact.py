"""How does a dataset get smaller? Small parts become one, and files that no state needs any more are removed.

A file that anybody holds open stays: readers of this package hold a shared lock while they have a dataset open, and on
Linux every process's open and mapped files are asked for as well.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from njord.core.errors import DataError
from njord.storage.store.files import cannot, lock_readers
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import COLUMNS
from njord.storage.store.manifest import Manifest, Part
from njord.storage.store.merge_rows import joined
from njord.storage.store.parts import BLOCK_ROWS, PART_ROWS, as_columns, read_bytes, rows_of
from njord.storage.store.store import Store
from njord.storage.store.transaction import StagedPart, Transaction

SMALL_ROWS = BLOCK_ROWS  # A part with fewer rows than a row group costs more to open than to read.
_YEAR, _WIDER = 4, 3  # Characters of a year, and how many a month and a day add to it.


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What `compact` did to one dataset.

    Attributes:
        path: The dataset.
        n_merged: Parts that went into larger ones.
        n_parts: Parts that the dataset has now.
        n_removed: Files removed.
        n_bytes: Bytes that they held.
        held: Files that nothing needs but somebody holds open; the next `compact` tries again.
    """

    path: str
    n_merged: int
    n_parts: int
    n_removed: int
    n_bytes: int
    held: tuple[str, ...]


def compact(store: Store, path: str) -> Compacted:
    """Merge small parts of the dataset at `path` and remove the files of its earlier states.

    The rows and the hash stay the same. Days become months and months years only where all of their rows together
    make a small part.

    Raises:
        DataError: There is no such dataset, it is damaged, another writer is at work, or the disk refuses.
    """
    path = store.path_of(path)
    store.open(path).close()
    transaction = Transaction(store.root, path, DatasetKey.parse_path(path)[0], store.files)
    try:
        manifest = transaction.manifest
        if manifest is None:
            raise DataError(f"there is no dataset {path}", "see what there is with: njord data list")
        staged, n_merged = _merged(manifest, transaction)
        if n_merged:
            parts = tuple(one.part for one in staged)
            names = {part.file for part in parts}
            retired = {*manifest.retired, *(part.file for part in manifest.parts)} - names
            manifest = msgspec.structs.replace(
                manifest, parts=parts, retired=tuple(sorted(retired)), checksum=""
            )
            transaction.publish(manifest, staged)
        removed, n_bytes, held = _remove(store, transaction.folder, manifest)
        if manifest.retired != held:
            transaction.publish(msgspec.structs.replace(manifest, retired=held, checksum=""), ())
        return Compacted(
            path=path,
            n_merged=n_merged,
            n_parts=len(manifest.parts),
            n_removed=removed,
            n_bytes=n_bytes,
            held=held,
        )
    finally:
        transaction.close()


# The parts of the next state: those that form one larger part are written as one.
def _merged(manifest: Manifest, transaction: Transaction) -> tuple[list[StagedPart], int]:
    staged: list[StagedPart] = []
    n_merged = 0
    kind, path = manifest.key.kind, manifest.key.path
    for period, group in _groups(manifest.parts):
        if len(group) == 1:
            staged.append(StagedPart(group[0]))
            continue
        n_merged += len(group)
        pieces = [
            rows_of(read_bytes(transaction.folder / part.file, part, path), part, COLUMNS[kind], path)
            for part in group
        ]
        staged.append(transaction.write_part(period, as_columns(kind, joined(pieces))))
    return staged, n_merged


# A year that is small as a whole becomes one part, else a month that is, else the pieces of a day.
def _groups(parts: Sequence[Part], n_chars: int = _YEAR) -> Iterator[tuple[str, list[Part]]]:
    for period, same in groupby(parts, key=lambda part: part.period[:n_chars]):
        group = list(same)
        if sum(part.n_rows for part in group) <= SMALL_ROWS or len(group) == 1:
            yield (period if len(group) > 1 else group[0].period), group
        elif len({part.period for part in group}) > 1:
            yield from _groups(group, n_chars + _WIDER)
        else:
            yield from _pieces(group)


def _pieces(parts: Sequence[Part]) -> Iterator[tuple[str, list[Part]]]:
    group: list[Part] = []
    for part in parts:
        if group and sum(one.n_rows for one in group) + part.n_rows > PART_ROWS:
            yield group[0].period, group
            group = []
        group.append(part)
    yield group[0].period, group


# Returns how many files went with how many bytes, and the names of those that somebody holds.
def _remove(store: Store, folder: Path, manifest: Manifest) -> tuple[int, int, tuple[str, ...]]:
    there = [name for name in manifest.retired if os.path.lexists(folder / name)]
    if not there:
        return 0, 0, ()
    lock = lock_readers(folder, exclusive=True)
    if lock is None:
        return 0, 0, tuple(there)
    try:
        in_use = files_in_use()
        held, n_removed, n_bytes = [], 0, 0
        for name in there:
            state = os.lstat(folder / name)
            if (state.st_dev, state.st_ino) in in_use:
                held.append(name)
                continue
            store.files.remove(folder / name)
            n_removed, n_bytes = n_removed + 1, n_bytes + state.st_size
        return n_removed, n_bytes, tuple(held)
    except OSError as error:
        raise cannot("written", manifest.key.path, error) from None
    finally:
        os.close(lock)


def files_in_use() -> set[tuple[int, int]]:
    """Return device and inode of every file that a process we may look at has open or mapped; nothing without /proc."""
    used: set[tuple[int, int]] = set()
    for process in Path("/proc").glob("[0-9]*"):
        for folder in ("fd", "map_files"):
            try:
                entries = os.listdir(process / folder)
            except OSError:
                continue  # It ended, or belongs to somebody else.
            for entry in entries:
                try:
                    state = os.stat(process / folder / entry)
                except OSError:
                    continue
                used.add((state.st_dev, state.st_ino))
    return used
