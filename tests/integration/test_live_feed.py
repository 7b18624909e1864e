"""Real `ccxt.pro` on a local exchange: every trade once whatever breaks, bars that are a fold of them, and a session."""

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.apps.live_feed import LiveRequest, LiveVenue
from njord.apps.session import Session
from njord.backtest.feed_blocks import FEED_NAME, read_feed
from njord.backtest.request import BacktestRequest
from njord.core.config_shapes import paper_config
from njord.core.contracts import Bar, DataGap, FillEvent, Message, TradeEvent
from njord.core.errors import ConfigError
from njord.core.types import BUY
from njord.storage.journal_reader import read_blocks
from njord.venues.ccxt_feed import CcxtStreams
from njord.venues.ccxt_history import open_binanceus
from njord.venues.feed_source import Begin, FeedOptions, LiveSource
from tests.integration.stream_server import Made, StreamServer, kline_ticks
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration

SECOND = 10**9
MINUTE = 60 * SECOND
COMMAND = "njord paper sma_cross --feed binanceus --symbol BTC/USDT --timeframe 1m"
NJORD = [str(Path(sys.executable).with_name("njord"))]
QUICK = FeedOptions(first_wait_s=0.05, wait_max_s=0.1, silent_after_s=10.0, idle_s=0.01)
SOON_SILENT = FeedOptions(first_wait_s=0.05, wait_max_s=0.1, silent_after_s=1.0, idle_s=0.01)
WITHIN_S = 60.0  # Only what never comes takes so long.


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as server:
        yield server


class Followed:
    """A live source and everything that it has told so far."""

    def __init__(self, source: LiveSource, notices: list[str]) -> None:
        self.source = source
        self.notices = notices
        self.told: list[Message] = []

    @property
    def ids(self) -> list[int]:
        return [message.trade_id for message in self.told if isinstance(message, TradeEvent)]

    @property
    def bars(self) -> list[Bar]:
        return [message for message in self.told if isinstance(message, Bar)]

    async def until(self, reached: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        async with asyncio.timeout(within_s):
            while not reached():
                self.told += await self.source.next()

    async def until_told(self, server: StreamServer) -> None:
        last = server.trades[-1].trade_id
        await self.until(lambda: self.source.streams[0].last_id >= last and self.ids[-1:] == [last])


@asynccontextmanager
async def following(
    server: StreamServer,
    interval_ns: int = SECOND,
    has_bars: bool = False,
    n_bars: int = 0,
    options: FeedOptions = QUICK,
) -> AsyncIterator[Followed]:
    notices: list[str] = []
    with open_binanceus(WallClock(), lambda seconds: None, Random(1), endpoint=server.url) as venue:
        btc = venue.instrument("BTC/USDT")
        source = LiveSource(
            venue,
            CcxtStreams("binanceus", [btc], endpoint=server.url),
            [btc],
            interval_ns,
            has_bars,
            WallClock(),
            Random(2),
            notices.append,
            options,
        )
        followed = Followed(source, notices)
        followed.told += await source.start([Begin(n_bars=n_bars)], 0)
        try:
            async with asyncio.timeout(WITHIN_S):
                while not server.n_connections:
                    await asyncio.sleep(0.01)
            yield followed
        finally:
            await source.close()


def fold(trades: Iterable[Made], interval_ns: int) -> dict[int, tuple[int, int, int, int, int]]:
    """Bars by their opening time, the plain way."""
    bars: dict[int, tuple[int, int, int, int, int]] = {}
    for start_ns, group in itertools.groupby(
        trades, lambda each: each.ts_ms * 10**6 // interval_ns * interval_ns
    ):
        rows = list(group)
        prices = [each.price_ticks for each in rows]
        volume = sum(each.qty_lots for each in rows)
        bars[start_ns] = (prices[0], max(prices), min(prices), prices[-1], volume)
    return bars


def check_bars(bars: list[Bar], server: StreamServer) -> None:
    expected = fold(server.trades, SECOND)
    assert bars
    for earlier, bar in itertools.pairwise(bars):
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume_lots)
        assert bar.ts_open_ns == earlier.ts_open_ns + SECOND, "a bar is missing or comes twice"
        assert values == expected.get(bar.ts_open_ns, (*[earlier.close] * 4, 0))


def check_order(told: list[Message]) -> None:
    assert all(one.ts_ns <= other.ts_ns for one, other in itertools.pairwise(told))


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        await test

    asyncio.run(whole())


def _is_back(followed: Followed, server: StreamServer, n_dials: int) -> bool:
    return server.asked.n_dials == n_dials and len(followed.notices) == 2 * (n_dials - 1)


def test_every_trade_is_told_once_through_ten_disconnects_and_the_bars_are_their_fold(
    server: StreamServer,
) -> None:
    async def test() -> None:
        async with following(server) as followed:
            for number in range(30):
                await asyncio.to_thread(server.trade, 15)
                if number % 3 == 2:
                    n_dials = server.asked.n_dials
                    await asyncio.to_thread(server.disconnect)
                    await asyncio.to_thread(server.trade, 7)
                    await followed.until(partial(_is_back, followed, server, n_dials + 1))
                with suppress(TimeoutError):
                    await followed.until(lambda: False, 0.12)
            await followed.until_told(server)
            last_ns = server.trades[-1].ts_ms * 10**6 // SECOND * SECOND
            await followed.until(lambda: bool(followed.bars) and followed.bars[-1].ts_open_ns >= last_ns)
            assert followed.ids == [each.trade_id for each in server.live_trades()]
            assert len(followed.notices) == 20 and server.asked.n_dials == 11
            assert followed.source.streams[0].counts.n_backfilled >= 70
            check_bars(followed.bars, server)
            check_order(followed.told)

    run(test())


def test_a_burst_of_three_thousand_trades_comes_whole_through_the_stream_alone(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server) as followed:
            await asyncio.to_thread(server.trade, 3000)
            await followed.until_told(server)
            assert followed.ids == [each.trade_id for each in server.live_trades()]
            assert followed.source.n_dials == 1

    run(test())


def test_a_socket_that_stays_open_and_says_nothing_is_found_out_and_dialed_anew(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server, options=SOON_SILENT) as followed:
            await asyncio.to_thread(server.trade, 3)
            await followed.until_told(server)
            server.dials.is_deaf = True
            while server.asked.n_dials < 2:
                await asyncio.to_thread(server.trade, 1)
                with suppress(TimeoutError):
                    await followed.until(lambda: server.asked.n_dials == 2, 0.2)
            assert any("silent while trades happened" in line for line in followed.notices)
            server.dials.is_deaf = False
            await asyncio.to_thread(server.trade, 2)
            await followed.until_told(server)
            assert followed.ids == [each.trade_id for each in server.live_trades()]

    run(test())


def test_doubled_lost_and_hostile_messages_change_nothing(server: StreamServer) -> None:
    hostile = {
        "e": "aggTrade",
        "E": 1,
        "s": "BTCUSDT",
        "p": "1.00",
        "q": "1.00",
        "T": 1_700_000_000_000,
        "m": True,
    }
    messages = [
        {**hostile, "a": 2**62},
        {**hostile, "a": 6000, "p": "NaN"},
        {**hostile, "a": 6000, "q": "-5"},
        {**hostile, "a": 6000, "s": "ETHUSDT"},
        {**hostile, "a": 6000, "T": 10**15},
        {**hostile, "a": {"x": 1}},
        {"e": "aggTrade"},
        {"e": "somethingElse", "s": "BTCUSDT"},
    ]

    async def test() -> None:
        async with following(server) as followed:
            server.dials.doubles, server.dials.loses = True, 0.3
            for _ in range(10):
                await asyncio.to_thread(server.trade, 10)
                await asyncio.to_thread(server.push, *messages)
            await asyncio.to_thread(server.trade, 1)
            server.dials.loses = 0.0
            await asyncio.to_thread(server.trade, 1)
            await followed.until_told(server)
            counts = followed.source.streams[0].counts
            assert followed.ids == [each.trade_id for each in server.live_trades()]
            assert counts.n_duplicates and counts.n_backfilled and counts.n_refused and not counts.n_missing
            check_order(followed.told)

    run(test())


def test_ids_that_exist_nowhere_are_told_as_one_gap(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server, options=SOON_SILENT) as followed:
            await asyncio.to_thread(server.trade, 2)
            await followed.until_told(server)
            before = server.trades[-1].trade_id
            server.skip_ids(40)
            await asyncio.to_thread(server.trade, 2)
            await followed.until_told(server)
            (gap,) = [each for each in followed.told if isinstance(each, DataGap)]
            assert (gap.n_missing, gap.detail) == (40, f"ids {before + 1} to {before + 40}")
            assert followed.ids == [each.trade_id for each in server.live_trades()]

    run(test())


def test_while_rest_is_down_nothing_passes_a_hole_and_one_line_says_so(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server) as followed:
            await asyncio.to_thread(server.trade, 2)
            await followed.until_told(server)
            server.dials.rest_fails, server.dials.loses = True, 1.0
            await asyncio.to_thread(server.trade, 3)
            server.dials.loses = 0.0
            await asyncio.to_thread(server.trade, 3)
            with pytest.raises(TimeoutError):
                await followed.until(lambda: len(followed.ids) > 2, 1.5)
            server.dials.rest_fails = False
            await followed.until_told(server)
            assert followed.ids == [each.trade_id for each in server.live_trades()]
            assert len([line for line in followed.notices if "can not be fetched" in line]) == 1

    run(test())


def test_dials_that_are_turned_away_are_repeated(server: StreamServer) -> None:
    async def test() -> None:
        server.dials.n_refused = 3
        async with following(server) as followed:
            await asyncio.to_thread(server.trade, 2)
            await followed.until_told(server)
            assert server.asked.n_dials == 4

    run(test())


def test_no_bar_ends_while_nobody_is_connected(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server) as followed:
            await asyncio.to_thread(server.trade, 5)
            await followed.until(lambda: bool(followed.bars))
            server.dials.n_refused = 30
            await asyncio.to_thread(server.disconnect)
            for _ in range(25):
                await asyncio.to_thread(server.trade, 3)
                with suppress(TimeoutError):
                    await followed.until(lambda: False, 0.1)
            server.dials.n_refused = 0
            await followed.until_told(server)
            last_ns = server.trades[-1].ts_ms * 10**6 // SECOND * SECOND
            await followed.until(lambda: followed.bars[-1].ts_open_ns >= last_ns)
            check_bars(followed.bars, server)
            assert any(bar.ts_ns > bar.ts_open_ns + SECOND for bar in followed.bars)

    run(test())


def test_a_new_session_begins_with_the_exchange_s_own_last_bars(server: StreamServer) -> None:
    async def test() -> None:
        async with following(server, MINUTE, has_bars=True, n_bars=5) as followed:
            now_ns = time.time_ns()
            (*_, last) = bars = followed.bars
            assert len(bars) == 5 and 0 <= now_ns - (last.ts_open_ns + MINUTE) < 2 * MINUTE
            for bar in bars:
                assert bar.close == kline_ticks(bar.ts_open_ns // 10**6)
                assert 0 <= now_ns - bar.ts_ns < 2 * MINUTE, "it is known now, not when it ended"
            check_order(followed.told)

    run(test())


def test_a_clock_that_is_wrong_is_refused_in_one_line(server: StreamServer) -> None:
    server.skew_ms = 3_000

    async def test() -> None:
        with pytest.raises(ConfigError, match=r"clock is [23]\.\d s behind the venue's, .* timedatectl"):
            async with following(server):
                pass

    run(test())


# --- a session ---


def start(root: Path, server: StreamServer) -> subprocess.Popen[str]:
    words = [*COMMAND.replace("1m", "1s").split()[1:], "--endpoint", server.url]
    more = ["--param", "fast=2", "--param", "slow=3", "--stop-policy", "leave"]
    return subprocess.Popen(
        [*NJORD, *words, *more, "--root", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def pump(
    server: StreamServer,
    child: "subprocess.Popen[str]",
    enough: Callable[[], bool],
    within_s: float = 2 * WITHIN_S,
) -> None:
    """Let prices rise and fall by turns of two seconds until there is enough."""
    until_s = time.monotonic() + within_s
    for number in itertools.count():
        if enough():
            return
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < until_s, "not enough in time"
        server.trade(5, 3_000_000 + 40 * abs(number % 80 - 40))
        time.sleep(0.05)


def messages_of(folder: Path) -> list[bytes]:
    return [line.message for block in read_blocks(folder / "journal") for line in block.lines]


def count(folder: Path, kind: type[Message]) -> int:
    mark = f'{{"kind":"{kind.__name__}"'.encode()
    return sum(each.startswith(mark) for each in messages_of(folder))


def session_of(root: Path) -> Path | None:
    return next(iter((root / "var/state/sessions").glob("*")), None)


def has(root: Path, n_bars: int, n_fills: int) -> bool:
    folder = session_of(root)
    if folder is None or not (folder / FEED_NAME).exists() or not (folder / "journal").exists():
        return False
    bars = sum(isinstance(each, Bar) for block in read_feed(folder / FEED_NAME) for each in block.messages)
    return bars >= n_bars and count(folder, FillEvent) >= n_fills


@pytest.mark.long
def test_a_session_trades_live_is_killed_goes_on_and_is_run_again_byte_for_byte(
    server: StreamServer, tmp_path: Path
) -> None:
    child = start(tmp_path, server)
    pump(server, child, lambda: has(tmp_path, 5, 1))
    child.kill()
    child.communicate()
    server.trade(20)
    child = start(tmp_path, server)
    pump(server, child, lambda: has(tmp_path, 14, 2))
    child.send_signal(signal.SIGTERM)
    said, _ = child.communicate(timeout=100)
    assert child.returncode == 0 and "signal SIGTERM; the same command goes on" in said

    folder = session_of(tmp_path)
    assert folder is not None
    rows = [each for block in read_feed(folder / FEED_NAME) for each in block.messages]
    ids = [each.trade_id for each in rows if isinstance(each, TradeEvent)]
    assert ids == list(range(ids[0], ids[-1] + 1)), "each trade once, over the kill"
    check_bars([each for each in rows if isinstance(each, Bar)], server)
    check_order(rows)
    replayed = subprocess.run(
        [warm_njord(), "replay", "last", "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert replayed.returncode == 0 and replayed.stdout.startswith("identical"), replayed


def test_an_exchange_that_can_not_be_reached_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    words = [
        "paper",
        "sma_cross",
        "--feed",
        "binanceus",
        "--endpoint",
        "http://127.0.0.1:9",
        "--root",
        str(tmp_path),
    ]
    done = subprocess.run([*NJORD, *words], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 5
    assert len(done.stderr.strip().splitlines()) == 1 and "broken connection" in done.stderr
    assert not (tmp_path / "var/state/sessions").exists()


def test_trades_that_a_dead_session_missed_are_an_alert_and_their_bars_are_fetched(
    server: StreamServer, tmp_path: Path
) -> None:
    config = paper_config(load_config(tmp_path).config)
    wanted = LiveRequest(venue="binanceus", symbols=("BTC/USDT",), interval_ns=MINUTE, endpoint=server.url)
    request = BacktestRequest(strategy="sma_cross", data=(), params=("fast=2", "slow=3"))
    now_ns = time.time_ns() // MINUTE * MINUTE

    async def first_block(session: Session, venue: LiveVenue) -> list[Message]:
        blocks = venue.feed(session).blocks(session.n_rows)
        try:
            return list((await anext(blocks)).messages)
        finally:
            await blocks.aclose()

    with LiveVenue(wanted, lambda line: None) as venue:
        session = Session.open(venue.prepare(request, config), tmp_path / "state", is_live=True)
        file = session.feed_file
        assert file is not None
        old_ns = now_ns - 4 * MINUTE
        first = server.trades[0]
        bar = Bar(ts_ns=old_ns, instrument=0, ts_open_ns=old_ns - MINUTE, open=7, high=7, low=7, close=7)
        row = TradeEvent(
            ts_ns=old_ns + SECOND, instrument=0, price_ticks=7, qty_lots=1, side=BUY,
            trade_id=first.trade_id, ts_venue_ns=old_ns + SECOND,
        )  # fmt: skip
        block = file.append([bar, row])
        for ref in block.refs:
            session.host.tell(ref)
        for message in block.messages:
            session.host.accept(message)
            session.n_rows += 1
        told = asyncio.run(first_block(session, venue))
        session.close(finished=False)
    opens = [each.ts_open_ns for each in told if isinstance(each, Bar)]
    assert opens[0] == old_ns and opens == list(range(opens[0], opens[-1] + 1, MINUTE)) and len(opens) >= 3
    (alert,) = [each for each in messages_of(session.folder) if each.startswith(b'{"kind":"Alert"')]
    assert b'"title":"trades are missing"' in alert and b"the feed was not running" in alert
