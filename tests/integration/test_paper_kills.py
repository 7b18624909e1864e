"""`njord paper`, killed at random moments and started again, ends as if nobody had touched it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from njord.storage.journal_reader import read_blocks, scan

pytestmark = pytest.mark.integration

NJORD = str(Path(sys.executable).with_name("njord"))
BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
END = "2022-01-08"  # About 10,000 bars and 400 fills.
KILLS = int(os.environ.get("PAPER_KILLS", "8"))
WITHIN_S = 100.0  # Only what never comes takes so long.
SEED = int(os.environ.get("PAPER_KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NJORD_RISK__KILL_SWITCH_MAX_AGE_MS", "30000")  # A slow machine trips nothing.


def command(data: Path, *more: str) -> list[str]:
    flags = ["--json", "--capital", "10000", "--risk-profile", "research", "--end", END]
    return [NJORD, "paper", "sma_cross", "--data", str(data), *flags, *more]


def start(root: Path, data: Path, *more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "NO_COLOR": "1"}
    with (root / "out.ndjson").open("wb") as out:
        return subprocess.Popen(
            command(data, *more), cwd=root, env=environment, stdout=out, stderr=subprocess.PIPE
        )


def whole(root: Path, data: Path, *more: str) -> dict[str, Any]:
    """Run to the end; return the last word."""
    process = start(root, data, *more)
    assert process.wait(120) == 0, process.stderr.read() if process.stderr else ""
    if process.stderr:
        process.stderr.close()
    return said(root)[-1]


def said(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "out.ndjson").read_text().splitlines() if line.endswith("}")]


def journal(root: Path, session: str) -> list[bytes]:
    folder = root / "var" / "state" / "sessions" / session / "journal"
    return [line.message for block in read_blocks(folder) for line in block.lines]


def has_ended(root: Path, session: str) -> bool:
    folder = root / "var" / "state" / "sessions" / session / "journal"
    return folder.is_dir() and scan(folder).is_complete


def kill(process: subprocess.Popen[bytes], after_s: float) -> bool:
    """Kill it after some time; say whether it was still alive."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    code = process.wait()
    stderr = b""
    if process.stderr:
        stderr = process.stderr.read()
        process.stderr.close()
    assert code in (0, -signal.SIGKILL), stderr
    return code != 0


@pytest.mark.long
@pytest.mark.timeout(300 + 30 * KILLS)
def test_a_session_killed_at_random_moments_ends_like_one_that_was_not(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = recordings / "bars" / BARS
    began = time.monotonic()
    end = whole(tmp_path, data, "--replay", "max", "--session", "whole")
    longest_s = time.monotonic() - began
    expected = journal(tmp_path, "whole")
    assert end["finished"]
    assert end["n_fills"] > 300
    chance = random.Random(SEED)
    n_killed = n_whole = 0
    while n_killed < KILLS:
        name = f"killed-{n_whole}"
        while n_killed < KILLS and not has_ended(tmp_path, name):
            process = start(tmp_path, data, "--replay", "max", "--session", name)
            n_killed += kill(process, chance.uniform(0.25, 0.95) * longest_s)
        if not has_ended(tmp_path, name):
            last = whole(tmp_path, data, "--replay", "max", "--session", name)
            assert last | {"session": ""} == end | {"session": ""}, f"seed {SEED}"
        n_whole += 1
        assert journal(tmp_path, name) == expected, f"seed {SEED}"
    with capsys.disabled():
        print(f"\n{n_killed} kills over {n_whole} sessions, all as if undisturbed; seed {SEED}")


def wait_for(root: Path, event: str) -> dict[str, Any]:
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        found = [each for each in said(root) if each["event"] == event]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no {event} within {WITHIN_S} s")


def test_a_second_instance_on_the_same_state_folder_is_refused_by_one_line(
    recordings: Path, tmp_path: Path
) -> None:
    data = recordings / "bars" / BARS
    first = start(tmp_path, data, "--replay", "60x")
    wait_for(tmp_path, "started")
    second = subprocess.run(command(data, "--fresh"), cwd=tmp_path, capture_output=True, text=True)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"process {first.pid}" in second.stderr
    assert "var/state" in second.stderr


@pytest.mark.timing
@pytest.mark.parametrize("policy", ["cancel", "leave", "flatten"])
def test_sigterm_ends_within_five_seconds_says_what_is_left_and_the_same_command_goes_on(
    policy: str, recordings: Path, tmp_path: Path
) -> None:
    data = recordings / "bars" / BARS
    process = start(tmp_path, data, "--replay", "600x", "--stop-policy", policy)
    wait_for(tmp_path, "fill")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0, process.communicate()
    took_s = time.monotonic() - began
    process.communicate()
    assert took_s < 5
    end = said(tmp_path)[-1]
    assert (end["event"], end["reason"], end["finished"]) == ("ended", "signal SIGTERM", False)
    for left in (*end["left"], *end["positions"]):
        assert left["why"]
    if policy != "leave":
        assert end["left"] == []
    if policy == "flatten":
        assert end["positions"] == []
    last = whole(tmp_path, data, "--replay", "max", "--stop-policy", "cancel")
    assert last["session"] == end["session"]
    assert last["finished"]
    assert last["n_rows"] > end["n_rows"]
