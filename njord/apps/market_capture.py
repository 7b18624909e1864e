"""How are live markets recorded? A venue and its streams in; raw captures and graded datasets out, until it is stopped.

The thin part that waits: it keeps the stream connected, asks REST for the book when one is wanted and for trades that
the stream lost, writes what `market_lines.py` makes of all that, and hands closed files on. A market that has been silent
is looked at: if its book has moved meanwhile, the connection is dead and is dialed anew. A stop finishes what was begun:
the holes that are open, the files, the datasets.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec

from njord.apps.market_files import Imported, MarketFile, MarketKeeper
from njord.apps.market_lines import MarketCounts, MarketLines
from njord.core.clock import Clock
from njord.core.errors import VenueError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.ccxt_feed import StreamListener
from njord.venues.dialing import Line, Redial
from njord.venues.feed_rows import symbol_of
from njord.venues.history import DepthVenue

Answer = TypeVar("Answer")


class CaptureOptions(Redial, frozen=True, kw_only=True):
    """How patient a recording is, and how often it is put in the store.

    Attributes:
        silent_after_s: A market that has said nothing for so long is looked at.
        idle_s: How often it is looked whether something is wanted.
        flush_every_s: How much a power cut may cost.
        import_every_s: How old the datasets may be.
        backfill_s: Trades of before the start: since the last one in the store, but no longer ago.
        whole_within_s: How long a stop waits for trades that are missing.
    """

    silent_after_s: float = 15.0
    idle_s: float = 0.05
    flush_every_s: float = 1.0
    import_every_s: float = 3600.0
    backfill_s: float = 3600.0
    whole_within_s: float = 10.0


class MarketStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One market's recording as it stands.

    Attributes:
        top: Best bid and ask as the venue writes them; empty before the first.
        age_s: Since the market said something; None before that.
        n_gaps: Holes in the book's changes, each of which was mended by a snapshot.
        n_bytes: Of the file that is being written.
    """

    symbol: str
    top: tuple[str, str]
    is_connected: bool
    is_in_step: bool
    is_whole: bool
    age_s: float | None
    n_dials: int
    n_gaps: int
    n_backfilled: int
    n_duplicates: int
    n_bytes: int
    counts: MarketCounts


class _Market:
    def __init__(self, lines: MarketLines, file: MarketFile) -> None:
        self.lines = lines
        self.file = file
        self.looked_ns = 0


class MarketCapture:
    """Several markets of one venue.

    Args:
        venue: Asked by REST, from one thread.
        listener: The way to the streams of all markets.
        instruments: The markets.
        keeper: Takes the closed files.
        last_ids: The newest trade in the store, by symbol.
        clock: Stamps what comes in.
        chance: Spreads the dials.
        notice: Told of trouble in one line each.
        on_stored: Told of what was put in the store.
        options: How patient it is.

    Attributes:
        stop_reason: Why the end was asked for; empty before it.
    """

    def __init__(
        self,
        venue: DepthVenue,
        listener: StreamListener,
        instruments: Sequence[Instrument],
        keeper: MarketKeeper,
        last_ids: Callable[[Instrument], int | None],
        clock: Clock,
        chance: Random,
        notice: Callable[[str], None],
        on_stored: Callable[[Imported], None],
        options: CaptureOptions | None = None,
    ) -> None:
        self._venue = venue
        self._instruments = tuple(instruments)
        self._keeper = keeper
        self._last_ids = last_ids
        self._clock = clock
        self._notice = notice
        self._on_stored = on_stored
        self._options = options or CaptureOptions()
        self._line = Line(listener, clock, chance, notice, self._options)
        self._asking = ThreadPoolExecutor(1, "asking")
        self._importing = ThreadPoolExecutor(1, "importing")
        self._markets: dict[str, _Market] = {}
        self._is_open = False
        self._stopping = asyncio.Event()
        self.stop_reason = ""
        self._is_unanswered = False

    def request_stop(self, reason: str) -> None:
        """Ask for the end; the first reason counts. To be called in the event loop."""
        self.stop_reason = self.stop_reason or reason
        self._stopping.set()

    @property
    def n_dials(self) -> int:
        """How often the stream was dialed."""
        return self._line.n_dials

    def status(self) -> list[MarketStatus]:
        """Return how each market's recording stands."""
        now_ns = self._clock.now_ns()
        return [self._status(each, now_ns) for each in self._markets.values()]

    async def run(self) -> None:
        """Record until `request_stop` is called.

        Raises:
            VenueError: The venue refuses at the start, or can not be reached.
            ConfigError: Another process records one of the markets.
            JournalHalted: The disk refuses.
        """
        with ExitStack() as held:
            for instrument in self._instruments:
                held.callback(self._keeper.lock(instrument).release)
                for path in self._keeper.left_behind(instrument):
                    await self._take_in(instrument, path)
                first_id = await self._asked(partial(self._first_id, instrument))
                file = MarketFile(self._keeper.folder(instrument), self._clock.now_ns())
                name = instrument.base + instrument.quote
                self._markets[name] = _Market(MarketLines(instrument, first_id), file)
            try:
                await self._record()
            finally:
                self._asking.shutdown(wait=False, cancel_futures=True)
                self._importing.shutdown(wait=False, cancel_futures=True)

    # Where the minute began, so that its bar is whole; earlier where the store ends earlier.
    def _first_id(self, instrument: Instrument) -> int:
        now_ns = self._clock.now_ns()
        minute_ns = now_ns // NS_PER_MINUTE * NS_PER_MINUTE
        first_id = self._venue.trade_id_at(instrument, minute_ns)
        last_id = self._last_ids(instrument)
        if last_id is None or last_id + 1 >= first_id:
            return first_id if last_id is None else last_id + 1
        oldest_id = self._venue.trade_id_at(instrument, minute_ns - int(self._options.backfill_s * NS_PER_S))
        return max(last_id + 1, oldest_id)

    async def _record(self) -> None:
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(self._line.keep(self._opened, self._said, self._closed)),
            asyncio.create_task(self._keep_whole()),
            asyncio.create_task(self._keep_written()),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        waits_for: set[asyncio.Future[Any]] = {*tasks, stopping}
        try:
            await asyncio.wait(waits_for, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.whole_within_s):
                    while not all(market.lines.trades.is_whole for market in self._markets.values()):
                        await asyncio.sleep(self._options.idle_s)
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for market in self._markets.values():
                closed = market.file.close()
                if closed is not None:
                    await self._take_in(market.lines.instrument, closed)

    # --- the stream ---

    def _opened(self) -> None:
        if not self._is_open and self.n_dials > 1:
            self._notice("connected again, fetching what was missed")
        self._is_open = True
        for market in self._markets.values():
            market.lines.interrupted()

    def _closed(self) -> None:
        self._is_open = False

    def _said(self, message: dict[str, Any]) -> None:
        market = self._markets.get(symbol_of(message))
        if market is not None:
            self._write(market, market.lines.said(message, self._clock.now_ns()))

    def _write(self, market: _Market, lines: bytes) -> None:
        if lines:
            market.file.write(lines)

    # --- REST ---

    async def _keep_whole(self) -> None:
        while True:
            asked = False
            for market in self._markets.values():
                if self._is_open:
                    asked |= await self._mend(market)
            if not asked:
                await asyncio.sleep(self._options.idle_s)

    async def _mend(self, market: _Market) -> bool:
        lines, now_ns = market.lines, self._clock.now_ns()
        try:
            if lines.wants_snapshot(now_ns):
                depth = await self._asked(lambda: self._venue.depth(lines.instrument))
                self._write(market, lines.snapshot(depth, self._clock.now_ns()))
                return True
            if self._is_silent(market, now_ns):
                await self._look(market, now_ns)
                return True
            wanted = lines.trades.wanted(now_ns)
            if wanted is None:
                return False
            page = await self._asked(lambda: self._venue.trades(lines.instrument, *wanted))
            self._write(market, lines.answered(wanted, page, self._clock.now_ns()))
        except VenueError as error:
            lines.trades.asked_in_vain(self._clock.now_ns())
            if not self._is_unanswered:
                self._notice(f"what is missing can not be fetched now: {error}")
            self._is_unanswered = True
            return False
        self._is_unanswered = False
        return True

    def _is_silent(self, market: _Market, now_ns: int) -> bool:
        since_ns = max(market.lines.heard_ns, market.looked_ns)
        return bool(since_ns) and now_ns - since_ns > self._options.silent_after_s * NS_PER_S

    # Silence is nobody's fault where the venue's own book stands still.
    async def _look(self, market: _Market, now_ns: int) -> None:
        lines = market.lines
        market.looked_ns = now_ns
        lines.interrupted()
        depth = await self._asked(lambda: self._venue.depth(lines.instrument))
        if lines.is_in_step and depth.update_id > lines.book_id and lines.heard_ns < now_ns:
            self._is_open = False
            self._line.drop()

    async def _asked(self, ask: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._asking, ask)

    # --- files ---

    async def _keep_written(self) -> None:
        turned_ns = self._clock.now_ns()
        while True:
            await asyncio.sleep(self._options.flush_every_s)
            for market in self._markets.values():
                await asyncio.to_thread(market.file.flush)
            if self._clock.now_ns() - turned_ns < self._options.import_every_s * NS_PER_S:
                continue
            turned_ns = self._clock.now_ns()
            for market in self._markets.values():
                closed = market.file.turn_over(turned_ns)
                market.lines.begin_file()
                if closed is not None:
                    await self._take_in(market.lines.instrument, closed)

    async def _take_in(self, instrument: Instrument, path: Path) -> None:
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._importing, self._keeper.take_in, instrument, path)
        if done:
            self._on_stored(done)

    def _status(self, market: _Market, now_ns: int) -> MarketStatus:
        lines = market.lines
        counts = lines.trades.counts
        return MarketStatus(
            symbol=lines.instrument.symbol,
            top=lines.top,
            is_connected=self._is_open,
            is_in_step=lines.is_in_step,
            is_whole=lines.trades.is_whole,
            age_s=(now_ns - lines.heard_ns) / NS_PER_S if lines.heard_ns else None,
            n_dials=self.n_dials,
            n_gaps=lines.n_gaps,
            n_backfilled=counts.n_backfilled,
            n_duplicates=counts.n_duplicates,
            n_bytes=market.file.n_bytes,
            counts=msgspec.structs.replace(lines.counts),
        )
