"""At which pace does a recording come? A market and a speed in, blocks of messages when they are due out.

The pace is that of the messages' own times: at 60x a minute bar comes once a second. What the strategies see only to
warm up comes at once, and so does everything at maximum speed, in pieces that leave the event loop its turn.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from njord.backtest.market import Market, MarketBlock
from njord.core.contracts import Message
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_S

PIECE_ROWS = 256
SPEED_MAX = 1_000_000.0
_SPEED = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)x")


class BlockFeed(Protocol):
    """Where a node's market comes from."""

    def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages, when it is due.

        Of a block that they end in the rest comes, without Refs: those were told with its first message.
        """

    @property
    def age_s(self) -> float | None:
        """How long ago the last message came; None where that says nothing."""


class Clock(Protocol):
    """The time outside, and waiting for it."""

    def now_s(self) -> float:
        """Return seconds that only rise."""

    async def sleep(self, seconds: float) -> None:
        """Come back after so many seconds."""


class LoopClock:
    """The event loop's own."""

    def now_s(self) -> float:
        """Return seconds that only rise."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Come back after so many seconds."""
        await asyncio.sleep(seconds)


class PacedFeed:
    """A market at a pace.

    Args:
        market: Recorded.
        speed: How many seconds of it pass in one; None = as fast as it can be read.
        warm_up_rows: So many messages from its start come at once.
        clock: What a second is.
    """

    def __init__(
        self, market: Market, speed: float | None, warm_up_rows: int = 0, clock: Clock | None = None
    ) -> None:
        self._market = market
        self._speed = speed
        self._warm_up_rows = warm_up_rows
        self._clock = clock or LoopClock()
        self._came_s: float | None = None

    @property
    def age_s(self) -> float | None:
        """How long ago the last message came; None at maximum speed, and before the first."""
        return None if self._speed is None or self._came_s is None else self._clock.now_s() - self._came_s

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages, when it is due."""
        n_at_once = max(0, self._warm_up_rows - skip_rows)
        start: tuple[float, int] | None = None  # When the first paced message came, and its own time.
        for block in behind(self._market.blocks(), skip_rows):
            at_once, paced = _split(block, n_at_once if self._speed is not None else len(block.messages))
            n_at_once -= len(at_once.messages)
            for piece in _pieces(at_once):
                self._came_s = self._clock.now_s()
                yield piece
                await self._clock.sleep(0)
            messages, refs = paced.messages, paced.refs
            while messages and self._speed is not None:
                if start is None:
                    start = (self._clock.now_s(), messages[0].ts_ns)
                start_s, start_ns = start
                due_s = start_s + (messages[0].ts_ns - start_ns) / (self._speed * NS_PER_S)
                await self._clock.sleep(max(0.0, due_s - self._clock.now_s()))
                self._came_s = self._clock.now_s()
                n_due = max(
                    1,
                    _n_known(messages, start_ns + round((self._came_s - start_s) * self._speed * NS_PER_S)),
                )
                for piece in _pieces(MarketBlock(refs, messages[:n_due])):
                    yield piece
                messages, refs = messages[n_due:], ()


def parse_speed(text: str) -> float | None:
    """Return what `60x`, `1x` or `max` mean; None = as fast as possible.

    Raises:
        ConfigError: It is none of them.
    """
    if text == "max":
        return None
    match = _SPEED.fullmatch(text)
    speed = float(match[1]) if match else 0.0
    if not 0 < speed <= SPEED_MAX:
        raise ConfigError(
            f"--replay takes a speed such as 1x or 60x up to {SPEED_MAX:.0f}x, or max, was {text:.40}",
            "for example --replay 60x",
        )
    return speed


def behind(blocks: Iterable[MarketBlock], skip_rows: int) -> Iterator[MarketBlock]:
    """Yield what follows the first `skip_rows` messages.

    Of a block that they end in the rest comes, without Refs: those were told with its first message.
    """
    n_left = skip_rows
    for block in blocks:
        n_own = len(block.messages)
        if n_left >= n_own:
            n_left -= n_own
            continue
        yield MarketBlock((), block.messages[n_left:]) if n_left else block
        n_left = 0


def _split(block: MarketBlock, n_first: int) -> tuple[MarketBlock, MarketBlock]:
    if n_first >= len(block.messages):
        return block, MarketBlock((), ())
    if n_first <= 0:
        return MarketBlock((), ()), block
    rest = replace(block, refs=(), messages=block.messages[n_first:], given_marks=None)
    return MarketBlock(block.refs, block.messages[:n_first]), rest


def _pieces(block: MarketBlock) -> Iterator[MarketBlock]:
    messages, refs = block.messages, block.refs
    for first in range(0, len(messages), PIECE_ROWS):
        yield MarketBlock(refs, messages[first : first + PIECE_ROWS])
        refs = ()


def _n_known(messages: Sequence[Message], until_ns: int) -> int:
    return bisect_right(messages, until_ns, key=lambda message: message.ts_ns)
