"""Which session goes on, which is refused, and what a disk that refuses does to it."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from njord.adapters.state_lock import LOCK_NAME, StateLock
from njord.apps.session import session_folder
from njord.core.errors import ConfigError, InvariantError, JournalError, JournalHalted
from njord.core.types import TradingState
from njord.storage.journal_reader import scan
from tests.unit.apps.paper_crashes import sent_orders
from tests.unit.apps.paper_world import (
    STRATEGY,
    CrashDisk,
    World,
    backtest,
    lines,
    make_world,
    open_session,
    run,
    state_of,
)
from tests.unit.storage.journal_disks import FailingDisk, SimDisk


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def test_the_last_unfinished_session_goes_on_and_after_its_end_a_new_one_begins(world: World) -> None:
    first = open_session(world)
    run(first, stop_at=20)
    second = open_session(world)
    assert second.folder == first.folder
    assert run(second).finished
    third = open_session(world)
    third.close(finished=False)
    assert third.folder != first.folder
    assert third.resumed is None


def test_fresh_begins_a_new_session_and_the_old_one_is_not_the_last_any_more(world: World) -> None:
    first = open_session(world)
    run(first, stop_at=20)
    second = open_session(world, fresh=True)
    run(second, stop_at=10)
    third = open_session(world)
    third.close(finished=False)
    assert (third.folder, third.n_rows) == (second.folder, 10)


def test_a_named_session_is_begun_gone_on_with_and_refused_when_it_has_ended(world: World) -> None:
    run(open_session(world, name="mine"), stop_at=20)
    session = open_session(world, name="mine")
    assert (session.name, session.n_rows) == ("mine", 20)
    run(session)
    with pytest.raises(ConfigError, match="the session mine has ended"):
        open_session(world, name="mine")
    with pytest.raises(ConfigError, match="the session mine exists"):
        open_session(world, name="mine", fresh=True)
    with pytest.raises(ConfigError, match="is no name of a session"):
        open_session(world, name="../mine")


@pytest.mark.parametrize(
    "change", [{"text": STRATEGY + "\n"}, {"params": ("raises_at=1",)}, {"settings": {"backtest.seed": "7"}}]
)
def test_an_unfinished_session_of_another_code_parameter_or_setting_is_refused_until_fresh(
    world: World, tmp_path: Path, change: dict[str, object]
) -> None:
    run(open_session(world), stop_at=20)
    other = make_world(tmp_path, **change)  # type: ignore[arg-type]
    with other.prepared.market:
        with pytest.raises(ConfigError, match="--fresh") as refused:
            open_session(other)
        assert "\n" not in str(refused.value)
        session = open_session(other, fresh=True)
        session.close(finished=False)
        assert session.resumed is None


def test_a_session_that_has_ended_keeps_nobody_from_another_setting(world: World, tmp_path: Path) -> None:
    run(open_session(world))
    other = make_world(tmp_path, settings={"backtest.seed": "7"})
    with other.prepared.market:
        session = open_session(other)
        session.close(finished=False)
        assert session.resumed is None


def test_a_refused_session_lets_go_of_the_state_folder(world: World) -> None:
    with pytest.raises(ConfigError):
        open_session(world, name="..")
    StateLock.acquire(world.state).release()


def test_a_second_instance_is_refused_while_the_first_one_runs(world: World) -> None:
    session = open_session(world)
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        open_session(world)
    session.close(finished=False)


def test_an_instance_that_was_replaced_writes_nothing_more(world: World) -> None:
    first = open_session(world)
    (world.state / LOCK_NAME).unlink()
    second = open_session(world)
    second.close(finished=False)
    before = lines(first.folder / "journal")
    with pytest.raises(InvariantError, match="fenced"):
        run(first)
    assert lines(first.folder / "journal") == before


def test_what_was_written_and_not_synced_is_durable_before_a_session_goes_on(world: World) -> None:
    disk = SimDisk()
    session = open_session(world, disk)
    session.journal.commit()
    session.abandon()
    (path,) = (session.folder / "journal").glob("*.ndjson")
    assert disk.synced[path] < disk.written[path]
    open_session(world, disk).abandon()
    assert disk.synced[path] == disk.written[path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("fail_at", [9, 24, 51])
def test_a_disk_that_refuses_ends_the_node_sends_nothing_more_and_the_session_goes_on_later(
    world: World, code: int, fail_at: int
) -> None:
    expected_hash, expected = backtest(world)
    session = open_session(world, FailingDisk(fail_at, code, n_taken=5))
    ended = run(session)
    assert ended.reason.startswith("journal halted: DISK_")
    assert (ended.halted, ended.finished) == (True, False)
    assert all("nothing could be sent" in left.why for left in ended.left)
    written = "".join(path.read_text() for path in (session.folder / "journal").glob("*.ndjson"))
    assert [order for order in sent_orders(session) if order not in written] == []
    again = open_session(world)
    assert again.folder == session.folder
    assert run(again).finished
    assert again.recorder.order_list_hash() == expected_hash
    assert lines(again.folder / "journal") == expected


def test_a_full_disk_at_the_start_is_a_named_error_and_lets_go(world: World) -> None:
    with pytest.raises(JournalHalted, match="DISK_FULL"):
        open_session(world, FailingDisk(1))
    run(open_session(world))


def test_code_that_decides_otherwise_is_refused_with_the_sequence_number(tmp_path: Path) -> None:
    # A strategy that looks at the world outside: the same file, another decision.
    text = STRATEGY.replace("if step == 4:", "if step == (5 if SWAYED else 4):")
    text = f"from pathlib import Path\nSWAYED = Path({str(tmp_path / 'swayed')!r}).exists()\n{text}"
    world = make_world(tmp_path, text=text)
    with world.prepared.market:
        run(open_session(world), stop_at=30)
    (tmp_path / "swayed").touch()
    again = make_world(tmp_path, text=text)
    with again.prepared.market:
        with pytest.raises(JournalError, match=r"its journal differs at message \d+: recorded \{") as refused:
            open_session(again)
        assert "OrderIntent" in str(refused.value)
        StateLock.acquire(world.state).release()


def test_a_record_that_nothing_makes_any_more_is_refused_with_the_sequence_number(world: World) -> None:
    session = open_session(world)
    session.host.switch(TradingState.HALTED)  # Said at the end of the data, if an order works.
    session.close(finished=False)
    with pytest.raises(JournalError, match=r"differs at message 3: recorded .* nothing makes it now"):
        open_session(world)


def test_a_crash_between_the_end_mark_and_the_word_of_it_is_a_session_that_has_ended(world: World) -> None:
    session = open_session(world)
    file = session.folder / "session.json"
    before = file.read_bytes()
    run(session)
    file.write_bytes(before)
    after = open_session(world)
    after.close(finished=False)
    assert after.folder != session.folder
    assert b'"journal_head"' in file.read_bytes()
    assert scan(session.folder / "journal").is_complete


def test_the_recovery_says_how_far_it_is_and_how_long_it_took(world: World) -> None:
    first = open_session(world)
    run(first, stop_at=30)
    again = open_session(world, CrashDisk())
    again.close(finished=False)
    assert again.resumed is not None
    assert (again.resumed.n_rows, again.resumed.n_messages) == (30, first.journal.n_messages)
    assert again.resumed.took_s > 0
    assert state_of(again) == state_of(first)


def test_a_session_is_found_by_path_by_name_and_as_the_last_one(world: World) -> None:
    root = world.root
    with pytest.raises(ConfigError, match="there is no session"):
        session_folder(root, "last")
    (root / "var").mkdir()
    world.state.mkdir()
    (root / "var" / "state").symlink_to(world.state)
    session = open_session(world, name="mine")
    session.close(finished=False)
    for name in ("last", "mine", str(session.folder)):
        assert session_folder(root, name).resolve() == session.folder
    with pytest.raises(ConfigError, match="neither a session nor a run"):
        session_folder(root, "other")
