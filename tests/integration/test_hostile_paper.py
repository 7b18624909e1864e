"""Processes of a hostile world: closed streams, readers that leave, folders that vanish, disks and tables that are full."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.in_passing import without_progress
from tests.integration.test_paper_cli import SMALL, Launch, room, started, until, write_market

__all__ = ["room", "started"]  # Fixtures.
pytestmark = pytest.mark.integration
NJORD = str(Path(sys.executable).with_name("njord"))
LIMIT_S = 100.0
FAST = ["paper", *SMALL, "--replay", "max", "--end", "2024-03-01T02:00"]


def njord(room: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    pipe = subprocess.PIPE
    more = {"stdout": pipe, "stderr": pipe, **more}
    return subprocess.run([NJORD, *words], cwd=room, text=True, timeout=LIMIT_S, check=False, **more)


def _closes(*descriptors: int) -> Callable[[], None]:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


@pytest.mark.parametrize(
    "closed", [(0, 1, 2), *(pytest.param(each, marks=pytest.mark.long) for each in ((0,), (1,), (1, 2)))]
)
def test_a_session_without_its_standard_streams_runs_and_its_journal_is_its_own(
    closed: tuple[int, ...], room: Path
) -> None:
    done = njord(room, *FAST, preexec_fn=_closes(*closed))
    assert (done.returncode, done.stderr) == (0, "")
    assert njord(room, "replay", "last").stdout.startswith("identical, ")
    assert njord(room, "replay", "last", preexec_fn=_closes(*closed)).returncode == 0
    assert njord(room, "kill", "check", preexec_fn=_closes(*closed)).returncode == 0


@pytest.fixture
def nobody_reads() -> Iterator[int]:
    """The end of a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a session that has ended; nobody changes it."""
    folder = tmp_path_factory.mktemp("played")
    write_market(folder)
    assert njord(folder, *FAST).returncode == 0
    return folder


@pytest.mark.parametrize("words", [["replay", "last"], ["parity", "last"], ["why", "last"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_left_is_no_failed_check(
    words: list[str], unbuffered: str, played: Path, nobody_reads: int
) -> None:
    done = njord(played, *words, stdout=nobody_reads, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, without_progress(done.stderr)) == (0, "")


def test_a_session_that_is_removed_while_it_runs_stops_and_says_so(started: Launch, room: Path) -> None:
    process = started([*SMALL, "--replay", "600x", "--json"])
    until(process, "fill")
    shutil.rmtree(room / "var/state/sessions")
    last = until(process, "ended")
    assert process.wait(LIMIT_S) == 4
    assert last["reason"].startswith("journal halted: DISK_ERROR: ")
    assert last["reason"].endswith(".ndjson was removed")


def test_a_file_that_may_not_grow_halts_and_the_session_goes_on_when_it_may(room: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))

    halted = njord(room, *FAST, preexec_fn=limit)
    assert halted.returncode == 4
    assert halted.stderr == "njord: journal halted: DISK_FULL: the file may not grow further\n"
    gone_on = njord(room, *FAST)
    assert gone_on.returncode == 0
    assert "goes on after" in gone_on.stdout
    assert njord(room, "parity", "last").returncode == 0


def test_a_session_that_has_ended_and_can_not_say_so_in_its_file_says_so_at_its_next_start(
    started: Launch, room: Path
) -> None:
    process = started([*SMALL, "--replay", "600x", "--session", "one", "--json"])
    until(process, "fill")
    process.kill()
    process.wait()
    facts = room / "var/state/sessions/one/session.json"
    blocker = f"import os\nfor pid in [os.getpid()]: os.mkdir({str(facts)!r} + f'.{{pid}}.partial')\n"
    command = [*SMALL, "--replay", "max", "--session", "one"]
    script = f"import sys; sys.argv[0] = 'njord'\n{blocker}\nfrom njord.cli import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", script, "paper", *command],
        cwd=room,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 4
    assert "session.json can not be written: Is a directory" in done.stderr
    again = njord(room, "paper", *command)
    assert (again.returncode, again.stderr) == (
        2,
        "njord: the session one has ended; give another --session, or none\n",
    )
    assert njord(room, "replay", "one").stdout.startswith("identical, ")


def test_a_pipe_where_the_kill_switch_belongs_trips_at_once_and_stops_nobody(
    started: Launch, room: Path
) -> None:
    process = started([*SMALL, "--replay", "600x", "--json"])
    until(process, "fill")
    os.mkfifo(room / "var/state/kill_switch")
    tripped = until(process, "switch")
    assert (tripped["state"], tripped["reason"]) == ("halted", "the file holds no record of ours")
    assert njord(room, "kill", "check").returncode == 1
    process.send_signal(signal.SIGTERM)
    assert until(process, "ended")["reason"] == "signal SIGTERM"
    assert process.wait(LIMIT_S) == 0
