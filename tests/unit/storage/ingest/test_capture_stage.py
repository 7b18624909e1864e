"""Blocks come back by key, in order, however they were cut, held or written; a full disk is one line."""

import errno
import os

import numpy as np
import pytest

from njord.core.errors import DataError
from njord.storage.ingest import capture_stage
from njord.storage.ingest.capture_stage import BlockStage


@pytest.mark.parametrize(("block_rows", "held_max"), [(1, 10**9), (7, 10**9), (10**9, 5), (10**9, 10**9)])
def test_rows_come_back_by_key_in_order(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, held_max: int
) -> None:
    monkeypatch.setattr(capture_stage, "_BLOCK_ROWS", block_rows)
    monkeypatch.setattr(capture_stage, "_HELD_ROWS_MAX", held_max)
    stage = BlockStage()
    given: dict[str, list[int]] = {"a": [], "b": []}
    for number in range(40):
        key = "ab"[number % 3 == 0]
        rows = list(range(100 * number, 100 * number + number % 5 + 1))
        stage.append(key, [np.array(rows), -np.array(rows)])
        given[key] += rows
    for _ in range(2):  # Reading takes nothing away.
        for key, expected in given.items():
            first, second = (np.concatenate(each).tolist() for each in zip(*stage.blocks(key), strict=True))
            assert (first, second) == (expected, [-row for row in expected])
            assert stage.n_rows(key) == len(expected)
    assert list(stage.blocks("none")) == []
    assert stage.n_rows("none") == 0
    stage.close()


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = BlockStage()
    stage.append("a", [np.arange(3)])
    stage.close()
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(stage, "_file", os.fdopen(full, "wb", buffering=0))
    with pytest.raises(DataError, match=f"can not take the capture: {os.strerror(errno.ENOSPC)}"):
        list(stage.blocks("a"))
    stage._file.close()
