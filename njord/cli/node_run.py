"""A session from its opening to its last line, whatever it trades at: it is shown, and it stops; what trades is `apps/node.py`."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TextIO

import msgspec
import structlog

from njord.adapters.kill_switch_watch import KillSwitchWatch
from njord.apps.node import Node, NodeOptions
from njord.apps.session import OpenSession
from njord.apps.status import NodeStatus
from njord.apps.stop import Ended, StopPolicy
from njord.apps.tap_process import TapProcess
from njord.cli import EXIT_BROKEN, EXIT_OK, EXIT_STRATEGY
from njord.cli.outlet import Outlet
from njord.cli.paper_events import Event, json_of, line_of
from njord.cli.paper_screen import EventScreen, LiveScreen, Screen
from njord.cli.paper_view import Facts
from njord.cli.paper_words import (
    STOPS,
    Start,
    broken_event,
    bus_words,
    end_event,
    end_lines,
    start_event,
    start_lines,
)
from njord.core.config import Config
from njord.core.contracts import Message
from njord.core.errors import NjordError

PUBLISHED_WITHIN_S = 1.0  # What is left; the tap of the next start goes on with the rest.
WRITTEN_WITHIN_S = 2.0  # The last lines; a terminal that hangs does not keep the process alive.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_WITHIN_S = 3.5  # Of the node; everything together is to end within 5 s.


@contextmanager
def on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Let signals ask for the end, until all is said."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, lambda got, _: stop(f"signal {signal.Signals(got).name}"))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stoppable(Protocol):
    """What runs in the event loop until it is asked for the end."""

    def request_stop(self, reason: str) -> None:
        """Ask for the end; the first reason counts."""


class Stopper:
    """Ends a node from wherever the wish comes: a signal, or the thread that has lost its reader.

    Attributes:
        reason: The first wish; empty before it.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._node: Stoppable | None = None

    def bind(self, node: Stoppable) -> None:
        """Let wishes go to `node`, in the running event loop; an earlier one goes at once."""
        self._node, self._loop = node, asyncio.get_running_loop()
        if self.reason:
            node.request_stop(self.reason)

    def stop(self, reason: str) -> None:
        """Ask for the end, now or as soon as there is a node; asking again is harmless."""
        self.reason = self.reason or reason
        if self._loop is not None and self._node is not None:
            with suppress(RuntimeError):  # The loop has ended, and the session with it.
                self._loop.call_soon_threadsafe(self._node.request_stop, reason)


class Bus:
    """What publishes the session, in a process of its own; nothing without Redis."""

    def __init__(self, folder: Path, root: Path, url: str | None) -> None:
        self._tap = None if url is None else TapProcess(folder, root, redis_url=url, market=True)

    def start(self) -> None:
        """Begin to publish."""
        if self._tap is not None:
            self._tap.start()

    def poll(self) -> None:
        """Hear what it says, and start it again if it has ended; never waits."""
        if self._tap is not None:
            self._tap.poll()

    def words(self) -> str:
        """Return how far it is."""
        return "" if self._tap is None else bus_words(self._tap.state)

    def stop(self) -> None:
        """Publish what is left."""
        if self._tap is not None:
            self._tap.stop(PUBLISHED_WITHIN_S)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What a session runs with.

    Attributes:
        config: As it was loaded: with capital and profile where they were typed.
        root: The folder that njord runs in.
        outlet: Where all output goes.
        notices: Where what a live feed has to say goes, once there is a screen.
    """

    config: Config
    root: Path
    json_out: bool
    outlet: Outlet
    stopper: Stopper
    notices: list[Callable[[str], None]] = msgspec.field(default_factory=list)

    def notice(self, text: str) -> None:
        """Say what a live feed has to say."""
        structlog.get_logger("node").warning("feed", notice=text)
        if self.notices:
            self.notices[-1](text)
        else:
            self.put({"event": "feed", "message": text}, [f"feed     {text}"])

    @property
    def switch_file(self) -> Path:
        """Where the kill switch lies."""
        return self.root / self.config.risk.kill_switch_file

    def put(self, event: Event, lines: Iterable[str]) -> None:
        """Write the event as JSON, or the lines."""
        for line in [json_of(event)] if self.json_out else lines:
            self.outlet.write(line + "\n")


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is open, and how it goes.

    Attributes:
        pace: Of its market, in words.
        speed: Of a recording; None = as fast as possible.
        account: Whose orders are sent where, in words; empty where none are.
        node: Makes what feeds it.
    """

    session: OpenSession
    pace: str
    speed: float | None
    policy: StopPolicy
    flatten_within_s: float
    account: str = ""
    node: Callable[
        [KillSwitchWatch, NodeOptions, Callable[[Sequence[Message]], None], Callable[[], None]], Node
    ]


def trade(going: Going, stage: Stage, watch: KillSwitchWatch) -> int:
    """Run an open session until it ends, show it meanwhile, and return its exit code."""
    session = going.session
    prepared = session.prepared
    log = structlog.get_logger(session.KIND).bind(session=session.name, run_id=prepared.spec.run_id)
    start = Start(
        session=session,
        policy=going.policy,
        pace=going.pace,
        account=going.account,
        switch=stage.switch_file,
        redis_key=None if stage.config.redis.url is None else stage.config.risk.kill_switch_key,
    )
    stage.put(start_event(start), start_lines(start))
    log.info("session started", resumed=session.resumed, pace=going.pace, stop_policy=going.policy)
    try:
        ended, status = _traded(going, stage, watch)
    except NjordError as error:
        log.error("session broke", error=f"{type(error).__name__}: {error}")
        stage.put(broken_event(session.name, error), [])
        raise
    order_list_hash = session.recorder.order_list_hash()
    log.info("session ended", reason=ended.reason, finished=ended.finished, order_list_hash=order_list_hash)
    lines = end_lines(ended, status, prepared, order_list_hash, stage.root)
    stage.put(end_event(ended, status, order_list_hash), lines)
    return exit_code(ended, session)


def _traded(going: Going, stage: Stage, watch: KillSwitchWatch) -> tuple[Ended, NodeStatus]:
    url = stage.config.redis.url
    bus = Bus(going.session.folder, stage.root, None if url is None else url.get_secret_value())
    screen = _screen(stage, going, bus.words)
    stage.notices.append(screen.notice)
    options = NodeOptions(
        speed=going.speed,
        stop_policy=going.policy,
        stop_within_s=_STOP_WITHIN_S,
        flatten_within_s=going.flatten_within_s,
    )
    node = going.node(watch, options, screen.hear, bus.poll)
    watch.start()
    bus.start()
    try:
        return asyncio.run(shown(node, screen, stage.stopper))
    finally:
        screen.end()
        watch.stop()
        bus.stop()


def kill_switch_watch(stage: Stage) -> KillSwitchWatch:
    """Return what reads the kill switch; not started."""
    url, risk = stage.config.redis.url, stage.config.risk
    return KillSwitchWatch(
        stage.switch_file,
        None if url is None else url.get_secret_value(),
        risk.kill_switch_key,
        risk.kill_switch_max_age_ms,
    )


def _screen(stage: Stage, going: Going, bus: Callable[[], str]) -> Screen:
    prepared = going.session.prepared
    outlet, instruments = stage.outlet, prepared.spec.instruments
    if stage.json_out or not outlet.isatty():
        return EventScreen(outlet, instruments, json_of if stage.json_out else line_of, bus)
    kinds = {each.kind for each in prepared.market.sources}
    facts = Facts(
        title=f"njord {going.session.KIND}",
        asset=prepared.spec.report_asset,
        symbols=tuple(instrument.symbol for instrument in instruments),
        unit="bars" if kinds == {"bars"} else "rows",
        stop=STOPS[going.policy],
    )
    return LiveScreen(outlet, facts, bus)


async def shown(node: Node, screen: Screen, stopper: Stopper) -> tuple[Ended, NodeStatus]:
    """Run a node and show it meanwhile; return how it ended and how it stood then."""
    stopper.bind(node)
    over = asyncio.Event()
    drawing = asyncio.create_task(_draw(node, screen, over))
    try:
        ended, status = await node.run(), node.status
        screen.last(status)
        return ended, status
    finally:
        over.set()
        (failed,) = await asyncio.gather(drawing, return_exceptions=True)
        if isinstance(failed, Exception):  # A picture that can not be drawn stops nobody from trading.
            structlog.get_logger("node").error("the view failed", error=repr(failed))


async def _draw(node: Node, screen: Screen, over: asyncio.Event) -> None:
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), screen.every_s)
            return
        screen.draw(node.status)


def open_outlet(out: TextIO, json_out: bool, stop: Callable[[str], None]) -> Outlet:
    """Return what writes all output to `out` from now on; `stop` is asked for the end if nobody reads it any more."""
    dropped = _dropped_json if json_out else _dropped_line
    return Outlet(out, dropped, lambda: stop("the reader of the output has gone"))


def _dropped_line(n: int) -> str:
    return f"({n:,} lines were not shown: nobody read them in time; the journal has all of it)\n"


def _dropped_json(n: int) -> str:
    return json_of({"event": "dropped", "n": n}) + "\n"


def exit_code(ended: Ended, session: OpenSession) -> int:
    """Return what an ended session exits with, and tell the error output why."""
    if ended.halted:
        print(f"njord: {ended.reason}", file=sys.stderr)
        return EXIT_BROKEN
    for suspended in session.recorder.suspended:
        print(
            f"njord: strategy {suspended.strategy_id} failed and was suspended: {suspended.error}",
            file=sys.stderr,
        )
    return EXIT_STRATEGY if ended.strategy_failed else EXIT_OK
