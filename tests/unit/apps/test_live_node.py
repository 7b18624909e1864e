"""A live node looks at the kill switch before it hears the venue, and takes a dead session's orders back under a trip."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_node import LiveNode
from njord.apps.live_session import LiveSession
from njord.apps.live_withdrawal import Withdrawal
from njord.apps.node import NodeOptions
from njord.apps.stop import Ended, StopPolicy
from njord.backtest.market import MarketBlock
from njord.core.clock import ManualClock
from njord.core.contracts import (
    Bar,
    BrokerCancelReq,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReply,
    KillSwitchState,
    Message,
)
from njord.core.types import OrderReason, OrderStatus, TradingState
from njord.execution.gateway import Gateway
from njord.venues.broker_wire import Health, KnownOrder, UnknownOrder, Word
from tests.unit.apps.live_world import Pending
from tests.unit.apps.paper_world import ACTIVE, TRIPPED, World, make_world
from tests.unit.storage.journal_disks import SimDisk


class Venue(Pending):
    """Ready at once; every order works until it is canceled, and for longer if it does not answer."""

    account_uid = 1
    answers_cancels = True

    def __init__(self) -> None:
        super().__init__()
        self.known: Sequence[KnownOrder] = ()
        self._words: list[Word] = []
        self._on_words: Callable[[], None] = lambda: None
        self.cursors: Mapping[str, str] = {}

    def start(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], on_words: Callable[[], None]
    ) -> None:
        self.known, self._on_words = known, on_words
        self._say(Health(state=TradingState.ACTIVE, reason=""))

    def take_words(self) -> list[Word]:
        words, self._words = self._words, []
        return words

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        return ()

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        self._say(_update(req, OrderStatus.ACCEPTED))
        return super().place(req)

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        reqs = [*(each.req for each in self.known), *self.placed]
        (placed,) = (each for each in reqs if each.client_order_id == req.client_order_id)
        is_first = placed.client_order_id not in {each.client_order_id for each in self.canceled}
        if is_first and self.answers_cancels:
            self._say(_update(placed, OrderStatus.CANCELED))
        return super().cancel(req)

    def _say(self, word: Word) -> None:
        self._words.append(word)
        self._on_words()


def _update(req: BrokerOrderReq, status: OrderStatus) -> BrokerOrderUpdate:
    is_canceled = status is OrderStatus.CANCELED
    return BrokerOrderUpdate(
        client_order_id=req.client_order_id, venue_order_id=req.client_order_id[-6:], symbol=req.symbol, side=req.side,
        type=req.type, status=status, reason=OrderReason.CANCEL_REQUESTED if is_canceled else OrderReason.NONE,
        qty_lots=req.qty_lots, filled_lots=0, limit_price_ticks=req.limit_price_ticks, ts_venue_ns=req.ts_ns,
    )  # fmt: skip


class Life:
    """One life of a session: what it has, and what it did."""

    def __init__(self, world: World) -> None:
        self.venue, self.heard = Venue(), list[Message]()
        self._world = world
        gateway = Gateway(self.venue, world.prepared.market.instruments, world.prepared.spec.account_id)
        self._clock = ManualClock(0)
        self.session = LiveSession.open_live(
            world.prepared, world.state, gateway, self._clock, account_uid=1, disk=SimDisk()
        )
        self._clock.advance_to(self.session.host.now_ns)

    def run(
        self, reading: Callable[[], Reading], withdrawal: Withdrawal | None = None, rows: int = 5
    ) -> Ended:
        """Feed it until it ends by itself, or until it has seen so many rows and another moment has passed."""

        class Watch:
            def reading(self) -> Reading:
                return reading()

        async def play() -> Ended:
            def hear(messages: Sequence[Message]) -> None:
                self.heard.extend(messages)
                if withdrawal is None and self.session.n_rows >= rows:
                    node.request_stop("enough")

            options = NodeOptions(commit_every_s=0, stop_policy=StopPolicy.LEAVE, poll_s=0.001)
            node = LiveNode(
                self.session,
                self.venue,
                self._clock,
                self,
                Watch(),
                options,
                hear,
                withdrawal=withdrawal,
            )
            return await node.run()

        return asyncio.run(play())

    # --- its feed ---

    age_s = None

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield the market's rows as a live feed does: recorded first, one by one, without an end."""
        assert self.session.feed_file is not None
        n_rows = 0
        for block in self._world.prepared.market.blocks():
            for row in block.messages:
                n_rows += 1
                if n_rows > skip_rows and isinstance(row, Bar):
                    self._clock.advance_to(row.ts_ns)
                    yield self.session.feed_file.append([row])
        await asyncio.Event().wait()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def test_a_trip_is_known_before_the_venues_first_word(world: World) -> None:
    life = Life(world)
    life.run(lambda: TRIPPED)
    sources = [word.source for word in life.heard if isinstance(word, KillSwitchState)]
    assert sources.index("kill_switch") < sources.index("venue")
    assert not life.venue.placed


def test_a_dead_sessions_orders_are_taken_back_and_a_switch_that_is_cleared_meanwhile_lets_nothing_pass(
    world: World,
) -> None:
    first = Life(world)
    first.run(lambda: ACTIVE)
    assert len(first.venue.placed) == 3
    second = Life(world)
    readings = iter([TRIPPED])
    withdrawal = Withdrawal(second.session.host, second.session.system, TRIPPED, 30.0)
    assert withdrawal.n_orders == 3
    ended = second.run(lambda: next(readings, ACTIVE), withdrawal)
    assert (ended.reason, ended.left, ended.finished) == ("the kill switch is halted, drill", (), False)
    assert not second.venue.placed
    assert {each.client_order_id for each in second.venue.canceled} == {
        each.client_order_id for each in first.venue.placed
    }


def test_a_session_whose_strategies_have_failed_takes_its_orders_back_too(tmp_path: Path) -> None:
    world = make_world(tmp_path, params=("raises_at=5",))
    with world.prepared.market:
        first = Life(world)
        first.venue.answers_cancels = False
        assert first.run(lambda: ACTIVE, rows=99).strategy_failed
        second = Life(world)
        withdrawal = Withdrawal(second.session.host, second.session.system, TRIPPED, 30.0)
        ended = second.run(lambda: TRIPPED, withdrawal)
    assert withdrawal.n_orders == 3
    assert (ended.reason, ended.left) == (withdrawal.reason, ())


def test_when_positions_are_closed_is_the_withdrawals_to_say(world: World) -> None:
    Life(world).run(lambda: ACTIVE)
    life, flatten = Life(world), Reading(TradingState.REDUCE_ONLY, "file", "drill", "ann", flattens=True)
    life.run(lambda: flatten, Withdrawal(life.session.host, life.session.system, flatten, 30.0))
    words = [word for word in life.heard if isinstance(word, KillSwitchState)]
    assert [word.flattens for word in words if word.source == "kill_switch"] == [False]
    states = [(word.state, word.flattens) for word in words if word.source == "node" and word.cancels]
    assert states[:2] == [(TradingState.HALTED, False), (TradingState.REDUCE_ONLY, True)]
