"""`njord data compact`: small parts become one, recordings are packed, and what nobody needs is removed."""

from pathlib import Path

import msgspec

from njord.adapters.clock import WallClock
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.data_store import open_store, print_json, show_bytes
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.storage.rotation import CompressionReport, RotationReport, compress, rotate
from njord.storage.store.compact import Compacted, compact
from njord.storage.store.manifest import Manifest


class _Packed(msgspec.Struct, frozen=True):
    rotated: RotationReport
    compressed: CompressionReport


def run(recordings: Path | None, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    if recordings is not None:
        return _pack(recordings, json_out)
    opened = open_store(store, root)
    paths = [path for path, manifest in opened.datasets() if isinstance(manifest, Manifest)]
    done: list[Compacted] = []
    with Progress("datasets") as progress:
        for path in paths:
            done.append(compact(opened, path))
            progress.show(len(done), len(paths))
    if json_out:
        print_json({"datasets": done})
        return EXIT_OK
    console = make_console()
    for one in done:
        if one.n_merged or one.n_removed or one.held:
            console.print(
                f"{one.path}: {one.n_merged} parts merged into {one.n_parts}, {one.n_removed} files"
                f" ({show_bytes(one.n_bytes)}) removed"
                + (f", {len(one.held)} left, since somebody holds them open" if one.held else ""),
                highlight=False,
            )
    console.print(f"{len(done)} datasets looked at", highlight=False)
    return EXIT_OK


# Recordings are turned over and packed by this job alone, never by who writes them.
def _pack(folder: Path, json_out: bool) -> int:
    now_ns = WallClock().now_ns()
    with Progress("recordings") as progress:
        progress.say(f"packing {folder}")
        packed = _Packed(rotate(folder, now_ns=now_ns), compress(folder, now_ns=now_ns))
    errors = (*packed.rotated.errors, *packed.compressed.errors)
    if json_out:
        print_json(packed)
        return EXIT_CHECK_FAILED if errors else EXIT_OK
    done, console = packed.compressed, make_console()
    console.print(
        f"{len(packed.rotated.rotated)} recordings turned over, {len(done.compressed)} packed"
        f" ({show_bytes(done.bytes_before)} to {show_bytes(done.bytes_after)}),"
        f" {done.n_young} of the last day and {done.n_open} held open left alone",
        highlight=False,
    )
    for error in errors:
        console.print(f"[red]failed[/red] {error}", highlight=False)
    return EXIT_CHECK_FAILED if errors else EXIT_OK
