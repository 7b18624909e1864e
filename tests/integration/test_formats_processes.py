"""Recordings between real processes: no row is lost or doubled, whoever renames, compresses and reads meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from njord.storage.recording import Recorder, read_recording
from njord.storage.rotation import compress, rotate
from njord.storage.store.kinds import DataKind
from tests.unit.storage.rows_samples import SPOT, rows_of

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("formats_child.py")
LATER_NS = 4_000_000_000 * 10**9
NAME = "md.trades.X"


@contextmanager
def child(what: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the other process and wait until it is ready."""
    process = subprocess.Popen(
        [sys.executable, str(CHILD), what, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def recorded(folder: Path, file: str, n_rows: int) -> None:
    with Recorder(folder / "new.ndjson", DataKind.TRADES, SPOT) as recorder:
        recorder.append(rows_of(DataKind.TRADES, n_rows))
    (folder / "new.ndjson").rename(folder / file)


def numbers(folder: Path) -> list[int]:
    with read_recording(folder, NAME) as source:
        assert source.facts.duplicates.n == source.facts.out_of_order.n == 0
        return [int(number) for block in source.rows() for number in block["trade_id"]]


def test_a_file_that_another_process_holds_open_is_not_compressed(tmp_path: Path) -> None:
    name = f"{NAME}.20231114.ndjson"
    recorded(tmp_path, name, 9)
    with child("hold", tmp_path / name):
        report = compress(tmp_path, now_ns=LATER_NS)
        assert (report.n_open, report.compressed) == (1, ())
        assert os.listdir(tmp_path) == [name]
    assert compress(tmp_path, now_ns=LATER_NS).compressed == (name,)
    assert numbers(tmp_path) == list(range(1, 10))


def test_nothing_is_lost_or_doubled_while_a_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ndjson"
    n_rotated = n_compressed = n_open = step = 0
    with child("write", path) as writer:
        # It says something only if all of it happened: files renamed under the writer, skipped while it had them.
        while min(n_rotated, n_compressed) < 15 or not n_open:
            turned = rotate(tmp_path, now_ns=LATER_NS)
            report = compress(tmp_path, now_ns=LATER_NS, older_than_ns=0, packing="lz4" if step % 2 else "gz")
            assert not turned.errors
            assert not report.errors
            n_rotated += len(turned.rotated)
            n_compressed += len(report.compressed)
            n_open += report.n_open
            if step % 9 == 0:
                now = numbers(tmp_path)
                assert now == list(range(1, len(now) + 1))
            step += 1
        total, _ = writer.communicate("")
    rotate(tmp_path, now_ns=LATER_NS)
    compress(tmp_path, now_ns=LATER_NS, older_than_ns=0)
    assert numbers(tmp_path) == list(range(1, int(total) + 1))
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".ndjson", ".tmp"))]


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_writer_leaves_whole_rows_and_is_gone_on_from(seed: int, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.ndjson"
    wanted = 20_000 + int(np.random.default_rng(seed).integers(0, 50_000))
    with child("write", path) as writer:
        while path.stat().st_size < wanted:
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    before = numbers(tmp_path)
    assert before == list(range(1, len(before) + 1))
    with Recorder(path, DataKind.TRADES, SPOT, key="t") as recorder:
        recorder.append(rows_of(DataKind.TRADES, 3, first=len(before), step_ns=1_000_000))
    assert numbers(tmp_path) == list(range(1, len(before) + 4))
