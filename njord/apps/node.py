"""The node: the whole engine in one process, on a feed that comes at its own pace. Here is the paper node, and what any
node does; `live_node.py` adds what a real venue says.

One task reads the feed, never more than a block ahead; the other takes message after message, asks the kill switch
before each, and hands it to the session's host, the same that a backtest runs. What was decided is durable before it is
sent, and the journal is never further behind than 50 ms. A signal ends it by the stop policy, the end of the data like
a backtest.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from njord.apps.paced_feed import BlockFeed
from njord.apps.session import OpenSession, Session
from njord.apps.status import Decisions, Feeding, NodeStatus, status_of
from njord.apps.stop import (
    NODE,
    Ended,
    StopPolicy,
    go_word,
    is_settled,
    left_orders,
    left_positions,
    stop_word,
)
from njord.apps.switch import ReadSwitch, Switch
from njord.backtest.market import MarketBlock
from njord.core.contracts import Message
from njord.core.errors import JournalHalted, VenueError
from njord.core.types import TradingState

_TURN_S = 0.005  # After so long the event loop gets its turn.
_STOP_MARGIN_S = 0.5  # Of the time to stop: for what comes after.
_GOES = go_word(0)


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a node runs.

    Attributes:
        speed: Of the feed, for the status; None = as fast as possible.
        stop_policy: What a stop does with orders and positions.
        commit_every_s: How far the journal may be behind.
        stop_within_s: How long a stop may take in all.
        flatten_within_s: How long a kill switch that flattens lets orders pass that close positions.
        poll_s: How often the kill switch is asked while nothing comes.
    """

    speed: float | None = None
    stop_policy: StopPolicy = StopPolicy.CANCEL
    commit_every_s: float = 0.05
    stop_within_s: float = 5.0
    flatten_within_s: float = 30.0
    poll_s: float = 0.05


class Node(ABC):
    """Feeds a session until its data end, or somebody stops it.

    Args:
        session: Open; `run` closes it.
        feed: Its market.
        watch: The kill switch, read by somebody else: a `KillSwitchWatch` that was started.
        options: How.
        on_messages: Told of everything that was journaled, a few milliseconds' worth at a time.
        on_second: Called about once a second.
    """

    def __init__(
        self,
        session: OpenSession,
        feed: BlockFeed,
        watch: ReadSwitch,
        options: NodeOptions,
        on_messages: Callable[[Sequence[Message]], None] | None = None,
        on_second: Callable[[], None] | None = None,
    ) -> None:
        self._session = session
        self._system = session.system
        self._host = session.door
        self._feed = feed
        self._watch = watch
        self._options = options
        self._on_messages = on_messages
        self._on_second = on_second
        self._switch = Switch(session, options.flatten_within_s)
        self._decisions = Decisions([each.symbol for each in session.prepared.spec.instruments])
        self._n_strategies = len(session.prepared.spec.strategies)
        self._told_refs = session.told_refs
        self._messages: Iterator[Message] = iter(())  # Of the block under way.
        self._coming: asyncio.Task[MarketBlock | None] | None = None
        self._feed_failed = False
        self._stop_reason = ""
        self._stopping = asyncio.Event()
        self._committed_s = self._turned_s = self._second_s = 0.0
        self._order_list_hash = ""
        session.messages.heard = []

    def request_stop(self, reason: str) -> None:
        """Ask for the end; the first reason counts. To be called in the event loop, as signal handlers are."""
        self._stop_reason = self._stop_reason or reason
        self._stopping.set()

    @property
    def status(self) -> NodeStatus:
        """The session as it stands."""
        feeding = Feeding(
            speed=self._options.speed,
            age_s=self._feed.age_s,
            decisions=tuple(self._decisions.last),
            order_list_hash=self._order_list_hash,
        )
        return status_of(self._session, feeding)

    async def run(self) -> Ended:
        """Feed the session to the end of its data, or until it is stopped; close it either way.

        Raises:
            InvariantError: A promise of the engine is broken, or another instance has taken over.
        """
        blocks = self._feed.blocks(self._session.n_rows)
        try:
            ended = await self._run(blocks)
            self._session.close(finished=ended.finished)
        except JournalHalted as error:
            ended = self._halted(f"journal halted: {error}")
        finally:
            self._session.abandon()
            if self._coming is not None:
                self._coming.cancel()
                await asyncio.gather(self._coming, return_exceptions=True)
            await blocks.aclose()
        self._pass_on()
        return ended

    async def _run(self, blocks: AsyncGenerator[MarketBlock]) -> Ended:
        if self._session.controls.get(NODE, _GOES).state is not TradingState.ACTIVE:
            self._host.tell(go_word(self._host.now_ns))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not self._is_over():
                if not await self._has_come(blocks, stopping, self._options.poll_s):
                    continue
                if not self._take_in():
                    return self._finished()
                await self._consume(self._is_over)
            return await self._stopped(blocks, stopping)
        finally:
            stopping.cancel()

    # --- what comes ---

    # Wait for the next block, no longer than `wait_s`; what is due meanwhile is done.
    async def _has_come(
        self,
        blocks: AsyncGenerator[MarketBlock],
        stopping: "asyncio.Task[Literal[True]]",
        wait_s: float,
        hearing: "asyncio.Future[Literal[True]] | None" = None,
    ) -> bool:
        if self._coming is None:
            self._coming = asyncio.create_task(_next(blocks))
        waits_for: set[asyncio.Future[Any]] = {self._coming}
        if not stopping.done():
            waits_for.add(stopping)
        if hearing is not None:
            waits_for.add(hearing)
        await asyncio.wait(waits_for, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        self._do_due()
        return self._coming.done()

    # Returns whether there was a block; none is the end of the data.
    def _take_in(self) -> bool:
        coming, self._coming = self._coming, None
        try:
            block = coming.result() if coming is not None else None
        except VenueError as error:
            self._feed_failed = True
            self.request_stop(f"feed failed: {error}")
            return True
        if block is None:
            return False
        for ref in block.refs:
            if ref not in self._told_refs:
                self._host.tell(ref)
        self._messages = iter(block.messages)
        return True

    async def _consume(self, is_over: Callable[[], bool]) -> None:
        session, accept = self._session, self._host.accept
        look, reading, now = self._switch.look, self._watch.reading, asyncio.get_running_loop().time
        while True:
            look(reading(), now())
            message = None if is_over() else next(self._messages, None)
            if message is None:
                return
            accept(message)
            session.n_rows += 1
            if now() - self._turned_s > _TURN_S:
                self._do_due()
                await asyncio.sleep(0)
                self._turned_s = now()

    def _is_over(self) -> bool:
        return bool(self._stop_reason) or self._has_failed()

    def _has_failed(self) -> bool:
        return len(self._session.recorder.suspended) == self._n_strategies

    # --- what is due ---

    def _do_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._switch.look(self._watch.reading(), now_s)
        if now_s - self._committed_s >= self._options.commit_every_s:
            self._session.journal.commit()
            self._committed_s = now_s
        self._pass_on()
        if self._on_second is not None and now_s - self._second_s >= 1:
            self._second_s = now_s
            self._on_second()

    def _pass_on(self) -> None:
        heard = self._session.messages.heard
        if heard:
            self._session.messages.heard = []
            self._decisions.follow(heard)
            if self._on_messages is not None:
                self._on_messages(heard)

    # --- the end ---

    # End what works, because the data have ended.
    @abstractmethod
    def _end_data(self) -> None: ...

    def _finished(self) -> Ended:
        self._end_data()
        self._order_list_hash = self._session.recorder.order_list_hash()
        return Ended(
            reason="end of data",
            finished=True,
            positions=tuple(left_positions(self._system, None, self._host.now_ns)),
        )

    # Until the policy has what it wants, the time is up, or the data end.
    async def _stopped(
        self, blocks: AsyncGenerator[MarketBlock], stopping: "asyncio.Task[Literal[True]]"
    ) -> Ended:
        policy, system, host = self._options.stop_policy, self._system, self._host
        strategy_failed = not self._stop_reason  # What comes during the stop is not what it stops for.
        reason = self._stop_reason or f"strategy failed: {self._session.recorder.suspended[-1].error}"
        now = asyncio.get_running_loop().time
        until_s = now() + self._options.stop_within_s - _STOP_MARGIN_S
        host.tell(stop_word(policy, host.now_ns, reason))

        def is_over() -> bool:
            return is_settled(policy, system, host.now_ns) or now() >= until_s

        await self._consume(is_over)
        while not is_over():
            if await self._has_come(blocks, stopping, min(self._options.poll_s, until_s - now())):
                if not self._take_in():
                    break
                await self._consume(is_over)
        return Ended(
            reason=reason,
            left=tuple(left_orders(system, policy)),
            positions=tuple(left_positions(system, policy, host.now_ns)),
            strategy_failed=strategy_failed,
            feed_failed=self._feed_failed,
        )

    # Nothing is sent any more; what was written stays.
    def _halted(self, reason: str) -> Ended:
        policy = self._options.stop_policy
        return Ended(
            reason=reason,
            left=tuple(left_orders(self._system, policy, reason)),
            positions=tuple(left_positions(self._system, policy, self._host.now_ns, reason)),
            halted=True,
        )


class PaperNode(Node):
    """Feeds a session at the simulated venue.

    Args:
        session: Open; `run` closes it.
        feed: Its market.
        watch: See `Node`, as for what follows.
    """

    def __init__(
        self,
        session: Session,
        feed: BlockFeed,
        watch: ReadSwitch,
        options: NodeOptions,
        on_messages: Callable[[Sequence[Message]], None] | None = None,
        on_second: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(session, feed, watch, options, on_messages, on_second)
        self._simulated = session.host

    def _end_data(self) -> None:
        self._simulated.finish()


async def _next(blocks: AsyncGenerator[MarketBlock]) -> MarketBlock | None:
    return await anext(blocks, None)
