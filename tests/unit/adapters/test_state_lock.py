"""One process owns the state folder, and one that was replaced finds out."""

import os
from pathlib import Path

import pytest

from njord.adapters.state_lock import FENCE_NAME, LOCK_NAME, StateLock
from njord.core.errors import ConfigError, InvariantError


def test_a_second_instance_is_refused_and_told_which_process_and_folder(tmp_path: Path) -> None:
    first = StateLock.acquire(tmp_path / "state")
    with pytest.raises(ConfigError) as refused:
        StateLock.acquire(tmp_path / "state")
    assert f"process {os.getpid()}" in str(refused.value)
    assert str(tmp_path / "state") in str(refused.value)
    first.release()
    StateLock.acquire(tmp_path / "state").release()


def test_every_start_has_a_higher_number_than_the_one_before(tmp_path: Path) -> None:
    tokens = []
    for _ in range(3):
        lock = StateLock.acquire(tmp_path)
        tokens.append(lock.token)
        lock.release()
    assert tokens == [1, 2, 3]


def test_an_instance_whose_lock_file_was_removed_is_fenced_by_the_next_one(tmp_path: Path) -> None:
    first = StateLock.acquire(tmp_path)
    first.check()
    (tmp_path / LOCK_NAME).unlink()
    second = StateLock.acquire(tmp_path)
    second.check()
    with pytest.raises(InvariantError, match="fenced: another instance has taken over"):
        first.check()
    first.release()
    second.release()


def test_who_can_not_see_the_number_counts_as_fenced(tmp_path: Path) -> None:
    lock = StateLock.acquire(tmp_path)
    (tmp_path / FENCE_NAME).unlink()
    with pytest.raises(InvariantError, match="fenced"):
        lock.check()
    lock.release()


def test_a_number_that_is_none_is_refused_and_the_lock_let_go(tmp_path: Path) -> None:
    (tmp_path / FENCE_NAME).write_text("7")
    for _ in range(2):
        with pytest.raises(ConfigError, match="holds no number of starts"):
            StateLock.acquire(tmp_path)


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError, match="can not be locked"):
        StateLock.acquire(tmp_path / "state")
