"""Real processes on this machine: a `njord venue`, a `njord live` that trades at it, and what both of them leave behind.

The processes run the words that a user types, from a copy of the package, so that nothing changes under a session while it
is killed and started again. Nothing here waits for a time, only for a state. What is left is read by `disk_evidence.py`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, Self

import msgspec

import njord
from njord.adapters.clock import Stopwatch
from njord.core.errors import NjordError
from njord.exchange.fault_plan import FaultSpec

ACCOUNT: Final = "demo"
START_WITHIN_S: Final = 180.0  # On a machine with more processes than cores.
ASK_WITHIN_S: Final = 30.0
AGAIN_S: Final = 2.0  # Until a node that was refused is started again.
REFUSALS: Final = frozenset({2, 5})  # Locked; the venue refuses or can not be reached.
TRADER: Final = (
    "from njord.simulation.trader import SeededTrader\n\n\nclass Trader(SeededTrader):\n    pass\n"
)
_ENTRY: Final = 'import sys; sys.argv[0] = "njord"; from njord.cli import main; main()'
_SHOWN: Final = 600
Event = dict[str, Any]


class ProcessFailed(NjordError):
    """A process did not do what it was to do: it ended, or a state never came."""


def copy_package(folder: Path) -> Path:
    """Copy the package that runs now into a folder, with what was compiled of it; return what is to be PYTHONPATH."""
    source = Path(njord.__file__).parent
    shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
    return folder


class Program:
    """The way `njord` is started, and all that was started so.

    Args:
        package: The folder that holds the package `njord`; None = the one that runs now.
    """

    def __init__(self, package: Path | None = None) -> None:
        self.package = package
        self._lock = threading.Lock()
        self._started: list[subprocess.Popen[bytes]] = []
        self._is_over = False

    def start(
        self, words: Sequence[str], root: Path, errors: IO[bytes], **more: str
    ) -> "subprocess.Popen[bytes]":
        """Start `njord WORDS` in a folder; its output is a pipe.

        Raises:
            ProcessFailed: It is over.
        """
        with self._lock:
            if self._is_over:
                raise ProcessFailed("nothing is started any more")
            process = subprocess.Popen(
                self._command(*words),
                cwd=root,
                env=self.environ(**more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            self._started = [each for each in self._started if each.poll() is None]
            self._started.append(process)
            return process

    def end_all(self) -> None:
        """Kill everything that was started and still runs; nothing is started any more."""
        with self._lock:
            self._is_over = True
            for process in self._started:
                process.kill()

    def run(self, root: Path, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run `njord WORDS` in a folder to its end.

        Raises:
            ProcessFailed: It goes on.
        """
        try:
            return subprocess.run(
                self._command(*words),
                cwd=root,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=START_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"njord {' '.join(words)} did not end within {START_WITHIN_S:g} s") from None

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", _ENTRY, *words]

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment: nothing of Njord's own settings but `more`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NJORD_")}
        package = Path(njord.__file__).parents[1] if self.package is None else self.package
        return {**kept, "PYTHONPATH": str(package), "NO_COLOR": "1", **more}


def warm(program: Program, root: Path) -> None:
    """Have compiled what is compiled at a first start, once instead of by all at the same time."""
    with VenueProcess(program, root) as venue:
        venue.stop()


class Process:
    """A `njord` that says what happens as lines of JSON. A context manager: whatever happens, it is gone afterwards.

    Args:
        program: How it is started.
        words: What follows `njord`.
        root: The folder that it runs in; its error output is added to the file `NAME.err` there.
        name: Of that file.
        environ: Variables beside the program's own.

    Attributes:
        events: All that it has said so far, each with `heard_s`, seconds since its start.
    """

    def __init__(
        self,
        program: Program,
        words: Sequence[str],
        root: Path,
        name: str,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._errors = root / f"{name}.err"
        self._since = Stopwatch()
        self._changed = threading.Condition()
        self._is_silent = False
        self.events: list[Event] = []
        with self._errors.open("ab") as errors:
            self._process = program.start(words, root, errors, **(environ or {}))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def first(self, is_it: Callable[[Event], bool], within_s: float, since: int = 0) -> Event:
        """Return the first event from number `since` on that is the one, once it was said.

        Raises:
            ProcessFailed: The process has ended without it, or the time is up.
        """
        watch, looked = Stopwatch(), since
        while True:
            with self._changed:
                if len(self.events) == looked and not self._is_silent:
                    self._changed.wait(max(0.0, within_s - watch.elapsed_s()))
                found = self.events[looked:]
            for event in found:
                if is_it(event):
                    return event
            looked += len(found)
            if not found and self._is_silent:
                raise ProcessFailed(f"njord ended with exit code {self.wait(ASK_WITHIN_S)}: {self.errors()}")
            if watch.elapsed_s() >= within_s:
                raise ProcessFailed(f"nothing came of it in {within_s:g} s; it said last {self.last()}")

    def last(self) -> str:
        """Return what it said last, for a person."""
        return json.dumps(self.events[-1])[:_SHOWN] if self.events else "nothing"

    def errors(self) -> str:
        """Return the end of its error output, on one line."""
        text = self._errors.read_text(encoding="utf-8", errors="replace")
        return " | ".join(text[-_SHOWN:].split("\n")).strip(" |") or "it said nothing"

    def kill(self) -> None:
        """End it at once, as `kill -9` does, and hear what it had said until then."""
        self._process.kill()
        self.wait(ASK_WITHIN_S)

    def stop(self, within_s: float = ASK_WITHIN_S) -> int:
        """Ask it for its end; return its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.wait(within_s)

    def wait(self, within_s: float) -> int:
        """Wait for its end; return its exit code.

        Raises:
            ProcessFailed: It goes on.
        """
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(
                f"njord did not end within {within_s:g} s; it said last {self.last()}"
            ) from None
        self._reader.join(ASK_WITHIN_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(ASK_WITHIN_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"}\n"):
                continue  # Cut off by its death.
            event = {**json.loads(line), "heard_s": self._since.elapsed_s()}
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._is_silent = True
            self._changed.notify_all()


class VenueProcess(Process):
    """A `njord venue` with one account.

    Args:
        program: How it is started.
        root: The folder that it runs in.
        balances: Of the account.
        seed: Of its market, and of its faults.
        words: More of them, such as `--faults plan.yaml`.

    Attributes:
        endpoint: Where it is.
        keys: The variables that hold the account's keys.
    """

    def __init__(
        self,
        program: Program,
        root: Path,
        *,
        balances: str = "USDT=1000",
        seed: int = 1,
        words: Sequence[str] = (),
    ) -> None:
        account = f"{ACCOUNT}:{balances}"
        flags = ("--port", "0", "--seed", str(seed), "--account", account, "--json", *words)
        super().__init__(program, ("venue", "--synthetic", *flags), root, "venue")
        try:
            said = self.first(lambda event: event["event"] == "serving", START_WITHIN_S)
        except BaseException:
            self.__exit__()
            raise
        account_said = said["accounts"][0]
        self.endpoint: str = said["rest"]
        self.keys = {
            "NJORD_BINANCEUS_API_KEY": str(account_said["key"]),
            "NJORD_BINANCEUS_API_SECRET": str(account_said["secret"]),
        }

    def truth(self) -> Event:
        """Return the account's truth."""
        account: Event = self.ask("GET", "/njord/truth")["accounts"][ACCOUNT]
        return account

    def ask(self, method: str, path: str, body: object = None, within_s: float = ASK_WITHIN_S) -> Any:
        """Ask its operator something; see docs/local-exchange.md.

        Raises:
            ProcessFailed: It does not answer.
        """
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(self.endpoint + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=within_s) as answer:
                return json.loads(answer.read())
        except OSError as error:
            raise ProcessFailed(f"the venue does not answer {method} {path}: {error}") from None

    def add_fault(self, spec: FaultSpec) -> None:
        """Let a fault strike; its `from_s` counts from now."""
        self.ask("POST", "/njord/faults", spec)

    def end_faults(self) -> None:
        """End all faults, now."""
        self.ask("DELETE", "/njord/faults")

    def struck(self) -> dict[str, int]:
        """Return how often each fault has struck, by its id."""
        counts: dict[str, int] = {}
        for row in self.ask("GET", "/njord/faults")["faults"]:
            counts[row["fault"]] = counts.get(row["fault"], 0) + row["n_struck"]
        return counts


class NodeProcess(Process):
    """A `njord live` of the seeded trader.

    Args:
        program: How it is started.
        root: Its folder, laid out by `lay_out`.
        venue: Where it trades.
        params: Of the trader.
        words: More of them.
        environ: Variables beside the keys.
    """

    def __init__(
        self,
        program: Program,
        root: Path,
        venue: VenueProcess,
        params: Mapping[str, object],
        words: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        typed = [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
        flags = ("--timeframe", "1m", "--account", ACCOUNT, "--json", *words)
        known = {"NJORD_ENABLE_LIVE": "1", **venue.keys, **(environ or {})}
        super().__init__(program, ("live", "trader.py", *typed, *flags), root, "node", known)

    def wait_active(self, within_s: float = START_WITHIN_S) -> float:
        """Wait until orders may be sent; return how many seconds after its start that was."""
        active_s: float = self.first(is_active, within_s)["heard_s"]
        return active_s


def is_active(event: Event) -> bool:
    """Whether the connection to the venue says that orders may be sent."""
    said = (event["event"], event.get("source"), event.get("state"))
    return said == ("switch", "venue", "active")


def lay_out(
    root: Path,
    venue: VenueProcess,
    position_cap: Decimal,
    orders_per_minute: int = 600,
    more: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Write what a node needs into its folder: the configuration, and the trader.

    Args:
        root: Is made.
        venue: Where it trades.
        position_cap: Limit of its position, in quote.
        orders_per_minute: At most.
        more: Settings of the sections `exchange`, `live` and `risk`, and `rules` beside those of a trader that always trades.
    """
    (root / "config").mkdir(parents=True, exist_ok=True)
    rules = {
        "max_position": {"cap_notional": f"{position_cap}", "cap_equity_fraction": 0},
        "cool_down": {"seconds": 0},  # It is to trade, whatever it loses.
        "daily_loss": {"cap_notional": 0, "cap_equity_fraction": 0},
        "order_rate": {"per_minute": orders_per_minute, "per_strategy_per_minute": orders_per_minute},
        **more.get("rules", {}),
    }
    config = {
        "app": {"env": "live"},
        "exchange": {**more.get("exchange", {})},
        "live": {"account": ACCOUNT, "endpoint": venue.endpoint, **more.get("live", {})},
        "risk": {"profiles": {"live": {"rules": rules}}, **more.get("risk", {})},
    }
    # JSON is YAML.
    (root / "config" / "base.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (root / "trader.py").write_text(TRADER, encoding="utf-8")
