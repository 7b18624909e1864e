"""The market data service: a recording's messages to the paper service, none lost, and to whoever listens to `md.*`.

The stream `md.in` holds a few pieces at most: it goes on when the paper service has taken some. After a restart, its
own or the paper service's, it goes on with the first message that is missing there.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from njord.adapters.redis_bus import RedisBus
from njord.apps.paced_feed import PacedFeed
from njord.apps.services_host import LOOK_AFTER_S, Wish, Work, find_run
from njord.apps.services_redis import NOT_NEWER, Wire, checked
from njord.apps.services_run import RUN_KEY, Announced, decode_announced
from njord.core.bus import BusError, BusUnavailable, Frame, encode_frame
from njord.core.codec import encode
from njord.core.contracts import Message
from njord.core.instrument import Instrument
from njord.core.topics import topic_of_message

PIECES_AHEAD: Final = 8
_WAIT_S: Final = 0.005


class Rows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Successive messages of the market; none = it has ended.

    Attributes:
        first: How many there are before them.
        messages: Encoded.
    """

    first: int
    messages: tuple[bytes, ...]


def market_stream(run: str) -> str:
    """Return the name of the stream that a run's market comes in."""
    return f"md.in.{run}"


encode_rows = msgspec.msgpack.Encoder().encode
decode_rows = msgspec.msgpack.Decoder(Rows).decode


def run_market_data(work: Work, speed: float | None, warm_up_rows: int = 0) -> str:
    """Publish a recording until the run is over; return why it ended.

    Args:
        work: What is to be published.
        speed: How many seconds of it pass in one; None = as fast as it is taken.
        warm_up_rows: So many messages from its start come at once.
    """
    while not work.wish.reason:
        announced = find_run(work)
        if announced is None:
            break
        ended = asyncio.run(_Publisher(work, announced).run(speed, warm_up_rows))
        if ended:
            return ended
        work.say("the paper service has started again")
    return work.wish.reason


class _Over(Exception):
    """The epoch has ended, or somebody wants us to."""


class _Publisher:
    def __init__(self, work: Work, announced: Announced) -> None:
        self._work = work
        self._wish: Wish = work.wish
        self._announced = announced
        self._stream = market_stream(announced.run)
        self._wire = Wire(work.url)
        self._screens = Screens(work.url, announced.run, work.prepared.market.instruments)
        self._ended = ""
        self._trouble = ""

    # Returns why the run is over; empty if it goes on in another epoch.
    async def run(self, speed: float | None, warm_up_rows: int) -> str:
        market = self._work.prepared.market
        try:
            row = await self._row()
            self._work.say(f"publishing from message {row:,} of {market.n_events:,}")
            async for block in PacedFeed(market, speed, warm_up_rows).blocks(row):
                messages = tuple(map(encode, block.messages))
                await self._put(Rows(row, messages), f"{row + len(messages)}-0")
                self._screens.show(row, block.messages, messages)
                row += len(messages)
            await self._put(Rows(row, ()), f"{row}-1")
            self._work.say("all is published")
            while True:
                await self._look()
                await asyncio.sleep(LOOK_AFTER_S)
        except _Over:
            return self._wish.reason or self._ended
        finally:
            self._wire.close()
            self._screens.close()

    # Where the stream ends, if there is one; else what the paper service lacks.
    async def _row(self) -> int:
        announced = await self._look()
        reply = await self._ask("XINFO", "STREAM", self._stream, expected="no such key")
        if isinstance(reply, Exception):
            return announced.next_row
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        return max(int(facts[b"last-generated-id"].partition(b"-")[0]), announced.next_row)

    async def _put(self, rows: Rows, entry_id: str) -> None:
        while True:
            await self._look()
            if await self._ask("XLEN", self._stream) < PIECES_AHEAD:
                break
            await asyncio.sleep(_WAIT_S)
        # Sent twice, it is there once.
        await self._ask("XADD", self._stream, entry_id, b"r", encode_rows(rows), expected=NOT_NEWER)

    # Raises _Over if the epoch is; else returns the run as it is announced.
    async def _look(self) -> Announced:
        while True:
            content = await self._ask("GET", RUN_KEY)
            announced = None if content is None else decode_announced(content)
            if announced is not None:
                self._ended = announced.ended if announced.epoch == self._announced.epoch else ""
                if announced.ended or announced.epoch != self._announced.epoch:
                    raise _Over
                return announced
            await asyncio.sleep(LOOK_AFTER_S)  # It is gone, and may come back.

    # Returns the reply; of what Redis refuses for good only what is expected, the rest is raised.
    async def _ask(self, *command: str | bytes | int, expected: str = "") -> Any:
        while True:
            if self._wish.reason:
                raise _Over
            try:
                reply = self._wire.ask(command)[0]
                is_expected = isinstance(reply, Exception) and expected and expected in str(reply)
                return reply if is_expected else checked(reply)
            except BusUnavailable as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    self._work.say(self._trouble)
                await asyncio.sleep(LOOK_AFTER_S)


class Screens:
    """Publishes market data for whoever listens now; what fails is not published.

    Args:
        url: Of Redis.
        run: Whose rows they are.
        instruments: All of the run.
    """

    def __init__(self, url: str, run: str, instruments: Sequence[Instrument]) -> None:
        self._bus = RedisBus(url)
        self._run = run
        self._instruments = instruments
        self._previous: dict[str, int] = {}

    def show(self, first: int, messages: Sequence[Message], written: Sequence[bytes]) -> None:
        """Publish successive messages, of which `first` came before; their numbers are rows, from 1."""
        lines: dict[str, list[tuple[int, bytes]]] = {}
        for row, (message, line) in enumerate(zip(messages, written, strict=True), first + 1):
            topic = topic_of_message(message, self._instruments)
            if topic is not None:
                lines.setdefault(topic, []).append((row, b'{"seq":%d,"message":%b}' % (row, line)))
        for topic, found in lines.items():
            previous, last = self._previous.get(topic, 0), found[-1][0]
            frame = Frame(self._run, found[0][0], last, previous, tuple(line for _, line in found))
            self._previous[topic] = last
            try:
                self._bus.publish_batch(topic, [encode_frame(frame)])
            except BusError:
                return

    def close(self) -> None:
        """Close the connections."""
        self._bus.close()
