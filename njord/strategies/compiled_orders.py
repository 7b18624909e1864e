"""OrderStrategy: a compiled strategy that places and cancels orders itself, the same in a sweep and with real money.

    class BuyTheDip(OrderStrategy):
        class Params(StrategyParams, frozen=True):
            dip_ticks: int = 500
            weight: float = 0.5

        def numbers(self) -> Sequence[float]:
            return (self.params.dip_ticks, self.params.weight)

        @decision
        def decide(now: Now, values: Values, state: FloatArray, params: FloatArray, orders: Orders) -> None:
            if now.position_lots > 0:
                sell(orders, 1, now.position_lots)
            elif working(orders, 0) == 0:
                buy_limit(orders, 0, int(params[1] * equity_lots(orders)), now.close - int(params[0]))

An order works in a slot, a number from 0 to 15 that the strategy chooses. `buy` and `sell` trade at the market,
`buy_limit` and `sell_limit` at a price in ticks or better, each for whole lots; `cancel` and `cancel_all` take back what
works. Of each slot `working` tells the lots that still work (of a sell below zero), `limit_of` their price and `filled` the
lots that have filled since the last bar. An order for a slot in which one works replaces it: that one is canceled first.

The risk gate counts an order until the venue has said that it is gone. So what replaces another order at the same bar
needs room beside it: on spot a sale of everything can not replace a sale of everything; cancel it at one bar, sell at the
next. An order that the gate refuses leaves its slot empty. Everything else is as in `CompiledStrategy`.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from njord.core.contracts import CancelIntent, FillEvent, OrderIntent
from njord.core.orders import WorkingOrder
from njord.core.types import BUY, LIMIT, MARKET, SELL, TimeInForce
from njord.core.units import EXACT, ZERO
from njord.kernels.fused_orders import OrdersRun
from njord.kernels.fused_tables import Now
from njord.kernels.order_slots import (
    ASKED,
    CANCELED,
    EQUITY,
    FILLED_LOTS,
    HEAD,
    IOC,
    IS_LIMIT,
    LOT_WORTH,
    N_SLOTS,
    POST_ONLY,
    REDUCE_ONLY,
    WISH_KIND,
    WISH_LIMIT,
    WISH_LOTS,
    WISH_SIGN,
    WORK_LIMIT,
    WORK_LOTS,
    WORK_SIGN,
    buy,
    buy_limit,
    cancel,
    cancel_all,
    equity_lots,
    filled,
    fresh_slots,
    limit_of,
    sell,
    sell_limit,
    working,
)
from njord.strategies.base import Proposals, StrategyParams
from njord.strategies.compiled import CompiledStrategy, Values, compile_for
from njord.strategies.context import BarView, Context
from njord.strategies.features import FloatArray, IntArray

__all__ = [
    "IOC",
    "N_SLOTS",
    "POST_ONLY",
    "REDUCE_ONLY",
    "FloatArray",
    "Now",
    "OrderStrategy",
    "Orders",
    "Values",
    "buy",
    "buy_limit",
    "cancel",
    "cancel_all",
    "decision",
    "equity_lots",
    "filled",
    "limit_of",
    "sell",
    "sell_limit",
    "working",
]

Orders = IntArray
Decide = Callable[[Now, Values, FloatArray, FloatArray, Orders], None]


class OrderMachine(NamedTuple):
    """A strategy's compiled functions: those of `kernels/fused_orders.py` with its own `decide` inside."""

    run: Callable[..., OrdersRun]
    ask: Callable[[IntArray, FloatArray, FloatArray, FloatArray, Orders], None]


def decision(function: Decide) -> Any:
    """Mark a strategy's function as the one to compile; as `compiled.decision`."""
    return staticmethod(function)


class OrderStrategy(CompiledStrategy):
    """Base of compiled strategies that place orders themselves; see the module's text.

    It names no level of exposure, so `levels`, `reasons` and `target` say nothing here.

    Attributes:
        order_machine_of: Returns the compiled functions for a number of indicators; given to the class when it is loaded.
    """

    places_orders: ClassVar[bool] = True
    order_machine_of: ClassVar[Callable[[int], OrderMachine]]

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self._slots = fresh_slots()

    @property
    def order_machine(self) -> OrderMachine:
        """The compiled functions with this strategy's `decide` inside."""
        return type(self).order_machine_of(len(self.declared))

    def get_ready(self) -> None:
        """Compile what `on_bar` calls, or take it from the disk."""
        compile_for(
            self.order_machine.ask, self._event, self._values, self._cells, self._numbers, self._slots
        )

    def target(self, level: int) -> tuple[float | None, Decimal | None]:
        """Return nothing of the account: no level is ever asked for."""
        return 0.0, None

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        """Count what has filled, by slot."""
        slot = _slot(fill.slice_id)
        if slot is not None:
            self._slots[slot, FILLED_LOTS] += fill.qty_lots
        return None

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Ask `decide`; propose the cancels and orders that it wants."""
        slots = self._slots
        owners = self._show(ctx.open_orders)
        self._read(ctx, bar)
        lot_worth = bar.instrument.notional(bar.close_ticks, 1)
        slots[HEAD, EQUITY] = int(EXACT.divide_int(max(ZERO, ctx.equity or ZERO), lot_worth))
        slots[HEAD, LOT_WORTH] = 1
        self.order_machine.ask(self._event, self._values, self._cells, self._numbers, slots)
        slots[:N_SLOTS, FILLED_LOTS] = 0
        asked, canceled = int(slots[HEAD, ASKED]), int(slots[HEAD, CANCELED])
        if not asked | canceled:
            return None
        slots[HEAD, ASKED] = slots[HEAD, CANCELED] = 0
        if not ctx.is_warm:
            return None
        leaving = (
            owners[slot] for slot in range(N_SLOTS) if (asked | canceled) >> slot & 1 and slot in owners
        )
        cancels = [CancelIntent(client_order_id=each.client_order_id) for own in leaving for each in own]
        return [
            *cancels,
            *(self._order(slot) for slot in range(N_SLOTS) if asked >> slot & 1),
        ]

    # Fills in what works; returns the orders of each slot. Several are there while a cancel is under way: the newest counts.
    def _show(self, open_orders: Sequence[WorkingOrder]) -> dict[int, list[WorkingOrder]]:
        slots, owners = self._slots, dict[int, list[WorkingOrder]]()
        slots[:N_SLOTS, :FILLED_LOTS] = 0
        for order in open_orders:
            slot = _slot(order.event.slice_id)
            if slot is not None:
                owners.setdefault(slot, []).append(order)
                slots[slot, WORK_SIGN] = order.side.sign
                slots[slot, WORK_LOTS] = order.remaining_lots
                slots[slot, WORK_LIMIT] = order.limit_price_ticks
        return owners

    # The slot travels as the order's slice, so that fills and working orders can be told apart wherever the run goes on.
    def _order(self, slot: int) -> OrderIntent:
        sign, lots, limit, kind = self._slots[slot, [WISH_SIGN, WISH_LOTS, WISH_LIMIT, WISH_KIND]].tolist()
        return OrderIntent(
            slice_id=str(slot),
            side=BUY if sign > 0 else SELL,
            type=LIMIT if kind & IS_LIMIT else MARKET,
            tif=TimeInForce.IOC if kind & IOC else TimeInForce.GTC,
            qty_lots=lots,
            limit_price_ticks=limit,
            reduce_only=bool(kind & REDUCE_ONLY),
            post_only=bool(kind & POST_ONLY),
        )


def _slot(slice_id: str) -> int | None:
    return int(slice_id) if slice_id.isdigit() and int(slice_id) < N_SLOTS else None
