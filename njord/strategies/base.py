"""Strategy: the class a user writes. It answers what it wants; how much, how and whether are decided elsewhere.

    class MyStrategy(Strategy):
        class Params(StrategyParams, frozen=True):
            window: int = 20

        def warm_up(self) -> int:
            return self.params.window

        def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
            highest = max(past.high for past in ctx.history(self.params.window))
            if not ctx.qty and bar.close >= highest:
                return Target(weight=1.0, reason="a new high")
            return None

A callback returns nothing, one proposal, or a list of them: `Target`, `OrderIntent`, `CancelIntent`, `AmendIntent`,
`TimerSet`. There is one object per instrument, so attributes never mix two symbols.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from njord.core.contracts import BookEvent, FillEvent, OrderUpdate, Proposal, TimerFired, TradeEvent
from njord.strategies.context import BarView, Context
from njord.strategies.features import BarColumns, BoolArray, FloatArray
from njord.strategies.indicators import Indicator

Proposals = Proposal | Sequence[Proposal] | None


class StrategyParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters with types and defaults; override `__post_init__` to refuse combinations by a ValueError."""


class Strategy:
    """Base of all strategies.

    Attributes:
        params: The typed parameters of this run.
        state: A fresh `State()` if the class declares one; only declared state survives a restart without replay.
    """

    class Params(StrategyParams, frozen=True):
        """No parameters unless a subclass declares them."""

    State: ClassVar[type[msgspec.Struct] | None] = None

    warm_from: int = 0  # Proposals count from this bar on at the earliest; the warm-up check sets it.
    params: Any  # Of the subclass's own Params; subclasses annotate it.
    state: Any

    def __init__(self, params: StrategyParams) -> None:
        self.params = params
        self.state = self.State() if self.State is not None else None

    def get_ready(self) -> None:
        """Do what would make the first bar late, such as compiling; called once, before any bar."""

    def warm_up(self) -> int:
        """Return how many bars must be seen before proposals count; `history` reaches back as far."""
        return 0

    def precompute(self, bars: BarColumns) -> Mapping[str, FloatArray] | None:
        """Return named arrays, one float64 per bar, that `ctx.feature` then reads bar by bar.

        Called once before the first bar, with all of the run's bars. The value of row i may use rows up to i only:
        later rows are the future, and `njord poison` finds out.
        """
        return None

    def indicators(self) -> Mapping[str, Indicator]:
        """Return named indicators; `ctx.feature` then reads their values bar by bar, wherever the strategy runs."""
        return {}

    def wakes(self, features: Mapping[str, FloatArray]) -> BoolArray:
        """Return, one bool per row, where `on_bar` may propose anything or change the strategy's state.

        Elsewhere a run over history does not call it; whoever does call it there must see nothing happen. Override it
        only if that is so whatever the position, the orders and the fills are.

        Args:
            features: The values of `indicators` and `precompute` for a stretch of bars, shape (n,) each. A stretch begins
                with the last row of the one before it, so that a row can be compared with the row before; only the
                run's first row has none, and should wake. The first warm bar wakes anyway.
        """
        raise NotImplementedError

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """A bar has closed."""
        return None

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        """A public trade happened."""
        return None

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        """The order book changed."""
        return None

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        """One of this strategy's orders was filled, in part or whole, or the venue closed the position (VENUE)."""
        return None

    def on_order(self, ctx: Context, update: OrderUpdate) -> Proposals:
        """The venue says of one of its orders what no fill says: refused, canceled, expired, triggered, amended."""
        return None

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        """A timer that this strategy set has come due."""
        return None
