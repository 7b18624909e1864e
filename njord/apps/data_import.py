"""How do a user's files become graded datasets? Paths and flags in, one report per dataset out.

An import that dies leaves the store as it was; the same command completes it, since rows that are there are known.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from njord.apps.data_sources import CAPTURE_VENUE, Rows, is_capture, open_captures, open_table
from njord.apps.store_rows import Source, StoredRows, store_rows
from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line, show_interval
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import Manifest
from njord.storage.store.store import MARKER, Store

Say = Callable[[str], None]
Show = Callable[[int, int], None]

_READ_BYTES = 1 << 20


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to import, and what the user says about it.

    Attributes:
        paths: The files; captures among them are one stream, in this order.
        kind: What they hold, where the columns leave it open.
        venue: Where the instruments trade; None = what the file says, or a default by form.
        options: The rest.
        replace: Rows that contradict stored ones win.
    """

    paths: tuple[Path, ...]
    kind: DataKind | None = None
    venue: str | None = None
    options: BarOptions = BarOptions()
    replace: bool = False


def import_files(
    request: ImportRequest,
    folder: Path,
    instruments: Mapping[str, Instrument],
    say: Say = lambda text: None,
    show: Show = lambda done, total: None,
) -> Iterator[StoredRows]:
    """Read, grade and commit the files, and tell what became of each dataset as soon as it is committed.

    Args:
        request: What to import.
        folder: The store; made one when the first file has proved readable.
        instruments: Configured instruments by symbol; what the store knows of a symbol wins.
        say: Told what is being read.
        show: Told how many rows of how many are graded.

    Raises:
        DataError: A file can not be used, or contradicts the store; what was committed before stays.
    """
    captures = tuple(path for path in request.paths if is_capture(path))
    tables = [path for path in request.paths if path not in captures]
    if captures:
        if request.kind is not None or request.options.timeframe is not None:
            raise DataError(
                f"{one_line(captures[0].name, 80)} is a raw capture, which says itself what it holds",
                "leave out --kind and --timeframe",
            )
        say(f"reading {_and_more(captures)}")
        digest, name = _digest(captures), _and_more(captures)
        known = {**instruments, **_stored(folder, request.venue or CAPTURE_VENUE)}
        with open_captures(captures, request.options, request.venue, known) as found:
            for rows in found:
                yield _store(folder, rows, name, digest, request, show)
    for path in tables:
        say(f"reading {one_line(path.name, 80)}")
        known = {**instruments, **_stored(folder, request.options.venue)}
        with open_table(path, request.kind, request.options, known) as rows:
            yield _store(folder, rows, path.name, _digest((path,)), request, show)


# What came later of a market lies on the grid that its dataset has, even where it would show a coarser one.
def _stored(folder: Path, venue: str) -> dict[str, Instrument]:
    if not (folder / MARKER).exists():
        return {}
    found = (manifest for _, manifest in Store(folder).datasets() if isinstance(manifest, Manifest))
    return {each.key.symbol: each.instrument for each in found if each.key.venue == venue}


def _store(
    folder: Path, rows: Rows, name: str, digest: str, request: ImportRequest, show: Show
) -> StoredRows:
    instrument = rows.instrument
    if request.venue is not None and instrument.venue != request.venue:
        instrument = msgspec.structs.replace(instrument, venue=request.venue)
    timeframe = show_interval(rows.interval_ns) if rows.kind is DataKind.BARS else ""
    key = DatasetKey(
        rows.kind, instrument.venue, instrument.symbol, timeframe
    )  # Refused before anything is made.
    return store_rows(
        Store(folder, create=True),
        key,
        instrument,
        rows.blocks,
        Source(name=name, sha256=digest, facts=rows.facts, assumptions=rows.assumptions),
        interval_ns=rows.interval_ns,
        replace=request.replace,
        show=show,
    )


def _and_more(paths: tuple[Path, ...]) -> str:
    first = one_line(paths[0].name, 80)
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"


# Of all bytes, one file after another.
def _digest(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
    return digest.hexdigest()
