"""Kill -9 at any moment of an import: the store opens clean, the next import completes it, the hash is the same.

STORE_KILLS=100 kills as often as the issue asks; the usual count keeps `make integration` short.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import Manifest
from njord.storage.store.store import Store
from njord.storage.store.verify import verify
from tests.integration.store_child import N_ROWS, import_all, recording
from tests.unit.storage.store.store_samples import key, piece, put, same

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = int(os.environ.get("STORE_KILLS", "20"))


@pytest.mark.long
def test_an_import_killed_at_any_moment_is_completed_by_the_next_one(tmp_path: Path) -> None:
    chance = random.Random(7)
    rows = recording()
    whole = put(Store(tmp_path / "whole", create=True), DataKind.TRADES, rows)
    started = time.perf_counter()
    import_all(tmp_path / "timed")
    takes_s = time.perf_counter() - started
    root = tmp_path / "store"
    n_killed = n_started = n_litter = n_empty = 0
    while n_killed < N_KILLS:
        command = [sys.executable, "-m", "tests.integration.store_child", str(root)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()  # Interpreter and libraries have been loaded.
            time.sleep(chance.random() * takes_s)  # The moment, not a wait for something.
            child.kill()
            said = child.stdout.read().split(b"\n")
        n_started += 1
        n_killed += child.returncode == -9
        durable = [int(line.split()[1]) for line in said if line.startswith(b"durable")]
        store = Store(root)
        found = store.datasets()
        n_empty += not found
        n_litter += bool([*root.rglob(".tmp-*")])
        if durable:
            assert found
        for _, manifest in found:
            assert isinstance(manifest, Manifest), manifest
            with store.open(key(DataKind.TRADES)) as dataset:
                assert dataset.n_rows in {N_ROWS // 4, N_ROWS // 2, N_ROWS * 3 // 4, N_ROWS}
                assert dataset.n_rows >= max(durable, default=0)
                assert same(dataset.read(), piece(rows, 0, dataset.n_rows))
                assert verify(dataset) == []
        if chance.random() < 0.5 or (found and store.open(key(DataKind.TRADES)).n_rows == N_ROWS):
            import_all(root)
            with store.open(key(DataKind.TRADES)) as done:
                assert done.hash == whole.hash
                assert verify(done) == []
            root.rename(tmp_path / f"done-{chance.random()}")
        assert n_started < 3 * N_KILLS, "most imports end before they are killed"
    print(f"{n_killed} of {n_started} killed, {n_litter} left litter, {n_empty} before the first state")
    assert n_litter
