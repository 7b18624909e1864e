"""One system at one simulated venue, message by message: the same for a backtest, a paper session, and split services.

Everything that decides is in `njord/system.py`; this host owns the venue and the timers, and keeps the one inbound
order. At one instant timers come first, then what the venue reports, then trades and books, then bars
(`core/ordering.py`). On ticks the exchange has its own time: before a message is told it is asked to come as far, and
every timer and report that falls due on the way is told first. The books are compared with the venue's truth after
every fill. Who feeds it, and how fast, is nothing to it: `runner.py` from history, `apps/node.py` from a paced feed.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from njord.backtest.recorder import Recorder
from njord.core.account import Account
from njord.core.contracts import (
    AmendEvent,
    Bar,
    CancelEvent,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderUpdate,
    TimerFired,
    TimerSet,
)
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import TradingState
from njord.core.units import FOREVER_NS
from njord.execution.gateway import Gateway
from njord.venues.simulated import Report, SimulatedVenue

HOST: Final = "host"  # The source of what a host says of itself.
_TimerKey = tuple[str, int, str]


class Stepper(Protocol):
    """What decides: `core/engine.py`, or the same stages in processes of their own."""

    def step(self, message: Message) -> list[Message]:
        """Run a message and everything it causes to completion; return all of it, in order."""


def ends_data(message: Message) -> bool:
    """Say whether a message is a host's own word that the data have ended."""
    return (
        isinstance(message, KillSwitchState)
        and message.source == HOST
        and message.state is TradingState.HALTED
    )


class Timers:
    """Timers by due time; setting a key again moves it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, _TimerKey]] = []
        self._due: dict[_TimerKey, tuple[int, int]] = {}
        self._n_set = 0
        self.next_due_ns = FOREVER_NS

    def set(self, timer: TimerSet) -> None:
        """Set or move a timer."""
        key = (timer.strategy_id, timer.instrument, timer.key)
        self._n_set += 1
        self._due[key] = (timer.due_ns, self._n_set)
        heapq.heappush(self._heap, (timer.due_ns, self._n_set, key))
        self.next_due_ns = self._heap[0][0]

    def drop(self, timer: TimerFired) -> None:
        """Forget a timer that has fired: a journal says so."""
        self._due.pop((timer.strategy_id, timer.instrument, timer.key), None)

    def pop(self, until_ns: int) -> Iterator[TimerFired]:
        """Yield the timers due until `until_ns`, earliest first; some may be set meanwhile."""
        while self._heap and self._heap[0][0] <= until_ns:
            due_ns, number, key = heapq.heappop(self._heap)
            if self._due.get(key) != (due_ns, number):
                continue
            del self._due[key]
            yield TimerFired(ts_ns=due_ns, strategy_id=key[0], instrument=key[1], key=key[2], due_ns=due_ns)
        self.next_due_ns = self._heap[0][0] if self._heap else FOREVER_NS


class SimulatedHost:
    """Feeds a system, and hands what it approves to a simulated venue.

    Args:
        engine: What decides.
        account: The ledger's account, which is compared with the venue's.
        venue: Where approved orders go; it has the market's ticks already.
        instruments: All instruments of the run.
        has_ticks: Of each instrument, whether it is traded on ticks.
        account_id: Whose account it is.
        recorder: Follows orders, fills and refusals.
        on_moved: Called after fills and funding that were told together.
        before_send: Called between a decision and the orders that it sends: what was decided must be durable.

    Attributes:
        engine: What decides; another one with the same state may take its place between two messages.
    """

    def __init__(
        self,
        engine: Stepper,
        account: Account,
        venue: SimulatedVenue,
        instruments: Sequence[Instrument],
        has_ticks: Sequence[bool],
        account_id: str,
        recorder: Recorder,
        on_moved: Callable[[], None] | None = None,
        before_send: Callable[[], None] | None = None,
    ) -> None:
        self.engine = engine
        self._account = account
        self._venue = venue
        self._instruments = instruments
        self._indices = range(len(instruments))
        self._recorder = recorder
        self._on_moved = on_moved
        self._before_send = before_send
        self._is_durable = False  # All that was decided with the order that is sent.
        self._gateway = Gateway(venue, venue.exchange_rules(), account_id)
        self._has_ticks = any(has_ticks)
        # What a decision lets out, and on ticks the words that say how many orders are open.
        self._leaving: dict[type[Message], Callable[[Any, int], None]] = {
            OrderEvent: self._send,
            CancelEvent: self._send,
            AmendEvent: self._send,
            TimerSet: self._set_timer,
        }
        if self._has_ticks:
            self._leaving[OrderUpdate] = self._count_end
        self._n_open = 0  # Orders that were sent and have not ended; followed on ticks alone.
        self._words: deque[FillEvent | OrderUpdate | FundingEvent] = deque()  # Of the venue, not told yet.
        self._is_telling = False
        self.timers = Timers()
        self.last_bar: Bar | None = None  # What a timer's orders are measured at.
        self.now_ns = 0  # Of the last message that was accepted or told.

    # --- what comes in ---

    def tell(self, message: Message) -> None:
        """Hand the engine a message that is no market data: the run's start, a Ref, a switch, an alert."""
        self.now_ns = max(self.now_ns, message.ts_ns)
        self.follow(self.engine.step(message), message.ts_ns)

    def accept(self, message: Message) -> None:
        """Hand the engine the next message of the market, and before it whatever falls due until then.

        Every bar is seen by the venue, because a price of one instrument may matter to another.
        """
        ts_ns, venue = message.ts_ns, self._venue
        self.pass_time(ts_ns)
        self.now_ns = ts_ns
        if type(message) is Bar:
            if venue.n_working or venue.needs_bars:
                self.deliver(venue.on_bar(message), ts_ns)
            else:
                venue.observe(message)
        done = self.engine.step(message)
        if len(done) > 1:
            self.follow(done, ts_ns)

    def pass_time(self, ts_ns: int) -> None:
        """Tell everything that falls due until a message at `ts_ns`: at one instant timers first, then reports."""
        timers, venue = self.timers, self._venue
        if not self._has_ticks:
            if timers.next_due_ns <= ts_ns:
                self.fire(ts_ns)
            return
        while True:
            due_ns = min(ts_ns, timers.next_due_ns)
            if not self._n_open and not venue.needs_bars:
                if timers.next_due_ns > ts_ns:
                    return  # Nothing of ours is there that ticks could touch: the exchange may wait.
            else:
                due_ns = min(due_ns, venue.next_report_ns)
                venue.advance(due_ns)
                if venue.server_time() < due_ns or venue.next_report_ns < due_ns:
                    continue  # Something happened on the way, which may be known earlier.
            if timers.next_due_ns <= due_ns:
                self.fire(due_ns)
            elif venue.next_report_ns <= due_ns:
                self.deliver(venue.take(due_ns), due_ns)
            elif due_ns >= ts_ns:
                return

    def finish(self) -> None:
        """End every order because the data have ended.

        An order that answers the last words could neither fill nor end any more, so that none is approved.
        """
        reports = self._venue.expire_all(self.now_ns)
        if reports:
            self.switch(TradingState.HALTED)
            self.deliver(reports, self.now_ns)

    def switch(self, state: TradingState) -> None:
        """Tell the engine the state of a market that ends by itself: no source is behind it."""
        ts_ns = self.now_ns
        self.tell(KillSwitchState(ts_ns=ts_ns, state=state, source=HOST, valid_until_ns=FOREVER_NS))

    # --- what is due ---

    def fire(self, until_ns: int) -> None:
        """Fire the timers due until a time; what they send is measured at the last known price."""
        if self.last_bar is not None:
            self._venue.observe(self.last_bar)
        for timer in self.timers.pop(until_ns):
            self.follow(self.engine.step(timer), timer.ts_ns)

    # The exchange may have waited: an order meets it as it is now.
    def _catch_up(self, now_ns: int) -> None:
        while self._venue.server_time() < now_ns:
            self._venue.advance(now_ns)

    # --- what goes out, and what the venue says to it ---

    def follow(self, messages: list[Message], now_ns: int) -> None:
        """Let everything leave that the engine has decided; then tell it the venue's words."""
        observers, leaving = self._recorder.observers, self._leaving
        self._is_durable = self._before_send is None
        for message in messages:
            kind = type(message)
            if kind in observers:
                observers[kind](message)
            if kind in leaving:
                leaving[kind](message, now_ns)
        if self._words and not self._is_telling:
            self._tell_words()

    def _set_timer(self, timer: TimerSet, _: int) -> None:
        self.timers.set(timer)

    def _count_end(self, update: OrderUpdate, _: int) -> None:
        if update.status in TERMINAL:
            self._n_open -= 1

    def _send(self, order: Any, now_ns: int) -> None:
        if not self._is_durable and self._before_send is not None:
            self._before_send()
            self._is_durable = True
        if self._has_ticks:
            self._catch_up(now_ns)
            self._n_open += type(order) is OrderEvent
        reply = self._gateway.send(order, now_ns)
        if reply is not None:
            self._words.append(reply)
        else:
            self._words.extend([self._gateway.translate(report, now_ns) for report in self._venue.drain()])

    def deliver(self, reports: list[Report], now_ns: int) -> None:
        """Tell the engine what the venue reports."""
        words, translate = self._words, self._gateway.translate
        for report in reports:
            words.append(translate(report, now_ns))
        self._tell_words()

    # A word may cause orders, and those more words: these are told after all that were known before them, and only
    # when none is left do our books say what the venue's say.
    def _tell_words(self) -> None:
        words, moved, step = self._words, False, self.engine.step
        observers = self._recorder.observers
        self._is_telling = True
        while words:
            word = words.popleft()
            kind, done = type(word), step(word)
            if len(done) > 1 or self._has_ticks:
                self.follow(done, word.ts_ns)
            else:  # It has caused nothing: nothing can leave.
                observers[kind](word)
            if kind is not OrderUpdate:  # Fills and funding move money.
                moved = True
        self._is_telling = False
        if moved:
            if self._on_moved is not None:
                self._on_moved()
            self.reconcile()

    def reconcile(self) -> None:
        """Compare our books with the venue's truth.

        On ticks the venue knows of fills that we are yet to be told of: it says what we should believe.

        Raises:
            InvariantError: They disagree.
        """
        account, (cash, held) = self._account, self._venue.told()
        if account.cash != cash:
            raise InvariantError(f"our books say cash {account.cash}, the venue says {cash}")
        positions = account.positions
        for index in self._indices:
            if positions[index].qty != held[index]:
                symbol = self._instruments[index].symbol
                raise InvariantError(
                    f"our books say {positions[index].qty} of {symbol}, the venue says {held[index]}"
                )
