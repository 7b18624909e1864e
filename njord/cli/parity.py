"""`njord parity`: the backtest of what a session saw, beside the session."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import msgspec

from njord.adapters.config_loader import load_config
from njord.apps.session_files import session_folder
from njord.audit.parity import parity
from njord.audit.parity_text import lines
from njord.cli import EXIT_CHECK_FAILED, EXIT_OK
from njord.cli.progress import Progress
from njord.cli.request import find_data
from njord.performance.summary import to_json_values


def run(session: str, settings: Mapping[str, str], data: tuple[Path, ...], json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code: 0 = the same in everything, 1 = a difference."""
    store = root / load_config(root).config.paths.data
    with (
        redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
        Progress("market events") as progress,
    ):
        found = parity(
            session_folder(root, session),
            settings,
            tuple(find_data(path, store) for path in data),
            progress.show,
        )
    if json_out:
        print(msgspec.json.encode(to_json_values(found)).decode())
    else:
        for line in lines(found):
            print(line)
    return EXIT_OK if found.is_match else EXIT_CHECK_FAILED
