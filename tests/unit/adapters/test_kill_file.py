"""The kill switch file: any doubt counts as tripped, and every change leaves who, when and why."""

import os
from pathlib import Path

import msgspec
import pytest

from njord.adapters.kill_switch_sources import KillRecord, clear_kill_file, read_kill_file, trip_kill_file
from njord.cli import run
from njord.core.errors import ConfigError
from njord.core.types import TradingState


def record(state: TradingState, reason: str = "drill") -> KillRecord:
    return KillRecord(state=state, reason=reason, operator="tester", ts_ns=1)


def test_no_file_in_a_readable_folder_is_active(tmp_path: Path) -> None:
    assert read_kill_file(tmp_path / "kill").state is TradingState.ACTIVE
    assert read_kill_file(tmp_path / "none" / "kill").state is TradingState.ACTIVE


@pytest.mark.parametrize(
    "content", [b"", b"0", b"active", b"{}", b"\xff\xfe", b'{"state":"calm"}', b"[" * 100_000]
)
def test_a_file_that_is_no_record_of_ours_is_halted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kill").write_bytes(content)
    assert read_kill_file(tmp_path / "kill").state is TradingState.HALTED


def test_a_folder_and_a_dangling_link_in_its_place_are_halted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert read_kill_file(tmp_path / "folder").state is TradingState.HALTED
    assert read_kill_file(tmp_path / "link").state is TradingState.HALTED
    assert read_kill_file(tmp_path / "file" / "kill").state is TradingState.HALTED


def test_trip_and_clear_are_idempotent_and_logged(tmp_path: Path) -> None:
    path = tmp_path / "state" / "kill"
    for _ in range(2):
        trip_kill_file(path, record(TradingState.HALTED))
        assert read_kill_file(path).state is TradingState.HALTED
    trip_kill_file(path, record(TradingState.REDUCE_ONLY))
    assert read_kill_file(path).state is TradingState.REDUCE_ONLY
    for _ in range(2):
        clear_kill_file(path, record(TradingState.ACTIVE, "over"))
        assert read_kill_file(path).state is TradingState.ACTIVE
    lines = (tmp_path / "state" / "kill.log.ndjson").read_bytes().splitlines()
    logged = [msgspec.json.decode(line, type=KillRecord) for line in lines]
    assert [entry.state for entry in logged] == ["halted", "halted", "reduce_only", "active", "active"]
    assert sorted(os.listdir(path.parent)) == ["kill.log.ndjson"]


def test_a_change_without_a_reason_is_refused(tmp_path: Path) -> None:
    for change in (trip_kill_file, clear_kill_file):
        with pytest.raises(ConfigError, match="--reason"):
            change(tmp_path / "kill", record(TradingState.HALTED, "  "))
    assert not list(tmp_path.iterdir())


def test_the_command_line_trips_checks_and_clears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(tmp_path)]
    assert run(["kill", "check", *root]) == 0
    assert run(["kill", "trip", "--reason", "drill", *root]) == 0
    assert run(["kill", "check", *root]) == 1
    assert "TRIPPED (halted)" in capsys.readouterr().out
    assert run(["kill", "clear", "--reason", "over", *root]) == 0
    assert run(["kill", "check", "--json", *root]) == 0
    assert '"state":"active"' in capsys.readouterr().out
    assert run(["kill", "trip", "--reason", "", *root]) == 2
