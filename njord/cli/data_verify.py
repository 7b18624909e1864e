"""`njord data verify`: every byte read again, whatever is not as it was written named."""

from pathlib import Path

from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.data_store import open_store, print_json
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.storage.bars_text import one_line
from njord.storage.store.store import Store
from njord.storage.store.verify import Problem, verify_folder


def run(datasets: tuple[str, ...], store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    opened = open_store(store, root)
    there = opened.datasets()
    paths = [_existing(opened, path) for path in datasets] or [path for path, _ in there]
    found: dict[str, list[Problem]] = {}
    with Progress("datasets") as progress:
        for n_done, path in enumerate(paths, 1):
            found[path] = verify_folder(opened.root, path)
            progress.show(n_done, len(paths))
    n_problems = sum(map(len, found.values()))
    if json_out:
        print_json({"datasets": len(paths), "problems": n_problems, "found": found})
    else:
        console = make_console()
        for path, problems in found.items():
            for problem in problems:
                console.print(
                    f"[red]damaged[/red] {path}/{one_line(problem.file, 200)}: {problem.what}",
                    highlight=False,
                )
        console.print(
            f"{len(paths)} datasets read, {n_problems} problems"
            + ("" if n_problems else ": every byte is as it was written"),
            highlight=False,
        )
    return EXIT_CHECK_FAILED if n_problems else EXIT_OK


# A damaged dataset must be verified, not refused, so that its manifest is not read here.
def _existing(store: Store, text: str) -> str:
    path = store.path_of(text)
    if not (store.root / path).exists():
        store.open(path).close()  # Says what there is instead.
    return path
