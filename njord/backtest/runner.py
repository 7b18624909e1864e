"""The history host: a market's events, timers and the venue's words, in the one inbound order, into the engine.

Everything that decides is in `njord/system.py`; this loop owns the simulated venue and the timers. At one instant
timers come first, then what the venue reports, then trades and books, then bars (`core/ordering.py`). On ticks the
exchange has its own time: before a message is told it is asked to come as far, and every timer and report that falls
due on the way is told first. The books are compared with the venue's truth after every fill.
"""

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from njord.backtest.equity import EquityRecorder
from njord.backtest.market import Market, MarketBlock
from njord.backtest.recorder import Recorder
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
    RunStarted,
    TimerFired,
    TimerSet,
)
from njord.core.errors import InvariantError
from njord.core.orders import TERMINAL
from njord.core.types import TradingState
from njord.execution.gateway import Gateway
from njord.performance.streaming import EquityStatistics
from njord.system import System
from njord.venues.simulated import Report, SimulatedVenue

FOREVER_NS = 2**63 - 1
_ORDERS: frozenset[type[Message]] = frozenset({OrderEvent, CancelEvent, AmendEvent})
_LEAVES: frozenset[type[Message]] = _ORDERS | {TimerSet}
_TimerKey = tuple[str, int, str]


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

    def pop(self, until_ns: int) -> Iterator[TimerFired]:
        """Yield the timers due until `until_ns`, earliest first; some may be set meanwhile."""
        while self._heap and self._heap[0][0] <= until_ns:
            due_ns, number, key = heapq.heappop(self._heap)
            if self._due.get(key) != (due_ns, number):
                continue
            del self._due[key]
            yield TimerFired(ts_ns=due_ns, strategy_id=key[0], instrument=key[1], key=key[2], due_ns=due_ns)
        self.next_due_ns = self._heap[0][0] if self._heap else FOREVER_NS


class HistoryHost:
    """Runs one system over one market.

    Args:
        system: What decides.
        venue: Where approved orders go; it has the market's ticks already.
        market: What happens.
        account_id: Whose account it is.
        recorder: Follows orders, fills and refusals.
        equity: Follows the account's worth.
        statistics: Summarizes it as it comes.
    """

    def __init__(
        self,
        system: System,
        venue: SimulatedVenue,
        market: Market,
        account_id: str,
        recorder: Recorder,
        equity: EquityRecorder,
        statistics: EquityStatistics,
    ) -> None:
        self._engine = system.engine
        self._account = system.ledger.account
        self._venue = venue
        self._market = market
        self._recorder = recorder
        self._equity = equity
        self._statistics = statistics
        self._gateway = Gateway(venue, venue.exchange_rules(), account_id)
        self._timers = Timers()
        self._indices = range(len(market.instruments))
        self._has_ticks = any(market.has_ticks(index) for index in self._indices)
        self._n_open = 0  # Orders that were sent and have not ended; followed on ticks alone.
        self._row = 0  # Of the message under way, in its block.
        self._now_ns = 0
        self._last_bar: Bar | None = None
        self._words: deque[FillEvent | OrderUpdate | FundingEvent] = deque()  # Of the venue, not told yet.
        self._is_telling = False

    def run(
        self,
        started: RunStarted,
        on_block: Callable[[int], None] = lambda n_events: None,
        until_ns: int | None = None,
    ) -> None:
        """Feed the market to the engine, to its end, or to `until_ns`.

        Args:
            started: The first record.
            on_block: Called after every block with the number of market events so far.
            until_ns: Stop before the first event later than this, with everything as it is then: nothing expires.

        Raises:
            InvariantError: Our books and the venue's disagree, or a promise of the engine is broken.
        """
        self._step(started)
        self._switch(TradingState.ACTIVE, started.ts_ns)
        run_block = self._run_bars if len(self._indices) == 1 and not self._has_ticks else self._run_mixed
        n_events = 0
        for block in self._market.blocks():
            ends = until_ns is not None and block.messages[-1].ts_ns > until_ns
            known = _until(block, until_ns) if ends and until_ns is not None else block
            if known.messages:
                for ref in known.refs:
                    self._step(ref)
                run_block(known)
                self._close_block(known)
                n_events += len(known.messages)
                on_block(n_events)
            if ends:
                break
        if until_ns is not None:
            self._pass_time(max(until_ns, self._now_ns))
            return
        self._end()
        self._statistics.update(*self._equity.finish())

    # An order that answers the last words could neither fill nor end any more, so that none is approved.
    def _end(self) -> None:
        reports = self._venue.expire_all(self._now_ns)
        if reports:
            self._switch(TradingState.HALTED, self._now_ns)
            self._deliver(reports, self._now_ns)

    def _switch(self, state: TradingState, ts_ns: int) -> None:
        self._step(KillSwitchState(ts_ns=ts_ns, state=state, source="backtest", valid_until_ns=FOREVER_NS))

    # The loop over all bars of one instrument: what does not have to happen on every bar is kept out of it.
    def _run_bars(self, block: MarketBlock) -> None:
        step, venue, timers = self._engine.step, self._venue, self._timers
        bars = cast(Sequence[Bar], block.messages)
        may_need = venue.terms.account == "perpetual" or venue.terms.entry_latency_ns > 0
        for row, bar in enumerate(bars):
            ts_ns = bar.ts_ns
            if timers.next_due_ns <= ts_ns:
                self._last_bar = bars[row - 1] if row else self._last_bar
                self._fire(ts_ns)
            if venue.n_working or (may_need and venue.needs_bars):
                self._row = row
                self._deliver(venue.on_bar(bar), ts_ns)
            done = step(bar)
            if len(done) > 1:
                venue.observe(bar)
                self._follow(done, ts_ns)
        self._last_bar = bars[-1]

    # Several instruments, or ticks: every bar is seen by the venue, because a price of one may matter to another.
    def _run_mixed(self, block: MarketBlock) -> None:
        step, venue = self._engine.step, self._venue
        for row, message in enumerate(block.messages):
            ts_ns = message.ts_ns
            self._row = row
            self._pass_time(ts_ns)
            if type(message) is Bar:
                if venue.n_working or venue.needs_bars:
                    self._deliver(venue.on_bar(message), ts_ns)
                else:
                    venue.observe(message)
            done = step(message)
            if len(done) > 1:
                self._follow(done, ts_ns)

    def _close_block(self, block: MarketBlock) -> None:
        self._row = 0
        self._now_ns = block.messages[-1].ts_ns
        self._statistics.update(*self._equity.close_block(block.marks()))

    # Everything that falls due until a message at `ts_ns`: at one instant timers first, then reports.
    def _pass_time(self, ts_ns: int) -> None:
        timers, venue = self._timers, self._venue
        if not self._has_ticks:
            if timers.next_due_ns <= ts_ns:
                self._fire(ts_ns)
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
                self._fire(due_ns)
            elif venue.next_report_ns <= due_ns:
                self._deliver(venue.take(due_ns), due_ns)
            elif due_ns >= ts_ns:
                return

    def _fire(self, until_ns: int) -> None:
        if self._last_bar is not None:
            self._venue.observe(self._last_bar)  # What a timer sends is measured at the last known price.
        for timer in self._timers.pop(until_ns):
            self._step(timer)

    # The exchange may have waited: an order meets it as it is now.
    def _catch_up(self, now_ns: int) -> None:
        while self._venue.server_time() < now_ns:
            self._venue.advance(now_ns)

    def _step(self, message: Message) -> None:
        self._follow(self._engine.step(message), message.ts_ns)

    # What the engine has decided leaves here, all of it; then come the venue's words.
    def _follow(self, messages: list[Message], now_ns: int) -> None:
        observers = self._recorder.observers
        for message in messages:
            kind = type(message)
            observe = observers.get(kind)
            if observe is not None:
                observe(message)
            if kind not in _LEAVES:
                if self._has_ticks and isinstance(message, OrderUpdate) and message.status in TERMINAL:
                    self._n_open -= 1
                continue
            if isinstance(message, (OrderEvent, CancelEvent, AmendEvent)):
                if self._has_ticks:
                    self._catch_up(now_ns)
                    self._n_open += kind is OrderEvent
                reply = self._gateway.send(message, now_ns)
                if reply is not None:
                    self._words.append(reply)
                else:
                    self._hear(self._venue.drain(), now_ns)
            elif isinstance(message, TimerSet):
                self._timers.set(message)
        if self._words and not self._is_telling:
            self._tell()

    def _deliver(self, reports: list[Report], now_ns: int) -> None:
        self._hear(reports, now_ns)
        self._tell()

    def _hear(self, reports: list[Report], now_ns: int) -> None:
        for report in reports:
            self._words.append(self._gateway.translate(report, now_ns))

    # A word may cause orders, and those more words: these are told after all that were known before them, and only
    # when none is left do our books say what the venue's say.
    def _tell(self) -> None:
        words, moved = self._words, False
        self._is_telling = True
        while words:
            word = words.popleft()
            self._step(word)
            if isinstance(word, (FillEvent, FundingEvent)):
                moved = True
        self._is_telling = False
        if moved:
            self._equity.change(self._row, self._account)
            self._reconcile()

    # On ticks the venue knows of fills that we are yet to be told of: it says what we should believe.
    def _reconcile(self) -> None:
        account, venue = self._account, self._venue
        if account.cash != venue.told_cash:
            raise InvariantError(f"our books say cash {account.cash}, the venue says {venue.told_cash}")
        for index in self._indices:
            if account.position(index).qty != venue.told_qty(index):
                raise InvariantError(
                    f"our books say {account.position(index).qty} of {self._market.instruments[index].symbol}, "
                    f"the venue says {venue.told_qty(index)}"
                )


def _until(block: MarketBlock, until_ns: int) -> MarketBlock:
    n_known = bisect_right(block.messages, until_ns, key=lambda message: message.ts_ns)
    return MarketBlock(block.refs, block.messages[:n_known])
