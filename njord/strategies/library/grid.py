"""Resting bids at even steps below a center; what one of them buys is offered one step higher, and so on, both ways."""

from decimal import Decimal

import msgspec

from njord.core.types import BUY, LIMIT, SELL
from njord.strategies import (
    BarView,
    CancelIntent,
    Context,
    FillEvent,
    OrderIntent,
    Proposal,
    Proposals,
    Side,
    Strategy,
    StrategyParams,
)


class Grid(Strategy):
    """Earns one step each time the price swings through it, and holds at most `levels` orders' worth.

    The center is the close at which the grid opens. Slot k, from 1 to `levels`, is bought k steps below the center and
    sold k - 1 steps below it. What ought to work follows from what is held: the first slots are full, the next one may
    be half full, and each slot offers what it holds and bids for the rest. Every fill and every bar, what is missing is
    placed. When a close lies more than `levels` + 1 steps from the center, all orders are canceled, what is held is sold
    at market, and a new grid opens around the next close. A malformed bar is passed over.
    """

    class Params(StrategyParams, frozen=True):
        """`step_bps` is in basis points of the center; `weight` is the share of equity of all slots, or `qty` one slot's."""

        levels: int = 5
        step_bps: int = 50
        weight: float = 0.9
        qty: Decimal | None = None

        def __post_init__(self) -> None:
            if not 1 <= self.levels <= 100:
                raise ValueError(f"levels must be 1 to 100, was {self.levels}")
            if self.step_bps < 1:
                raise ValueError(f"step_bps must be >= 1, was {self.step_bps}")
            if (self.levels + 1) * self.step_bps >= 10_000:
                raise ValueError(
                    f"(levels + 1) x step_bps must be < 10000, was {(self.levels + 1) * self.step_bps}"
                )
            if not 0 < self.weight < 1:
                raise ValueError(f"weight must be in (0, 1), to leave room for fees, was {self.weight}")
            if self.qty is not None and not self.qty > 0:
                raise ValueError(f"qty must be > 0, was {self.qty}")

    class State(msgspec.Struct):
        """The open grid: its center and step in ticks, a slot's lots; a center of 0 = none is open."""

        center: int = 0
        step: int = 0
        slot_lots: int = 0

    params: Params
    state: State

    def warm_up(self) -> int:
        """Return one bar: its close is the center."""
        return 1

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Open a grid, keep it complete, or leave it."""
        state, close = self.state, bar.close_ticks
        if not ctx.is_warm or not 0 < bar.low_ticks <= close <= bar.high_ticks:
            return None
        if not state.center:
            return self._clear(ctx) or self._open(ctx, close)
        if abs(close - state.center) > (self.params.levels + 1) * state.step:
            state.center = 0
            return self._clear(ctx)
        return self._complete(ctx)

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        """Offer what was bought, bid again for what was sold."""
        return self._complete(ctx) if self.state.center else None

    # First the orders go, then what is held; nothing is left to do when both are gone.
    def _clear(self, ctx: Context) -> list[Proposal]:
        orders = ctx.open_orders
        if orders:
            return [_cancel(order.client_order_id, "left the grid") for order in orders]
        held = ctx.instrument.lots(ctx.own_qty)
        return (
            [OrderIntent(side=SELL, qty_lots=held, reduce_only=True, reason="left the grid")]
            if held > 0
            else []
        )

    def _open(self, ctx: Context, close: int) -> Proposals:
        params, equity = self.params, ctx.equity
        step = close * params.step_bps // 10_000
        if params.qty is not None:
            lots = ctx.instrument.lots(params.qty)
        elif equity is None:
            return None
        else:
            share = float(equity) * params.weight / params.levels
            lots = ctx.instrument.lots(share / ctx.instrument.price_float(close))
        if step < 1 or lots < 1:
            return None
        self.state.center, self.state.step, self.state.slot_lots = close, step, lots
        return self._complete(ctx)

    def _complete(self, ctx: Context) -> list[Proposal]:
        wanted = self._wanted(ctx.instrument.lots(ctx.own_qty))
        proposals: list[Proposal] = []
        for order in ctx.open_orders:
            key = (order.side, order.limit_price_ticks)
            missing = wanted.get(key, 0)
            if order.remaining_lots <= missing:
                wanted[key] = missing - order.remaining_lots
            else:
                proposals.append(_cancel(order.client_order_id, "not of the grid"))
        for (side, ticks), lots in wanted.items():
            small = lots < ctx.instrument.min_qty_lots
            if not small and ctx.instrument.notional(ticks, lots) >= ctx.instrument.min_notional:
                proposals.append(_limit(side, ticks, lots))
        return proposals

    # (side, price) -> lots that ought to work, the nearest to the center first.
    def _wanted(self, held: int) -> dict[tuple[Side, int], int]:
        state = self.state
        wanted: dict[tuple[Side, int], int] = {}
        for slot in range(1, self.params.levels + 1):
            full = min(max(held - (slot - 1) * state.slot_lots, 0), state.slot_lots)
            if full:
                wanted[SELL, state.center - (slot - 1) * state.step] = full
            if full < state.slot_lots:
                wanted[BUY, state.center - slot * state.step] = state.slot_lots - full
        return wanted


def _cancel(client_order_id: str, reason: str) -> CancelIntent:
    return CancelIntent(client_order_id=client_order_id, reason=reason)


def _limit(side: Side, ticks: int, lots: int) -> OrderIntent:
    is_sale = side is SELL
    return OrderIntent(
        side=side,
        type=LIMIT,
        qty_lots=lots,
        limit_price_ticks=ticks,
        reduce_only=is_sale,
        reason="grid offer" if is_sale else "grid bid",
    )
