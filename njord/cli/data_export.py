"""`njord data export`: a dataset, or a range of it, as one file that says itself what it holds."""

from pathlib import Path

import msgspec

from njord.cli import EXIT_OK
from njord.cli.data_store import open_store, print_json, range_of, show_bytes
from njord.cli.progress import Progress, counted
from njord.cli.summary import make_console
from njord.core.errors import DataError
from njord.storage.export import export, format_of_name


def run(
    dataset: str,
    out: Path,
    start: str | None,
    end: str | None,
    force: bool,
    store: Path | None,
    json_out: bool,
    root: Path,
) -> int:
    """Run the verb and return its exit code."""
    start_ns, end_ns = range_of(start, end)
    form = format_of_name(out.name)
    with open_store(store, root).open(dataset) as stored, Progress("rows") as progress:
        if not stored.parts_between(start_ns, end_ns):
            raise DataError(f"{dataset} has no rows in the range asked for", "check --start and --end")
        done = export(
            counted(stored.chunks(start_ns, end_ns), stored.n_rows, progress.show),
            stored.key.kind,
            stored.instrument,
            stored.interval_ns,
            out,
            form,
            key=stored.path,
            force=force,
        )
    if json_out:
        print_json(
            msgspec.structs.asdict(done) | {"path": str(done.path), "sidecar": str(done.sidecar or "")}
        )
        return EXIT_OK
    console = make_console()
    console.print(
        f"{done.n_rows:,} rows, {show_bytes(done.n_bytes)}, to {done.path}", highlight=False, soft_wrap=True
    )
    if done.sidecar is not None:
        console.print(
            f"keep {done.sidecar} beside it: it holds the instrument, so that an import is exact",
            highlight=False,
            soft_wrap=True,
        )
    return EXIT_OK
