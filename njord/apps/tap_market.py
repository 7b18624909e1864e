"""Which market data did a session see? The datasets that its journal names in, its rows in frames on `md.*` out.

The rows are counted in the journal, not written; they are read again as a replay reads them, and published as lines
like the journal's, with the same numbers. At most once: a row that was read before, or that Redis did not take, does not
come again.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from njord.adapters.redis_bus import RedisBus
from njord.apps.tap_journal import frames_of
from njord.backtest.feed_blocks import FEED_NAME
from njord.backtest.market import MarketBlock
from njord.backtest.market_feed import FeedMarket
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.recorded_run import SESSION_FILE, RecordedRows, RunFacts
from njord.core.bus import BusError, encode_frame
from njord.core.codec import decode, encode
from njord.core.contracts import AnyMessage, Ref
from njord.core.errors import ConfigError
from njord.core.topics import topic_of_message
from njord.core.units import NS_PER_MINUTE
from njord.storage.journal_follow import ClosedBlock


class _Line(msgspec.Struct):
    seq: int = 0
    message: msgspec.Raw = msgspec.Raw(b"{}")


_decode_line = msgspec.json.Decoder(_Line).decode


class TapMarket:
    """Reads a session's rows along its journal.

    Args:
        folder: The session's.
        bus: Where the rows go.
        session: Whose numbers they have.

    Raises:
        UserError: The session or a dataset of it can not be read.
    """

    def __init__(self, folder: Path, bus: RedisBus, session: str) -> None:
        self._bus = bus
        self._session = session
        self._market = _market_of(folder)
        self._rows = RecordedRows(self._market)
        self._lines: dict[str, list[tuple[int, bytes]]] = {}
        self._previous: dict[str, int] = {}

    def follow(self, block: ClosedBlock, *, is_new: bool) -> int:
        """Read the block's rows; publish them if the block is new.

        Raises:
            NjordError: The data are not those that the journal names.
        """
        expected, n_rows = block.first, 0
        for text in block.lines:
            line = _decode_line(text)
            if not line.seq:
                continue
            n_rows += self._read(expected, line.seq, is_new)
            message = decode(line.message)
            if isinstance(message, Ref):
                self._rows.refer(message, line.seq)
            expected = line.seq + 1
        n_rows += self._read(expected, block.last + 1, is_new)
        self._publish()
        return n_rows

    def close(self) -> None:
        """Let go of the data."""
        self._market.close()

    def _read(self, first: int, end: int, is_new: bool) -> int:
        for seq in range(first, end):
            row = self._rows.next(seq)
            topic = topic_of_message(row, self._market.instruments) if is_new else None
            if topic is not None:
                self._lines.setdefault(topic, []).append(
                    (seq, b'{"seq":%d,"message":%b}' % (seq, encode(row)))
                )
        return end - first if is_new else 0

    def _publish(self) -> None:
        for topic, lines in self._lines.items():
            frames = [
                encode_frame(frame) for frame in frames_of(self._session, lines, self._previous.get(topic, 0))
            ]
            self._previous[topic] = lines[-1][0]
            try:
                self._bus.publish_batch(topic, frames)
            except BusError:
                break  # Whoever listens sees the gap by the numbers.
        self._lines.clear()


def _market_of(folder: Path) -> RecordedMarket:
    path = folder / SESSION_FILE
    try:
        facts = msgspec.json.decode(path.read_bytes(), type=RunFacts)
    except (OSError, msgspec.MsgspecError):
        raise ConfigError(f"{path} does not say what data the session has", "leave out --market") from None
    feed = folder / FEED_NAME
    if feed.is_file():
        return FeedMarket(tuple(facts.instruments), NS_PER_MINUTE, 0, lambda: _GrowingFeed(feed))
    request = MarketRequest(
        data=tuple(map(Path, facts.data)),
        bars=facts.bar_options,
        start_ns=facts.start_ns,
        end_ns=facts.end_ns,
    )
    return open_market(request, {instrument.symbol: instrument for instrument in facts.instruments})


class _FeedLine(msgspec.Struct, frozen=True):
    refs: tuple[Ref, ...]
    messages: tuple[AnyMessage, ...]


_decode_feed = msgspec.json.Decoder(_FeedLine).decode


# A live session's feed file while it is written: it ends, and goes on once there is more. A block is in it before the
# journal refers to it, and its hash stands in that Ref.
class _GrowingFeed(Iterator[MarketBlock]):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def __next__(self) -> MarketBlock:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.readline()
        if not text.endswith(b"\n"):
            raise StopIteration
        line = _decode_feed(text)
        self._offset += len(text)
        return MarketBlock(line.refs, line.messages)
