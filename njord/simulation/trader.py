"""A strategy that means no harm and no good: it trades often, in every way a spot venue offers, and changes its mind.

Whether it earns is nothing to it. It places market orders and limit orders of every kind near the last trade, lets some
rest, amends and cancels them soon or late, also twice and also before the venue has answered. Its choices follow from its seed and
from what it sees, so that the same session makes the same orders.
"""

from random import Random

from njord.core.contracts import AmendIntent, CancelIntent, OrderIntent, TradeEvent
from njord.core.orders import WorkingOrder
from njord.core.types import BUY, LIMIT, MARKET, SELL, OrderType, Side, TimeInForce
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import Context

_WAYS = ("market", "touch", "rest", "ioc", "cross", "post", "cancel", "cancel", "cancel_twice")
_AMENDING_WAYS = (*_WAYS, "amend", "amend", "amend_twice")


class SeededTrader(Strategy):
    """Acts on some trades, until it is told to be quiet."""

    class Params(StrategyParams, frozen=True):
        """`share` of the public trades that it acts on; orders of `lots_max` at most; `far_ticks` for resting orders;
        `amends` if it also changes orders."""

        seed: int = 0
        share: float = 0.2
        lots_max: int = 1000
        far_ticks: int = 3000
        quiet_ns: int = 2**63 - 1
        amends: bool = True

    params: Params

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self._random = Random(f"trader {self.params.seed}")

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        """Do something, or nothing."""
        random, params = self._random, self.params
        if ctx.ts_ns >= params.quiet_ns or random.random() >= params.share:
            return None
        way = random.choice(_AMENDING_WAYS if params.amends else _WAYS)
        if not way.startswith(("cancel", "amend")):
            return self._order(ctx, trade, way)
        orders = ctx.open_orders
        if not orders:
            return None
        chosen = random.choice(orders)
        n_times = 2 if way.endswith("_twice") else 1
        if way.startswith("amend"):
            return [self._amendment(chosen, trade) for _ in range(n_times)]
        name = chosen.client_order_id
        return [CancelIntent(client_order_id=name, reason="changed its mind") for _ in range(n_times)]

    def _amendment(self, order: WorkingOrder, trade: TradeEvent) -> AmendIntent:
        random = self._random
        what = random.choice(("price", "lots", "both"))
        lots = random.randrange(1, self.params.lots_max + 1)
        return AmendIntent(
            client_order_id=order.client_order_id,
            qty_lots=0 if what == "price" else lots,
            limit_price_ticks=0
            if what == "lots"
            else self._price(order.side, trade.price_ticks, "rest", LIMIT),
            reason=what,
        )

    def _order(self, ctx: Context, trade: TradeEvent, way: str) -> OrderIntent | None:
        random, params = self._random, self.params
        held_lots = int(ctx.own_qty / ctx.instrument.lot_size)
        side = SELL if held_lots > 0 and random.random() < 0.55 else BUY
        lots = random.randrange(1, params.lots_max + 1)
        if side is SELL:
            # More than is held is asked for at times: the gate has to say no.
            lots = min(lots, held_lots) if random.random() < 0.9 else lots
        order_type = MARKET if way == "market" else LIMIT
        return OrderIntent(
            side=side,
            type=order_type,
            tif=TimeInForce.IOC if way == "ioc" else TimeInForce.GTC,
            qty_lots=lots,
            limit_price_ticks=self._price(side, trade.price_ticks, way, order_type),
            post_only=way == "post",
            reason=way,
        )

    def _price(self, side: Side, last_ticks: int, way: str, order_type: OrderType) -> int:
        if order_type is MARKET:
            return 0
        if way in ("touch", "post"):
            return max(1, last_ticks - side.sign * self._random.randrange(0, 200))
        if way == "rest":
            return max(1, last_ticks - side.sign * self._random.randrange(200, self.params.far_ticks))
        return max(1, last_ticks + side.sign * self._random.randrange(0, 300))  # Takes some, and may rest.
