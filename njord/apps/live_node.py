"""The live node: a node whose venue is real. What the broker says is told as it comes, between two messages of the market.

Timers follow the clock. The end is that of any node: by the stop policy, waiting for the venue's answers as long as a
stop may take.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from njord.apps.live_session import LiveSession
from njord.apps.live_withdrawal import Withdrawal
from njord.apps.node import Node, NodeOptions
from njord.apps.paced_feed import BlockFeed
from njord.apps.status import NodeStatus
from njord.apps.stop import Ended
from njord.apps.switch import ReadSwitch
from njord.backtest.market import MarketBlock
from njord.core.clock import Clock
from njord.core.contracts import Message
from njord.core.types import TradingState
from njord.venues.broker_wire import Health, KnownOrder, UnknownOrder, Word


class LiveSide(Protocol):
    """A live broker beside the gateway: what it says, and when."""

    def start(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], on_words: Callable[[], None]
    ) -> None:
        """Connect and reconcile; `on_words` is called from any thread whenever there is something to take."""

    def take_words(self) -> list[Word]:
        """Return what the broker has said since the last call, in order."""

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        """Return the orders whose outcome nobody knows."""

    @property
    def cursors(self) -> Mapping[str, str]:
        """The id of the last trade of each symbol, by symbol, that was told or lies before the beginning."""

    @property
    def account_uid(self) -> int:
        """The venue's number for the account that answers."""


class LiveNode(Node):
    """Feeds a live session until somebody stops it.

    Args:
        session: Open; `run` closes it.
        side: The broker that the session's gateway sends to; not started.
        clock: The host's.
        feed: See `Node`, as for what follows.
        withdrawal: If given, the session only takes its orders back, and ends.
    """

    def __init__(
        self,
        session: LiveSession,
        side: LiveSide,
        clock: Clock,
        feed: BlockFeed,
        watch: ReadSwitch,
        options: NodeOptions,
        on_messages: Callable[[Sequence[Message]], None] | None = None,
        on_second: Callable[[], None] | None = None,
        withdrawal: Withdrawal | None = None,
    ) -> None:
        watch = watch if withdrawal is None else withdrawal.watching(watch)
        super().__init__(session, feed, watch, options, on_messages, on_second)
        self._withdrawal = withdrawal
        self._live = session
        self._side = side
        self._clock = clock
        self._said = asyncio.Event()

    @property
    def status(self) -> NodeStatus:
        """The session as it stands, with the orders whose outcome nobody knows."""
        return msgspec.structs.replace(
            super().status,
            unknown=tuple(self._side.unknown_orders()),
            wall_ns=self._clock.now_ns(),
        )

    async def _run(self, blocks: AsyncGenerator[MarketBlock]) -> Ended:
        loop = asyncio.get_running_loop()

        def said() -> None:
            loop.call_soon_threadsafe(self._said.set)

        self._live.host.begin()
        self._side.start(self._live.known_orders(), self._live.cursors(), said)
        return await super()._run(blocks)

    # Orders are taken back for a session too whose strategies have all failed.
    def _is_over(self) -> bool:
        return bool(self._stop_reason) if self._withdrawal is not None else super()._is_over()

    # The venue's words do not wait for the market's next one.
    async def _has_come(
        self,
        blocks: AsyncGenerator[MarketBlock],
        stopping: "asyncio.Task[Literal[True]]",
        wait_s: float,
        hearing: "asyncio.Future[Literal[True]] | None" = None,
    ) -> bool:
        hearing = asyncio.ensure_future(self._said.wait())
        try:
            return await super()._has_come(blocks, stopping, wait_s, hearing)
        finally:
            hearing.cancel()

    def _do_due(self) -> None:
        self._said.clear()
        # Before the venue's words: they let orders pass, and no order passes on a switch that was not looked at.
        now_s = asyncio.get_running_loop().time()
        self._switch.look(self._watch.reading(), now_s)
        if self._withdrawal is not None and self._withdrawal.look(now_s):
            self.request_stop(self._withdrawal.reason)
        words = self._side.take_words()
        # Before the first order can leave: what happens from here on is ours to know, whatever happens to us.
        if any(isinstance(word, Health) and word.state is TradingState.ACTIVE for word in words):
            self._live.note_beginning(self._side.cursors, self._side.account_uid)
        self._live.host.hear(words)
        self._live.host.pass_time(self._clock.now_ns())
        super()._do_due()

    # A live feed has no end; one that stops is a feed that failed, and orders are the stop policy's.
    def _end_data(self) -> None:
        self.request_stop("the feed has ended")
