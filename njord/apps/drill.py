"""How fast does the kill switch work, really? A drill in; how long each of its sources took out.

A paper node of its own trades a grid as fast as it can, in a folder of its own; the user's switch is never touched. It
is tripped by the file, by the Redis key, and by the loss of Redis, and cleared in between. What happened is read from
the node's journal while it is written, every block verified. Journals hold no wall time: a message is stamped when the
drill sees its block on disk, which is later than it happened. So every figure is an upper bound.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_sources import KillRecord, clear_kill_file, trip_kill_file
from njord.adapters.kill_switch_watch import now_s
from njord.apps.session_files import SESSIONS
from njord.apps.synthetic import write_synthetic_csv
from njord.core.errors import ConfigError, NjordError
from njord.core.types import ACTIVE, TradingState
from njord.storage.journal_follow import JournalFollower

NO_NEW_ORDERS_WITHIN_S = 1.0
ALL_CANCELED_WITHIN_S = 5.0
N_BARS = 200_000  # Two minutes of load and more.
SEED = 42
LEVELS = 20  # Of the grid: about so many orders work.
_N_LOAD_ORDERS = 200  # Approved since the last trip, before the next.
_LOAD_WITHIN_S = 30.0
_N_AT_WORK = 10  # What there is to be canceled; a grid that moves has fewer for a moment.
_LOST = "redis lost"
_TRIES_MAX = 5
_SETTLES_S = 0.3  # An order that comes late has time to show itself.
_POLL_S = 0.001
_STOPS_WITHIN_S = 8.0
_EXIT_USER = 2  # What the node says of wrong input.
_KEY = "njord:kill_switch"
_TERMINAL = frozenset({"filled", "canceled", "rejected", "expired"})
_REDIS_TIMEOUT_S = 1.0


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One trip.

    Attributes:
        source: What tripped: file, redis or redis lost.
        n_working: Orders that worked when the engine learned of it.
        no_new_orders_s: From the trip until no order was approved any more; None = that never came.
        all_canceled_s: From the trip until none of them worked any more; None = that never came.
        n_late: Orders approved after the engine had learned of it.
    """

    source: str
    n_working: int
    no_new_orders_s: float | None
    all_canceled_s: float | None
    n_late: int

    @property
    def passed(self) -> bool:
        """Whether both came in time."""
        first, second = self.no_new_orders_s, self.all_canceled_s
        if first is None or second is None or self.n_late:
            return False
        return first < NO_NEW_ORDERS_WITHIN_S and second < ALL_CANCELED_WITHIN_S


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill has shown; `left_out` says which source was not drilled, and why."""

    rounds: tuple[Round, ...]
    n_orders: int
    orders_per_s: float
    left_out: str = ""

    @property
    def passed(self) -> bool:
        """Whether every round did."""
        return all(each.passed for each in self.rounds)


class Journaled:
    """What a node's journal says, as it grows.

    Args:
        journal: The folder.
    """

    def __init__(self, journal: Path) -> None:
        self._follower = JournalFollower(journal)
        self.state = ACTIVE  # What the engine was last told by the switch.
        self.working: dict[str, None] = {}
        self.n_orders = 0
        self.last_order_s = 0.0  # When the last approval was seen.
        self.at_trip = (0, 0)  # Orders in all, and orders at work, when the engine last learned of a trip.

    def look(self) -> None:
        """Read what has come since the last look.

        Raises:
            JournalCorrupt: A block does not match its hash.
        """
        for block in self._follower.poll():
            seen_s = now_s()
            for line in block.lines:
                self._follow(_decode(line).message, seen_s)

    def _follow(self, message: "_Message", seen_s: float) -> None:
        if message.kind == "OrderEvent":
            self.working[message.client_order_id] = None
            self.n_orders += 1
            self.last_order_s = seen_s
        elif message.kind == "OrderUpdate":
            if message.status in _TERMINAL:
                self.working.pop(message.client_order_id, None)
        elif message.kind == "KillSwitchState" and message.source == "kill_switch":
            was, self.state = self.state, TradingState(message.state)
            if (
                was is ACTIVE and self.state is not ACTIVE
            ):  # The same trip may be told again, for another reason.
                self.at_trip = (self.n_orders, len(self.working))


class _Message(msgspec.Struct):
    kind: str = ""
    client_order_id: str = ""
    status: str = ""
    state: str = ""
    source: str = ""


class _Line(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


_decode = msgspec.json.Decoder(_Line).decode


class Switches:
    """The drill's own switch: a file, and a server of its own where there is one.

    Args:
        path: The file.
        redis: The key; None = there is no server.
        server: Ends with the drill.
    """

    def __init__(
        self, path: Path, redis: RedisSwitch | None, server: "subprocess.Popen[bytes] | None"
    ) -> None:
        self._path = path
        self._redis = redis
        self._server = server

    def trips(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield each source's name, and what trips it."""
        yield "file", lambda: trip_kill_file(self._path, _record(TradingState.HALTED))
        if self._redis is not None and self._server is not None:
            yield "redis", lambda: self._write(TradingState.HALTED)
            yield _LOST, self._server.kill

    def clear(self) -> None:
        """Clear every source."""
        clear_kill_file(self._path, _record(ACTIVE))
        self._write(ACTIVE)

    def _write(self, state: TradingState) -> None:
        trouble = "" if self._redis is None else self._redis.write(_record(state))
        if trouble:
            raise NjordError(f"the drill's own Redis does not work: {trouble}")


def drill_kill_switch(folder: Path, max_age_ms: int, data: Path | None = None) -> Drill:
    """Trip a node of our own by every source there is.

    Args:
        folder: The drill makes a folder of its own in it, and removes it.
        max_age_ms: From when on a reading of the switch is too old.
        data: Bars to trade on; None = a synthetic market.

    Raises:
        ConfigError: There are too few data, or none that can be used.
        NjordError: The node does not start or does not trade.
        JournalCorrupt: Its journal is damaged.
    """
    if data is not None and not data.is_file():
        raise ConfigError(f"there is no file {data}", "give --data a file of bars, or leave it out")
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-", dir=folder.resolve())))
        path = root / "var/state/kill_switch"
        url, switches = "", Switches(path, None, None)
        binary = shutil.which("redis-server") or shutil.which(
            "redis-server", path=Path(sys.executable).parent
        )
        if binary is not None:
            server, url = stack.enter_context(_redis_server(binary))
            redis = RedisSwitch(url, _KEY, _REDIS_TIMEOUT_S)
            stack.callback(redis.close)
            _wait(lambda: not redis.write(_record(ACTIVE)), "the drill's own Redis does not start")
            switches = Switches(path, redis, server)
        if data is None:
            data = root / "SYNTH_USDT-1m.csv"
            write_synthetic_csv(data, N_BARS, SEED)
        node = stack.enter_context(_node(root, data, url, max_age_ms))
        journaled = Journaled(_journal_of(root, node))
        started_s = now_s()
        rounds = tuple(_rounds(switches, journaled, node))
        took_s = now_s() - started_s
    return Drill(
        rounds=rounds,
        n_orders=journaled.n_orders,
        orders_per_s=journaled.n_orders / took_s,
        left_out="" if binary else "redis: there is no redis-server on PATH, or beside python, to drill with",
    )


# A trip that happens to meet no order at work says nothing about cancels: it is tried again. A lost server can not be.
def _rounds(switches: Switches, journaled: Journaled, node: "_Node") -> Iterator[Round]:
    for source, trip in switches.trips():
        for again in reversed(range(_TRIES_MAX)):
            round_ = _round_under_load(source, trip, switches, journaled, node)
            if round_.n_working or not again or source == _LOST:
                yield round_
                break


def _round_under_load(
    source: str, trip: Callable[[], None], switches: Switches, journaled: Journaled, node: "_Node"
) -> Round:
    before = journaled.n_orders

    def trades() -> bool:
        journaled.look()
        node.check()
        is_busy = journaled.n_orders - before >= _N_LOAD_ORDERS and len(journaled.working) >= _N_AT_WORK
        return journaled.state is ACTIVE and is_busy

    if journaled.state is not ACTIVE:
        switches.clear()
    _wait(trades, "the drill's node does not trade")
    return _round(source, trip, journaled)


def _round(source: str, trip: Callable[[], None], journaled: Journaled) -> Round:
    tripped_s = now_s()
    trip()
    until_s = tripped_s + ALL_CANCELED_WITHIN_S
    known_s = canceled_s = None
    while now_s() < until_s:
        journaled.look()
        if known_s is None and journaled.state is not ACTIVE:
            known_s = now_s()
        if known_s is not None and canceled_s is None and not journaled.working:
            canceled_s = now_s()
            until_s = min(until_s, canceled_s + _SETTLES_S)
        time.sleep(_POLL_S)
    n_known, n_working = journaled.at_trip if known_s is not None else (journaled.n_orders, 0)
    last_s = max(known_s, journaled.last_order_s) if known_s is not None else None
    return Round(
        source=source,
        n_working=n_working,
        no_new_orders_s=None if last_s is None else last_s - tripped_s,
        all_canceled_s=None if canceled_s is None or journaled.working else canceled_s - tripped_s,
        n_late=journaled.n_orders - n_known,
    )


# --- processes ----------------------------------------------------------------------------------------------------


class _Node:
    """The drill's own node.

    Args:
        process: Its process.
        log: What it says.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            ConfigError: It has come to the end of its data, or can not use them.
            NjordError: It ended otherwise.
        """
        code = self._process.poll()
        if code == 0:
            raise ConfigError("the data ended before the drill did", "give more of them, or none")
        if code is not None:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
            if code == _EXIT_USER:
                raise ConfigError(
                    f"the drill can not trade: {said[-1].removeprefix('njord: ')}", "or leave --data out"
                )
            raise NjordError(f"the drill's node ended with {code}: {said[-1]}")


@contextmanager
def _node(root: Path, data: Path, redis_url: str, max_age_ms: int) -> Iterator[_Node]:
    # Nothing of the user's configuration: it could name the user's own switch.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NJORD_")}
    environment["NJORD_RISK__KILL_SWITCH_MAX_AGE_MS"] = str(max_age_ms)
    if redis_url:
        environment["NJORD_REDIS__URL"] = redis_url
    command = [sys.executable, "-c", "from njord.cli import main; main()", "paper", "grid"]
    command += ["--data", str(data.resolve()), "--replay", "max", "--stop-policy", "leave", "--fresh"]
    command += ["--risk-profile", "research", "--capital", "10000", "--fee-bps", "0"]
    command += ["--param", f"levels={LEVELS}", "--param", "step_bps=5", "--json", "--root", str(root)]
    log = root / "node.txt"
    with log.open("wb") as said, open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=said
        )
    try:
        yield _Node(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _redis_server(binary: str) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    with tempfile.TemporaryDirectory(prefix="njord-drill-") as folder:
        address = Path(folder, "redis.sock")
        command = [binary, "--port", "0", "--unixsocket", str(address), "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield process, f"unix://{address}"
        finally:
            process.kill()
            process.wait()


def _journal_of(root: Path, node: _Node) -> Path:
    found: list[Path] = []

    def is_there() -> bool:
        node.check()
        found[:] = (root / "var/state" / SESSIONS).glob("*/journal")
        return bool(found)

    _wait(is_there, "the drill's node does not start")
    return found[0]


def _wait(is_so: Callable[[], bool], complaint: str) -> None:
    until_s = now_s() + _LOAD_WITHIN_S
    while not is_so():
        if now_s() > until_s:
            raise NjordError(f"{complaint} within {_LOAD_WITHIN_S:g} s")
        time.sleep(_POLL_S)


def _record(state: TradingState) -> KillRecord:
    return KillRecord(state=state, reason="drill", operator="drill", ts_ns=time.time_ns())
