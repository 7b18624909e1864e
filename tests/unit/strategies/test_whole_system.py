"""Small strategies through the whole system: the gate, the venue and the books, as a backtest runs them."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from njord.core.contracts import (
    Bar,
    CancelIntent,
    FillEvent,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
    TimerFired,
    TimerSet,
)
from njord.core.orders import TERMINAL
from njord.core.types import (
    InstrumentKind,
    OrderReason,
    OrderStatus,
    OrderType,
    RefusalReason,
    Side,
    TimeInForce,
)
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from tests.property.strategies import INTERVAL_NS, START_NS, BarHost, bar, instrument

SPOT = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"))
PERP = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))
FLAT: list[Bar] = [bar(n, 100, 100, 100, 100) for n in range(8)]

Script = dict[int, Callable[[Context], Any]]


class Scripted(Strategy):
    """Does what its script says at the n-th bar, and on fills and timers."""

    def __init__(
        self,
        script: Script,
        on_fill: Callable[[Context, FillEvent], Any] = lambda ctx, fill: None,
        on_timer: Callable[[Context, TimerFired], Any] = lambda ctx, timer: None,
        warm_up: int = 0,
    ) -> None:
        super().__init__(StrategyParams())
        self._script, self._fill, self._timer, self._warm_up = script, on_fill, on_timer, warm_up

    def warm_up(self) -> int:
        return self._warm_up

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        act = self._script.get(ctx.n_bars)
        return act(ctx) if act else None

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        return self._fill(ctx, fill)  # type: ignore[no-any-return]

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return self._timer(ctx, timer)  # type: ignore[no-any-return]


def limit(side: Side, ticks: int, lots: int = 10, **given: Any) -> OrderIntent:
    return OrderIntent(side=side, type=OrderType.LIMIT, qty_lots=lots, limit_price_ticks=ticks, **given)


def market(side: Side, lots: int = 10, **given: Any) -> OrderIntent:
    return OrderIntent(side=side, qty_lots=lots, **given)


def run(strategy: Strategy, bars: list[Bar], traded: Any = SPOT, **given: Any) -> BarHost:
    settings: dict[str, Any] = {"fee_bps": Decimal(0), "slippage_bps": Decimal(0), **given}
    return BarHost({"s": [(0, strategy)]}, (traded,), **settings).run(bars)


def fills(host: BarHost) -> list[tuple[Side, int, int]]:
    return [(fill.side, fill.price_ticks, fill.qty_lots) for fill in host.of(FillEvent)]


def refusals(host: BarHost) -> list[RefusalReason | None]:
    return [decision.reason for decision in host.of(RiskDecision) if not decision.allowed]


def endings(host: BarHost) -> list[tuple[OrderStatus, OrderReason]]:
    return [(update.status, update.reason) for update in host.of(OrderUpdate) if update.status in TERMINAL]


def test_an_order_decided_on_a_close_fills_at_the_next_open_and_is_known_at_its_close() -> None:
    bars = [bar(0, 100, 100, 100, 100), bar(1, 105, 120, 90, 110), bar(2, 1, 1, 1, 1)]
    host = run(Scripted({1: lambda ctx: market(Side.BUY)}), bars)
    (fill,) = host.of(FillEvent)
    assert (fill.price_ticks, fill.ts_venue_ns, fill.ts_ns) == (105, bars[1].ts_open_ns, bars[1].ts_ns)


def test_a_fill_is_followed_by_its_snapshot_in_the_journal() -> None:
    host = run(Scripted({1: lambda ctx: market(Side.BUY)}), FLAT)
    kinds = [type(message) for message in host.journal.messages]
    assert kinds[kinds.index(FillEvent) + 1] is PositionSnapshot
    (snapshot,) = host.of(PositionSnapshot)
    assert [snapshot.qty, snapshot.cost, snapshot.cash] == [1, 100, 9900]


def test_an_approval_that_was_sent_too_late_ends_its_order_everywhere() -> None:
    host = BarHost({"s": [(0, Scripted({1: lambda ctx: market(Side.BUY)}))]}, (SPOT,))
    order = host.system.engine.step(FLAT[0])[-1]
    assert isinstance(order, OrderEvent)
    update = host.gateway.send(order, order.expires_ns + 1)
    assert isinstance(update, OrderUpdate)
    host.step(update)
    assert endings(host) == [(OrderStatus.EXPIRED, OrderReason.APPROVAL_EXPIRED)]
    assert host.venue.n_working == len(host.system.oms.working) == len(host.system.gate.exposure.working) == 0


def test_a_limit_order_rests_until_the_market_comes_to_it() -> None:
    bars = [*FLAT[:2], bar(2, 100, 101, 96, 100), bar(3, 100, 101, 95, 100), *FLAT[4:]]
    host = run(Scripted({1: lambda ctx: limit(Side.BUY, 95)}), bars)
    (fill,) = host.of(FillEvent)
    assert (fill.price_ticks, fill.ts_venue_ns, fill.is_maker) == (95, bars[3].ts_ns, True)


def test_a_limit_order_can_be_canceled_and_then_never_fills() -> None:
    def cancel(ctx: Context) -> CancelIntent:
        return CancelIntent(client_order_id=ctx.open_orders[0].client_order_id)

    bars = [*FLAT[:3], bar(3, 50, 50, 50, 50)]
    host = run(Scripted({1: lambda ctx: limit(Side.BUY, 95), 3: cancel}), bars)
    assert fills(host) == []
    assert endings(host) == [(OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED)]
    assert [decision.allowed for decision in host.of(RiskDecision)] == [True, True]


def test_two_cancels_of_one_order_in_one_breath_end_it_once() -> None:
    def cancel_twice(ctx: Context) -> list[CancelIntent]:
        return [CancelIntent(client_order_id=ctx.open_orders[0].client_order_id)] * 2

    host = run(Scripted({1: lambda ctx: limit(Side.BUY, 95), 2: cancel_twice}), FLAT)
    assert endings(host) == [(OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED)]


def test_a_cancel_of_an_order_that_is_not_ours_or_not_working_is_refused() -> None:
    host = run(Scripted({1: lambda ctx: CancelIntent(client_order_id="NJ-NOBODY")}), FLAT)
    assert refusals(host) == [RefusalReason.ORDER_NOT_FOUND]


def test_an_immediate_order_that_the_open_does_not_fill_ends_there() -> None:
    host = run(Scripted({1: lambda ctx: limit(Side.BUY, 95, tif=TimeInForce.IOC)}), FLAT)
    assert endings(host) == [(OrderStatus.CANCELED, OrderReason.IOC_REMAINDER)]


def test_a_timer_fires_at_its_own_time_and_its_order_waits_for_the_next_open() -> None:
    due = START_NS + INTERVAL_NS + INTERVAL_NS // 2
    bars = [FLAT[0], bar(1, 100, 200, 100, 200), bar(2, 150, 150, 150, 150)]
    strategy = Scripted(
        {1: lambda ctx: TimerSet(key="k", due_ns=due)}, on_timer=lambda ctx, timer: market(Side.BUY)
    )
    host = run(strategy, bars)
    (fired,) = host.of(TimerFired)
    (order,) = host.of(OrderEvent)
    (fill,) = host.of(FillEvent)
    assert (fired.ts_ns, order.ts_ns) == (due, due)
    assert (fill.price_ticks, fill.ts_venue_ns) == (150, bars[2].ts_open_ns)


def test_a_timer_set_again_moves() -> None:
    due = [START_NS + INTERVAL_NS + 5, START_NS + INTERVAL_NS + 9]
    strategy = Scripted({1: lambda ctx: [TimerSet(key="k", due_ns=when) for when in due]})
    assert [fired.ts_ns for fired in run(strategy, FLAT).of(TimerFired)] == due[1:]


@pytest.mark.parametrize("delay", [0, -1, -(10**15)])
def test_a_timer_that_is_due_already_suspends_instead_of_turning_for_ever(delay: int) -> None:
    strategy = Scripted(
        {1: lambda ctx: TimerSet(key="k", due_ns=ctx.ts_ns + 1)},
        on_timer=lambda ctx, timer: TimerSet(key="k", due_ns=ctx.ts_ns + delay),
    )
    host = run(strategy, FLAT)
    assert len(host.of(TimerFired)) == 1
    (suspended,) = host.of(StrategySuspended)
    assert "a timer must be due after now" in suspended.error


def test_a_short_on_a_contract_earns_when_the_price_falls() -> None:
    bars = [*FLAT[:2], bar(2, 100, 100, 80, 80), bar(3, 80, 80, 80, 80), bar(4, 80, 80, 80, 80)]
    host = run(Scripted({1: lambda ctx: Target(weight=-0.5), 4: lambda ctx: Target(weight=0.0)}), bars, PERP)
    lots = int(Decimal(5000) / (100 * Decimal("1.01")) * 10)
    assert fills(host) == [(Side.SELL, 100, lots), (Side.BUY, 80, lots)]
    assert [order.reduce_only for order in host.of(OrderEvent)] == [False, True]
    assert host.venue.cash == 10_000 + 2 * lots


def test_spot_can_not_be_sold_short() -> None:
    host = run(Scripted({1: lambda ctx: Target(weight=-0.5), 2: lambda ctx: market(Side.SELL)}), FLAT)
    assert refusals(host) == [RefusalReason.NAKED_SHORT] * 2
    assert fills(host) == []


def test_a_reduce_only_order_must_reduce() -> None:
    script: Script = {
        1: lambda ctx: market(Side.BUY, reduce_only=True),
        2: lambda ctx: market(Side.BUY),
        4: lambda ctx: market(Side.SELL, 11, reduce_only=True),
        5: lambda ctx: market(Side.SELL, 4, reduce_only=True),
    }
    host = run(Scripted(script), FLAT, PERP)
    assert refusals(host) == [RefusalReason.REDUCE_ONLY_INCREASES] * 2
    assert fills(host) == [(Side.BUY, 100, 10), (Side.SELL, 100, 4)]


def test_a_resting_reduce_only_order_does_not_flip_a_position_that_shrank_meanwhile() -> None:
    script: Script = {
        1: lambda ctx: market(Side.BUY),
        3: lambda ctx: limit(Side.SELL, 110, reduce_only=True),
        4: lambda ctx: market(Side.SELL, 6),
    }
    bars = [*FLAT[:6], bar(6, 120, 120, 120, 120)]
    host = run(Scripted(script), bars, PERP)
    assert fills(host) == [(Side.BUY, 100, 10), (Side.SELL, 100, 6)]
    assert endings(host)[-1] == (OrderStatus.CANCELED, OrderReason.REDUCE_ONLY)
    assert host.venue.held_qty(0) == Decimal("0.4")


def test_a_target_is_asked_for_once_however_often_it_is_said_in_one_breath() -> None:
    host = run(Scripted({1: lambda ctx: [Target(weight=0.4)] * 3}), FLAT)
    assert len(host.of(OrderIntent)) == 1
    lots = int(Decimal(4000) / (100 * Decimal("1.01")) * 10)
    assert fills(host) == [(Side.BUY, 100, lots)]


def test_an_order_and_a_target_in_one_breath_are_not_added_up() -> None:
    host = run(Scripted({1: lambda ctx: [market(Side.BUY, 6), Target(qty=Decimal(1))]}), FLAT)
    assert fills(host) == [(Side.BUY, 100, 6), (Side.BUY, 100, 4)]


def test_on_fill_sees_the_new_position_and_may_answer_with_a_stop() -> None:
    seen: list[Decimal] = []

    def protect(ctx: Context, fill: FillEvent) -> Proposals:
        seen.append(ctx.qty)
        return limit(Side.SELL, 110, fill.qty_lots, reduce_only=True) if fill.side is Side.BUY else None

    bars = [*FLAT[:3], bar(3, 100, 111, 100, 105)]
    host = run(Scripted({1: lambda ctx: market(Side.BUY)}, on_fill=protect), bars)
    assert fills(host) == [(Side.BUY, 100, 10), (Side.SELL, 110, 10)]
    assert seen == [Decimal(1), Decimal(0)]


def test_a_suspended_strategys_working_orders_are_canceled_and_its_last_words_are_lost() -> None:
    def fall(ctx: Context) -> Iterator[Target]:
        raise RuntimeError("fell")

    script: Script = {1: lambda ctx: [limit(Side.BUY, 90), limit(Side.BUY, 91)], 2: fall}
    host = run(Scripted(script), [*FLAT[:3], bar(3, 10, 10, 10, 10)])
    assert fills(host) == []
    assert endings(host) == [(OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED)] * 2
    (suspended,) = host.of(StrategySuspended)
    assert suspended.error.endswith("RuntimeError: fell")


def test_proposals_beside_nonsense_never_become_orders() -> None:
    host = run(Scripted({1: lambda ctx: [market(Side.BUY), Target(weight=0.5), "and more"]}), FLAT)
    assert host.of(OrderEvent) == [] and host.of(Target) == []
    assert len(host.of(StrategySuspended)) == 1


def test_what_works_at_the_end_of_the_data_expires() -> None:
    host = run(Scripted({8: lambda ctx: market(Side.BUY), 2: lambda ctx: limit(Side.BUY, 90)}), FLAT)
    assert endings(host) == [(OrderStatus.EXPIRED, OrderReason.END_OF_DATA)] * 2


def test_before_the_warm_up_nothing_is_traded() -> None:
    everything: Script = {n: lambda ctx: Target(weight=0.5) for n in range(1, 4)}
    host = run(Scripted(everything, warm_up=3), FLAT)
    assert [refused.reason for refused in host.of(ProposalRefused)] == [RefusalReason.WARM_UP] * 2
    assert [order.ts_ns for order in host.of(OrderEvent)] == [FLAT[2].ts_ns]


def test_a_wish_that_is_no_order_is_refused_by_the_gate_and_stops_nobody() -> None:
    script: Script = {
        1: lambda ctx: market(Side.BUY, 0),
        2: lambda ctx: market(Side.BUY, -5),
        3: lambda ctx: limit(Side.BUY, 0),
        4: lambda ctx: market(Side.BUY, 10**30),
        5: lambda ctx: market(Side.BUY, 1),
    }
    host = run(Scripted(script), FLAT)
    assert refusals(host) == [RefusalReason.INTENT_MALFORMED] * 4
    assert fills(host) == [(Side.BUY, 100, 1)]


def test_the_equity_shown_to_a_strategy_is_the_ledgers() -> None:
    seen: list[Decimal | None] = []
    script: Script = {1: lambda ctx: market(Side.BUY)} | {
        n: lambda ctx: seen.append(ctx.equity) for n in (3, 4)
    }
    bars = [*FLAT[:3], bar(3, 100, 150, 100, 150)]
    host = run(Scripted(script), bars, fee_bps=Decimal(10))
    assert seen == [Decimal("9999.9"), Decimal("10049.9")]
    assert host.system.ledger.account.equity([150]) == Decimal("10049.9")
