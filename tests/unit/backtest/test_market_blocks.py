"""Blocks of a market: whatever pieces the feeds come in, one order, every row named once."""

from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from njord.backtest.market import Feed, Piece, blocks_of, marks_of
from njord.backtest.reported import Source
from njord.core.contracts import Bar, BookEvent, Message, TradeEvent
from njord.core.ordering import inbound_key
from njord.core.types import BUY


class SmallFeed:
    """Messages in pieces of any size; no time is split between two."""

    def __init__(self, number: int, instrument: int, messages: Sequence[Message], size: int) -> None:
        self.n_events = len(messages)
        self._messages, self._size = messages, size
        self.source = Source(
            instrument=instrument,
            kind="trades",
            name=f"{number}",
            hash=f"sha256:{number}",
            interval_ns=0,
            first_row=0,
            end_row=2 * len(messages),
            start_ns=0,
            end_ns=0,
            certificate=None,  # type: ignore[arg-type]  # Nobody grades it.
        )

    # Every message is of two rows.
    def pieces(self) -> Iterator[Piece]:
        begin = 0
        while begin < len(self._messages):
            end = min(begin + self._size, len(self._messages))
            while end < len(self._messages) and self._messages[end].ts_ns == self._messages[end - 1].ts_ns:
                end += 1
            own = self._messages[begin:end]
            marks = marks_of(own)
            yield Piece(own, marks.ts_ns, 2 * np.arange(begin + 1, end + 1), marks.ticks)
            begin = end


def message(kind: str, ts_ns: int, instrument: int, number: int) -> Message:
    if kind == "bars":
        return Bar(
            ts_ns=ts_ns, instrument=instrument, ts_open_ns=ts_ns - 1, open=1, high=1, low=1, close=number
        )
    if kind == "trades":
        return TradeEvent(
            ts_ns=ts_ns, instrument=instrument, price_ticks=number, qty_lots=1, side=BUY, trade_id=number,
            ts_venue_ns=ts_ns,
        )  # fmt: skip
    return BookEvent(
        ts_ns=ts_ns, instrument=instrument, bids=(), asks=(), is_snapshot=False, first_update_id=number,
        last_update_id=number, ts_venue_ns=ts_ns,
    )  # fmt: skip


@st.composite
def markets(draw: st.DrawFn) -> list[tuple[int, str, list[int], int]]:
    """Per instrument bars, trades, or trades and a book: (instrument, kind, times, piece size)."""
    feeds = []
    for instrument in range(draw(st.integers(1, 3))):
        for kind in draw(st.sampled_from([("bars",), ("trades",), ("trades", "book")])):
            times = draw(st.lists(st.integers(1, 12), min_size=1, max_size=12, unique=kind == "bars"))
            feeds.append((instrument, kind, sorted(times), draw(st.integers(1, 5))))
    return feeds


@given(markets())
def test_all_feeds_come_in_the_one_inbound_order_whatever_their_pieces(
    drawn: list[tuple[int, str, list[int], int]],
) -> None:
    feeds: list[Feed] = []
    everything: list[tuple[tuple[int, int, int, int], Message]] = []
    for number, (instrument, kind, times, size) in enumerate(drawn):
        messages = [message(kind, ts_ns, instrument, 1 + i) for i, ts_ns in enumerate(times)]
        feeds.append(SmallFeed(number, instrument, messages, size))
        # Of one instrument and time, trades come before the book: the feed's place is the source sequence.
        everything += [(inbound_key(each, 1_000 * number + i), each) for i, each in enumerate(messages)]
    blocks = list(blocks_of(feeds))
    told = [each for block in blocks for each in block.messages]
    assert told == [each for _, each in sorted(everything, key=lambda pair: pair[0])]
    for block in blocks:
        assert block.messages
        assert all(ref.ts_ns == block.messages[0].ts_ns for ref in block.refs)
        given_marks, derived = block.marks(), marks_of(block.messages)
        for name in ("ts_ns", "instrument", "ticks"):
            assert getattr(given_marks, name).tolist() == getattr(derived, name).tolist()
    for feed in feeds:
        rows = [
            row
            for block in blocks
            for ref in block.refs
            if ref.dataset_hash == feed.source.hash
            for row in range(ref.first_row, ref.last_row + 1)
        ]
        assert rows == list(range(2 * feed.n_events))
