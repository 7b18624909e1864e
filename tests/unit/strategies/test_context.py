"""What a strategy can see, and that it can change none of it."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.account import SpotAccount
from njord.core.contracts import Bar
from njord.core.holdings import Holdings
from njord.core.types import OrderStatus
from njord.strategies.context import BarView, Context, World
from tests.property.strategies import bar, fill_event, instrument, order_event

TRADED = (instrument(), instrument("ETH/USDT"))


def world() -> World:
    return World(Holdings(SpotAccount(TRADED, "USDT", Decimal(1000)), TRADED), len(TRADED))


def context(shared: World, warm_up: int = 3, strategy_id: str = "s") -> Context:
    return Context(shared, TRADED, 0, strategy_id, warm_up)


def seen(ctx: Context, *closes: int) -> Context:
    for number, close in enumerate(closes):
        ctx._n_bars += 1
        ctx._bars.append(bar(number, close, close, close, close))
    return ctx


def test_history_is_the_last_bars_oldest_first_the_current_one_included() -> None:
    ctx = seen(context(world()), 10, 20, 30, 40)
    assert [past.close_ticks for past in ctx.history(3)] == [20, 30, 40]
    assert [past.close_ticks for past in ctx.history(1)] == [40]
    assert ctx.history(0) == []
    assert [past.close_ticks for past in seen(context(world()), 10).history(3)] == [10]


@pytest.mark.parametrize("n", [4, 100, -1])
def test_history_reaches_no_further_than_the_declared_warm_up(n: int) -> None:
    with pytest.raises(ValueError, match=f"history reaches back 3 bars, the declared warm-up; asked for {n}"):
        seen(context(world()), 10, 20, 30, 40).history(n)


def test_without_a_warm_up_there_is_no_history() -> None:
    ctx = seen(context(world(), warm_up=0), 10)
    assert ctx.history(0) == [] and ctx.is_warm and ctx.n_bars == 1
    with pytest.raises(ValueError, match="reaches back 0 bars"):
        ctx.history(1)


def test_it_is_warm_at_the_last_bar_of_the_warm_up() -> None:
    ctx = context(world(), warm_up=2)
    assert not ctx.is_warm
    assert not seen(ctx, 10).is_warm
    assert seen(ctx, 10).is_warm


def test_it_shows_position_price_cash_and_equity() -> None:
    shared = world()
    ctx = context(shared)
    assert [ctx.price, ctx.qty, ctx.position] == [None, 0, 0.0]
    shared.account.apply_fill(fill_event(price_ticks=1000, qty_lots=500), [1000, 0])
    assert ctx.equity is None
    shared.mark_ticks[0] = 1100
    shared.ts_ns = 7
    assert (ctx.ts_ns, ctx.price, ctx.position) == (7, 110.0, 0.5)
    assert [ctx.qty, ctx.cash, ctx.equity] == [Decimal("0.5"), 950, 1005]
    assert ctx.instrument is TRADED[0]


def test_open_orders_are_its_own_in_its_instrument_and_copies() -> None:
    shared = world()
    for name, owner, index in (("a", "s", 0), ("b", "other", 0), ("c", "s", 1), ("d", "s", 0)):
        shared.working.approve(order_event(name, strategy_id=owner, instrument=index))
    ctx = context(shared)
    assert [order.client_order_id for order in ctx.open_orders] == ["a", "d"]
    ctx.open_orders[0].remaining_lots = 0
    ctx.open_orders[0].status = OrderStatus.FILLED
    assert ctx.open_orders[0].remaining_lots == 10
    assert shared.working.signed_lots(0, "s") == 20


@pytest.mark.parametrize(
    "name", [name for name in dir(Context) if not name.startswith("_") and name != "history"]
)
def test_no_name_of_the_context_can_be_assigned(name: str) -> None:
    ctx: Any = seen(context(world()), 10)
    before = getattr(ctx, name)
    with pytest.raises(AttributeError):
        setattr(ctx, name, 10**9)
    assert getattr(ctx, name) == before


def test_the_context_has_no_verbs_and_takes_no_new_names() -> None:
    ctx: Any = context(world())
    callables = {name for name in dir(ctx) if not name.startswith("_") and callable(getattr(ctx, name))}
    assert callables == {"feature", "history"}
    with pytest.raises(AttributeError):
        ctx.note = 1


def test_a_bar_view_shows_floats_for_signals_and_ticks_for_orders_and_is_frozen() -> None:
    message: Bar = bar(0, 1001, 1003, 999, 1002)
    view: Any = BarView(message, TRADED[0])
    assert (view.open, view.high, view.low, view.close, view.volume) == (100.1, 100.3, 99.9, 100.2, 0.0)
    assert (view.open_ticks, view.high_ticks, view.low_ticks, view.close_ticks) == (1001, 1003, 999, 1002)
    assert (view.symbol, view.ts_ns, view.ts_open_ns) == ("BTC/USDT", message.ts_ns, message.ts_open_ns)
    for name in ("message", "close", "close_ticks", "note"):
        with pytest.raises(AttributeError):
            setattr(view, name, 1)
