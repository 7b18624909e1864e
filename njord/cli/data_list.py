"""`njord data list`: every dataset of the store on one line."""

from pathlib import Path
from typing import Any

from rich.table import Table

from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.data_store import GRADE_STYLES, open_store, print_json, show_bytes
from njord.cli.summary import make_console
from njord.core.errors import DataError
from njord.storage.bars_text import one_line, show_time
from njord.storage.store.manifest import Manifest, read_certificate


def run(store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    found = open_store(store, root).datasets()
    whole: list[dict[str, Any]] = []
    broken: list[tuple[str, str]] = []
    for path, manifest in found:
        if isinstance(manifest, str):
            broken.append((path, manifest))
            continue
        try:
            whole.append(_row(path, manifest))
        except DataError as error:  # Its certificate alone can not be read.
            broken.append((path, str(error)))
    if json_out:
        print_json({"datasets": whole, "damaged": [{"path": path, "what": what} for path, what in broken]})
    else:
        _print(whole, broken)
    return EXIT_CHECK_FAILED if broken else EXIT_OK


def _row(path: str, manifest: Manifest) -> dict[str, Any]:
    certificate = read_certificate(manifest)
    return {
        "path": path,
        "symbol": manifest.key.symbol,
        "n_rows": manifest.n_rows,
        "first_ns": manifest.parts[0].first_ns,
        "last_ns": manifest.parts[-1].last_ns,
        "n_parts": len(manifest.parts),
        "n_bytes": sum(part.n_bytes for part in manifest.parts),
        "grade": certificate.grade if certificate else None,
        "because": certificate.because if certificate else None,
        "hash": manifest.hash,
    }


def _print(rows: list[dict[str, Any]], broken: list[tuple[str, str]]) -> None:
    console = make_console()
    if not rows and not broken:
        console.print("the store is empty; fill it with: njord data import FILE", highlight=False)
    if rows:
        table = Table(show_header=True, box=None, header_style="bold")
        for heading in ("dataset", "grade", "first", "last", "rows", "size"):
            table.add_column(
                heading, justify="right" if heading in ("rows", "size") else "left", overflow="fold"
            )
        for row in rows:
            grade = row["grade"] or "-"
            table.add_row(
                row["path"],
                f"[{GRADE_STYLES[grade]}]{grade}[/]",
                show_time(row["first_ns"]),
                show_time(row["last_ns"]),
                f"{row['n_rows']:,}",
                show_bytes(row["n_bytes"]),
            )
        console.print(table)
    for path, what in broken:
        console.print(f"[red]damaged[/red] {one_line(path, 200)}: {one_line(what, 400)}", highlight=False)
