"""Which trades of one market are passed on, and which are still missing? Batches from a stream and from REST in; each
trade out once, in the order of its id, and the ids to ask REST for.

The venue numbers a market's trades one after the other. So what came before is a duplicate, however long ago; what
comes early waits; and a number that is missing is asked for at REST, which is the record. Nothing passes a hole before
REST has filled it, or has said more than once that it has later trades and not these: then a `Missing` takes their
place. What the stream says of ids that REST does not know after several answers is not believed. Everything is bounded:
what does not fit is forgotten and asked for again. No clock, no I/O: times are handed in.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.venues.feed_rows import FeedTrade

AHEAD_MAX_NS = 5 * NS_PER_S  # A trade from further in the future has a wrong time, and would end bars.
PAGE_ROWS = 1000
PENDING_MAX = 10_000
GRACE_NS = 200 * NS_PER_MS  # How long a missing id may still come by itself.
ANSWERS = 3  # Of REST, before it is believed that it has no such trade.
FIRST_WAIT_NS = 250 * NS_PER_MS
WAIT_MAX_NS = 5 * NS_PER_S


class Missing(NamedTuple):
    """Trades with ids in [first_id, end_id) that will not come; they lay between two venue times."""

    first_id: int
    end_id: int
    from_ns: int
    to_ns: int


class StreamCounts(msgspec.Struct):
    """What was not passed on, and what was mended."""

    n_told: int = 0
    n_duplicates: int = 0
    n_early: int = 0  # Came before a trade with a lower id.
    n_refused: int = 0  # Were no trades, or came from the future.
    n_off_grid: int = 0  # Were rounded onto the grid.
    n_backfilled: int = 0  # Came from REST alone.
    n_missing: int = 0  # Exist nowhere.
    n_forgotten: int = 0  # Did not fit while a hole was open, and were asked for again.
    n_unconfirmed: int = 0  # Had ids that the record does not know.


class TradeStream:
    """The trades of one market.

    Args:
        first_id: The first one that is wanted.
        pending_max: Most trades that wait behind a hole.
    """

    def __init__(self, first_id: int, pending_max: int = PENDING_MAX) -> None:
        self.counts = StreamCounts()
        self.last_id = first_id - 1  # Of the last trade passed on, or given up.
        self.last_venue_ns = 0
        self._pending: dict[int, FeedTrade] = {}
        self._pending_max = pending_max
        self._must_catch_up = True  # REST may have trades that no later one points at.
        self._ask_from_ns = 0
        self._n_fruitless = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self._must_catch_up and not self._pending

    def interrupted(self) -> None:
        """Note that the stream may have left trades out: the connection broke, or is suspiciously silent."""
        self._must_catch_up = True

    def refused(self) -> None:
        """Count a row that is no trade; the hole that it leaves says the rest."""
        self.counts.n_refused += 1

    def received(self, trades: Iterable[FeedTrade], now_ns: int) -> list[FeedTrade | Missing]:
        """Take what the stream brought, in any order, and return what may be passed on."""
        was_whole = not self._pending
        self._hold(trades, now_ns)
        told = self._drain()
        if self._pending and was_whole:
            self._ask_from_ns = max(self._ask_from_ns, now_ns + GRACE_NS)
        return told

    def wanted(self, now_ns: int) -> tuple[int, int] | None:
        """Return the ids [first, end) to ask REST for now; None where nothing is missing, or not yet."""
        if now_ns < self._ask_from_ns or (not self._must_catch_up and not self._pending):
            return None
        first = self.last_id + 1
        if self._must_catch_up:
            return first, first + PAGE_ROWS
        return first, min(min(self._pending), first + PAGE_ROWS)

    def answered(
        self, asked: tuple[int, int], trades: Iterable[FeedTrade], now_ns: int
    ) -> list[FeedTrade | Missing]:
        """Take REST's answer to `wanted` and return what may be passed on."""
        before = self.last_id
        rows = {
            row.trade_id: row
            for row in trades
            if asked[0] <= row.trade_id < asked[1] and row.ts_venue_ns <= now_ns + AHEAD_MAX_NS
        }
        self.counts.n_backfilled += sum(
            trade_id > before and trade_id not in self._pending for trade_id in rows
        )
        self._hold(rows.values(), now_ns, is_record=True)
        told = self._drain()
        newest = max((each for each in rows if each <= self.last_id or each in self._pending), default=-1)
        has_left_out = self.last_id < newest
        if not has_left_out and newest < asked[1] - 1:
            self._must_catch_up = False  # The record ends here.
        if self.last_id > before and not has_left_out:
            self._n_fruitless, self._ask_from_ns = 0, now_ns
        elif has_left_out or self._pending:
            self._n_fruitless += 1
            if self._n_fruitless >= ANSWERS:
                told += self._give_up(newest)
                self._n_fruitless, self._ask_from_ns = 0, now_ns
            else:
                self.asked_in_vain(now_ns)
        return told

    def asked_in_vain(self, now_ns: int) -> None:
        """Wait before REST is asked again: it had no answer, or not the one that is missing."""
        wait_ns = min(WAIT_MAX_NS, FIRST_WAIT_NS << min(self._n_fruitless, 10))
        self._ask_from_ns = now_ns + wait_ns

    # REST has later trades and not these: they do not exist. Or it has none of those that wait: they do not.
    def _give_up(self, newest: int) -> list[FeedTrade | Missing]:
        told: list[FeedTrade | Missing] = []
        if newest <= self.last_id:
            self.counts.n_unconfirmed += len(self._pending)
            self._pending.clear()
            return told
        while self.last_id < newest:
            following = self._pending[min(self._pending)]
            first, end = self.last_id + 1, following.trade_id
            self.counts.n_missing += end - first
            told.append(Missing(first, end, self.last_venue_ns, following.ts_venue_ns))
            self.last_id = end - 1
            told += self._drain()
        return told

    # The record's word replaces what the stream said.
    def _hold(self, trades: Iterable[FeedTrade], now_ns: int, is_record: bool = False) -> None:
        counts, pending = self.counts, self._pending
        expected = self.last_id + 1
        for trade in trades:
            trade_id = trade.trade_id
            if trade.ts_venue_ns > now_ns + AHEAD_MAX_NS:
                counts.n_refused += 1
            elif trade_id <= self.last_id or (trade_id in pending and not is_record):
                counts.n_duplicates += 1
            else:
                pending[trade_id] = trade
                if trade_id == expected:
                    expected += 1
                elif not is_record:
                    counts.n_early += 1
        n_over = len(pending) - self._pending_max
        if n_over > 0 and min(pending) > self.last_id + 1:
            for trade_id in sorted(pending)[-n_over:]:
                del pending[trade_id]
            counts.n_forgotten += n_over
            self._must_catch_up = True

    def _drain(self) -> list[FeedTrade | Missing]:
        told: list[FeedTrade | Missing] = []
        while (trade := self._pending.pop(self.last_id + 1, None)) is not None:
            self.last_id = trade.trade_id
            self.last_venue_ns = max(self.last_venue_ns, trade.ts_venue_ns)
            self.counts.n_told += 1
            self.counts.n_off_grid += not trade.is_on_grid
            told.append(trade)
        return told
