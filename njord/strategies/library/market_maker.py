"""Join the best bid and the best ask with one post-only order a side; cancel what the touch has left behind."""

from decimal import Decimal

import msgspec

from njord.core.contracts import BookEvent, TradeEvent
from njord.core.orders import WorkingOrder
from njord.core.types import BUY, LIMIT, SELL, OrderStatus
from njord.core.units import NS_PER_MS
from njord.strategies import (
    CancelIntent,
    Context,
    OrderIntent,
    Proposal,
    Proposals,
    Side,
    Strategy,
    StrategyParams,
    TimerFired,
    TimerSet,
)

_TIMER = "quote"
_CANCELABLE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


class MarketMaker(Strategy):
    """A maker at the touch of an order book, awake every `interval_ms` and at no other time.

    Each time: an order that stands at the touch stays; every other that the venue has confirmed is canceled, once; and a
    side that has no order at the touch gets one, unless its fill would carry the position beyond `position_max`. Orders
    that are still on their way count where they will stand. The times are counted from the first event's venue time, and lie
    one nanosecond later: a timer comes before whatever becomes known at its own instant, and venues count in whole
    milliseconds.
    Selling first needs an account that may be short; on spot those orders are refused.
    """

    class Params(StrategyParams, frozen=True):
        """`qty` of each order and `position_max`, long or short, are in base."""

        qty: Decimal = Decimal("0.02")
        position_max: Decimal = Decimal(1)
        interval_ms: int = 100

        def __post_init__(self) -> None:
            if not self.qty > 0:
                raise ValueError(f"qty must be > 0, was {self.qty}")
            if not self.position_max >= self.qty:
                raise ValueError(f"position_max must be >= qty ({self.qty}), was {self.position_max}")
            if self.interval_ms < 1:
                raise ValueError(f"interval_ms must be >= 1, was {self.interval_ms}")

    class State(msgspec.Struct):
        """Whether the clock runs, and the orders whose cancel is under way."""

        is_awake: bool = False
        canceling: list[str] = msgspec.field(default_factory=list)

    params: Params
    state: State

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        """Start the clock at the first event."""
        return None if self.state.is_awake else self._start(ctx, book.ts_venue_ns)

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        """Start the clock at the first event."""
        return None if self.state.is_awake else self._start(ctx, trade.ts_venue_ns)

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        """Quote, and wake again one interval later."""
        again = TimerSet(key=_TIMER, due_ns=timer.due_ns + self.params.interval_ms * NS_PER_MS)
        return [again, *self._quotes(ctx)]

    def _start(self, ctx: Context, ts_venue_ns: int) -> TimerSet:
        self.state.is_awake = True
        interval_ns = self.params.interval_ms * NS_PER_MS
        start_ns = min(ctx.ts_ns, ts_venue_ns)
        passed = (ctx.ts_ns - start_ns) // interval_ns
        return TimerSet(key=_TIMER, due_ns=start_ns + (passed + 1) * interval_ns + 1)

    def _quotes(self, ctx: Context) -> list[Proposal]:
        book = ctx.book
        if book is None or not book.best_bid_ticks or not book.best_ask_ticks:
            return []
        touch = {BUY: book.best_bid_ticks, SELL: book.best_ask_ticks}
        orders = ctx.open_orders
        proposals = self._cancels(orders, touch)
        qty, most = ctx.instrument.lots(self.params.qty), ctx.instrument.lots(self.params.position_max)
        held = ctx.instrument.lots(ctx.own_qty)
        for side, ticks in touch.items():
            stands = any(order.side is side and order.limit_price_ticks == ticks for order in orders)
            if not stands and side.sign * held + qty <= most:
                proposals.append(
                    OrderIntent(
                        side=side,
                        type=LIMIT,
                        qty_lots=qty,
                        limit_price_ticks=ticks,
                        post_only=True,
                        reason="touch",
                    )
                )
        return proposals

    # A venue that has not confirmed an order, or was asked to cancel it already, is not asked (again).
    def _cancels(self, orders: tuple[WorkingOrder, ...], touch: dict[Side, int]) -> list[Proposal]:
        asked = self.state.canceling
        left = [order for order in orders if order.limit_price_ticks != touch[order.side]]
        new = [
            order.client_order_id
            for order in left
            if order.status in _CANCELABLE and order.client_order_id not in asked
        ]
        working = [order.client_order_id for order in orders]
        self.state.canceling = [each for each in asked if each in working] + new
        return [CancelIntent(client_order_id=each, reason="the touch moved") for each in new]
