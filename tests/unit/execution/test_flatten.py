"""The flattener: what the kill switch wants closed is closed, by those who hold it, and never asked for in a loop."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from njord.core.account import SpotAccount
from njord.core.contracts import (
    CancelEvent,
    CancelIntent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
    TimerFired,
    TimerSet,
)
from njord.core.holdings import Holdings
from njord.core.types import LIMIT, OrderStatus, RefusalReason, Side, TradingState
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.execution.flatten import ATTEMPTS_MAX, RETRY_NS, Flattener
from njord.strategies import BarView, Context, Strategy
from tests.property.strategies import (
    INTERVAL_NS,
    START_NS,
    BarHost,
    bar,
    fill_event,
    instrument,
    order_event,
    order_update,
)


class Places(Strategy):
    """Places given orders at given bars."""

    def __init__(self, orders: dict[int, list[OrderIntent]]) -> None:
        self.orders = orders

    def on_bar(self, ctx: Context, bar: BarView) -> Any:
        return self.orders.get(ctx.n_bars)


def buy(lots: int, **given: Any) -> OrderIntent:
    return OrderIntent(side=Side.BUY, qty_lots=lots, **given)


def rests(side: Side, lots: int, ticks: int, **given: Any) -> OrderIntent:
    return OrderIntent(side=side, type=LIMIT, qty_lots=lots, limit_price_ticks=ticks, **given)


def flat_bar(number: int, ticks: int = 1000) -> Any:
    return bar(number, ticks, ticks, ticks, ticks)


def now_ns(host: BarHost) -> int:
    return max(message.ts_ns for message in host.journal.messages)


def host_after(
    *placed: dict[int, list[OrderIntent]], bars: int = 3, traded: Any = None, rules: Any = None
) -> BarHost:
    traded = traded or instrument()
    hosted = {f"s{number}": [(0, Places(orders))] for number, orders in enumerate(placed, start=1)}
    host = BarHost(hosted, [traded], rules=rules)
    for number in range(bars):
        host.feed(flat_bar(number))
    return host


def tell(host: BarHost, state: TradingState, source: str = "kill_switch", **given: Any) -> None:
    given = {"cancels": state is not TradingState.ACTIVE, **given}
    host.step(
        KillSwitchState(
            ts_ns=now_ns(host), state=state, source=source, valid_until_ns=FOREVER_NS, reason="drill", **given
        )
    )


def flatten(host: BarHost) -> None:
    tell(host, TradingState.REDUCE_ONLY, flattens=True)


def own(host: BarHost) -> list[OrderEvent]:
    return [order for order in host.of(OrderEvent) if order.intent_id.startswith("@flatten-")]


def test_positions_are_closed_by_market_orders_that_only_reduce_and_belong_to_their_holders() -> None:
    host = host_after({1: [buy(40)]}, {1: [buy(100)]})
    assert not host.system.flattener.is_flat(now_ns(host))
    flatten(host)
    assert [
        (order.strategy_id, order.side, order.qty_lots, order.reduce_only, order.type) for order in own(host)
    ] == [
        ("s2", Side.SELL, 100, True, "market"),
        ("s1", Side.SELL, 40, True, "market"),
    ]
    host.feed(flat_bar(3))
    assert host.system.flattener.is_flat(now_ns(host))
    assert host.system.ledger.account.position(0).qty == 0
    assert {intent.reason for intent in host.of(OrderIntent)[-2:]} == {"kill_switch flattens: drill"}


def test_only_the_net_position_is_closed_and_only_by_its_side() -> None:
    host = host_after({1: [buy(100)]}, {2: [OrderIntent(side=Side.SELL, qty_lots=40)]}, bars=4)
    flatten(host)
    assert [(order.strategy_id, order.side, order.qty_lots) for order in own(host)] == [("s1", Side.SELL, 60)]


def test_of_two_holders_on_the_net_side_the_smaller_closes_what_is_left() -> None:
    sells = {2: [OrderIntent(side=Side.SELL, qty_lots=40)]}
    host = host_after({1: [buy(100)]}, {1: [buy(50)]}, sells, bars=4)
    flatten(host)
    assert [(order.strategy_id, order.qty_lots) for order in own(host)] == [("s1", 100), ("s2", 10)]


def test_an_account_is_not_flat_while_an_order_works_and_is_when_the_rest_is_too_small_to_sell() -> None:
    host = host_after({1: [rests(Side.BUY, 10, 900)]})
    assert not host.system.flattener.is_flat(now_ns(host))
    host = host_after({1: [buy(70)]}, traded=instrument(min_notional=Decimal(5)))
    assert not host.system.flattener.is_flat(now_ns(host))
    host.feed(flat_bar(3, 700))  # 0.07 x 70 = 4.9
    assert host.system.flattener.is_flat(now_ns(host))


class Alone:
    """The flattener with books that the test writes: no gate, no venue."""

    def __init__(self) -> None:
        traded = [instrument()]
        self.account = SpotAccount(traded, "USDT", Decimal(10_000))
        self.holdings = Holdings(self.account, traded)
        self.working = self.holdings.working
        self.flattener = Flattener(self.account, traded, self.holdings, [1000], "main")

    def tell(self, message: Message) -> list[Message]:
        """What the order manager and the ledger do, and then the flattener."""
        if isinstance(message, OrderUpdate):
            self.working.update(message)
        elif isinstance(message, FillEvent):
            self.holdings.fill(message)
        handle = self.flattener.handlers().get(type(message))
        caused = list(handle(message) or ()) if handle is not None else []
        if isinstance(message, FillEvent):
            self.account.apply_fill(message, [1000])
        for intent in caused:
            if isinstance(intent, OrderIntent):
                self.approve(intent.intent_id, intent.side, intent.qty_lots)
        return caused

    def approve(self, name: str, side: Side, lots: int) -> None:
        """An order that the gate has let pass."""
        self.working.approve(replace(order_event(name), intent_id=name, side=side, qty_lots=lots))

    def update(self, name: str, status: OrderStatus) -> list[Message]:
        """The venue's word on it."""
        return self.tell(replace(order_update(status, name), intent_id=name))


TRIP = KillSwitchState(
    ts_ns=START_NS,
    state=TradingState.REDUCE_ONLY,
    source="kill_switch",
    valid_until_ns=FOREVER_NS,
    cancels=True,
    flattens=True,
)
RETRY = TimerFired(ts_ns=START_NS, strategy_id="@flatten", instrument=0, key="retry", due_ns=START_NS)


def test_what_a_venue_refuses_is_not_sent_again_at_once() -> None:
    alone = Alone()
    alone.tell(fill_event("z", strategy_id="s1", side=Side.BUY, qty_lots=50))
    alone.approve("stuck", Side.SELL, 20)  # Its cancel is never answered.
    assert [type(each) for each in alone.tell(TRIP)] == [TimerSet]
    caused = alone.tell(RETRY)
    assert [type(each) for each in caused] == [CancelIntent, TimerSet, OrderIntent]
    assert [each.qty_lots for each in caused if isinstance(each, OrderIntent)] == [30]
    assert alone.update("@flatten-2", OrderStatus.REJECTED) == []
    caused = alone.update("stuck", OrderStatus.CANCELED)
    assert [each.qty_lots for each in caused if isinstance(each, OrderIntent)] == [50]


def test_an_attempt_that_was_sent_is_over_whatever_else_ends() -> None:
    alone = Alone()
    alone.tell(fill_event("z", strategy_id="s1", side=Side.BUY, qty_lots=50))
    assert [type(each) for each in alone.tell(TRIP)] == [TimerSet, OrderIntent]
    assert alone.update("@flatten-1", OrderStatus.REJECTED) == []
    alone.approve("later", Side.SELL, 20)
    assert alone.update("later", OrderStatus.CANCELED) == []
    assert [type(each) for each in alone.tell(RETRY)] == [TimerSet, OrderIntent]


def test_nothing_is_closed_while_an_order_works_and_at_once_when_the_last_has_gone() -> None:
    orders = [rests(Side.BUY, 10, 900), rests(Side.SELL, 30, 1100, reduce_only=True)]
    host = host_after({1: [buy(50)], 2: orders})
    assert len(host.system.oms.working) == 2
    flatten(host)
    kinds = [
        type(message).__name__
        for message in host.journal.messages
        if isinstance(message, CancelEvent | OrderEvent) and message.ts_ns == now_ns(host)
    ]
    assert kinds == ["CancelEvent", "CancelEvent", "OrderEvent"]
    assert own(host)[0].qty_lots == 50


def test_reduce_only_without_flattening_spares_orders_that_only_reduce_and_halted_spares_none() -> None:
    orders = [rests(Side.BUY, 10, 900), rests(Side.SELL, 30, 1100, reduce_only=True)]
    host = host_after({1: [buy(50)], 2: orders})
    tell(host, TradingState.REDUCE_ONLY)
    assert [order.reduce_only for order in host.system.oms.working] == [True]
    assert own(host) == []
    tell(host, TradingState.HALTED)
    assert not host.system.oms.working
    assert {cancel.reason for cancel in host.of(CancelIntent)} == {
        "kill_switch says reduce_only: drill",
        "kill_switch says halted: drill",
    }


def test_a_word_that_does_not_ask_for_cancels_leaves_orders_alone() -> None:
    host = host_after({1: [rests(Side.BUY, 10, 900)]})
    tell(host, TradingState.HALTED, cancels=False)
    tell(host, TradingState.ACTIVE, cancels=True, flattens=True)
    assert len(host.system.oms.working) == 1
    assert host.of(CancelIntent) == []


def halts_elsewhere(host: BarHost) -> None:
    tell(host, TradingState.HALTED, source="redis", cancels=False)


def test_a_gate_that_refuses_is_asked_three_times_ten_seconds_apart_and_no_more() -> None:
    host = host_after({1: [buy(50)]})
    halts_elsewhere(host)
    flatten(host)
    for number in range(3, 10):
        host.feed(flat_bar(number))
    refused = [decision for decision in host.of(RiskDecision) if decision.intent_id.startswith("@flatten-")]
    assert [decision.reason for decision in refused] == [RefusalReason.KILL_SWITCH_HALTED] * ATTEMPTS_MAX
    times = [decision.ts_ns for decision in refused]
    assert [later - earlier for earlier, later in pairwise(times)] == [RETRY_NS] * 2
    assert not host.system.flattener.is_flat(now_ns(host))


def test_a_new_trip_may_ask_three_times_again() -> None:
    host = host_after({1: [buy(50)]})
    halts_elsewhere(host)
    for _ in range(2):
        flatten(host)
        for number in range(3):
            host.feed(flat_bar((now_ns(host) - START_NS) // INTERVAL_NS + number))
        tell(host, TradingState.ACTIVE)
    refused = [decision for decision in host.of(RiskDecision) if decision.intent_id.startswith("@flatten-")]
    assert len(refused) == 2 * ATTEMPTS_MAX


def test_the_same_word_again_is_the_same_trip_and_another_source_does_not_end_it() -> None:
    host = host_after({1: [buy(50)]})
    halts_elsewhere(host)
    for _ in range(5):
        flatten(host)
        tell(host, TradingState.ACTIVE, source="node")
    host.feed(flat_bar(3))
    assert len([each for each in host.of(OrderIntent) if each.intent_id.startswith("@flatten-")]) > 1
    for number in range(4, 9):
        host.feed(flat_bar(number))
    assert (
        len([each for each in host.of(OrderIntent) if each.intent_id.startswith("@flatten-")]) == ATTEMPTS_MAX
    )


def test_a_closing_order_that_waits_for_the_next_bar_is_not_canceled_by_its_own_retry() -> None:
    host = host_after({1: [buy(50)]})
    flatten(host)
    assert RETRY_NS < INTERVAL_NS
    host.feed(flat_bar(3))  # The retry's timer fires before it, the order fills in it.
    assert len(own(host)) == 1
    assert host.of(CancelIntent) == []
    assert host.system.flattener.is_flat(now_ns(host))


class Stubborn(Places):
    """Offers what is held again whenever its offer is canceled."""

    def on_order(self, ctx: Context, update: Any) -> Any:
        return rests(Side.SELL, 10, 1100, reduce_only=True)


def test_a_strategy_that_quotes_again_at_once_can_not_keep_its_position_open() -> None:
    offers = [rests(Side.SELL, 10, 1100 + number, reduce_only=True) for number in range(3)]
    host = BarHost({"s1": [(0, Stubborn({1: [buy(50)], 3: offers}))]}, [instrument()])
    for number in range(3):
        host.feed(flat_bar(number))
    flatten(host)
    for number in range(3, 7):
        host.feed(flat_bar(number))
    assert host.system.ledger.account.position(0).qty == 0
    assert host.system.flattener.is_flat(now_ns(host))


@pytest.mark.parametrize(
    ("given", "lots", "sent"),
    [
        ({"max_qty": Decimal("0.03")}, 70, [30, 30, 10]),
        ({"max_market_qty": Decimal("0.03")}, 70, [30, 30, 10]),
        ({"min_qty": Decimal("0.02")}, 70, [70]),
        ({"min_notional": Decimal(5)}, 70, [70]),
    ],
)
def test_the_venues_bounds_are_kept(given: dict[str, Any], lots: int, sent: list[int]) -> None:
    traded = instrument(**given)
    largest = 30 if min(sent) < lots else lots
    pieces = [buy(min(largest, lots - start)) for start in range(0, lots, largest)]
    host = host_after({1: pieces}, traded=traded)
    flatten(host)
    assert [order.qty_lots for order in own(host)] == sent
    host.feed(flat_bar(3))
    assert host.system.flattener.is_flat(now_ns(host))


def test_a_share_too_small_for_an_order_of_its_own_is_closed_with_the_largest() -> None:
    traded = instrument(min_qty=Decimal("0.02"))
    host = host_after({1: [buy(25)]}, {1: [buy(60)]}, {1: [buy(30)]}, traded=traded)
    host.step(fill_of(host, "s1", Side.SELL, 20))
    host.step(fill_of(host, "s3", Side.BUY, 20))
    flatten(host)
    assert [(order.strategy_id, order.qty_lots) for order in own(host)] == [("s2", 65), ("s3", 50)]


# Moves holdings between strategies: together with its counterpart the account stays as it is.
def fill_of(host: BarHost, strategy_id: str, side: Side, lots: int) -> FillEvent:
    return FillEvent(
        ts_ns=now_ns(host),
        instrument=0,
        account_id="main",
        strategy_id=strategy_id,
        intent_id="x",
        client_order_id=f"x-{strategy_id}",
        side=side,
        price_ticks=1000,
        qty_lots=lots,
        fee=Decimal(0),
        fee_asset="USDT",
        is_maker=False,
        venue_trade_id=f"x-{strategy_id}",
        ts_venue_ns=now_ns(host),
    )


def test_a_liquidation_empties_every_strategys_count() -> None:
    host = host_after({1: [buy(50)]})
    host.step(fill_of(host, "(venue)", Side.SELL, 50))
    host.step(fill_of(host, "s9", Side.BUY, 7))
    flatten(host)
    assert [(order.strategy_id, order.qty_lots) for order in own(host)] == [("s9", 7)]


def test_inventory_that_fees_in_kind_have_eaten_is_not_sold_and_dust_counts_as_flat() -> None:
    host = host_after({1: [buy(50)]})
    eaten = fill_of(host, "s1", Side.BUY, 10)
    host.step(replace(eaten, fee=Decimal("0.0015"), fee_asset="BTC"))
    assert host.system.ledger.account.position(0).qty == Decimal("0.0585")
    assert host.system.flattener.closable_lots(0, now_ns(host)) == 58
    host.step(fill_of(host, "s1", Side.SELL, 58))
    assert host.system.ledger.account.position(0).qty == Decimal("0.0005")
    assert host.system.flattener.is_flat(now_ns(host))
    flatten(host)
    assert own(host) == []


def test_a_stray_timer_of_an_ended_trip_does_nothing() -> None:
    host = host_after({1: [buy(50)]})
    halts_elsewhere(host)
    flatten(host)
    tell(host, TradingState.ACTIVE)
    host.step(
        TimerFired(ts_ns=now_ns(host) + 1, strategy_id="@flatten", instrument=0, key="retry", due_ns=NS_PER_S)
    )
    assert len([each for each in host.of(OrderIntent) if each.intent_id.startswith("@flatten-")]) == 1


def test_several_instruments_are_closed_each_for_itself() -> None:
    traded = [instrument(), instrument("ETH/USDT")]
    orders: Callable[[], Places] = lambda: Places({1: [buy(20), rests(Side.BUY, 5, 900)]})  # noqa: E731
    host = BarHost({"s1": [(0, orders()), (1, orders())]}, traded)
    for number in range(3):
        for index in range(2):
            host.feed(bar(number, 1000, 1000, 1000, 1000, index))
    flatten(host)
    assert [(order.instrument, order.qty_lots) for order in own(host)] == [(0, 20), (1, 20)]
