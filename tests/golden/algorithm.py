"""How is a golden written? A tiny market as text, a function that acts on it, and one sentence of what must happen.

    @on_bars("100, 105 120 90 110")
    def a_market_order_fills_at_the_next_open(n: int, ctx: Context) -> Proposals:
        '''Bought at the open of bar 2, 105: not at the close it was decided on, and not at the best price, 90.'''
        return buy(10) if n == 1 else None

The function is called with the number of the event, from 1. The market is bars, `open high low close` or one price for
a flat one, `v7` for the volume and `x3` for three of them; of several instruments, one line each. Or it is ticks:
`<ms>` and book levels `b99x10 a101x10`, or one trade, `+101x3` if a buyer took, `-99x3` if a seller did. A tick is 1, a
lot is 1, the capital 10,000; there are no fees and no slippage unless told.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.strategies import (
    BarView,
    BookEvent,
    Context,
    FillEvent,
    OrderIntent,
    OrderType,
    Proposals,
    Side,
    Strategy,
    StrategyParams,
    TimeInForce,
    TimerFired,
    TradeEvent,
)
from tests.golden.market import MemoryMarket, bars_of, ticks_of

Act = Callable[[int, Context], Proposals]
React = Callable[[Context, Any], Proposals]

ONE = Decimal(1)
COIN = Instrument(symbol="COIN/USDT", venue="sim", base="COIN", quote="USDT", tick_size=ONE, lot_size=ONE)
MOON = Instrument(symbol="MOON/USDT", venue="sim", base="MOON", quote="USDT", tick_size=ONE, lot_size=ONE)
PERP = Instrument(
    symbol="COIN/USDT:USDT",
    venue="sim",
    base="COIN",
    quote="USDT",
    tick_size=ONE,
    lot_size=ONE,
    kind=InstrumentKind.LINEAR,
)


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be told: what trades, in which market, and what is special about its world.

    Attributes:
        must: What has to happen and why, in one sentence.
        hosted: Makes strategy id -> (instrument, strategy) pairs.
        market: Makes the market.
        capital: Of the report asset, USDT.
        settings: Of the configuration's section `backtest`, instead of no fees and no slippage.
        rules: Risk rules that stand instead of the research profile's.
    """

    must: str
    hosted: Callable[[], Mapping[str, Sequence[tuple[int, Strategy]]]]
    market: Callable[[], MemoryMarket]
    capital: int = 10_000
    settings: Mapping[str, Any] = {}
    rules: Mapping[str, Mapping[str, Any]] = {}


class Scripted(Strategy):
    """Acts at every event of the market, and reacts to fills, timers and the venue's words if told how."""

    def __init__(self, act: Act, on_fill: React | None, on_timer: React | None, warm_up: int) -> None:
        super().__init__(StrategyParams())
        self._act, self._fill, self._timer, self._warm_up = act, on_fill, on_timer, warm_up
        self._n_events = 0

    def warm_up(self) -> int:
        """Return what the golden declares."""
        return self._warm_up

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Act."""
        return self._next(ctx)

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        """Act."""
        return self._next(ctx)

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        """Act."""
        return self._next(ctx)

    def _next(self, ctx: Context) -> Proposals:
        self._n_events += 1
        return self._act(self._n_events, ctx)

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        """React."""
        return self._fill(ctx, fill) if self._fill else None

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        """React."""
        return self._timer(ctx, timer) if self._timer else None


GOLDENS: dict[str, Golden] = {}


def on_bars(text: str, *, interval_s: int = 60, **given: Any) -> Callable[[Act], Act]:
    """Register the decorated function as a golden on bars, see `_register`."""
    return _register(lambda instruments: bars_of(text, instruments, interval_s), **given)


def on_ticks(text: str, **given: Any) -> Callable[[Act], Act]:
    """Register the decorated function as a golden on ticks, see `_register`."""
    return _register(lambda instruments: ticks_of(text, instruments), **given)


# The function acts as strategy `s` on the instruments of `trades`, `others` on the first one as the strategies named.
# What is not named here is a setting of a backtest.
def _register(
    market: Callable[[tuple[Instrument, ...]], MemoryMarket],
    *,
    instruments: tuple[Instrument, ...] = (COIN,),
    trades: tuple[int, ...] = (0,),
    others: Mapping[str, Act] | None = None,
    on_fill: React | None = None,
    on_timer: React | None = None,
    warm_up: int = 0,
    capital: int = 10_000,
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        name, must = act.__name__, " ".join((inspect.getdoc(act) or "").split())
        if name in GOLDENS or not must:
            raise ValueError(f"{name} needs a name of its own and a sentence of what must happen")

        def hosted() -> dict[str, list[tuple[int, Strategy]]]:
            def made(act: Act) -> Strategy:
                return Scripted(act, on_fill, on_timer, warm_up)

            return {
                "s": [(index, made(act)) for index in trades],
                **{other: [(0, made(does))] for other, does in (others or {}).items()},
            }

        GOLDENS[name] = Golden(
            must=must,
            hosted=hosted,
            market=lambda: market(instruments),
            capital=capital,
            settings=settings,
            rules=rules or {},
        )
        return act

    return register


def buy(lots: int, at: int = 0, **given: Any) -> OrderIntent:
    """Return a buy, at market or at a limit, see `order`."""
    return order(Side.BUY, lots, at, **given)


def sell(lots: int, at: int = 0, **given: Any) -> OrderIntent:
    """Return a sale, at market or at a limit, see `order`."""
    return order(Side.SELL, lots, at, **given)


def order(
    side: Side,
    lots: int,
    at: int = 0,
    stop: int = 0,
    take: int = 0,
    trail: int = 0,
    tif: str = "gtc",
    **given: Any,
) -> OrderIntent:
    """Return the order that the prices given make: limit, stop, take-profit, their limit forms, or trailing stop."""
    kinds = {
        (False, False): OrderType.LIMIT if at else OrderType.MARKET,
        (True, False): OrderType.STOP_LIMIT if at else OrderType.STOP,
        (False, True): OrderType.TAKE_PROFIT_LIMIT if at else OrderType.TAKE_PROFIT,
    }
    kind = OrderType.TRAILING_STOP if trail else kinds[bool(stop), bool(take)]
    return OrderIntent(
        side=side,
        type=kind,
        tif=TimeInForce(tif),
        qty_lots=lots,
        limit_price_ticks=at,
        trigger_price_ticks=stop or take,
        trail_ticks=trail,
        **given,
    )


def first_order(ctx: Context) -> str:
    """Return the client order id of the oldest working order."""
    return ctx.open_orders[0].client_order_id
