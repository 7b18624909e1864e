"""The history host: rows of a dataset, timers and the venue's replies, in the one inbound order, into the engine.

Everything that decides is in `njord/system.py`; this loop owns the simulated venue and the timers. At one instant
timers come first, then what the venue replies, then the bar (`core/ordering.py`). The books are compared with the
venue's truth after every fill.
"""

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from njord.backtest.equity import EquityRecorder
from njord.backtest.recorder import Recorder
from njord.core.contracts import (
    Bar,
    CancelEvent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    Ref,
    RunStarted,
    TimerFired,
    TimerSet,
)
from njord.core.errors import InvariantError
from njord.core.types import TradingState
from njord.execution.gateway import Gateway
from njord.performance.streaming import EquityStatistics
from njord.storage.dataset import BarChunk, BarDataset
from njord.storage.journal import JournalWriter
from njord.system import System
from njord.venues.simulated import Report, SimulatedVenue

FOREVER_NS = 2**63 - 1
CHUNK_ROWS = 8192
_LEAVES: frozenset[type[Message]] = frozenset({OrderEvent, CancelEvent, TimerSet})
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
    """Runs one system over one dataset.

    Args:
        system: What decides.
        venue: Where approved orders go.
        journal: The journal that `system` writes.
        recorder: Follows orders, fills and refusals.
        equity: Follows equity at every bar close.
        statistics: Summarizes equity as it comes.
    """

    def __init__(
        self,
        system: System,
        venue: SimulatedVenue,
        journal: JournalWriter,
        recorder: Recorder,
        equity: EquityRecorder,
        statistics: EquityStatistics,
    ) -> None:
        self._engine = system.engine
        self._account = system.ledger.account
        self._venue = venue
        self._journal = journal
        self._recorder = recorder
        self._equity = equity
        self._statistics = statistics
        self._gateway = Gateway(venue, venue.exchange_rules())
        self._timers = Timers()
        self._now_ns = 0
        self._last_bar: Bar | None = None

    def run(
        self,
        started: RunStarted,
        dataset: BarDataset,
        rows: tuple[int, int],
        progress: Callable[[int], None] = lambda n_rows: None,
    ) -> None:
        """Feed rows [first, end) of `dataset` to the engine, to the end.

        Raises:
            InvariantError: Our books and the venue's disagree, or a promise of the engine is broken.
        """
        self._step(started)
        active = KillSwitchState(
            ts_ns=started.ts_ns, state=TradingState.ACTIVE, source="backtest", valid_until_ns=FOREVER_NS
        )
        self._step(active)
        interval_ns = dataset.interval_ns
        for chunk in dataset.chunks(rows[0], rows[1], CHUNK_ROWS):
            self._run_chunk(chunk, dataset.hash, interval_ns)
            self._journal.commit()
            progress(chunk.first_row + chunk.close.size - rows[0])
        self._deliver(self._venue.expire_all(self._now_ns), self._now_ns)
        self._journal.sync()

    # The loop over all bars: what does not have to happen on every bar is kept out of it.
    def _run_chunk(self, chunk: BarChunk, dataset_hash: str, interval_ns: int) -> None:
        n_rows = int(chunk.close.size)
        first_close_ns = int(chunk.ts_open_ns[0]) + interval_ns
        ref = Ref(
            ts_ns=first_close_ns,
            dataset_hash=dataset_hash,
            instrument=0,
            first_row=chunk.first_row,
            last_row=chunk.first_row + n_rows - 1,
        )
        self._step(ref)
        step, venue, timers = self._engine.step, self._venue, self._timers
        bars = chunk_bars(chunk, interval_ns)
        for row, bar in enumerate(bars):
            ts_ns = bar.ts_ns
            if timers.next_due_ns <= ts_ns:
                last = bars[row - 1] if row else self._last_bar
                if last is not None:
                    venue.observe(last)  # What a timer sends is measured at the last known price.
                for timer in timers.pop(ts_ns):
                    self._step(timer)
            if venue.n_working and self._deliver(venue.on_bar(bar), ts_ns):
                self._equity.change(row, self._account.cash, self._account.position(0).qty)
            done = step(bar)
            if len(done) > 1:
                venue.observe(bar)
                self._follow(done, ts_ns)
        self._last_bar = bars[-1]
        self._now_ns = self._last_bar.ts_ns
        self._mark(chunk.ts_open_ns + interval_ns, chunk.close)

    def _mark(self, ts_ns: NDArray[np.int64], close: NDArray[np.int64]) -> None:
        self._statistics.update(ts_ns, self._equity.close_chunk(ts_ns, close))

    def _step(self, message: Message) -> None:
        self._follow(self._engine.step(message), message.ts_ns)

    # What the engine has decided leaves here; what the venue answers comes back as the next message.
    def _follow(self, messages: list[Message], now_ns: int) -> None:
        observers = self._recorder.observers
        for message in messages:
            kind = type(message)
            observe = observers.get(kind)
            if observe is not None:
                observe(message)
            if kind not in _LEAVES:
                continue
            if isinstance(message, (OrderEvent, CancelEvent)):
                reply = self._gateway.send(message, now_ns)
                if reply is not None:
                    self._step(reply)
                else:
                    self._deliver(self._venue.drain(), now_ns)
            elif isinstance(message, TimerSet):
                self._timers.set(message)

    # Returns whether anything was filled.
    def _deliver(self, reports: list[Report], now_ns: int) -> bool:
        filled = False
        for report in reports:
            message = self._gateway.translate(report, now_ns)
            self._step(message)
            if isinstance(message, FillEvent):
                filled = True
        if filled:
            self._reconcile()
        return filled

    def _reconcile(self) -> None:
        cash, qty = self._account.cash, self._account.position(0).qty
        if cash != self._venue.cash or qty != self._venue.held_qty(0):
            raise InvariantError(
                f"our books say cash {cash} and position {qty}, "
                f"the venue says {self._venue.cash} and {self._venue.held_qty(0)}"
            )


def chunk_bars(chunk: BarChunk, interval_ns: int) -> list[Bar]:
    """Return a chunk's rows as messages."""
    columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Bar(
            ts_ns=ts_open_ns + interval_ns,
            instrument=0,
            ts_open_ns=ts_open_ns,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume_lots=volume,
        )
        for ts_open_ns, open_, high, low, close, volume in rows
    ]
