"""`njord data compact`: small parts become one, and what nobody needs is removed."""

from pathlib import Path

from njord.cli import EXIT_OK
from njord.cli.data_store import open_store, print_json, show_bytes
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.storage.store.compact import Compacted, compact
from njord.storage.store.manifest import Manifest


def run(store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
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
