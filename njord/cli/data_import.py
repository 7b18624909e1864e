"""`njord data import`: flags to a request, progress, and what became of each dataset."""

from pathlib import Path
from typing import Any

import msgspec

from njord.apps.data_import import ImportRequest, import_files
from njord.apps.store_rows import StoredRows
from njord.cli import EXIT_OK
from njord.cli.data_store import GRADE_STYLES, print_json, store_folder
from njord.cli.flags import FileFlags, known_instruments
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.core.errors import ConfigError
from njord.storage.bars_text import one_line
from njord.storage.store.kinds import DataKind


class Flags(FileFlags, frozen=True, kw_only=True):
    """The flags as they were typed."""

    kind: str | None = None
    venue: str | None = None
    strict: bool = False
    replace: bool = False


def run(files: tuple[Path, ...], flags: Flags, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    request = ImportRequest(
        paths=files,
        kind=_kind(flags.kind),
        venue=flags.venue,
        options=flags.options(repair=not flags.strict, venue=flags.venue),
        replace=flags.replace,
    )
    done: list[StoredRows] = []
    with Progress("rows") as progress:
        for stored in import_files(
            request,
            store_folder(store, root),
            known_instruments(root, flags.venue),
            progress.say,
            progress.show,
        ):
            done.append(stored)
            if not json_out:
                print_stored(stored)
    if json_out:
        print_json({"datasets": [stored_row(stored) for stored in done]})
    return EXIT_OK


def stored_row(stored: StoredRows) -> dict[str, Any]:
    """Return what became of a dataset, for machines."""
    return msgspec.structs.asdict(stored) | {"certificate": stored.certificate}


def print_stored(stored: StoredRows) -> None:
    """Print what became of a dataset, for people."""
    console, certificate = make_console(), stored.certificate
    changes = [f"{stored.n_added:,} added", f"{stored.n_known:,} known"]
    if stored.n_replaced:
        changes.append(f"{stored.n_replaced:,} replaced")
    console.print(
        f"[bold]{stored.path}[/bold]  {stored.n_rows:,} rows ({', '.join(changes)})", highlight=False
    )
    style = GRADE_STYLES[certificate.grade]
    console.print(f"  grade [{style}]{certificate.grade}[/]: {certificate.because}", highlight=False)
    for finding in certificate.faults():
        console.print(f"  [{GRADE_STYLES[finding.grade]}]{finding.grade}[/] {finding.says}", highlight=False)
    console.print(f"  hash {stored.hash}", highlight=False)
    console.print(f"  next: njord data show {stored.path}", highlight=False)


def _kind(text: str | None) -> DataKind | None:
    if text is None:
        return None
    if text not in set(DataKind):
        raise ConfigError(
            f"--kind takes bars, trades, book or quotes, was {one_line(text)!r}", "for example --kind bars"
        )
    return DataKind(text)
