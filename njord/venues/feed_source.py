"""What comes from a live market next? A stream of trades and a venue that can be asked in; messages for the engine out.

The thin part that waits: it keeps the stream connected, asks REST for what `feed_stream.py` misses, and takes from
`feed_tape.py` what may be told. A stream that has been silent for a while is checked by what REST says: if trades have
happened, the connection is dead however alive its socket looks, and is dialed anew. Clock, waiting and chance are
handed in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, TypeVar

import msgspec

from njord.core.clock import Clock
from njord.core.contracts import Bar, DataGap, Message
from njord.core.errors import ConfigError, VenueError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.venues.ccxt_feed import StreamListener
from njord.venues.dialing import Line, Redial
from njord.venues.feed_rows import FeedTrade, page_trades, pushed_trade, symbol_of
from njord.venues.feed_stream import TradeStream
from njord.venues.feed_tape import LiveTape
from njord.venues.history import HistoryVenue

SETTLE_NS = 2 * NS_PER_S  # A bar of the venue may still change so long after its end.
SKEW_MAX_NS = 500 * NS_PER_MS
WAITING_MAX = 100_000  # Messages that nobody has taken; beyond, trades are left for REST.
BARS_MAX = 10_000  # Of a market that are fetched to catch up.
ON_ITS_WAY_NS = NS_PER_S  # A trade may be known to REST so long before the stream brings it.
Answer = TypeVar("Answer")


class FeedOptions(Redial, frozen=True, kw_only=True):
    """How patient a feed is.

    Attributes:
        silent_after_s: A stream that has said nothing for so long is checked.
        idle_s: How often it is looked whether something is missing.
    """

    silent_after_s: float = 15.0
    idle_s: float = 0.05


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a market's messages go on.

    Attributes:
        n_bars: How many finished bars are wanted, where none was told before.
        last_bar: The last bar that was told, if any: all after it are wanted.
        last_id: The last trade that was told; -1 if none was.
    """

    n_bars: int = 0
    last_bar: Bar | None = None
    last_id: int = -1


class LiveSource:
    """Several markets of one venue, live.

    Args:
        venue: Asked for history, from one thread.
        listener: The way to its trades.
        instruments: The markets.
        interval_ns: Length of the bars.
        has_bars: Whether the venue has bars of that length.
        clock: Stamps what comes in.
        chance: Spreads the dials.
        notice: Told of trouble and of its end, in one line each.
        options: How patient it is.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        venue: HistoryVenue,
        listener: StreamListener,
        instruments: Sequence[Instrument],
        interval_ns: int,
        has_bars: bool,
        clock: Clock,
        chance: Random,
        notice: Callable[[str], None],
        options: FeedOptions | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._venue = venue
        self._instruments = tuple(instruments)
        self._interval_ns = interval_ns
        self._has_bars = has_bars
        self._clock = clock
        self._notice = notice
        self._options = options or FeedOptions()
        self._sleep = sleep
        self._line = Line(listener, clock, chance, notice, self._options, sleep)
        self._index_of = {each.base + each.quote: index for index, each in enumerate(self._instruments)}
        self.streams: list[TradeStream] = []
        self._tape = LiveTape(len(self._instruments), interval_ns)
        self._thread = ThreadPoolExecutor(1, "feed")
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_open = False
        self._probed: set[int] = set()  # Markets whose next answer says whether the stream is dead.
        self._is_unanswered = False
        self._heard_ns = 0
        self.n_unknown = 0  # Messages about symbols that nobody asked for.

    @property
    def n_dials(self) -> int:
        """How often the stream was dialed."""
        return self._line.n_dials

    async def start(self, begins: Sequence[Begin], told_until_ns: int) -> list[Message]:
        """Begin, and return the finished bars that were missed, with what can not be told any more as gaps.

        Args:
            begins: Of each market, where it goes on.
            told_until_ns: When the last message was known that was told.

        Raises:
            VenueError: The venue refuses, or can not be reached.
            ConfigError: This machine's clock is wrong.
        """
        await self._asked(self._check_clock)
        self._tape = LiveTape(len(self._instruments), self._interval_ns, told_until_ns)
        bars: list[Bar] = []
        gaps: list[Message] = []
        for index, begin in enumerate(begins):
            missed, live_ns, first_id = await self._asked(partial(self._missed, index, begin))
            bars += missed
            if begin.last_bar is not None and not missed:
                self._tape.follow(begin.last_bar)
            self._tape.only_build_until(index, begin.last_id)
            self.streams.append(TradeStream(first_id))
            if 0 <= begin.last_id < first_id - 1:
                gaps.append(self._gap(index, begin, first_id, live_ns))
        told = self._tape.history(bars, self._clock.now_ns())
        self._heard_ns = self._clock.now_ns()
        self._tasks = [
            asyncio.create_task(self._line.keep(self._opened, self._pushed, self._closed)),
            asyncio.create_task(self._keep_whole()),
        ]
        return [*told, *gaps]

    async def next(self) -> list[Message]:
        """Return the next messages, at least one; in order, and known by now.

        Raises:
            Exception: What ended the feed, if something unforeseen did.
        """
        while True:
            for task in self._tasks:
                if task.done():
                    task.result()
            now_ns = self._clock.now_ns()
            whole = [self._is_open and stream.is_whole for stream in self.streams]
            if told := self._tape.take(now_ns, whole):
                return told
            self._changed.clear()
            due_s = (self._tape.due_ns(now_ns) - now_ns) / NS_PER_S
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.001, due_s)):
                    await self._changed.wait()

    async def close(self) -> None:
        """Let go of the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- before the first live trade ---

    def _check_clock(self) -> None:
        sent_ns = self._clock.now_ns()
        venue_ns = self._venue.server_time_ns()
        received_ns = self._clock.now_ns()
        off_ns = venue_ns - (sent_ns + received_ns) // 2
        if abs(off_ns) - (received_ns - sent_ns) // 2 > SKEW_MAX_NS:
            way = "behind" if off_ns > 0 else "ahead of"
            raise ConfigError(
                f"this machine's clock is {abs(off_ns) / NS_PER_S:.1f} s {way} the venue's, bars would end at the wrong time",
                "set it, for example with: timedatectl set-ntp true",
            )

    # The bars that have ended and were not told, where the first live one opens, and its first trade.
    def _missed(self, index: int, begin: Begin) -> tuple[list[Bar], int, int]:
        step = self._interval_ns
        live_ns = (self._clock.now_ns() - SETTLE_NS) // step * step
        from_ns = live_ns - min(begin.n_bars, BARS_MAX) * step
        if begin.last_bar is not None:
            from_ns = max(begin.last_bar.ts_open_ns + step, live_ns - BARS_MAX * step)
            live_ns = max(live_ns, from_ns) if self._has_bars else from_ns  # Else the trades make them.
        bars: list[Bar] = []
        while self._has_bars and from_ns < live_ns:
            page = self._venue.bars(self._instruments[index], step, from_ns, live_ns)
            names = ("ts_open_ns", "open", "high", "low", "close", "volume_lots")
            rows = sorted(set(zip(*(page.columns[name].tolist() for name in names), strict=True)))
            rows = [row for row in rows if from_ns <= row[0] < live_ns]
            if not rows:
                break
            bars += [_bar(index, step, row) for row in rows]
            from_ns = rows[-1][0] + step
        return bars, live_ns, self._venue.trade_id_at(self._instruments[index], live_ns)

    def _gap(self, index: int, begin: Begin, first_id: int, live_ns: int) -> DataGap:
        return DataGap(
            ts_ns=self._clock.now_ns(),
            instrument=index,
            check="missing_ids",
            from_ns=self._tape.told_until_ns,
            to_ns=live_ns,
            n_missing=first_id - 1 - begin.last_id,
            detail=f"ids {begin.last_id + 1} to {first_id - 1}: the feed was not running",
        )

    # --- the stream ---

    def _opened(self) -> None:
        if not self._is_open and self.n_dials > 1:
            self._notice("connected again, fetching what was missed")
        self._is_open = True
        self._probed.clear()
        self._heard_ns = self._clock.now_ns()
        for stream in self.streams:
            stream.interrupted()
        self._changed.set()

    def _closed(self) -> None:
        self._is_open = False

    def _pushed(self, message: dict[str, Any]) -> None:
        if not self._is_open:
            self._opened()
        index = self._index_of.get(symbol_of(message))
        if index is None:
            self.n_unknown += 1
            return
        now_ns, stream = self._clock.now_ns(), self.streams[index]
        trade = pushed_trade(message, self._instruments[index])
        if trade is None:
            stream.refused()
            return
        self._heard_ns = now_ns
        if len(self._tape) >= WAITING_MAX:
            stream.interrupted()
            return
        if rows := stream.received((trade,), now_ns):
            self._tape.add(index, rows, now_ns)
        self._changed.set()

    # --- REST ---

    async def _keep_whole(self) -> None:
        while True:
            now_ns = self._clock.now_ns()
            self._probe(now_ns)
            asked = False
            for index, stream in enumerate(self.streams):
                if self._is_open and len(self._tape) < WAITING_MAX and (wanted := stream.wanted(now_ns)):
                    asked = True
                    await self._ask(index, wanted)
            if not asked:
                await self._sleep(self._options.idle_s)

    async def _ask(self, index: int, wanted: tuple[int, int]) -> None:
        stream = self.streams[index]
        try:
            page = await self._asked(lambda: self._venue.trades(self._instruments[index], *wanted))
        except VenueError as error:
            stream.asked_in_vain(self._clock.now_ns())
            if not self._is_unanswered:
                self._notice(f"trades that are missing can not be fetched now: {error}")
            self._is_unanswered = True
            return
        self._is_unanswered = False
        now_ns = self._clock.now_ns()
        rows = stream.answered(wanted, page_trades(page), now_ns)
        self._tape.add(index, rows, now_ns)
        self._changed.set()
        if index in self._probed:
            self._probed.discard(index)
            if any(isinstance(row, FeedTrade) and row.ts_venue_ns < now_ns - ON_ITS_WAY_NS for row in rows):
                self._is_open = False
                self._line.drop()

    # A stream that has said nothing for long: what does the record say?
    def _probe(self, now_ns: int) -> None:
        if self._is_open and now_ns - self._heard_ns > self._options.silent_after_s * NS_PER_S:
            self._probed.update(range(len(self.streams)))
            self._heard_ns = now_ns
            for stream in self.streams:
                stream.interrupted()

    async def _asked(self, ask: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)


def _bar(index: int, interval_ns: int, row: tuple[int, ...]) -> Bar:
    ts_open_ns, open_, high, low, close, volume_lots = row
    return Bar(
        ts_ns=ts_open_ns + interval_ns,
        instrument=index,
        ts_open_ns=ts_open_ns,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume_lots=volume_lots,
    )
