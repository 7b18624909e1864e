"""Is a dataset still what was written? Every file is read again; each one that is not as it was is named.

Nothing is taken from what this process has seen before: sizes, hashes, rows, times and the canonical hash are computed
anew, and no bytes reach a decoder that their SHA-256 does not vouch for.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.storage.bars_text import one_line, show_time
from njord.storage.dataset import BarHash
from njord.storage.store.files import READERS_FILE, TEMP_PREFIX, real_folder
from njord.storage.store.kinds import COLUMNS, IntArray
from njord.storage.store.manifest import PART_NAME, Manifest, Part
from njord.storage.store.parts import blocks, read_bytes
from njord.storage.store.rows_hash import RowsHash, rows_hash
from njord.storage.store.stored import MANIFEST_FILE, StoredDataset, read_manifest
from njord.storage.store.transaction import UNDER_WAY

Digest = BarHash | RowsHash


class Problem(msgspec.Struct, frozen=True):
    """One file of a dataset that is not as it should be, and what is wrong with it."""

    file: str
    what: str


def verify(dataset: StoredDataset) -> list[Problem]:
    """Return what is wrong with a dataset as it lies on the disk now; nothing = all is as it was written."""
    return verify_folder(dataset.root, dataset.path)


def verify_folder(root: Path, path: str) -> list[Problem]:
    """Return what is wrong with the dataset at `path` below `root`, which need not be fit to be opened."""
    try:
        folder = real_folder(root, path)
        manifest = read_manifest(folder, path)
    except DataError as error:
        return [Problem(f"{path}/{MANIFEST_FILE}", str(error))]
    problems = list(_extra(folder, manifest, path))
    digest: Digest = rows_hash(manifest.key.kind, manifest.instrument, manifest.interval_ns)
    unsound = False
    for part in manifest.parts:
        try:
            problem = _check_part(folder, part, manifest, digest)
        except DataError as error:
            problem = str(error)
        if problem:
            unsound = True
            problems.append(Problem(f"{path}/{part.file}", problem))
    if not unsound and digest.text() != manifest.hash:
        problems.append(
            Problem(f"{path}/{MANIFEST_FILE}", f"the rows hash to {digest.text()}, it says {manifest.hash}")
        )
    return problems


def _check_part(folder: Path, part: Part, manifest: Manifest, digest: Digest) -> str:
    path = manifest.key.path
    data = read_bytes(folder / part.file, part, path, again=True)
    times: list[IntArray] = []
    for block in blocks(data, part, COLUMNS[manifest.key.kind], path):
        digest.add(block)
        times.append(block[0])
    stamps = np.concatenate(times)
    if (np.diff(stamps) < 0).any():
        return "its rows run backwards in time"
    if (int(stamps[0]), int(stamps[-1])) != (part.first_ns, part.last_ns):
        return (
            f"its rows go from {show_time(int(stamps[0]))} to {show_time(int(stamps[-1]))}, the manifest says"
            f" {show_time(part.first_ns)} to {show_time(part.last_ns)}"
        )
    return ""


# Files that no state names. What a crash left behind is none of them: the next import sweeps it.
def _extra(folder: Path, manifest: Manifest, path: str) -> Iterator[Problem]:
    ours = {MANIFEST_FILE, READERS_FILE, *manifest.retired, *(part.file for part in manifest.parts)}
    names = sorted(entry.name for entry in folder.iterdir())
    for name in names:
        litter = name.startswith(TEMP_PREFIX) or (PART_NAME.fullmatch(name) and UNDER_WAY in names)
        if name not in ours and not litter:
            yield Problem(f"{path}/{one_line(name)}", "no manifest names this file; remove it")
