"""How does a dataset pass from one state to the next, whole or not at all? One writer with a lock, new files under
temporary names, then one rename.

Order of a publication: parts are written and synced under temporary names; a marker says that a commit is under way;
parts get their names; the folder is synced; the manifest is written, synced and renamed into place; the folder is
synced. A crash before the last rename leaves files that no manifest names, and the next writer sweeps them.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.store.files import (
    READERS_FILE,
    TEMP_PREFIX,
    StoreFiles,
    cannot,
    lock_folder,
    real_folder,
)
from njord.storage.store.kinds import Columns, DataKind
from njord.storage.store.manifest import PART_NAME, Manifest, Part, encode
from njord.storage.store.parts import encode_part, part_of
from njord.storage.store.stored import MANIFEST_FILE, read_manifest

UNDER_WAY = f"{TEMP_PREFIX}commit"
_ATTEMPTS = 3


class StagedPart(msgspec.Struct, frozen=True):
    """A part of the next state; `temp` is its temporary file, None where it is there already."""

    part: Part
    temp: Path | None = None


class Transaction:
    """The only writer of one dataset, from the lock on."""

    def __init__(self, root: Path, path: str, kind: DataKind, files: StoreFiles) -> None:
        """Lock the dataset's folder, making it if need be, and sweep what a crash left.

        Raises:
            DataError: Another writer is at work, the disk refuses, or the dataset is damaged.
        """
        self.path = path
        self._root, self._kind, self._files = root, kind, files
        self._n_temp = 0
        self.folder, self._lock = self._locked()
        try:
            self.manifest = self._sweep()
        except OSError as error:
            self.close()
            raise cannot("written", path, error) from None
        except BaseException:
            self.close()
            raise

    def write_part(self, period: str, columns: Columns) -> StagedPart:
        """Write rows of one period (one at least) under a temporary name.

        Raises:
            DataError: The disk refuses.
        """
        data = encode_part(columns)
        part = part_of(self._kind, period, columns, data)
        self._n_temp += 1
        temp = self.folder / f"{TEMP_PREFIX}{self._n_temp}.parquet"
        try:
            self._files.write_new(temp, data)
        except OSError as error:
            raise cannot("written", self.path, error) from None
        return StagedPart(part, temp)

    def drop(self, staged: Sequence[StagedPart]) -> None:
        """Remove parts that turned out not to be needed."""
        for one in staged:
            if one.temp is not None:
                with contextlib.suppress(OSError):
                    self._files.remove(one.temp)

    def publish(self, manifest: Manifest, staged: Sequence[StagedPart]) -> None:
        """Make `manifest` the dataset's state; `staged` holds the parts it names that still need their names.

        Raises:
            DataError: The disk refuses; the old state stands, unless the error says otherwise.
        """
        renamed = False
        try:
            fresh = [one for one in staged if one.temp is not None]
            if fresh:
                self._files.write_new(self.folder / UNDER_WAY, b"")
                self._files.sync_folder(self.folder)
            for one in fresh:
                assert one.temp is not None
                self._files.rename(one.temp, self.folder / one.part.file)
            if not (self.folder / READERS_FILE).exists():
                self._files.write_new(self.folder / READERS_FILE, b"")
            self._files.sync_folder(self.folder)
            temp = self.folder / f"{TEMP_PREFIX}{MANIFEST_FILE}"
            self._files.write_new(temp, encode(manifest))
            self._files.rename(temp, self.folder / MANIFEST_FILE)
            renamed = True
            self.manifest = manifest
            self._files.sync_folder(self.folder)
            if fresh:
                self._files.remove(self.folder / UNDER_WAY)
        except OSError as error:
            refused = cannot("written", self.path, error)
            if renamed:
                raise DataError(
                    f"{refused.problem}, after the new state was in place but before it was certain to last",
                    "check the disk, then run the same command again",
                ) from None
            raise refused from None

    def close(self) -> None:
        """Remove what was not published and give the lock back."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            for entry in self._temporary():
                if (
                    entry.name != UNDER_WAY
                ):  # It tells the next writer that parts without a manifest are litter.
                    self._files.remove(entry)
            self._remove_if_empty()
        os.close(self._lock)
        self._lock = None

    def _locked(self) -> tuple[Path, int | None]:
        for _ in range(_ATTEMPTS):
            folder = real_folder(self._root, self.path)
            try:
                self._files.make_folder(folder)
                lock = lock_folder(folder)
            except FileNotFoundError:
                continue  # Another writer gave up at this moment and took its empty folder with it.
            except OSError as error:
                raise cannot("written", one_line(folder, 200), error) from None
            if lock is not None:
                return folder, lock
        raise DataError(f"another command is writing {self.path}", "wait until it has ended, then try again")

    # Reads the manifest and removes what no state needs: temporary files, and parts that never became one.
    def _sweep(self) -> Manifest | None:
        names = {entry.name for entry in self.folder.iterdir()}
        parts = {name for name in names if PART_NAME.fullmatch(name)}
        manifest = None
        if MANIFEST_FILE in names or (parts and UNDER_WAY not in names):
            manifest = read_manifest(self.folder, self.path)
            parts -= {part.file for part in manifest.parts} | set(manifest.retired)
        for name in sorted(parts):
            self._files.remove(self.folder / name)
        # The marker goes last: while it is there, parts without a manifest are known to be litter.
        for entry in self._temporary():
            if entry.name != UNDER_WAY:
                self._files.remove(entry)
        if UNDER_WAY in names:
            self._files.sync_folder(self.folder)
            self._files.remove(self.folder / UNDER_WAY)
        return manifest

    def _temporary(self) -> list[Path]:
        return sorted(entry for entry in self.folder.iterdir() if entry.name.startswith(TEMP_PREFIX))

    def _remove_if_empty(self) -> None:
        folder = self.folder
        while folder != self._root and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
