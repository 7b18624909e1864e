"""One door for all workers: bounded work, every result under its key, failures where they belong."""

from collections.abc import Iterator

import pytest

from njord.core.errors import ConfigError
from njord.research.executors import Workers, n_workers_of, open_executor


def double(value: int) -> int:
    if value == 13:
        raise ValueError("thirteen")
    return 2 * value


@pytest.mark.parametrize("workers", ["1", "3"])
def test_every_task_has_its_result_and_few_are_taken_ahead(workers: str) -> None:
    n_taken = n_got = most = 0

    def tasks() -> Iterator[tuple[str, tuple[int]]]:
        nonlocal n_taken
        for value in range(14, 60):
            n_taken += 1
            yield f"{value}", (value,)

    found = {}
    with Workers(workers, "fast") as crew:
        for key, result in crew.results(tasks(), double):
            found[key] = result
            n_got += 1
            most = max(most, n_taken - n_got)
    assert found == {f"{value}": 2 * value for value in range(14, 60)}
    assert most <= 2 * int(workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_task_raises_is_raised_here(workers: str) -> None:
    with Workers(workers, "fast") as crew, pytest.raises(ValueError, match="thirteen"):
        list(crew.results([("a", (1,)), ("b", (13,))], double))


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "1.5", "99999", "²"])
def test_no_number_of_workers_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--workers takes 1 to 512 or dask://HOST:PORT, was"):
        open_executor(text)


def test_a_scheduler_knows_its_workers_itself() -> None:
    assert n_workers_of("dask://127.0.0.1:8786") == 0
    assert n_workers_of(4) == 4
