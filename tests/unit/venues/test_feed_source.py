"""A stream that has fallen silent is found out by any of its markets, and a new connection is not blamed for the old."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np

from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.feed_source import Begin, FeedOptions, LiveSource
from njord.venues.history import HistoryPage

NOW = 1_700_000_000 * NS_PER_S
BTC, ETH = (
    Instrument(
        symbol=f"{base}/USDT",
        venue="here",
        base=base,
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.01"),
    )
    for base in ("BTC", "ETH")
)


class StepClock:
    """A second passes whenever somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0

    def now_ns(self) -> int:
        return NOW + self.seconds * NS_PER_S

    async def sleep(self, seconds: float) -> None:
        self.seconds += 1
        await asyncio.sleep(0)


class Silent:
    """A connection that opens, and then says nothing."""

    async def listen(self, on_open: Callable[[], None], on_trade: Callable[[dict[str, Any]], None]) -> None:
        on_open()
        await asyncio.Event().wait()


class Record:
    """A venue without any history, but for what a test says happened of ETH."""

    name, rows_max = "here", 1000

    def __init__(self, clock: StepClock) -> None:
        self._clock = clock
        self.eth_ids: list[int] = []

    def server_time_ns(self) -> int:
        return self._clock.now_ns()

    def instrument(self, symbol: str) -> Instrument:
        return BTC if symbol == BTC.symbol else ETH

    def check_interval(self, interval_ns: int) -> None:
        pass

    def bars(self, instrument: Instrument, interval_ns: int, start_ns: int, end_ns: int) -> HistoryPage:
        return page([])

    def trades(self, instrument: Instrument, first_id: int, end_id: int) -> HistoryPage:
        return page([each for each in self.eth_ids if instrument == ETH and first_id <= each < end_id])

    def trade_id_at(self, instrument: Instrument, ts_ns: int) -> int:
        return 1


def page(ids: list[int]) -> HistoryPage:
    columns = {name: np.full(len(ids), 100) for name in ("ts_venue_ns", "side", "price_ticks", "qty_lots")}
    columns["ts_venue_ns"] = np.full(len(ids), NOW, dtype=np.int64)
    columns["trade_id"] = np.array(ids, dtype=np.int64)
    none = np.zeros(len(ids), dtype=np.bool_)
    return HistoryPage(columns=columns, off_grid=none, rounded_volume=none)


def following(play: Callable[[LiveSource, Record, StepClock], Awaitable[None]]) -> list[str]:
    """Follow both markets while `play` goes on; return the notices."""
    clock, notices = StepClock(), list[str]()
    venue = Record(clock)
    source = LiveSource(
        venue, Silent(), [BTC, ETH], NS_PER_MINUTE, False, clock, Random(1), notices.append,
        FeedOptions(silent_after_s=5), clock.sleep,
    )  # fmt: skip

    async def test() -> None:
        await source.start([Begin(), Begin()], 0)
        try:
            async with asyncio.timeout(60):
                while not all(stream.is_whole for stream in source.streams):
                    await asyncio.sleep(0)
                await play(source, venue, clock)
        finally:
            await source.close()

    asyncio.run(test())
    return notices


def test_trades_of_any_market_show_that_a_silent_stream_is_dead() -> None:
    async def play(source: LiveSource, venue: Record, clock: StepClock) -> None:
        clock.seconds += 2
        venue.eth_ids = [1]
        while source.n_dials < 2:
            assert clock.seconds < 100, "nobody has found it out"
            await asyncio.sleep(0)

    assert "silent while trades happened" in following(play)[0]


def test_a_stream_is_left_alone_while_no_market_has_traded() -> None:
    async def play(source: LiveSource, venue: Record, clock: StepClock) -> None:
        while clock.seconds < 40:
            await asyncio.sleep(0)
        assert source.n_dials == 1

    assert following(play) == []
