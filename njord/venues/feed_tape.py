"""What is the engine told of a live market, in which order, and stamped with which time? Trades of several markets in;
trades, bars and gaps out, each with the moment at which it became known.

Bars are built from the trades (`data/bars.py`), by the venue's time. A bar is finished when the clock has passed its
end by `lateness_ns` and nothing is known to be missing; while something is, no timer closes it. A bar that is known in
time bears its end as its time, as in a backtest: an order that answers it meets the bar that opens there. Around the
end of a bar trades therefore wait for it, `on_time_ns` at most. A bar that is known later, because the feed was broken
or the session began there, bears the moment at which it was known, so that nothing is filled in the past. Time never
falls. No clock, no I/O: `now_ns` is handed in.
"""

from collections.abc import Iterable, Sequence

import msgspec

from njord.core.contracts import Bar, DataGap, Message, TimerFired, TimerSet, TradeEvent
from njord.core.types import BUY, SELL
from njord.core.units import NS_PER_MS
from njord.data.bars import BarBuilder
from njord.venues.feed_rows import FeedTrade
from njord.venues.feed_stream import Missing

LATENESS_NS = 500 * NS_PER_MS
WAIT_NS = 1000 * NS_PER_MS
ON_TIME_NS = 1500 * NS_PER_MS


class LiveTape:
    """Puts the messages of a live feed in order.

    Args:
        n_instruments: How many markets there are.
        interval_ns: Length of a bar.
        told_until_ns: Nothing is stamped earlier.
    """

    def __init__(self, n_instruments: int, interval_ns: int, told_until_ns: int = 0) -> None:
        self._interval_ns = interval_ns
        # How long after its end a bar still takes trades, others wait for it, and it counts as known in time.
        self._lateness_ns = min(LATENESS_NS, interval_ns // 4)
        self._wait_ns = min(WAIT_NS, interval_ns // 2)
        self._on_time_ns = min(ON_TIME_NS, interval_ns * 3 // 4)
        self._builder = BarBuilder(n_instruments, interval_ns, lateness_ns=self._lateness_ns, gaps="flat")
        handlers = self._builder.handlers()
        self._on_trade, self._on_timer = handlers[TradeEvent], handlers[TimerFired]
        self._timers: list[TimerSet | None] = [None] * n_instruments
        self._built_ns = [0] * n_instruments  # Where the bar under way opens, as far as is known.
        self._only_build_until = [-1] * n_instruments
        self.told_until_ns = told_until_ns  # Of the last message.
        self._finished: list[Bar] = []
        self._held: list[Message] = []

    def __len__(self) -> int:
        return len(self._held) + len(self._finished)

    def n_late(self, instrument: int) -> int:
        """Return how many trades came too late for their bar."""
        return self._builder.counts(instrument).n_late

    # --- before the first live trade ---

    def history(self, bars: Iterable[Bar], now_ns: int) -> list[Message]:
        """Return finished bars that the venue tells of, as of now; the live bars follow the last of each market.

        A market that then stays silent has flat bars at that close.
        """
        told: list[Message] = []
        last: dict[int, Bar] = {}
        for bar in sorted(bars, key=lambda each: (each.ts_open_ns, each.instrument)):
            self.told_until_ns = max(self.told_until_ns, now_ns, bar.ts_open_ns + self._interval_ns)
            told.append(msgspec.structs.replace(bar, ts_ns=self.told_until_ns))
            last[bar.instrument] = bar
        for bar in last.values():
            self.follow(bar)
        return told

    def follow(self, bar: Bar) -> None:
        """Go on after `bar`, which is told already."""
        index, end_ns = bar.instrument, bar.ts_open_ns + self._interval_ns
        self._build(
            TradeEvent(
                ts_ns=bar.ts_open_ns,
                instrument=index,
                price_ticks=bar.close,
                qty_lots=1,
                side=BUY,
                trade_id=0,
                ts_venue_ns=bar.ts_open_ns,
            )
        )
        self._finished = [each for each in self._finished if each.instrument != index]
        self._tick(index, end_ns + self._lateness_ns)
        self._finished = [each for each in self._finished if each.instrument != index]
        self._built_ns[index] = end_ns

    def only_build_until(self, instrument: int, trade_id: int) -> None:
        """Let trades up to `trade_id` enter their bar, and tell nobody: they were told before."""
        self._only_build_until[instrument] = trade_id

    # --- live ---

    def add(self, instrument: int, rows: Sequence[FeedTrade | Missing], now_ns: int) -> None:
        """Take what a market's stream passes on."""
        stamp_ns = max(self.told_until_ns, now_ns, *(message.ts_ns for message in self._held[-1:]))
        for row in rows:
            if isinstance(row, Missing):
                self._held.append(_gap(instrument, row, stamp_ns))
                continue
            trade = TradeEvent(
                ts_ns=stamp_ns,
                instrument=instrument,
                price_ticks=row.price_ticks,
                qty_lots=row.qty_lots,
                side=BUY if row.sign > 0 else SELL,
                trade_id=row.trade_id,
                ts_venue_ns=row.ts_venue_ns,
            )
            # The builder goes by the venue's time: what the clock says of bars is said by `take`.
            self._build(msgspec.structs.replace(trade, ts_ns=row.ts_venue_ns))
            if row.trade_id > self._only_build_until[instrument]:
                self._held.append(trade)

    def take(self, now_ns: int, is_whole: Sequence[bool]) -> list[Message]:
        """Return what may be told at `now_ns`.

        Args:
            now_ns: The time.
            is_whole: Of each market, whether nothing is known to be missing.
        """
        for index, whole in enumerate(is_whole):
            if whole:
                self._tick(index, now_ns)
        boundary_ns = now_ns // self._interval_ns * self._interval_ns
        before = [message for message in self._held if message.ts_ns < boundary_ns]
        after = self._held[len(before) :]
        if now_ns < boundary_ns + self._wait_ns and not self._all_finished(boundary_ns):
            self._held = after
            return self._stamped(before, now_ns)
        finished = sorted(self._finished, key=lambda bar: (bar.ts_open_ns, bar.instrument))
        self._finished, self._held = [], []
        # What follows a late bar of its market is late as well.
        in_trouble = [bar.instrument for bar in finished if not self._is_in_time(bar, now_ns)]
        in_time = [bar for bar in finished if bar.instrument not in in_trouble]
        late = [bar for bar in finished if bar.instrument in in_trouble]
        return self._stamped([*before, *in_time, *after, *late], now_ns)

    def due_ns(self, now_ns: int) -> int:
        """Return when `take` should be asked again at the latest, though nothing comes in."""
        boundary_ns = now_ns // self._interval_ns * self._interval_ns
        for due_ns in (boundary_ns + self._lateness_ns, boundary_ns + self._wait_ns):
            if due_ns > now_ns:
                return due_ns
        return boundary_ns + self._interval_ns + self._lateness_ns

    # --- bars ---

    def _is_in_time(self, bar: Bar, now_ns: int) -> bool:
        end_ns = bar.ts_open_ns + self._interval_ns
        return self.told_until_ns <= end_ns and now_ns <= end_ns + self._on_time_ns

    # Whether every market that has had a price has its bar up to `boundary_ns`, and it is time.
    def _all_finished(self, boundary_ns: int) -> bool:
        return all(timer is None or timer.due_ns - self._lateness_ns > boundary_ns for timer in self._timers)

    def _build(self, trade: TradeEvent) -> None:
        self._keep(trade.instrument, self._on_trade(trade))

    def _tick(self, index: int, now_ns: int) -> None:
        while (timer := self._timers[index]) is not None and timer.due_ns <= now_ns:
            fired = TimerFired(
                ts_ns=now_ns, strategy_id="", instrument=index, key=timer.key, due_ns=timer.due_ns
            )
            self._timers[index] = None
            self._keep(index, self._on_timer(fired))

    def _keep(self, index: int, messages: Sequence[Message] | None) -> None:
        for message in messages or ():
            if isinstance(message, TimerSet):
                self._timers[index] = message
            elif isinstance(message, Bar) and message.ts_open_ns >= self._built_ns[index]:
                self._finished.append(message)

    # --- time ---

    def _stamped(self, messages: Iterable[Message], now_ns: int) -> list[Message]:
        told: list[Message] = []
        for message in messages:
            if isinstance(message, Bar):
                end_ns = message.ts_open_ns + self._interval_ns
                ts_ns = end_ns if self._is_in_time(message, now_ns) else max(self.told_until_ns, now_ns)
            else:
                ts_ns = max(message.ts_ns, self.told_until_ns)
            self.told_until_ns = ts_ns
            told.append(message if message.ts_ns == ts_ns else msgspec.structs.replace(message, ts_ns=ts_ns))
        return told


def _gap(instrument: int, missing: Missing, ts_ns: int) -> DataGap:
    return DataGap(
        ts_ns=ts_ns,
        instrument=instrument,
        check="missing_ids",
        from_ns=missing.from_ns,
        to_ns=missing.to_ns,
        n_missing=missing.end_id - missing.first_id,
        detail=f"ids {missing.first_id} to {missing.end_id - 1}",
    )
