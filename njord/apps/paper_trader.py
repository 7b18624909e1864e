"""The paper service: venue, timers, journal and sequencer; what decides on trades and risk is in other processes.

It opens a session like the node's and announces it. From then on the session's host asks an engine whose other stages
answer over Redis; the market comes from the market data service, and every row of it must be the recording's own.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final

from njord.adapters.seal import SealKey
from njord.apps.lockstep import LockStepEngine, Waiting
from njord.apps.md_ingest import Rows, decode_rows, market_stream
from njord.apps.paced_feed import behind
from njord.apps.services_door import Door
from njord.apps.services_redis import SequencerLine, Wire, checked, read_announced
from njord.apps.services_run import Announced, data_of, proof_of
from njord.apps.services_stages import Handlers, market_handlers
from njord.apps.session import Session
from njord.backtest.market import MarketBlock
from njord.core.bus import BusUnavailable
from njord.core.codec import encode
from njord.core.contracts import (
    AmendEvent,
    ConfigChanged,
    FillEvent,
    KillSwitchState,
    OrderEvent,
    OrderUpdate,
    PositionSnapshot,
    Ref,
)
from njord.core.errors import ConfigError, InvariantError
from njord.system import System

_WAIT_S: Final = 0.005  # For the market; the services are heard meanwhile.
_HEARD_BY_GATE: Final = (KillSwitchState, ConfigChanged, OrderUpdate, FillEvent, PositionSnapshot)


class PaperTrader:
    """What makes a session's host ask services instead of its own stages.

    Args:
        session: Open, and at rest.
        url: Of Redis; may hold a password.
        key: Opens what the risk service seals.
        stream_max_len: Entries that `engine.in` keeps, about.
        on_wait: Told of whom is waited for.

    Attributes:
        engine: The session's, from now on.
        feed: Its market.

    Raises:
        ConfigError: Another paper service has announced a run.
        BusUnavailable: Redis is away.
    """

    def __init__(
        self,
        session: Session,
        url: str,
        key: SealKey,
        stream_max_len: int,
        on_wait: Callable[[Waiting | None], None],
    ) -> None:
        wire = Wire(url)
        try:
            _refuse_second(read_announced(wire), session)
        finally:
            wire.close()
        session.journal.sync()  # The services begin with what is in it.
        epoch = secrets.token_hex(8)
        announced = Announced(
            epoch=epoch,
            started=session.prepared.started,
            data=data_of(session.prepared),
            folder=str(session.folder.resolve()),
            last_seq=session.journal.n_messages,
            next_row=session.n_rows,
            proof=proof_of(key, epoch),
        )
        self.feed = ServiceFeed(session, url, announced.run)
        self._line = SequencerLine(url, announced, stream_max_len, lambda: self.feed.next_row)
        self.engine = LockStepEngine(
            session.system.stages,
            session.messages,
            self._line,
            Door(key, announced.run),
            last_seq=session.journal.n_messages,
            now_s=time.monotonic,
            on_wait=on_wait,
            followers=screen_followers(session.system),
        )
        self.feed.engine = self.engine
        session.host.engine = self.engine

    @property
    def trouble(self) -> str:
        """What is wrong with Redis; empty while it works."""
        return self._line.trouble

    def end(self, reason: str) -> None:
        """Tell the services that the run is over."""
        self.feed.close()
        self._line.end(reason, self.feed.stream)


def _refuse_second(announced: Announced | None, session: Session) -> None:
    if announced is None or announced.ended or announced.folder == str(session.folder.resolve()):
        return  # Our own, from before we were killed: the session's lock is ours.
    raise ConfigError(
        f"another paper service works on run {announced.started.run_id} in this Redis",
        "stop it (10 s later it is forgotten), or set redis.url to another database",
    )


def screen_followers(system: System) -> dict[str, Handlers]:
    """Return what the paper service lets stages of other processes hear: what its own stages and its screen read.

    Prices, working orders and limits used; none of it causes anything.
    """
    gate, exposure = system.gate, system.gate.exposure
    heard = gate.handlers()
    gate_hears: Handlers = {
        **market_handlers(gate),
        **{kind: heard[kind] for kind in _HEARD_BY_GATE},
        OrderEvent: exposure.reserve,
        AmendEvent: exposure.working.amend,
    }
    return {"gate": gate_hears}


class ServiceFeed:
    """The market as the market data service sends it, each row compared with the recording.

    Args:
        session: Whose market.
        url: Of Redis.
        run: The name of the streams.

    Attributes:
        engine: Hears the services while nothing comes; what it has refused is told between two blocks.
        next_row: The first message that has not come.
        stream: The name of what it comes in.
    """

    engine: LockStepEngine

    def __init__(self, session: Session, url: str, run: str) -> None:
        self._session = session
        self._wire = Wire(url)
        self.stream = market_stream(run)
        self._last_id = "0-0"
        self._came_s: float | None = None
        self.next_row = session.n_rows

    @property
    def age_s(self) -> float | None:
        """How long ago the last message came; None before the first."""
        return None if self._came_s is None else time.monotonic() - self._came_s

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages, when it comes.

        Raises:
            InvariantError: What comes is not what was recorded.
        """
        own = _OwnRows(behind(self._session.prepared.market.blocks(), skip_rows))
        while True:
            self._tell_alerts()
            rows = self._next()
            if rows is None:
                self.engine.poll()
                await asyncio.sleep(_WAIT_S)
                continue
            if rows.first != self.next_row:
                raise InvariantError(
                    f"the market data service sends message {rows.first} of the market, {self.next_row} is next"
                )
            self._came_s = time.monotonic()
            if not rows.messages:
                if not own.is_over():
                    raise InvariantError(f"the market data service ends at message {rows.first}")
                return
            self.next_row += len(rows.messages)
            for block in own.take(rows):
                yield block

    def _tell_alerts(self) -> None:
        alerts, self.engine.alerts = self.engine.alerts, []
        for alert in alerts:
            self._session.host.tell(alert)

    # What was taken is let go of with the next question.
    def _next(self) -> Rows | None:
        last = self._last_id
        try:
            replies = self._wire.ask(
                ("XTRIM", self.stream, "MINID", _after(last)),
                ("XREAD", "COUNT", 1, "STREAMS", self.stream, last),
            )
            found = checked(replies[1])
        except BusUnavailable:
            return None
        if not found:
            return None
        entry_id, fields = found[0][1][0]
        self._last_id = entry_id.decode()
        return decode_rows(fields[1])

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()


def _after(entry_id: str) -> str:
    row, _, number = entry_id.partition("-")
    return f"{row}-{int(number) + 1}"


# The recording's own rows, cut as the others come; a block's Refs come with its first message.
class _OwnRows:
    def __init__(self, blocks: Iterator[MarketBlock]) -> None:
        self._blocks = blocks
        self._refs: tuple[Ref, ...] = ()
        self._block: MarketBlock | None = next(blocks, None)
        self._begin = 0

    def is_over(self) -> bool:
        return self._block is None

    def take(self, rows: Rows) -> Iterator[MarketBlock]:
        came = rows.messages
        while came:
            block, begin = self._block, self._begin
            if block is None:
                raise InvariantError(
                    f"the market data service sends more than was recorded, from {rows.first}"
                )
            messages = block.messages[begin : begin + len(came)]
            for message, other in zip(messages, came, strict=False):
                if encode(message) != other:
                    raise InvariantError(
                        f"the market data service sends what was not recorded: {other[:200]!r}"
                    )
            came = came[len(messages) :]
            self._begin += len(messages)
            if self._begin == len(block.messages):
                self._block, self._begin = next(self._blocks, None), 0
            yield MarketBlock(() if begin else block.refs, messages)
