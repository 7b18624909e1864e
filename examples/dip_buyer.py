"""Buy a dip with a limit order, cancel it by a timer if it does not fill, sell with another: orders by hand.

njord backtest examples/dip_buyer.py --data BTCUSDT-1m.csv --param dip_bps=30 --param patience_s=600
"""

from decimal import Decimal

from njord.strategies import (
    BarView,
    CancelIntent,
    Context,
    FillEvent,
    OrderIntent,
    OrderType,
    Proposals,
    Side,
    Strategy,
    StrategyParams,
    TimerFired,
    TimerSet,
)

_NS_PER_S = 1_000_000_000


class DipBuyer(Strategy):
    """One order at a time: a bid below the market, then an offer above what was paid."""

    class Params(StrategyParams, frozen=True):
        """Distances in basis points of the price, patience in seconds, quantity in the base asset."""

        dip_bps: int = 30
        gain_bps: int = 60
        patience_s: int = 600
        qty: Decimal = Decimal("0.01")

    params: Params

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Place a bid while nothing is held and nothing works."""
        if ctx.qty or ctx.open_orders:
            return None
        price = bar.close * (1 - self.params.dip_bps / 10_000)
        bid = OrderIntent(
            side=Side.BUY,
            type=OrderType.LIMIT,
            qty_lots=ctx.instrument.lots(self.params.qty),
            limit_price_ticks=ctx.instrument.limit_ticks(price, Side.BUY),
            reason="dip",
        )
        return [bid, TimerSet(key="patience", due_ns=ctx.ts_ns + self.params.patience_s * _NS_PER_S)]

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        """Withdraw a bid that nobody hit."""
        return [
            CancelIntent(client_order_id=order.client_order_id, reason="no patience left")
            for order in ctx.open_orders
            if order.side is Side.BUY
        ]

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        """Offer what was bought for a little more; after a sale `on_bar` bids again."""
        if fill.side is Side.SELL:
            return None
        price = ctx.instrument.price_float(fill.price_ticks) * (1 + self.params.gain_bps / 10_000)
        return OrderIntent(
            side=Side.SELL,
            type=OrderType.LIMIT,
            qty_lots=fill.qty_lots,
            limit_price_ticks=ctx.instrument.limit_ticks(price, Side.SELL),
            reduce_only=True,
            reason="gain",
        )
