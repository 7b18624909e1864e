"""Where do market data lie? A folder with a marker and one folder per dataset: list them, open one, write one.

`njord-store.json` says that a folder is a store, so that nothing is ever read from or swept in another one.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.store.commit import Commit
from njord.storage.store.files import (
    TEMP_PREFIX,
    OsStoreFiles,
    StoreFiles,
    cannot,
    read_regular,
    real_folder,
)
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import PART_NAME, Manifest
from njord.storage.store.stored import MANIFEST_FILE, StoredDataset, read_manifest
from njord.storage.store.transaction import UNDER_WAY

__all__ = ["Commit", "Store", "StoredDataset"]

MARKER = "njord-store.json"
STORE_SCHEMA = 1
_MARKER_BYTES_MAX = 4096
_DEPTH_MAX = 4
_OS_FILES = OsStoreFiles()


class _Marker(msgspec.Struct, forbid_unknown_fields=True):
    schema: int


class Store:
    """A folder of datasets."""

    def __init__(self, root: Path, create: bool = False, files: StoreFiles = _OS_FILES) -> None:
        """Open the store at `root`.

        Args:
            root: The folder; it may itself be reached by a link, what lies in it may not.
            create: Make an empty or missing folder a store.
            files: Where writing goes; tests hand in a disk that fails.

        Raises:
            DataError: The folder is no store, of a newer schema, or can not be made one.
        """
        self.root = root
        self._files = files
        shown = one_line(root, 200)
        try:
            data = read_regular(root / MARKER, f"{shown}/{MARKER}", _MARKER_BYTES_MAX)
        except FileNotFoundError:
            if not create:
                raise DataError(
                    f"{shown} is no data store", "create one with: njord data import FILE"
                ) from None
            self._create(shown)
            return
        try:
            schema = msgspec.json.decode(data, type=_Marker).schema
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise DataError(
                f"{shown}/{MARKER} is damaged", f"""write {{"schema":{STORE_SCHEMA}}} into it again"""
            ) from None
        if schema != STORE_SCHEMA:
            raise DataError(
                f"{shown} is a store of schema {schema}, this version reads {STORE_SCHEMA}",
                "use the njord that wrote it",
            )

    def datasets(self) -> list[tuple[str, Manifest | str]]:
        """Return every dataset's path with its manifest, or with one line that says what is wrong with it; sorted."""
        found: list[tuple[str, Manifest | str]] = []
        for path in sorted(self._paths()):
            try:
                real_folder(self.root, path)
                found.append((path, read_manifest(self.root / path, path)))
            except DataError as error:
                found.append((path, str(error)))
        return found

    def open(self, dataset: DatasetKey | str) -> StoredDataset:
        """Open a dataset by its key or path; the caller closes it.

        Raises:
            DataError: There is none, or it is damaged.
        """
        path = dataset.path if isinstance(dataset, DatasetKey) else self.path_of(dataset)
        if not os.path.lexists(self.root / path):
            raise self._missing(path)
        stored = StoredDataset(self.root, path)
        if isinstance(dataset, DatasetKey) and stored.key != dataset:
            stored.close()
            raise DataError(
                f"{path} holds {one_line(stored.key.symbol)}, not {one_line(dataset.symbol)}",
                f"open it as {one_line(stored.key.symbol)}",
            )
        return stored

    def begin(
        self, key: DatasetKey, *, instrument: Instrument, interval_ns: int = 0, replace: bool = False
    ) -> Commit:
        """Begin the next state of a dataset, as its only writer.

        Args:
            key: The dataset; it need not exist.
            instrument: Its grid and names. The stored one stays, but must have the same tick and lot.
            interval_ns: Length of a bar, 0 = what the timeframe says.
            replace: Rows that contradict stored ones win, instead of being refused.

        Raises:
            DataError: Another writer is at work, the stored dataset is another or damaged, or the disk refuses.
        """
        return Commit(self.root, key, instrument, interval_ns, replace, self._files)

    @property
    def files(self) -> StoreFiles:
        """Where writing goes."""
        return self._files

    @staticmethod
    def path_of(text: str) -> str:
        """Return the path of a dataset as the store writes it.

        Raises:
            DataError: It is no path of a dataset.
        """
        return "/".join(part for part in DatasetKey.parse_path(text) if part)

    def _create(self, shown: str) -> None:
        try:
            self._files.make_folder(self.root)
            names = os.listdir(self.root)
            litter = [name for name in names if name.startswith(TEMP_PREFIX)]
            if len(names) > len(litter) and MARKER not in names:
                raise DataError(
                    f"{shown} is no data store and not empty", "choose another folder, such as var/data"
                )
            for name in litter:  # Of one who was killed while making it a store.
                self._files.remove(self.root / name)
            temp = self.root / f"{TEMP_PREFIX}{os.getpid()}"
            self._files.write_new(temp, msgspec.json.encode(_Marker(STORE_SCHEMA)) + b"\n")
            self._files.rename(temp, self.root / MARKER)
            self._files.sync_folder(self.root)
        except OSError as error:
            raise cannot("written", shown, error) from None

    # Folders that look like a dataset: they hold a manifest, or parts that a manifest should name. Links are listed,
    # so that they are refused by name.
    def _paths(self) -> Iterator[str]:
        for kind in DataKind:
            yield from self._below(kind.value, 1)

    def _below(self, path: str, depth: int) -> Iterator[str]:
        folder = self.root / path
        if folder.is_symlink():
            yield path
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            yield path
            return
        names = {entry.name for entry in entries}
        if MANIFEST_FILE in names or (UNDER_WAY not in names and any(map(PART_NAME.fullmatch, names))):
            yield path
        if depth < _DEPTH_MAX:
            for entry in entries:
                if entry.is_symlink() and entry.name != MANIFEST_FILE and not PART_NAME.fullmatch(entry.name):
                    yield f"{path}/{entry.name}"
                elif entry.is_dir(follow_symlinks=False):
                    yield from self._below(f"{path}/{entry.name}", depth + 1)

    def _missing(self, path: str) -> DataError:
        close = difflib.get_close_matches(path, list(self._paths()), n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}?" if close else "see what there is with: njord data list"
        return DataError(f"there is no dataset {path}", meant)
