"""`njord replay`: the whole run again from what came in, compared byte for byte."""

from pathlib import Path

import msgspec

from njord.adapters.config_loader import load_config
from njord.backtest.replay import replay_run
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.progress import Progress
from njord.core.errors import ConfigError


def run(name: str, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    folder = find_run(name, root / load_config(root).config.paths.reports)
    with Progress("messages") as progress:
        verdict = replay_run(folder, progress.show)
    if json_out:
        print(msgspec.json.encode(verdict).decode())
    elif verdict.identical:
        print(f"identical, {verdict.n_messages:,} messages, hash {verdict.head}")
    else:
        print(f"different at message {verdict.difference_seq}: {verdict.difference}")
    for note in () if json_out else verdict.notes:
        print(f"note: {note}")
    return EXIT_OK if verdict.identical else EXIT_CHECK_FAILED


def find_run(name: str, reports: Path) -> Path:
    """Return the folder of a run given as path, name or `last`.

    Raises:
        ConfigError: There is none.
    """
    if name == "last":
        runs = (
            sorted(path for path in reports.glob("*") if (path / "run.json").is_file())
            if reports.is_dir()
            else []
        )
        if not runs:
            raise ConfigError(f"there is no run under {reports}", "make one: njord demo")
        return max(runs, key=lambda path: ((path / "run.json").stat().st_mtime_ns, path.name))
    for folder in (Path(name), reports / name):
        if (folder / "run.json").is_file():
            return folder
    raise ConfigError(
        f"{name} is not a run: it has no run.json", f"look under {reports}, or say: njord replay last"
    )
