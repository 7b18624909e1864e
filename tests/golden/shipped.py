"""The strategies that come with njord, on seeded synthetic markets: every order, and what is left."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random

import numpy as np

from njord.adapters.plugins import load_strategy
from njord.core.contracts import Bar, Message, TradeEvent
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL
from njord.core.units import NS_PER_MS
from njord.strategies import Strategy
from njord.strategies.library.grid import Grid
from njord.strategies.library.market_maker import MarketMaker
from njord.strategies.library.rsi_tema_bb import RsiTemaBb
from njord.strategies.library.trendline_break import TrendlineBreak
from njord.venues.synthetic import SyntheticMarket, synthetic_bars
from tests.golden.algorithm import Golden
from tests.golden.host import tell
from tests.golden.market import START_NS, MemoryMarket, book_event, market_rows

SYNTH = Instrument(
    symbol="SYNTH/USDT",
    venue="sim",
    base="SYNTH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
N_BARS = 2_000


# A compiled strategy is what the loader makes of its file.
def _loaded(name: str, **params: int) -> Strategy:
    cls = load_strategy(name).cls
    return cls(cls.Params(**params))


def bars(seed: int) -> MemoryMarket:
    """Return minute bars of a synthetic market."""
    (columns,) = synthetic_bars(SyntheticMarket(start_ns=START_NS), N_BARS, np.random.default_rng(seed))
    rows = zip(*(getattr(columns, name).tolist() for name in columns.__struct_fields__), strict=True)
    messages = [
        Bar(
            ts_ns=ts_open_ns + 60 * 10**9,
            instrument=0,
            ts_open_ns=ts_open_ns,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume_lots=volume * 100,
        )
        for ts_open_ns, open_, high, low, close, volume in rows
    ]
    return MemoryMarket((SYNTH,), messages)


def ticks(seed: int, n_steps: int = 300) -> MemoryMarket:
    """Return a book of five levels a side around a walking middle, with trades at the touch, a step every 20 ms."""
    chance, middle = Random(seed), 300_000
    messages: list[Message] = []
    rows: list[tuple[int, int, int, int]] = []
    book: dict[tuple[str, int], int] = {}
    for step in range(1, n_steps + 1):
        ts_ns = START_NS + step * 20 * NS_PER_MS
        if step > 1 and chance.random() < 0.5:
            side = BUY if chance.random() < 0.5 else SELL
            price, lots = (middle + 1 if side is BUY else middle - 1), chance.randint(1, 400)
            rows.append((3 if side is BUY else 4, ts_ns, price, lots))
            messages.append(_trade(ts_ns, step, price, lots, side is BUY))
            continue
        middle += chance.choice((-1, 0, 0, 1))
        wanted = {("b", middle - away): chance.randint(50, 500) for away in range(1, 6)}
        wanted |= {("a", middle + away): chance.randint(50, 500) for away in range(1, 6)}
        gone = [(side, price, 0) for side, price in book if (side, price) not in wanted]
        levels = [*gone, *((side, price, lots) for (side, price), lots in wanted.items())]
        book = wanted
        rows += [(1 if side == "b" else 2, ts_ns, price, lots) for side, price, lots in levels]
        messages.append(book_event(ts_ns, step, levels))
    return MemoryMarket((SYNTH,), messages, rows={0: market_rows(rows)})


def _trade(ts_ns: int, number: int, price: int, lots: int, is_buy: bool) -> TradeEvent:
    return TradeEvent(
        ts_ns=ts_ns,
        instrument=0,
        price_ticks=price,
        qty_lots=lots,
        side=BUY if is_buy else SELL,
        trade_id=number,
        ts_venue_ns=ts_ns,
    )


def _on_bars(must: str, made: Callable[[], Strategy], seed: int) -> Golden:
    return Golden(
        must=must,
        hosted=lambda: {"s": [(0, made())]},
        market=lambda: bars(seed),
        settings={"maker_fee_bps": 10, "fee_bps": 10, "slippage_bps": 5},
    )


GOLDENS = {
    "shipped_sma_cross": _on_bars(
        "Averages of 20 and 60 minutes; long above, flat otherwise.",
        lambda: _loaded("sma_cross", fast=20, slow=60),
        seed=1,
    ),
    "shipped_trendline_break": _on_bars(
        "Breaks of 60 bp from a line through 12 minutes.",
        lambda: TrendlineBreak(TrendlineBreak.Params(window=12, break_bps=60)),
        seed=2,
    ),
    "shipped_rsi_tema_bb": _on_bars(
        "The usual periods; nothing before bar 388.",
        lambda: RsiTemaBb(RsiTemaBb.Params()),
        seed=3,
    ),
    "shipped_grid": _on_bars(
        "Four slots 40 bp apart; never more than four held, every offer one step above its bid.",
        lambda: Grid(Grid.Params(levels=4, step_bps=40)),
        seed=4,
    ),
    "shipped_market_maker": Golden(
        must="Quotes every 100 ms at the touch of both sides, 5 ms away from the venue; a side that would end beyond 0.1 is not quoted.",
        hosted=lambda: {
            "s": [(0, MarketMaker(MarketMaker.Params(qty=Decimal("0.02"), position_max=Decimal("0.1"))))]
        },
        market=lambda: ticks(seed=5),
        settings={
            "maker_fee_bps": -1,
            "fee_bps": 5,
            "account": "margin",
            "entry_latency_ns": 5 * NS_PER_MS,
            "response_latency_ns": 5 * NS_PER_MS,
        },
    ),
}

STORIES: dict[str, Callable[[], list[str]]] = {
    name: partial(tell, golden) for name, golden in GOLDENS.items()
}
