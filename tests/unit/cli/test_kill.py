"""`njord kill`: every source is written, what can not be is said, and clearing looks at the last session first."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.cli import kill
from njord.core.contracts import Message, OrderUpdate
from njord.core.errors import ConfigError, JournalCorrupt
from njord.core.types import OrderStatus
from njord.storage.journal import JournalWriter
from tests.property.strategies import order_event, order_update


@pytest.fixture
def no_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose configuration names a Redis that is not there."""
    monkeypatch.setenv("NJORD_REDIS__URL", f"unix://:sesam@{tmp_path}/nobody.sock")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(capsys.readouterr().out)
    return found


def test_a_redis_that_can_not_be_written_is_said_and_the_file_is_tripped_all_the_same(
    no_redis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kill.trip("drill", False, False, no_redis) == 1
    out = capsys.readouterr().out
    assert "NOT written: redis, Redis can not be reached" in out
    assert "TRIPPED (halted), " in out
    assert "sesam" not in out
    assert kill.check(True, no_redis) == 1
    assert {name: word["state"] for name, word in told(capsys)["sources"].items()} == {
        "file": "halted",
        "redis": "halted",
    }


def test_clearing_with_redis_lost_stays_tripped_and_says_so(
    no_redis: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kill.clear("over", True, no_redis) == 1
    shown = told(capsys)
    assert shown["state"] == "halted"
    assert shown["source"] == "redis"
    assert shown["not_written"] == {"redis": "Redis can not be reached"}
    assert shown["sources"]["file"]["state"] == "active"


def test_flatten_is_reduce_only_and_both_at_once_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kill.trip("out", False, False, tmp_path, flatten=True) == 0
    assert "TRIPPED (reduce_only, closing all positions)" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="exclude each other"):
        kill.trip("out", True, False, tmp_path, flatten=True)
    assert kill.trip("calm", True, True, tmp_path) == 0
    assert told(capsys)["sources"]["file"]["flattens"] is False


def test_a_file_that_can_not_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "var/state/kill_switch").mkdir(parents=True)
    assert kill.trip("drill", False, False, tmp_path) == 1
    out = capsys.readouterr().out
    assert "NOT written: file, " in out
    assert "TRIPPED (halted)" in out


def test_a_full_disk_still_trips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    (tmp_path / "var/state").mkdir(parents=True)
    monkeypatch.setattr(os, "write", refuse)
    assert kill.trip("drill", False, False, tmp_path) == 1
    out = capsys.readouterr().out
    assert "NOT written: file, the system refused: No space left on device" in out
    assert "TRIPPED (halted)" in out


# --- clearing ---


def session(
    root: Path, name: str, started_ns: int, *messages: Message, ended: bool = False, kind: str = "paper"
) -> Path:
    folder = root / "var/state/sessions" / name
    folder.mkdir(parents=True)
    head = "x" if ended else ""
    (folder / "session.json").write_bytes(
        msgspec.json.encode({"run_id": "r", "started_ns": started_ns, "journal_head": head, "kind": kind})
    )
    writer = JournalWriter(folder / "journal")
    for message in messages:
        writer.append(message)
    writer.sync()
    return folder


def unknown(client_order_id: str) -> OrderUpdate:
    return order_update(OrderStatus.UNKNOWN, client_order_id)


def test_an_order_whose_outcome_is_unknown_keeps_the_switch_tripped(tmp_path: Path) -> None:
    kill.trip("drill", False, True, tmp_path)
    session(tmp_path, "s1", 1, order_event("a"), unknown("a"), order_event("b"), unknown("b"))
    with pytest.raises(ConfigError, match="the outcome of a, b in session s1 is unknown"):
        kill.clear("over", True, tmp_path)
    assert (tmp_path / "var/state/kill_switch").exists()


def test_a_live_session_whose_node_can_not_start_before_is_no_reason_to_stay_tripped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session(tmp_path, "s1", 1, order_event("a"), unknown("a"), kind="live")
    assert kill.clear("over", True, tmp_path) == 0
    assert told(capsys)["clearance"] == "session s1 asks the venue for 1 orders before it trades"


@pytest.mark.parametrize("after", [OrderStatus.ACCEPTED, OrderStatus.CANCELED, OrderStatus.FILLED])
def test_an_outcome_that_became_known_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], after: OrderStatus
) -> None:
    session(tmp_path, "s1", 1, order_event("a"), unknown("a"), order_update(after, "a"))
    assert kill.clear("over", False, tmp_path) == 0
    assert "clearance: the journal of session s1 has no damage" in capsys.readouterr().out


def test_the_youngest_session_is_looked_at_and_one_that_has_ended_is_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session(tmp_path, "z-old", 1, order_event("a"), unknown("a"))
    session(tmp_path, "a-young", 2, order_event("a"), unknown("a"), ended=True)
    assert kill.clear("over", True, tmp_path) == 0
    assert told(capsys)["clearance"] == "the last session, a-young, has ended"


def test_a_damaged_journal_keeps_the_switch_tripped_and_a_torn_tail_does_not(tmp_path: Path) -> None:
    kill.trip("drill", False, True, tmp_path)
    folder = session(tmp_path, "s1", 1, order_event("a"))
    segment = folder / "journal/000001.ndjson"
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(b'"OrderEvent"', b'"OrderEvenT"'))
    with pytest.raises(JournalCorrupt, match="the switch stays as it is"):
        kill.clear("over", True, tmp_path)
    assert (tmp_path / "var/state/kill_switch").exists()
    segment.write_bytes(whole + b'{"seq":2,"mess')
    assert kill.clear("over", True, tmp_path) == 0


def test_a_session_without_a_journal_yet_is_clean_and_a_damaged_description_is_not(tmp_path: Path) -> None:
    folder = session(tmp_path, "s1", 1)
    for path in (folder / "journal").iterdir():
        path.unlink()
    assert kill.clear("over", True, tmp_path) == 0
    (folder / "session.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="move the folder s1 out of the way"):
        kill.clear("over", True, tmp_path)
