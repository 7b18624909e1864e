"""Which bars do the trades make, as they come? Trades and timers in; bars out, each at the moment it is known.

A trade belongs to the bar in which it happened at the venue (`ts_venue_ns`). A bar is complete once the clock or the
newest trade has passed its end by the allowed lateness; until then a late trade still enters it, so that several bars
are open at once. Later ones are dropped and counted. Bars of a higher timeframe are folded from bars of a minute, never
from trades; both come from the same steps as the batch in `njord/kernels/`, and are the same bars.
"""

from typing import Literal

import msgspec

from njord.core.component import Handler
from njord.core.contracts import Bar, Message, TimerFired, TimerSet, TradeEvent
from njord.core.errors import InvariantError
from njord.core.units import NS_PER_MINUTE
from njord.kernels.bars import (
    CLOSED,
    NO_BAR,
    OPENED,
    ROW_RANGE,
    OpenBar,
    base_interval_ns,
    origin_ns,
    time_bar_step,
)
from njord.kernels.bars_activity import activity_bar_step, next_activity_bar
from njord.kernels.bars_fold import fold_step

# A venue's clock may run ahead of ours; a trade from further ahead is a wrong timestamp, and would make all others late.
AHEAD_MAX_NS = NS_PER_MINUTE
BARS_MAX = (
    1_000  # That one message may complete; a host that slept gets the others with the timer that follows.
)
LATE_BARS_MAX = 1_000  # That late trades are counted for, newest kept; `n_late` counts them all.


class TradeCounts(msgspec.Struct):
    """The trades of one instrument that entered no bar."""

    n_late: int = 0  # Their bar was complete.
    n_ahead: int = 0  # They happened further in the future than clocks differ.
    n_refused: int = 0  # No time, price or quantity that a bar can hold, or a volume beyond it.
    late_by_bar: dict[int, int] = {}  # By the start of the bar they missed.


class _Open(msgspec.Struct):
    # The state of one instrument. A higher bar that is being folded is the oldest thing there is; `bars` are younger.
    bars: dict[int, OpenBar] = {}
    folding: OpenBar = NO_BAR
    complete_ns: int = -1  # Bars that end here or before are complete.
    next_ns: int = -1  # Where the bar after the last one given out starts.
    close: int = 0  # Of the last bar given out, 0 before the first.
    timer_ns: int = -1  # Of the timer that is set, -1 if none is.
    counts: TradeCounts = msgspec.field(default_factory=TradeCounts)


class BarBuilder:
    """Builds the bars of one timeframe for several instruments.

    A bar's message carries no timeframe: a system that wants two has two builders.

    Args:
        n_instruments: How many instruments there are.
        interval_ns: Length of a bar, > 0.
        lateness_ns: How long after its end a bar still takes trades, >= 0.
        gaps: What stands for a bar without trades: nothing, or a bar at the last close with no volume.
    """

    def __init__(
        self,
        n_instruments: int,
        interval_ns: int = NS_PER_MINUTE,
        *,
        lateness_ns: int = 0,
        gaps: Literal["hole", "flat"] = "hole",
    ) -> None:
        if interval_ns <= 0 or lateness_ns < 0:
            raise ValueError(
                f"interval_ns must be > 0 and lateness_ns >= 0, were {interval_ns}, {lateness_ns}"
            )
        self._interval_ns = interval_ns
        self._origin = origin_ns(interval_ns)
        self._base_ns = base_interval_ns(interval_ns)
        self._lateness_ns = lateness_ns
        self._gaps = gaps
        self._key = f"bars.{interval_ns}"
        self._open = [_Open() for _ in range(n_instruments)]

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {TradeEvent: self._on_trade, TimerFired: self._on_timer}

    def counts(self, instrument: int) -> TradeCounts:
        """Return what entered no bar of `instrument`."""
        return self._open[instrument].counts

    def snapshot(self) -> bytes:
        """Return the whole state, for `restore`."""
        return msgspec.json.encode((self._settings(), self._open))

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot of a builder with the same settings.

        Raises:
            InvariantError: Its settings were others.
        """
        settings, state = msgspec.json.decode(snapshot, type=tuple[tuple[int, int, int, str], list[_Open]])
        if settings != self._settings():
            raise InvariantError(f"a snapshot of bars {settings} can not go on as {self._settings()}")
        self._open = state

    def _settings(self) -> tuple[int, int, int, str]:
        return len(self._open), self._interval_ns, self._lateness_ns, self._gaps

    # --- messages ---

    def _on_trade(self, trade: TradeEvent) -> list[Message]:
        opened = self._open[trade.instrument]
        at_ns = trade.ts_venue_ns
        if at_ns - trade.ts_ns > AHEAD_MAX_NS:
            opened.counts.n_ahead += 1
            return []
        # What the clock has completed, it has completed whether or not a timer said so before this trade.
        opened.complete_ns = max(opened.complete_ns, trade.ts_ns - self._lateness_ns)
        self._enter(opened, trade, at_ns // self._base_ns * self._base_ns)
        opened.complete_ns = max(opened.complete_ns, at_ns - self._lateness_ns)
        if len(opened.bars) == 1 and opened.complete_ns < opened.timer_ns - self._lateness_ns:
            return []  # The bar that the timer waits for goes on: true of nearly every trade.
        return self._advance(opened, trade.instrument, trade.ts_ns)

    def _on_timer(self, timer: TimerFired) -> list[Message]:
        if timer.key != self._key or timer.strategy_id:
            return []
        opened = self._open[timer.instrument]
        if timer.due_ns == opened.timer_ns:
            opened.timer_ns = -1
        opened.complete_ns = max(opened.complete_ns, timer.ts_ns - self._lateness_ns)
        return self._advance(opened, timer.instrument, timer.ts_ns)

    def _enter(self, opened: _Open, trade: TradeEvent, start_ns: int) -> None:
        counts = opened.counts
        if start_ns + self._base_ns <= opened.complete_ns:
            counts.n_late += 1
            counts.late_by_bar[start_ns] = counts.late_by_bar.get(start_ns, 0) + 1
            if len(counts.late_by_bar) > LATE_BARS_MAX:
                del counts.late_by_bar[min(counts.late_by_bar)]
            return
        status, bar = time_bar_step(
            opened.bars.get(start_ns, NO_BAR),
            trade.ts_venue_ns,
            trade.price_ticks,
            trade.qty_lots,
            self._base_ns,
            0,
        )
        if status >= ROW_RANGE:
            counts.n_refused += 1
        else:
            opened.bars[start_ns] = bar

    # --- bars ---

    def _advance(self, opened: _Open, instrument: int, now_ns: int) -> list[Message]:
        messages: list[Message] = []
        while len(messages) < BARS_MAX and (bar := self._next_complete(opened)):
            opened.next_ns, opened.close = bar.start_ns + self._interval_ns, bar.close
            messages.append(_message(bar, instrument, now_ns))
        due_ns = self._due_ns(opened)
        if due_ns >= 0 and due_ns + self._lateness_ns != opened.timer_ns:
            opened.timer_ns = due_ns + self._lateness_ns
            messages.append(
                TimerSet(ts_ns=now_ns, instrument=instrument, key=self._key, due_ns=opened.timer_ns)
            )
        return messages

    # Takes the next complete bar out of the state, if there is one: the one being folded, or a flat one before it.
    def _next_complete(self, opened: _Open) -> OpenBar | None:
        is_flat_due = self._fills(opened) and not opened.folding.open
        while opened.bars:
            start_ns = min(opened.bars)
            higher_ns = self._higher(start_ns)
            if start_ns + self._base_ns > opened.complete_ns:
                break
            if is_flat_due and higher_ns > opened.next_ns:
                break
            if opened.folding.open and higher_ns != opened.folding.start_ns:
                break
            self._fold(opened, opened.bars.pop(start_ns))
        if opened.folding.open:
            bar = opened.folding
        elif is_flat_due:
            bar = _flat(opened.next_ns, opened.close)
        else:
            return None
        if bar.start_ns + self._interval_ns > opened.complete_ns:
            return None
        opened.folding = NO_BAR
        return bar

    def _fold(self, opened: _Open, bar: OpenBar) -> None:
        status, opened.folding = fold_step(
            opened.folding,
            bar.start_ns,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume_lots,
            self._interval_ns,
            self._origin,
        )
        if status > OPENED:
            opened.counts.n_refused += 1

    # When the next bar will be complete, lateness aside; -1 where nothing is to come.
    def _due_ns(self, opened: _Open) -> int:
        if opened.folding.open:
            return opened.folding.start_ns + self._interval_ns
        if self._fills(opened):
            return opened.next_ns + self._interval_ns
        return self._higher(min(opened.bars)) + self._interval_ns if opened.bars else -1

    def _fills(self, opened: _Open) -> bool:
        return self._gaps == "flat" and opened.close > 0

    def _higher(self, ts_ns: int) -> int:
        return (ts_ns - self._origin) // self._interval_ns * self._interval_ns + self._origin


class _Counted(msgspec.Struct):
    bar: OpenBar = NO_BAR
    counted: int = 0
    n_refused: int = 0


class ActivityBarBuilder:
    """Builds tick, volume or dollar bars: each is complete with the trade that fills it, and no timer closes one.

    Args:
        n_instruments: How many instruments there are.
        measure: What fills a bar: TRADES, LOTS or NOTIONAL of `kernels/bars_activity.py`.
        threshold: How much of it, > 0.
    """

    def __init__(self, n_instruments: int, measure: int, threshold: int) -> None:
        if threshold <= 0:
            raise ValueError(f"threshold must be > 0, was {threshold}")
        self._measure = measure
        self._threshold = threshold
        self._open = [_Counted() for _ in range(n_instruments)]

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {TradeEvent: self._on_trade}

    def n_refused(self, instrument: int) -> int:
        """Return how many trades of `instrument` had no time, price or quantity that a bar can hold."""
        return self._open[instrument].n_refused

    def snapshot(self) -> bytes:
        """Return the whole state, for `restore`."""
        return msgspec.json.encode((self._settings(), self._open))

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot of a builder with the same settings.

        Raises:
            InvariantError: Its settings were others.
        """
        settings, state = msgspec.json.decode(snapshot, type=tuple[tuple[int, int, int], list[_Counted]])
        if settings != self._settings():
            raise InvariantError(f"a snapshot of bars {settings} can not go on as {self._settings()}")
        self._open = state

    def _settings(self) -> tuple[int, int, int]:
        return len(self._open), self._measure, self._threshold

    def _on_trade(self, trade: TradeEvent) -> list[Message]:
        state = self._open[trade.instrument]
        status, bar, counted = activity_bar_step(
            state.bar,
            state.counted,
            trade.ts_venue_ns,
            trade.price_ticks,
            trade.qty_lots,
            self._measure,
            self._threshold,
        )
        if status >= ROW_RANGE:
            state.n_refused += 1
            return []
        if status != CLOSED:
            state.bar, state.counted = bar, counted
            return []
        state.bar, state.counted = next_activity_bar(bar), 0
        return [_message(bar, trade.instrument, trade.ts_ns)]


def _flat(start_ns: int, close: int) -> OpenBar:
    return OpenBar(start_ns, -1, -1, close, close, close, close, 0)


def _message(bar: OpenBar, instrument: int, now_ns: int) -> Bar:
    return Bar(
        ts_ns=now_ns,
        instrument=instrument,
        ts_open_ns=bar.start_ns,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume_lots=bar.volume_lots,
    )
