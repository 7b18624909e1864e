"""A host for a bar builder: the real engine, the history host's timers, and trades in their order."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from njord.backtest.host import Timers
from njord.core.component import Component
from njord.core.contracts import Bar, Message, TimerSet, TradeEvent
from njord.core.engine import Engine
from njord.core.instrument import Instrument
from njord.core.types import Side
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

MINUTE_NS = 60_000_000_000
SECOND_NS = 1_000_000_000
DAY_NS = 1440 * MINUTE_NS
START_NS = 1_700_006_400_000_000_000  # 2023-11-15T00:00:00Z, a Wednesday.
BAR_COLUMNS = COLUMNS[DataKind.BARS]
INSTRUMENT = Instrument(
    symbol="ETH/USDT",
    venue="test",
    base="ETH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
)

Row = tuple[int, ...]  # Open time, open, high, low, close, volume: a bar as all sides of a comparison see it.
Trade = tuple[int, int, int]  # Time, price, quantity.


class Nowhere:
    """A journal that forgets."""

    def append(self, message: Message) -> None:
        """Forget `message`."""


class Host:
    """Feeds one builder, and fires its timers before whatever comes at the same time, unless its timers are stuck."""

    def __init__(self, builder: Component, *, is_stuck: bool = False) -> None:
        self.is_stuck = is_stuck
        self.engine = Engine([builder], Nowhere())
        self.timers = Timers()
        self.bars: list[Bar] = []

    def trade(
        self, ts_ns: int, price: int, qty: int = 1, *, happened_ns: int | None = None, instrument: int = 0
    ) -> list[Bar]:
        """Hand in a trade known at `ts_ns` that happened then, unless told otherwise; return the bars it completed."""
        n_before = len(self.bars)
        if not self.is_stuck:
            self.wait(ts_ns)
        trade = TradeEvent(
            ts_ns=ts_ns,
            instrument=instrument,
            price_ticks=price,
            qty_lots=qty,
            side=Side.BUY,
            trade_id=0,
            ts_venue_ns=ts_ns if happened_ns is None else happened_ns,
        )
        self.step(trade)
        return self.bars[n_before:]

    def wait(self, until_ns: int) -> list[Bar]:
        """Let time pass; return the bars that it completed."""
        n_before = len(self.bars)
        for timer in self.timers.pop(until_ns):
            self.step(timer)
        return self.bars[n_before:]

    def rows(self, instrument: int = 0) -> list[Row]:
        """Return all bars so far."""
        return [row(bar) for bar in self.bars if bar.instrument == instrument]

    def step(self, message: Message) -> list[Message]:
        """Hand in any message; return it and all that it caused."""
        messages = self.engine.step(message)
        for caused in messages:
            if isinstance(caused, TimerSet):
                self.timers.set(caused)
            elif isinstance(caused, Bar):
                self.bars.append(caused)
        return messages


def row(bar: Bar) -> Row:
    """Return a bar as a row."""
    return bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume_lots


def trade_rows(trades: Iterable[Trade]) -> Columns:
    """Return trades as stored columns."""
    table = np.array(list(trades), dtype=np.int64).reshape(-1, 3)
    ts_ns, price, qty = (np.ascontiguousarray(column) for column in table.T)
    nothing = np.zeros_like(ts_ns)
    return {
        "ts_ns": ts_ns,
        "ts_venue_ns": ts_ns,
        "trade_id": nothing,
        "side": nothing,
        "price_ticks": price,
        "qty_lots": qty,
    }


def bar_rows(blocks: Iterable[Columns]) -> list[Row]:
    """Return blocks of bars as rows."""
    return [
        found
        for block in blocks
        for found in zip(*(block[name].tolist() for name in BAR_COLUMNS), strict=True)
    ]


def bar_columns(rows: Iterable[Row]) -> Columns:
    """Return rows as a block of bars."""
    table = np.array(list(rows), dtype=np.int64).reshape(-1, len(BAR_COLUMNS))
    return {name: np.ascontiguousarray(column) for name, column in zip(BAR_COLUMNS, table.T, strict=True)}
