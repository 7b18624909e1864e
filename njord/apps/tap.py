"""The tap: publishes a session's journal to Redis while it is written; a process of its own.

    python -m njord.apps.tap SESSION_FOLDER --root DIR

`redis.url` comes from configuration or environment, never from the command line. The journal is the queue: while Redis
does not work the tap waits, then goes on where Redis says that it is. It ends with the journal's end mark (exit 0),
with `--follow` on SIGTERM, SIGINT, or once its supervisor is gone; then what is left is published within two seconds,
else it says how much is not (exit 1). A wrong configuration or session ends it at once (exit 2).
"""

import argparse
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from njord.adapters.config_loader import load_config
from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_client import Backoff
from njord.adapters.redis_session import SessionStream
from njord.apps.tap_journal import MarketData, Tap, session_id
from njord.apps.tap_state import TapState, encode_state
from njord.core.bus import BusUnavailable
from njord.core.errors import ConfigError, NjordError
from njord.storage.journal_follow import journal_end

POLL_S = 0.01  # How often the journal is looked at.
DOUBT_S = 0.5  # How often Redis is asked whether it is still where it was left.
SLICE_S = 0.1
SAY_S = 0.25
DRAIN_S = 2.0
NICE = 10
EXIT_OK, EXIT_LEFT, EXIT_WRONG = 0, 1, 2


class TapLoop:
    """Runs a tap until it is to end.

    Args:
        tap: What publishes.
        journal: The folder of the journal.
        follows: Go on behind an end mark.
        is_supervised: Say how it stands on standard output, and end once standard input is closed.
    """

    def __init__(self, tap: Tap, journal: Path, *, follows: bool, is_supervised: bool) -> None:
        self._tap = tap
        self._journal = journal
        self._follows = follows
        self._is_supervised = is_supervised
        self._backoff = Backoff()
        self._error = ""
        self._is_stopping = False
        self._said: TapState | None = None

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End soon; a handler of signals."""
        self._is_stopping = True

    def run(self) -> int:
        """Publish until the end; return the exit code."""
        doubt_at = say_at = time.monotonic()
        while not self._is_stopping:
            n_messages = self._step()
            if not self._error and self._tap.has_ended and not self._follows:
                break
            now = time.monotonic()
            if now >= doubt_at:
                self._tap.doubt()
                doubt_at = now + DOUBT_S
            if now >= say_at:
                self._say()
                say_at = now + SAY_S
            if self._error:
                self._wait(self._backoff.next_s())
            elif not n_messages:
                self._wait(POLL_S)
        return self._drain()

    def state(self) -> TapState:
        """Return how it stands."""
        counts = self._tap.counts
        return TapState(
            seq=self._tap.seq,
            lag=max(0, journal_end(self._journal) - self._tap.seq),
            is_connected=not self._error,
            error=self._error,
            note=self._tap.note,
            n_messages=counts.n_messages,
            n_entries=counts.n_entries,
            n_rows=counts.n_rows,
        )

    def _step(self) -> int:
        try:
            n_messages = self._tap.step()
        except BusUnavailable as error:
            self._error = str(error)
            return 0
        self._error = ""
        self._backoff.reset()
        return n_messages

    def _drain(self) -> int:
        until = time.monotonic() + DRAIN_S
        while True:
            self._step()
            left = self.state().lag
            if not left or time.monotonic() >= until:
                break
            time.sleep(POLL_S)
        self._say()
        if not left:
            return EXIT_OK
        print(
            f"{left} messages are not published: {self._error or 'there was no time'}; "
            "next: run the tap of this session again",
            file=sys.stderr,
        )
        return EXIT_LEFT

    # In slices, because a signal does not end a wait.
    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            if not self._is_supervised:
                time.sleep(min(left, SLICE_S))
                continue
            readable, _, _ = select.select([sys.stdin], [], [], min(left, SLICE_S))
            if readable and not os.read(sys.stdin.fileno(), 64):
                self._is_stopping = True

    def _say(self) -> None:
        state, before = self.state(), self._said
        if state == before:
            return
        self._said = state
        if self._is_supervised:
            self._is_stopping |= not _tell(state)
        elif state.note != (before.note if before is not None else ""):
            print(f"no market data: {state.note}", file=sys.stderr)


# A supervisor that does not read for long is gone as well: a pipe holds hundreds of lines.
def _tell(state: TapState) -> bool:
    try:
        os.write(sys.stdout.fileno(), encode_state(state) + b"\n")
    except OSError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tap that the command line describes; return the exit code."""
    options = _parse(arguments)
    try:
        return _run(options)
    except NjordError as error:
        if options.supervised:
            _tell(TapState(error=str(error)))
        print(f"error: {error}", file=sys.stderr)
        return EXIT_WRONG


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.session)
    config = load_config(Path(options.root)).config
    if config.redis.url is None:
        raise ConfigError(
            "redis.url is not set", "set NJORD_REDIS__URL, for example to redis://127.0.0.1:6379/0"
        )
    if not folder.is_dir():
        raise ConfigError(f"there is no session in {folder}", "name a folder under var/state/sessions")
    bus = RedisBus(config.redis.url.get_secret_value(), stream_max_len=config.bus.stream_max_len)
    session = session_id(folder)

    def market() -> MarketData:
        from njord.apps.tap_market import TapMarket  # Opens data: only where it is asked for.

        return TapMarket(folder, bus, session)

    stream = SessionStream(bus, session, config.bus.stream_max_len)
    tap = Tap(folder, stream, session, market if options.market else None)
    loop = TapLoop(
        tap,
        folder / "journal",
        follows=options.follow or options.supervised,
        is_supervised=options.supervised,
    )
    give_way()
    signal.signal(signal.SIGTERM, loop.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.supervised else loop.stop)
    try:
        return loop.run()
    finally:
        tap.close()
        bus.close()


def give_way() -> None:
    """Let the node go first on a busy machine: this process takes no processor from one that wakes up."""
    os.nice(NICE)
    if sys.platform == "linux":
        with suppress(OSError):  # Where it is forbidden, the lower priority must do.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="njord.apps.tap", description="Publish a session's journal to Redis."
    )
    parser.add_argument("session", help="the session's folder")
    parser.add_argument("--root", default=".", help="the folder that holds config/ (default: here)")
    parser.add_argument("--market", action="store_true", help="publish market data too, as pub/sub")
    parser.add_argument("--follow", action="store_true", help="go on behind the journal's end mark")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
