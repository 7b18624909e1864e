"""A real process that imports the same recording again and again in pieces, until it is done or killed."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from tests.unit.storage.store.store_samples import Rows, instrument, key, piece, trades

N_ROWS = 60_000
N_IMPORTS = 4


def recording() -> Rows:
    """Sixty days of trades."""
    return trades(N_ROWS, per_day=1_000)


def import_all(root: Path, say: Callable[[bytes], object] = lambda line: None) -> None:
    """Import the recording in overlapping pieces; say when each one begins and is durable."""
    store, rows = Store(root, create=True), recording()
    for number in range(1, N_IMPORTS + 1):
        say(b"begins\n")
        with store.begin(key(DataKind.TRADES), instrument=instrument()) as commit:
            end = N_ROWS * number // N_IMPORTS
            for first in range(max(0, end - N_ROWS // N_IMPORTS - 3_000), end, 500):
                commit.append(piece(rows, first, min(first + 500, end)))
            commit.commit().close()
        say(b"durable %d\n" % end)


if __name__ == "__main__":
    import_all(Path(sys.argv[1]), partial(os.write, 1))
