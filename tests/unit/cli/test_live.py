"""Before anything is asked of a venue: a tripped switch refuses, unless a session of before may have orders there."""

from pathlib import Path

import pytest

from njord.adapters.kill_switch_sources import KillRecord, trip_kill_file
from njord.cli import run
from njord.core.types import TradingState

TRIPPED = "njord: live trading is locked: kill_switch is closed: halted (file), drill; "


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NJORD_ENABLE_LIVE", "1")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "app: {env: live}\nlive: {account: demo, keys_file: no.yaml}\n"
    )
    record = KillRecord(state=TradingState.HALTED, reason="drill", operator="ann", ts_ns=1)
    trip_kill_file(tmp_path / "var" / "state" / "kill_switch", record)
    return tmp_path


def live(root: Path, *words: str) -> int:
    return run(["live", "sma_cross", "--account", "demo", "--root", str(root), *words])


def begun(root: Path) -> None:
    folder = root / "var" / "state" / "sessions" / "one"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text('{"kind": "live"}')


def test_a_tripped_switch_refuses_at_once_where_no_session_can_have_orders(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live(root) == 2
    assert capsys.readouterr().err.startswith(TRIPPED + "njord kill clear")


def test_where_a_session_has_not_ended_the_other_locks_are_looked_at_first(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(root)
    assert live(root) == 2
    assert "kill_switch" not in (said := capsys.readouterr().err)
    assert "no.yaml" in said


def test_a_dry_run_has_nothing_at_the_venue_that_could_be_taken_back(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(root)
    assert live(root, "--dry-run") == 2
    assert capsys.readouterr().err.startswith(TRIPPED)
