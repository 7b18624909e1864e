"""The real runner with strategies on it, and a venue played by hand: it accepts what is proposed and does as told."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from njord.core.account import SpotAccount
from njord.core.contracts import (
    BookEvent,
    CancelIntent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    StrategySuspended,
    TimerFired,
    TimerSet,
)
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder
from njord.core.types import OrderReason, OrderStatus
from njord.strategies.base import Strategy
from njord.strategies.hosted import HostedStrategy
from njord.strategies.runner import StrategyRunner
from tests.property.strategies import START_NS, bar, fill_event, instrument, order_event

CENTS = instrument(tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
OTHER = instrument("ETH/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))


class Driver:
    """Strategies of one id, one object per instrument.

    Args:
        strategies: The object of each instrument.
        confirms: Whether the venue says at once that it has an order.
    """

    def __init__(self, *strategies: Strategy, confirms: bool = True) -> None:
        traded: Sequence[Instrument] = (CENTS, OTHER)[: len(strategies)]
        account = SpotAccount(traded, "USDT", Decimal(10_000))
        hosts = [HostedStrategy("s", strategy, index) for index, strategy in enumerate(strategies)]
        self.runner = StrategyRunner(hosts, traded, Holdings(account, traded), "main", {"s": Counter("s", 0)})
        self.confirms = confirms
        self.now_ns = START_NS
        self.due: TimerSet | None = None
        self._handlers = self.runner.handlers()

    def step(self, message: Message) -> list[Any]:
        """Hand in one message; return the proposals that it caused, timers apart."""
        self.now_ns = message.ts_ns
        said: list[Any] = []
        for proposal in self._handlers[type(message)](message) or ():
            if isinstance(proposal, StrategySuspended):
                raise AssertionError(proposal.error)
            if isinstance(proposal, TimerSet):
                self.due = proposal
            else:
                said.append(proposal)
        for proposal in said:
            if isinstance(proposal, OrderIntent):
                self._approve(proposal)
        return said

    def _approve(self, intent: OrderIntent) -> None:
        names = set(OrderIntent.__struct_fields__) & set(OrderEvent.__struct_fields__) - {"schema"}
        fields = {name: getattr(intent, name) for name in names}
        self.step(order_event(client_order_id=intent.intent_id, **fields))
        if self.confirms:
            self.word(intent.intent_id, OrderStatus.ACCEPTED)

    def bar(self, number: int, close: int, index: int = 0, **prices: int) -> list[Any]:
        """Close a bar, flat unless prices are given."""
        open_, high, low = (prices.get(name, close) for name in ("open_", "high", "low"))
        return self.step(bar(number, open_, high, low, close, index))

    def book(self, bid: int, ask: int, after_ns: int = 0, **given: Any) -> list[Any]:
        """Replace the book by one bid and one ask."""
        ts_ns = self.now_ns + after_ns
        values: dict[str, Any] = {"ts_venue_ns": ts_ns, "first_update_id": 1, "last_update_id": 1, **given}
        bids, asks = (((ticks, 7),) if ticks else () for ticks in (bid, ask))
        return self.step(
            BookEvent(ts_ns=ts_ns, instrument=0, bids=bids, asks=asks, is_snapshot=True, **values)
        )

    def wake(self) -> list[Any]:
        """Let the timer fire that was set last."""
        assert self.due is not None
        due = self.due
        return self.step(
            TimerFired(
                ts_ns=due.due_ns, strategy_id="s", instrument=due.instrument, key=due.key, due_ns=due.due_ns
            )
        )

    def fill(self, order: WorkingOrder, lots: int = 0, price_ticks: int = 0) -> list[Any]:
        """Fill an order, all of it unless told otherwise; return what on_fill proposed."""
        lots = lots or order.remaining_lots
        said = self.step(
            fill_event(
                order.client_order_id,
                ts_ns=self.now_ns,
                instrument=order.instrument,
                side=order.side,
                qty_lots=lots,
                price_ticks=price_ticks or order.limit_price_ticks,
            )
        )
        if lots == order.remaining_lots:
            self.word(order.client_order_id, OrderStatus.FILLED)
        return said

    def word(self, client_order_id: str, status: OrderStatus) -> None:
        """Let the venue say a word on an order."""
        order = self.runner.world.working.get(client_order_id)
        assert order is not None
        self.step(
            OrderUpdate(
                ts_ns=self.now_ns,
                instrument=order.instrument,
                account_id="main",
                strategy_id="s",
                intent_id=order.intent_id,
                client_order_id=client_order_id,
                status=status,
                reason=OrderReason.NONE,
                ts_venue_ns=self.now_ns,
            )
        )

    def cancel(self, said: Sequence[Any]) -> None:
        """Do what cancels ask for."""
        for proposal in said:
            if isinstance(proposal, CancelIntent):
                self.word(proposal.client_order_id, OrderStatus.CANCELED)

    def working(self, index: int = 0) -> list[WorkingOrder]:
        """Return copies of the working orders of one instrument, oldest first."""
        return list(self.runner._hosted[index].context.open_orders)


def lines(said: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return (side, limit, lots) of each order and ("cancel", id) of each cancel."""
    return [
        ("cancel", each.client_order_id)
        if isinstance(each, CancelIntent)
        else (each.side.value, each.limit_price_ticks, each.qty_lots)
        for each in said
    ]
