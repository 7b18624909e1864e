"""A session that dies at any disk operation goes on as if nothing had happened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.apps.paper_crashes import (
    crash,
    journal_of,
    reading_at,
    sent_orders,
    undisturbed,
    written_orders,
)
from tests.unit.apps.paper_world import CrashDisk, World, make_world, open_session, run, state_of

EVERY = 9  # All of them: tests/integration/test_paper_disk.py.


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def test_after_a_crash_on_a_disk_that_drops_unsynced_bytes_the_session_ends_as_if_undisturbed(
    world: World,
) -> None:
    whole = undisturbed(world)
    assert whole.n_operations > 50
    last = range(
        whole.n_operations - 5, whole.n_operations + 1
    )  # The end of the data has crashes of its own.
    for crash_at in (*range(1, last[0], EVERY), *last):
        disk = CrashDisk(crash_at)
        died = crash(world, disk)
        disk.lose_power(crash_at % 40)
        if died is not None:
            written = written_orders(world)
            assert [order for order in sent_orders(died) if order not in written] == []
        session = open_session(world)
        assert run(session, reading_at=reading_at).finished
        assert state_of(session) == whole.state
        assert journal_of(session) == whole.journal


def test_a_kill_and_then_a_power_cut_lose_no_order_that_was_sent(world: World) -> None:
    whole = undisturbed(world)
    for first in range(20, whole.n_operations, 23):
        disk = CrashDisk(first)
        crash(world, disk)  # Killed: what was written stays, and is not durable yet.
        again = CrashDisk(5)
        again.synced, again.named = disk.synced, disk.named
        died = crash(world, again)
        again.lose_power()
        if died is not None:
            written = written_orders(world)
            assert [order for order in sent_orders(died) if order not in written] == []
        session = open_session(world)
        assert run(session, reading_at=reading_at).finished
        assert state_of(session) == whole.state
