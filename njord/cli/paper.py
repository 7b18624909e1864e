"""`njord paper`: a session from flags to its last line. It opens, shows, and stops; what trades is `apps/node.py`."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

import msgspec
import structlog

from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_watch import KillSwitchWatch
from njord.adapters.logging import register_secrets, setup_logging
from njord.apps.node import Node, NodeOptions, PaperNode
from njord.apps.session import OpenSession, Session
from njord.apps.session_files import check_name
from njord.apps.status import NodeStatus
from njord.apps.stop import Ended, StopPolicy
from njord.apps.tap_process import TapProcess
from njord.cli import EXIT_BROKEN, EXIT_OK, EXIT_STRATEGY
from njord.cli.outlet import Outlet
from njord.cli.paper_events import Event, json_of, line_of
from njord.cli.paper_screen import EventScreen, LiveScreen, Screen
from njord.cli.paper_source import Source, Wanted, opened
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
from njord.cli.progress import Progress
from njord.cli.request import Flags
from njord.core.config import Config
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


class Stopper:
    """Ends a node from wherever the wish comes: a signal, or the thread that has lost its reader.

    Attributes:
        reason: The first wish; empty before it.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._node: Node | None = None

    def bind(self, node: Node) -> None:
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
    wanted: Wanted
    outlet: Outlet
    stopper: Stopper
    notices: list[Callable[[str], None]] = msgspec.field(default_factory=list)

    def notice(self, text: str) -> None:
        """Say what a live feed has to say."""
        structlog.get_logger("paper").warning("feed", notice=text)
        if self.notices:
            self.notices[-1](text)
        else:
            self.put({"event": "feed", "message": text}, [f"feed     {text}"])

    @property
    def policy(self) -> StopPolicy:
        """What a stop does."""
        return StopPolicy(self.config.paper.stop_policy)

    @property
    def switch_file(self) -> Path:
        """Where the kill switch lies."""
        return self.root / self.config.risk.kill_switch_file

    def put(self, event: Event, lines: Iterable[str]) -> None:
        """Write the event as JSON, or the lines."""
        for line in [json_of(event)] if self.wanted.json_out else lines:
            self.outlet.write(line + "\n")


def run(strategies: tuple[str, ...], data: tuple[Path, ...], flags: Flags, wanted: Wanted, root: Path) -> int:
    """Run the verb and return its exit code."""
    if wanted.session is not None:
        check_name(wanted.session)
    loaded = load_config(root, flags.settings)
    config, stopper = loaded.config, Stopper()
    setup_logging(
        None, config.logging.level
    )  # Nothing is written before all that was typed is known to be right.
    register_secrets(loaded.secrets)
    outlet = open_outlet(sys.stdout, wanted.json_out, stopper.stop)
    stage = Stage(config=config, root=root, wanted=wanted, outlet=outlet, stopper=stopper)
    try:
        with (
            redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
            opened(strategies, data, flags, wanted, loaded, root, stage.notice) as source,
        ):
            watch = _watch(stage)
            setup_logging(root / config.logging.dir, config.logging.level)
            session = _opened(source, root / config.paths.state, wanted)
            with on_signals(stopper.stop):
                code = _run(session, source, stage, watch)
                outlet.end(WRITTEN_WITHIN_S)
                return code
    finally:
        outlet.end(WRITTEN_WITHIN_S)


def _run(session: Session, source: Source, stage: Stage, watch: KillSwitchWatch) -> int:
    prepared = session.prepared
    log = structlog.get_logger("paper").bind(session=session.name, run_id=prepared.spec.run_id)
    start = Start(
        session=session,
        policy=stage.policy,
        pace=source.pace,
        switch=stage.switch_file,
        redis_key=None if stage.config.redis.url is None else stage.config.risk.kill_switch_key,
    )
    stage.put(start_event(start), start_lines(start))
    log.info("session started", resumed=session.resumed, pace=source.pace, stop_policy=stage.policy)
    try:
        ended, status = _traded(session, source, stage, watch)
    except NjordError as error:
        log.error("session broke", error=f"{type(error).__name__}: {error}")
        stage.put(broken_event(session.name, error), [])
        raise
    order_list_hash = session.recorder.order_list_hash()
    log.info("session ended", reason=ended.reason, finished=ended.finished, order_list_hash=order_list_hash)
    lines = end_lines(ended, status, prepared, order_list_hash, stage.root)
    stage.put(end_event(ended, status, order_list_hash), lines)
    return exit_code(ended, session)


def _traded(
    session: Session, source: Source, stage: Stage, watch: KillSwitchWatch
) -> tuple[Ended, NodeStatus]:
    config, url = stage.config, stage.config.redis.url
    bus = Bus(session.folder, stage.root, None if url is None else url.get_secret_value())
    screen = _screen(stage, source, bus.words)
    stage.notices.append(screen.notice)
    options = NodeOptions(
        speed=source.speed,
        stop_policy=stage.policy,
        stop_within_s=_STOP_WITHIN_S,
        flatten_within_s=float(config.paper.flatten_within_s),
    )
    node = PaperNode(session, source.feed(session), watch, options, screen.hear, bus.poll)
    watch.start()
    bus.start()
    try:
        return asyncio.run(shown(node, screen, stage.stopper))
    finally:
        screen.end()
        watch.stop()
        bus.stop()


def _watch(stage: Stage) -> KillSwitchWatch:
    url, risk = stage.config.redis.url, stage.config.risk
    return KillSwitchWatch(
        stage.switch_file,
        None if url is None else url.get_secret_value(),
        risk.kill_switch_key,
        risk.kill_switch_max_age_ms,
    )


def _opened(source: Source, state: Path, wanted: Wanted) -> Session:
    with Progress("messages run again") as progress:
        return Session.open(
            source.prepared,
            state,
            name=wanted.session,
            fresh=wanted.fresh,
            progress=progress.show,
            is_live=source.is_live,
        )


def _screen(stage: Stage, source: Source, bus: Callable[[], str]) -> Screen:
    outlet, instruments = stage.outlet, source.prepared.spec.instruments
    if stage.wanted.json_out or not outlet.isatty():
        return EventScreen(outlet, instruments, json_of if stage.wanted.json_out else line_of, bus)
    kinds = {each.kind for each in source.prepared.market.sources}
    facts = Facts(
        asset=source.prepared.spec.report_asset,
        symbols=tuple(instrument.symbol for instrument in instruments),
        unit="bars" if kinds == {"bars"} else "rows",
        stop=STOPS[stage.policy],
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
            structlog.get_logger("paper").error("the view failed", error=repr(failed))


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
