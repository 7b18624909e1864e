"""A market from text or from arrays, in memory: what the engine is told, and what happens at the exchange."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from njord.backtest.market import MarketBlock
from njord.backtest.reported import PricePiece, Source
from njord.core.contracts import Bar, BookEvent, Message, Ref, TradeEvent
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.storage.certificate.certificate import Certificate
from njord.strategies.features import BarColumns, IntArray
from njord.venues.tick_market import MarketRows

START_NS = 1_704_067_200 * NS_PER_S  # 2024-01-01 00:00 UTC.
HASH = "0" * 64
_BID, _ASK, _TRADE_BUY, _TRADE_SELL = 1, 2, 3, 4
_BAR = re.compile(r"(\d+(?: \d+ \d+ \d+)?)(?: v(\d+))?(?: x(\d+))?")
_LEVEL = re.compile(r"([ba])(\d+)x(\d+)")
_TRADE = re.compile(r"([+-])(\d+)x(\d+)")


class MemoryMarket:
    """A `Market` of messages that are all there.

    Args:
        instruments: What is traded.
        messages: In inbound order.
        start_ns: When it begins.
        rows: What happens at the exchange of each instrument that lives on ticks.
        interval_ns: Of its bars.
    """

    feed_delays_ns: IntArray = np.empty(0, np.int64)

    def __init__(
        self,
        instruments: Sequence[Instrument],
        messages: Sequence[Message],
        start_ns: int = START_NS,
        rows: dict[int, MarketRows] | None = None,
        interval_ns: int = 60 * NS_PER_S,
    ) -> None:
        self.instruments = tuple(instruments)
        self.messages = messages
        self._rows = rows or {}
        self.n_events = len(messages)
        self.start_ns, self.end_ns = start_ns, messages[-1].ts_ns
        self.sources = tuple(self._source(index, interval_ns) for index in range(len(instruments)))

    def _source(self, index: int, interval_ns: int) -> Source:
        is_ticks = index in self._rows
        certificate = Certificate(
            dataset_hash=HASH,
            kind="trades" if is_ticks else "bars",
            n_rows=self.n_events,
            first_ns=self.start_ns,
            last_ns=self.end_ns,
            interval_ns=0 if is_ticks else interval_ns,
            coverage=1.0,
            grade="A",
            because="written by hand",
            findings=(),
        )
        return Source(
            instrument=index,
            kind=certificate.kind,
            name="golden",
            hash=HASH,
            interval_ns=certificate.interval_ns,
            first_row=0,
            end_row=self.n_events,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            certificate=certificate,
        )

    def has_ticks(self, instrument: int) -> bool:
        """Say whether the instrument has ticks."""
        return instrument in self._rows

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield everything as one block."""
        first = self.messages[0].ts_ns
        refs = tuple(
            Ref(ts_ns=first, dataset_hash=HASH, instrument=index, first_row=0, last_row=self.n_events - 1)
            for index in range(len(self.instruments))
        )
        yield MarketBlock(refs, self.messages)

    def tick_rows(self, instrument: int) -> Iterator[MarketRows] | None:
        """Return the rows of an instrument's exchange."""
        return iter((self._rows[instrument],)) if instrument in self._rows else None

    def columns(self, instrument: int) -> BarColumns | None:
        """Return nothing: no golden computes in advance."""
        return None

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield nothing: no golden is drawn."""
        yield from ()

    def close(self) -> None:
        """Let go of nothing."""


def bars_of(text: str, instruments: Sequence[Instrument], interval_s: int) -> MemoryMarket:
    """Return the market that a text of bars describes, a line for each instrument."""
    step = interval_s * NS_PER_S
    bars: list[Bar] = []
    for index, line in enumerate(text.splitlines()):
        number = 0
        for item in line.split(", "):
            found = _BAR.fullmatch(item)
            assert found is not None, f"{item!r} is no bar"
            prices = [int(price) for price in found[1].split()]
            open_, high, low, close = prices if len(prices) == 4 else prices * 4
            for _ in range(int(found[3] or 1)):
                opened = START_NS + number * step
                number += 1
                bars.append(
                    Bar(
                        ts_ns=opened + step,
                        instrument=index,
                        ts_open_ns=opened,
                        open=open_,
                        high=high,
                        low=low,
                        close=close,
                        volume_lots=int(found[2] or 0),
                    )
                )
    bars.sort(key=lambda bar: (bar.ts_ns, bar.instrument))
    return MemoryMarket(instruments, bars, interval_ns=step)


def ticks_of(text: str, instruments: Sequence[Instrument]) -> MemoryMarket:
    """Return the market that a text of ticks describes; everything is known at once."""
    messages: list[Message] = []
    rows: list[tuple[int, int, int, int]] = []
    for number, item in enumerate(text.split(", "), start=1):
        after, *parts = item.split()
        ts_ns = START_NS + int(after) * NS_PER_MS
        trade = _TRADE.fullmatch(parts[0])
        if trade is not None:
            side = BUY if trade[1] == "+" else SELL
            rows.append((_TRADE_BUY if side is BUY else _TRADE_SELL, ts_ns, int(trade[2]), int(trade[3])))
            messages.append(
                TradeEvent(
                    ts_ns=ts_ns,
                    instrument=0,
                    price_ticks=int(trade[2]),
                    qty_lots=int(trade[3]),
                    side=side,
                    trade_id=number,
                    ts_venue_ns=ts_ns,
                )
            )
            continue
        levels = [_LEVEL.fullmatch(part) for part in parts]
        found = [(level[1], int(level[2]), int(level[3])) for level in levels if level is not None]
        assert len(found) == len(parts), f"{item!r} is neither a trade nor levels"
        rows += [(_BID if side == "b" else _ASK, ts_ns, price, lots) for side, price, lots in found]
        messages.append(book_event(ts_ns, number, found))
    return MemoryMarket(instruments, messages, rows={0: market_rows(rows)})


def book_event(ts_ns: int, number: int, levels: Sequence[tuple[str, int, int]]) -> BookEvent:
    """Return a change of ("b" or "a", price, lots) levels; the first one is a snapshot."""
    return BookEvent(
        ts_ns=ts_ns,
        instrument=0,
        bids=tuple((price, lots) for side, price, lots in levels if side == "b"),
        asks=tuple((price, lots) for side, price, lots in levels if side == "a"),
        is_snapshot=number == 1,
        first_update_id=number,
        last_update_id=number,
        ts_venue_ns=ts_ns,
    )


def market_rows(rows: Sequence[tuple[int, int, int, int]]) -> MarketRows:
    """Return (kind, ts_ns, price, lots) rows as the venue takes them."""
    kind, ts_ns, price, lots = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return MarketRows(kind=kind, ts_ns=ts_ns, price_ticks=price, qty_lots=lots)
