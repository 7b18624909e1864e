"""The history host: a market's blocks, as fast as they can be read, into a system at a simulated venue.

What happens with a message is in `host.py`; here are the loops over history, and the equity curve that they leave.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from njord.backtest.bar_rows import BarRows
from njord.backtest.equity import EquityRecorder
from njord.backtest.host import SimulatedHost
from njord.backtest.market import Market, MarketBlock
from njord.backtest.recorder import Recorder
from njord.core.contracts import Bar, RunStarted
from njord.core.types import TradingState
from njord.core.units import NS_PER_DAY
from njord.performance.streaming import EquityStatistics
from njord.system import System
from njord.venues.simulated import SimulatedVenue


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
        instruments = market.instruments
        has_ticks = [market.has_ticks(index) for index in range(len(instruments))]
        account = system.ledger.account
        self._system = system
        self._engine = system.engine
        self._venue = venue
        self._market = market
        self._equity = equity
        self._statistics = statistics
        self._is_one_of_bars = len(instruments) == 1 and not has_ticks[0]
        self._row = 0  # Of the message under way, in its block.
        self._host = SimulatedHost(
            system.engine,
            account,
            venue,
            instruments,
            has_ticks,
            account_id,
            recorder,
            on_moved=lambda: equity.change(self._row, account),
        )

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
        host = self._host
        host.tell(started)
        host.switch(TradingState.ACTIVE)
        run_block = self._run_bars if self._is_one_of_bars else self._run_mixed
        strategies = self._system.strategies
        if self._is_one_of_bars and self._system.may_skip and strategies.sleep_on(0):
            run_block = self._run_awake
        n_events = 0
        for block in self._market.blocks():
            ends = until_ns is not None and block.messages[-1].ts_ns > until_ns
            known = _until(block, until_ns) if ends and until_ns is not None else block
            if known.messages:
                for ref in known.refs:
                    host.tell(ref)
                self._foresee(known)
                run_block(known)
                self._close_block(known)
                n_events += len(known.messages)
                on_block(n_events)
            if ends:
                break
        if until_ns is not None:
            host.pass_time(max(until_ns, host.now_ns))
            return
        host.finish()
        self._statistics.update(*self._equity.finish())

    # The loop over all bars of one instrument: what does not have to happen on every bar is kept out of it. It does
    # what `host.accept` does.
    def _run_bars(self, block: MarketBlock) -> None:
        host, step, venue, timers = self._host, self._engine.step, self._venue, self._host.timers
        bars = cast(Sequence[Bar], block.messages)
        may_need = venue.terms.account == "perpetual" or venue.terms.entry_latency_ns > 0
        for row, bar in enumerate(bars):
            ts_ns = bar.ts_ns
            if timers.next_due_ns <= ts_ns:
                host.last_bar = bars[row - 1] if row else host.last_bar
                host.fire(ts_ns)
            if venue.n_working or (may_need and venue.needs_bars):
                self._row = row
                host.deliver(venue.on_bar(bar), ts_ns)
            done = step(bar)
            if len(done) > 1:
                venue.observe(bar)
                host.follow(done, ts_ns)
        host.last_bar = bars[-1]

    # Indicators of a block that is known as columns are computed at once; of others bar by bar.
    def _foresee(self, block: MarketBlock) -> None:
        bars, strategies = block.messages, self._system.strategies
        if self._is_one_of_bars and isinstance(bars, BarRows):
            strategies.foresee(0, bars.columns(self._market.instruments[0]))
            return
        for index in range(len(self._market.instruments)):
            strategies.foresee(index, None)

    # The same loop where every strategy says at which bars it may do anything: as long as nothing else could happen the
    # bars in between are passed over at once, one UTC day at a time, since the gate looks at equity between days.
    def _run_awake(self, block: MarketBlock) -> None:
        bars = cast(Sequence[Bar], block.messages)
        self._system.strategies.begin(0, bars)
        if not isinstance(bars, BarRows):  # Nobody has computed where they wake.
            self._run_bars(block)
            return
        host, venue, system, timers = self._host, self._venue, self._system, self._host.timers
        n_bars = len(bars)
        may_need = venue.terms.account == "perpetual" or venue.terms.entry_latency_ns > 0
        ts_ns = bars.ts_ns
        days = -(-ts_ns // NS_PER_DAY)
        wakes = system.strategies.awake(0, n_bars)
        begins_day = np.ones(n_bars, dtype=np.bool_)
        np.not_equal(days[1:], days[:-1], out=begins_day[1:])
        is_stop = wakes | begins_day
        # Indexing a view gives a bool at once.
        is_awake, is_first = cast(Sequence[bool], wakes.data), cast(Sequence[bool], begins_day.data)
        stops = [*np.flatnonzero(is_stop).tolist(), n_bars]
        last_ns = int(ts_ns[-1])
        at = row = n_unseen = 0  # Bars before this row that none but the venue has been told of yet.
        while row < n_bars:
            stop = stops[at]
            is_quiet = not venue.n_working and not (may_need and venue.needs_bars)
            if is_quiet:
                if timers.next_due_ns <= last_ns:
                    stop = min(stop, int(np.searchsorted(ts_ns, timers.next_due_ns)))
                if stop > row:
                    n_unseen += stop - row
                    row = stop
                    if row == n_bars:
                        break
            if n_unseen and is_quiet and timers.next_due_ns > last_ns and not is_first[row]:
                system.pass_over(0, n_unseen)
            elif n_unseen:
                host.last_bar = bars[row - 1]
                system.skip(host.last_bar, n_unseen)
            self._row = row
            n_unseen = self._show(bars.at(row), is_awake[row])
            if row == stops[at]:
                at += 1
            row += 1
        if n_unseen:
            host.last_bar = bars[-1]
            system.skip(host.last_bar, n_unseen)

    # One bar as `_run_bars` has it. Who sleeps is not called even where an order meets the bar: returns how many bars,
    # this one or none, have yet to pass.
    def _show(self, bar: Bar, is_awake: bool) -> int:
        host, venue, ts_ns = self._host, self._venue, bar.ts_ns
        if host.timers.next_due_ns <= ts_ns:
            host.fire(ts_ns)
        if venue.n_working or venue.needs_bars:
            host.deliver(venue.on_bar(bar), ts_ns)
        host.last_bar = bar
        if not is_awake:
            return 1
        done = self._engine.step(bar)
        if len(done) > 1:
            venue.observe(bar)
            host.follow(done, ts_ns)
        return 0

    # Several instruments, or ticks.
    def _run_mixed(self, block: MarketBlock) -> None:
        accept = self._host.accept
        for row, message in enumerate(block.messages):
            self._row = row
            accept(message)

    def _close_block(self, block: MarketBlock) -> None:
        self._row = 0
        self._host.now_ns = block.messages[-1].ts_ns
        self._statistics.update(*self._equity.close_block(block.marks()))


def _until(block: MarketBlock, until_ns: int) -> MarketBlock:
    n_known = bisect_right(block.messages, until_ns, key=lambda message: message.ts_ns)
    return MarketBlock(block.refs, block.messages[:n_known])
