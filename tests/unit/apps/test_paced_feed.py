"""A recording comes when it is due, warm-up at once, and after a restart from where it was."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from njord.apps.paced_feed import PIECE_ROWS, BlockFeed, PacedFeed, parse_speed
from njord.backtest.market import Market, MarketBlock
from njord.backtest.market_open import MarketRequest, open_market
from njord.backtest.market_view import MarketView
from njord.core.contracts import Message, Ref
from njord.core.errors import ConfigError
from tests.unit.backtest.market_samples import write_bars

N_BARS = 600


class Came(NamedTuple):
    """When a block came, and what was in it."""

    at_s: float
    block: MarketBlock


class StillClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        self.time_s += seconds


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    paths = (
        write_bars(tmp_path, "ETH/USDT", [100 + number % 7 for number in range(N_BARS)]),
        write_bars(tmp_path, "BTC/USDT", [900 + number % 5 for number in range(N_BARS)]),
    )
    with open_market(MarketRequest(data=paths), {}) as market:
        yield market


def came(feed: BlockFeed, clock: StillClock, skip_rows: int = 0) -> list[Came]:
    async def collect() -> list[Came]:
        return [Came(clock.time_s, block) async for block in feed.blocks(skip_rows)]

    return asyncio.run(collect())


def told(blocks: list[Came]) -> tuple[list[Ref], list[Message]]:
    return (
        [ref for each in blocks for ref in each.block.refs],
        [message for each in blocks for message in each.block.messages],
    )


def all_of(market: Market) -> tuple[list[Ref], list[Message]]:
    blocks = list(market.blocks())
    return [ref for block in blocks for ref in block.refs], [
        message for block in blocks for message in block.messages
    ]


@pytest.mark.parametrize("speed", [None, 1.0, 60.0, 5_000.0])
def test_every_message_comes_once_in_order_with_the_refs_of_its_block_before_it(
    market: Market, speed: float | None
) -> None:
    clock = StillClock()
    assert told(came(PacedFeed(market, speed, 10, clock), clock)) == all_of(market)


def test_at_60x_a_minute_bar_comes_once_a_second(market: Market) -> None:
    clock = StillClock()
    blocks = came(PacedFeed(market, 60.0, 0, clock), clock)
    assert [round(each.at_s - 100, 6) for each in blocks] == [float(second) for second in range(N_BARS)]
    assert [len(each.block.messages) for each in blocks] == [2] * N_BARS  # Both symbols' bars of a minute.


def test_the_warm_up_comes_at_once_and_the_rest_at_its_pace(market: Market) -> None:
    clock = StillClock()
    blocks = came(PacedFeed(market, 60.0, 40, clock), clock)
    at_once = [message for each in blocks if each.at_s == 100 for message in each.block.messages]
    assert len(at_once) == 42  # The first paced bars begin the pace.
    assert blocks[-1].at_s == pytest.approx(100 + N_BARS - 20 - 1)


class ShortBlocks(MarketView):
    """The same market in blocks of 30 messages."""

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield them; each has the Refs of the block it was cut from."""
        for block in self._market.blocks():
            for first in range(0, len(block.messages), 30):
                yield MarketBlock(block.refs, block.messages[first : first + 30])


@pytest.mark.parametrize(("skip_rows", "n_at_once"), [(0, 40), (16, 24), (40, 0), (100, 0)])
def test_what_is_left_of_the_warm_up_comes_at_once_over_blocks_and_restarts(
    market: Market, skip_rows: int, n_at_once: int
) -> None:
    clock = StillClock()
    blocks = came(PacedFeed(ShortBlocks(market), 60.0, 40, clock), clock, skip_rows)
    at_once = [message for each in blocks if each.at_s == 100 for message in each.block.messages]
    assert len(at_once) == n_at_once + 2


def test_at_full_speed_nothing_waits_and_pieces_stay_small(market: Market) -> None:
    clock = StillClock()
    feed = PacedFeed(market, None, 0, clock)
    blocks = came(feed, clock)
    assert blocks[-1].at_s == 100
    assert max(len(each.block.messages) for each in blocks) == PIECE_ROWS
    assert feed.age_s is None


@pytest.mark.parametrize("skip_rows", [1, 7, 513, 1199])
@pytest.mark.parametrize("speed", [None, 60.0])
def test_a_feed_goes_on_after_the_cursor_without_the_refs_that_were_told(
    market: Market, speed: float | None, skip_rows: int
) -> None:
    clock = StillClock()
    refs, messages = told(came(PacedFeed(market, speed, 20, clock), clock, skip_rows))
    all_refs, all_messages = all_of(market)
    assert messages == all_messages[skip_rows:]
    first_block = next(iter(market.blocks()))
    n_told = 0 if skip_rows == 0 else len(first_block.refs)
    if skip_rows < len(first_block.messages):
        assert refs == all_refs[n_told:]
    assert set(refs) < set(all_refs)


def test_the_age_is_how_long_ago_the_last_message_came(market: Market) -> None:
    clock = StillClock()
    feed = PacedFeed(market, 60.0, 0, clock)
    assert feed.age_s is None

    async def two() -> None:
        blocks = feed.blocks(0)
        await anext(blocks)
        await anext(blocks)
        clock.time_s += 2.5
        assert feed.age_s == pytest.approx(2.5)
        await blocks.aclose()

    asyncio.run(two())


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1x", 1.0), ("0.5x", 0.5), ("60x", 60.0)])
def test_a_speed_is_a_number_and_an_x_or_max(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "60", "x", "-1x", "0x", "1e3x", "9999999x", "fast", "60x\n"])
def test_any_other_speed_is_refused_by_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="--replay 60x") as refused:
        parse_speed(text)
    assert repr(str(refused.value)).count("\\n") == text.count("\n")
