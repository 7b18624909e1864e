"""The tap and its supervisor as processes: what ends them, what they say, and what they never show."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from njord.adapters.config_loader import load_config
from njord.adapters.redis_bus import RedisBus
from njord.apps.synthetic import write_synthetic_csv
from njord.apps.tap import EXIT_LEFT, EXIT_OK, EXIT_WRONG
from njord.apps.tap_process import TapProcess
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from njord.core.bus import decode_frame
from njord.core.bus_reader import IdempotentReader
from njord.core.contracts import Bar
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import read_blocks
from tests.integration.tap_bench import INTENTS, intents, until, write
from tests.redis_server import CANARY, RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


def started(root: Path, url: str | None, command: str) -> "subprocess.Popen[str]":
    """Start a command as it would be typed in `root`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NJORD_")}
    if url is not None:
        environment["NJORD_REDIS__URL"] = url
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=root, env=environment, stdout=pipe, stderr=pipe, text=True)


def run(root: Path, url: str | None, command: str) -> tuple[int | None, str, str]:
    """Run a command to its end; return its exit code and what it said."""
    with started(root, url, command) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished session of 2,000 bars, with orders."""
    root = tmp_path_factory.mktemp("root")
    data = root / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(data, 2_000, 42)
    config = load_config(root, {"backtest.capital": "100000000"}, {}).config
    request = BacktestRequest(strategy="sma_cross", data=data, params=("fast=3", "slow=8"), qty=Decimal(1))
    prepared = prepare(request, config, {})
    folder = root / "var" / "state" / "sessions" / "NAME"
    with prepared.market:
        run_backtest(prepared, root, folder=folder)
    (folder / "run.json").rename(folder / "session.json")
    return root


def test_the_command_publishes_a_finished_session_and_ends(
    root: Path, server: RedisServer, bus: RedisBus
) -> None:
    done = run(root, server.url, "python -m njord.apps.tap var/state/sessions/NAME")
    assert done == (EXIT_OK, "", "")
    assert len(IdempotentReader(bus.consumer("fills.new", "g", "a")).read()) > 100


def test_market_data_are_published_with_the_numbers_that_the_journal_counts_them_by(
    root: Path, server: RedisServer, bus: RedisBus
) -> None:
    listener = bus.subscribe(["md.*"])
    done = run(root, server.url, "python -m njord.apps.tap var/state/sessions/NAME --market")
    assert done == (EXIT_OK, "", "")
    heard = []
    while more := listener.read(200):
        heard += more
    assert {each.topic for each in heard} == {"md.ohlcv.1m.SYNTH/USDT"}
    lines = [line for each in heard for line in decode_frame(each.payload).payloads]
    numbers = [msgspec.json.decode(line)["seq"] for line in lines]
    journal = root / "var" / "state" / "sessions" / "NAME" / "journal"
    written = {line.seq for block in read_blocks(journal) for line in block.lines}
    assert numbers == [seq for seq in range(1, numbers[-1] + 1) if seq not in written]
    assert len(numbers) == 2_000
    first = msgspec.json.decode(lines[0], type=dict[str, msgspec.Raw])["message"]
    assert msgspec.json.decode(first, type=Bar).open > 0
    listener.close()


def test_market_data_that_can_not_be_read_stop_no_order(
    root: Path, server: RedisServer, bus: RedisBus, tmp_path: Path
) -> None:
    shutil.copytree(root / "var" / "state" / "sessions" / "NAME", tmp_path / "s")
    facts = msgspec.json.decode((tmp_path / "s" / "session.json").read_bytes())
    facts["data"] = [str(tmp_path / "gone.csv")]
    (tmp_path / "s" / "session.json").write_bytes(msgspec.json.encode(facts))
    code, out, err = run(tmp_path, server.url, "python -m njord.apps.tap s --market")
    assert (code, out) == (EXIT_OK, "")
    assert err.startswith("no market data: ")
    assert err.count("\n") == 1
    assert len(IdempotentReader(bus.consumer("fills.new", "g", "a")).read()) > 100


def test_what_is_wrong_is_said_in_one_line_with_its_exit_code(root: Path, tmp_path: Path) -> None:
    assert run(root, None, "python -m njord.apps.tap var/state/sessions/NAME") == (
        EXIT_WRONG,
        "",
        "error: redis.url is not set; set NJORD_REDIS__URL, for example to redis://127.0.0.1:6379/0\n",
    )
    code, out, err = run(root, f"unix://:{CANARY}@{tmp_path}/redis.sock", "python -m njord.apps.tap nowhere")
    assert (code, out) == (EXIT_WRONG, "")
    assert err == "error: there is no session in nowhere; name a folder under var/state/sessions\n"


def test_without_redis_it_waits_and_when_stopped_says_how_much_is_left(root: Path, tmp_path: Path) -> None:
    url = f"unix://:{CANARY}@{tmp_path}/redis.sock"
    with started(root, url, "python -m njord.apps.tap var/state/sessions/NAME --follow") as tap:
        until(lambda: _catches(tap.pid, signal.SIGTERM))
        with pytest.raises(subprocess.TimeoutExpired):
            tap.wait(1.0)
        tap.send_signal(signal.SIGTERM)
        out, said = tap.communicate(timeout=100)
    assert (tap.returncode, out) == (EXIT_LEFT, "")
    assert said.endswith(
        " messages are not published: Redis does not work: no connection; next: run the tap of this session again\n"
    )
    assert CANARY not in said


def test_the_supervisor_shows_how_far_it_is_and_starts_a_killed_tap_again(
    server: RedisServer, bus: RedisBus, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    writer = JournalWriter(folder / "journal")
    write(writer, 100)
    tap = TapProcess(folder, tmp_path, redis_url=server.url)
    tap.start()
    until(lambda: tap.poll().seq == 100)
    state = tap.poll()
    assert (state.lag, state.is_connected, state.error, state.n_restarts) == (0, True, "", 0)
    assert CANARY not in Path(f"/proc/{tap.pid}/cmdline").read_text()
    os.kill(tap.pid, signal.SIGKILL)
    write(writer, 200)
    until(lambda: tap.poll().seq == 200)
    assert tap.state.n_restarts == 1
    server.pause()
    write(writer, 300)
    until(lambda: not tap.poll().is_connected)
    until(lambda: tap.poll().lag == 100)
    assert tap.state.error == "Redis does not work: no answer within 2 s"
    server.resume()
    until(lambda: tap.poll().seq == 300)
    server.flush()  # Nothing is written meanwhile: an idle tap asks by itself.
    until(lambda: len(intents(bus)) >= len([number for number in INTENTS if number <= 300]))
    write(writer, 400)
    assert tap.stop(100.0).seq == 400  # What is left is published, and then it ends by itself.
    assert tap.pid == 0
    assert sorted(set(intents(bus))) == [number for number in INTENTS if number <= 400]
    writer.close()


def test_a_tap_that_can_not_run_is_tried_again_ever_later_and_no_poll_waits(tmp_path: Path) -> None:
    now = [0.0]
    tap = TapProcess(
        tmp_path / "none", tmp_path, redis_url=f"unix://:{CANARY}@/x", monotonic_s=lambda: now[0]
    )
    tap.start()
    shortest = 1.0
    for n_restarts in range(1, 4):
        until(lambda: bool(tap.poll().error) and not tap.pid)
        assert "there is no session in" in tap.state.error
        before = time.perf_counter()
        assert tap.poll().n_restarts == n_restarts - 1  # Its wait is not over.
        shortest = min(shortest, time.perf_counter() - before)
        now[0] += 30
        assert tap.poll().n_restarts == n_restarts
    assert shortest < 0.05
    tap.stop()


def test_a_tap_does_not_outlive_a_supervisor_that_was_killed(server: RedisServer, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    JournalWriter(folder / "journal").close()
    code = (
        "import sys, time; from pathlib import Path; from njord.apps.tap_process import TapProcess\n"
        f"tap = TapProcess(Path({str(folder)!r}), Path({str(tmp_path)!r})); tap.start()\n"
        "print(tap.pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"NJORD_REDIS__URL": server.url}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    ) as node:
        assert node.stdout is not None
        pid = int(node.stdout.readline())
        node.kill()
    until(lambda: not _lives(pid))


# Whether a process has said what becomes of it at a signal.
def _catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> number - 1 & 1)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
