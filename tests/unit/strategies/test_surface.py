"""What a strategy is given beyond bars: linked orders, its own quantity, the book, features, and the venue's word."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from njord.core.contracts import (
    VENUE,
    AmendIntent,
    BookEvent,
    Message,
    OrderIntent,
    OrderUpdate,
    StrategySuspended,
)
from njord.core.types import OrderReason, OrderStatus, OrderType, Side
from njord.strategies import BarColumns, BarView, Context, Proposals, bracket
from njord.strategies.runner import StrategyRunner
from tests.property.strategies import bar, fill_event, instrument, order_event, order_update
from tests.unit.strategies.test_runner import BAR, NOW, TRADED, Answering, answer_of, runner, suspension, tell

BUY = OrderIntent(side=Side.BUY, qty_lots=5)
SELL = OrderIntent(side=Side.SELL, qty_lots=5)

# --- orders that refer to each other ---


def linked(*proposals: OrderIntent) -> list[OrderIntent]:
    answers = answer_of(list(proposals))
    assert all(isinstance(each, OrderIntent) for each in answers), answers
    return [each for each in answers if isinstance(each, OrderIntent)]


def test_names_of_one_list_become_ids() -> None:
    entry, first, second, other = linked(
        replace(BUY, intent_id="in"),
        replace(SELL, after_intent_id="in", group_id="out"),
        replace(SELL, after_intent_id="in", group_id="out"),
        replace(BUY, group_id="lonely"),
    )
    assert [each.intent_id for each in (entry, first, second, other)] == ["s-1", "s-2", "s-3", "s-4"]
    assert (entry.after_intent_id, entry.group_id) == ("", "")
    assert [(each.after_intent_id, each.group_id) for each in (first, second)] == [("s-1", "s-2")] * 2
    assert (other.after_intent_id, other.group_id) == ("", "s-4")


def test_names_end_with_their_list() -> None:
    every = [replace(BUY, intent_id="in", group_id="g")]
    which = runner(("s", Answering(lambda ctx: every), 0))
    tell(which, BAR)
    (again,) = tell(which, bar(1, 1, 1, 1, 1))
    assert isinstance(again, OrderIntent)
    assert (again.intent_id, again.group_id) == ("s-2", "s-2")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([replace(SELL, after_intent_id="in")], "order before it in the same list; named so far: none"),
        (replace(SELL, after_intent_id="in"), "after_intent_id 'in' must be the intent_id of an order"),
        ([replace(SELL, intent_id="in", after_intent_id="in")], "named so far: none"),
        ([replace(SELL, after_intent_id="in"), replace(BUY, intent_id="in")], "named so far: none"),
        (
            [replace(BUY, intent_id="b"), replace(BUY, intent_id="a"), replace(SELL, after_intent_id="c")],
            "named so far: a, b",
        ),
        (
            [replace(BUY, intent_id="in"), replace(SELL, intent_id="in")],
            "two orders of one list are called 'in'",
        ),
    ],
)
def test_a_name_that_nobody_has_suspends(wrong: Any, why: str) -> None:
    assert why in suspension(answer_of(wrong))


def test_a_bracket_is_an_entry_and_two_exits_that_cancel_each_other() -> None:
    entry = replace(BUY, type=OrderType.LIMIT, limit_price_ticks=100, reason="dip")
    first, profit, stop = linked(*bracket(entry, take_profit_ticks=110, stop_ticks=90))
    assert (first.intent_id, first.reason, first.limit_price_ticks) == ("s-1", "dip", 100)
    for each in (profit, stop):
        assert (each.side, each.qty_lots, each.reduce_only) == (Side.SELL, 5, True)
        assert (each.after_intent_id, each.group_id) == ("s-1", "s-2")
    assert (profit.type, profit.limit_price_ticks) == (OrderType.LIMIT, 110)
    assert (stop.type, stop.trigger_price_ticks, stop.limit_price_ticks) == (OrderType.STOP, 90, 0)
    short = bracket(
        replace(entry, side=Side.SELL), take_profit_ticks=90, stop_ticks=110, stop_limit_ticks=112
    )
    assert (short[2].type, short[2].limit_price_ticks) == (OrderType.STOP_LIMIT, 112)
    assert {each.side for each in short[1:]} == {Side.BUY}


def test_two_brackets_of_one_list_need_names() -> None:
    def both(*names: str) -> list[OrderIntent]:
        return [
            each
            for name in names
            for each in bracket(replace(BUY, intent_id=name), take_profit_ticks=110, stop_ticks=90)
        ]

    assert "two orders of one list are called 'entry'" in suspension(answer_of(both("", "")))
    ids = [(each.after_intent_id, each.group_id) for each in linked(*both("a", "b"))]
    assert ids == [("", ""), ("s-1", "s-2"), ("s-1", "s-2"), ("", ""), ("s-4", "s-5"), ("s-4", "s-5")]


@pytest.mark.parametrize(
    ("side", "limit", "profit", "stop", "why"),
    [
        (Side.BUY, 0, 90, 110, "a bracket around a buy needs stop < entry < take profit, was stop 110"),
        (Side.SELL, 0, 110, 90, "a bracket around a sell needs take profit < entry < stop"),
        (Side.BUY, 120, 110, 90, "entry 120"),
        (Side.BUY, 90, 110, 90, "entry 90"),
        (Side.BUY, 0, 0, 90, "take_profit_ticks must be a price in ticks, >= 1, was 0"),
        (Side.BUY, 0, 110, -1, "stop_ticks must be a price in ticks, >= 1, was -1"),
    ],
)
def test_a_bracket_that_would_close_at_once_is_refused(
    side: Side, limit: int, profit: int, stop: int, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        bracket(replace(BUY, side=side, limit_price_ticks=limit), take_profit_ticks=profit, stop_ticks=stop)


def test_an_amendment_is_stamped_like_any_intent() -> None:
    (amended,) = answer_of(AmendIntent(client_order_id="c", qty_lots=3, intent_id="mine", strategy_id="x"))
    assert amended == AmendIntent(
        ts_ns=NOW,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id="s-1",
        client_order_id="c",
        qty_lots=3,
    )


# --- what is its own ---


def test_own_qty_is_what_its_own_fills_have_left_of_it() -> None:
    seen: list[tuple[Decimal, Decimal]] = []
    mine, other = Answering(lambda ctx: seen.append((ctx.own_qty, ctx.qty))), Answering()
    which = runner(("s", mine, 0), ("other", other, 0))
    for name, side, lots in (("s", Side.BUY, 7), ("other", Side.BUY, 3), ("s", Side.SELL, 2)):
        tell(which, fill_event(strategy_id=name, side=side, qty_lots=lots))
    assert [own for own, _ in seen] == [Decimal("0.007"), Decimal("0.005")]
    contexts = [host.context for host in which._hosted]
    assert [ctx.own_qty for ctx in contexts] == [Decimal("0.005"), Decimal("0.003")]


def test_a_fee_in_kind_leaves_less_than_was_bought() -> None:
    which = runner(("s", Answering(), 0))
    tell(which, fill_event(qty_lots=10, fee=Decimal("0.0001"), fee_asset="BTC"))
    assert which._hosted[0].context.own_qty == Decimal("0.0099")


def test_the_venues_own_trade_closes_what_everyone_holds_and_tells_them() -> None:
    mine, eth, other = Answering(), Answering(), Answering()
    which = runner(("s", mine, 0), ("s", eth, 1), ("other", other, 0))
    tell(which, fill_event(strategy_id="s", qty_lots=7))
    tell(which, fill_event(strategy_id="other", side=Side.SELL, qty_lots=3))
    tell(which, fill_event(strategy_id="s", instrument=1, qty_lots=4))
    closing = fill_event("LIQUIDATION-1", strategy_id=VENUE, side=Side.SELL, qty_lots=4)
    tell(which, closing)
    assert [host.context.own_qty for host in which._hosted] == [0, Decimal("0.004"), 0]
    assert [strategy.calls[-1] == ("on_fill", closing) for strategy in (mine, eth, other)] == [
        True,
        False,
        True,
    ]


# --- the venue's word ---


class Listening(Answering):
    """Hears of orders too."""

    def on_order(self, ctx: Context, update: OrderUpdate) -> Proposals:
        answer: Proposals = self._called("on_order", ctx, update)
        return answer


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (OrderStatus.ACCEPTED, OrderReason.NONE, False),
        (OrderStatus.PARTIALLY_FILLED, OrderReason.NONE, False),
        (OrderStatus.FILLED, OrderReason.NONE, False),
        (OrderStatus.ACCEPTED, OrderReason.TRIGGERED, True),
        (OrderStatus.ACCEPTED, OrderReason.AMENDED, True),
        (OrderStatus.ACCEPTED, OrderReason.AMEND_REFUSED, True),
        (OrderStatus.PARTIALLY_FILLED, OrderReason.AMENDED, True),
        (OrderStatus.REJECTED, OrderReason.FILTER_PRICE, True),
        (OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, True),
        (OrderStatus.EXPIRED, OrderReason.GTD_EXPIRED, True),
        (OrderStatus.UNKNOWN, OrderReason.NONE, True),
    ],
)
def test_a_strategy_hears_what_no_fill_tells(status: OrderStatus, reason: OrderReason, told: bool) -> None:
    strategy = Listening(lambda ctx: BUY)
    which = runner(("s", strategy, 0), ("other", Listening(), 0))
    tell(which, order_event())
    update = order_update(status, reason=reason)
    answers = tell(which, update)
    assert strategy.calls == ([("on_order", update)] if told else [])
    assert [type(each) for each in answers] == ([OrderIntent] if told else [])


def test_in_on_order_the_open_orders_already_know_the_end() -> None:
    seen: list[int] = []
    which = runner(("s", Listening(lambda ctx: seen.append(len(ctx.open_orders))), 0))
    tell(which, order_event())
    tell(which, order_update(OrderStatus.REJECTED, reason=OrderReason.FILTER_QTY))
    assert seen == [0]


def test_who_does_not_listen_costs_nothing() -> None:
    which = runner(("s", Answering(), 0))
    assert which.handlers()[OrderUpdate] == which.world.working.update


# --- the book ---


def book_event(
    bids: tuple[tuple[int, int], ...] = (), asks: tuple[tuple[int, int], ...] = (), **given: Any
) -> BookEvent:
    values: dict[str, Any] = {"is_snapshot": False, "instrument": 0, **given}
    return BookEvent(
        ts_ns=NOW, bids=bids, asks=asks, first_update_id=1, last_update_id=1, ts_venue_ns=NOW, **values
    )


def test_the_book_is_what_the_events_made_it_and_is_there_in_on_book() -> None:
    seen: list[Any] = []

    def look(ctx: Context) -> None:
        book = ctx.book
        assert book is not None
        seen.append((book.best_bid_ticks, book.bid_lots, book.best_ask_ticks, book.ask_lots, book.mid))

    which = runner(("s", Answering(look), 0), ("s", Answering(), 1))
    context, other = (host.context for host in which._hosted)
    tell(which, book_event(((99, 5), (98, 6)), ((101, 7),), is_snapshot=True))
    tell(which, book_event(((99, 0), (90, 2)), ((100, 1),)))
    assert seen == [(99, 5, 101, 7, 10.0), (98, 6, 100, 1, 9.9)]
    book = context.book
    assert book is not None and other.book is None
    assert book.levels(5) == ([(98, 6), (90, 2)], [(100, 1), (101, 7)])
    assert book.levels(1) == ([(98, 6)], [(100, 1)])
    assert book.levels(0) == ([], [])
    with pytest.raises(ValueError, match=r"how many levels a side, >= 0, was -1"):
        book.levels(-1)
    tell(which, book_event(((50, 1),), is_snapshot=True))
    assert seen[-1] == (50, 1, 0, 0, None)


def test_before_the_first_event_there_is_no_book() -> None:
    assert runner(("s", Answering(), 0))._hosted[0].context.book is None


def test_a_book_with_levels_far_apart_keeps_them_all() -> None:
    which = runner(("s", Answering(), 0))
    far = tuple((1 + 70_000 * n, n + 1) for n in range(2_000))
    tell(which, book_event(bids=far, is_snapshot=True))
    book = which._hosted[0].context.book
    assert book is not None
    assert book.levels(3_000)[0] == sorted(far, reverse=True)


def test_without_a_book_no_compiler_is_loaded() -> None:
    code = "import sys, njord.strategies, njord.strategies.runner; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- features ---


def columns(n: int, traded: int = 0) -> BarColumns:
    messages = [bar(number, 10 + number, 12 + number, 9 + number, 11 + number) for number in range(n)]
    names = ("ts_open_ns", "ts_ns", "open", "high", "low", "close", "volume_lots")
    arrays = {name: np.array([getattr(each, name) for each in messages], dtype=np.int64) for name in names}
    return BarColumns(instrument=TRADED[traded], **arrays)


class Featured(Answering):
    """Precomputes what it was told to."""

    def __init__(self, features: Callable[[BarColumns], Any], answer: Callable[[Context], Any]) -> None:
        super().__init__(answer)
        self.features = features

    def precompute(self, bars: BarColumns) -> Any:
        return self.features(bars)


def featured(features: Callable[[BarColumns], Any], answer: Callable[[Context], Any]) -> StrategyRunner:
    which = runner(("s", Featured(features, answer), 0), ("s", Answering(), 1))
    assert which.wants_columns(0) and not which.wants_columns(1)
    which.precompute(0, columns(3))
    return which


def show(which: StrategyRunner, n: int = 3) -> list[Message]:
    return [each for number in range(n) for each in tell(which, bar(number, 1, 1, 1, 1))]


def test_a_feature_is_the_current_bars_value() -> None:
    seen: list[float] = []
    which = featured(lambda bars: {"x": bars.close_price}, lambda ctx: seen.append(ctx.feature("x")))
    assert show(which) == []
    assert seen == [1.1, 1.2, 1.3]


def test_nan_is_a_value() -> None:
    seen: list[float] = []
    which = featured(
        lambda bars: {"x": np.full(len(bars), np.nan)}, lambda ctx: seen.append(ctx.feature("x"))
    )
    assert show(which) == [] and all(np.isnan(seen)) and len(seen) == 3


def test_columns_speak_the_same_floats_as_the_bars() -> None:
    given = columns(3)
    views = [BarView(bar(n, 10 + n, 12 + n, 9 + n, 11 + n), TRADED[0]) for n in range(3)]
    for name in ("open", "high", "low", "close"):
        assert getattr(given, f"{name}_price").tolist() == [getattr(view, name) for view in views]
    assert given.volume.tolist() == [view.volume for view in views]
    assert given.rows(1, 3).close.tolist() == [12, 13] and len(given.rows(1, 3)) == 2
    odd = replace(given, instrument=instrument(tick_size=Decimal("0.25")))
    assert odd.close_price.tolist() == [odd.instrument.price_float(ticks) for ticks in odd.close.tolist()]


@pytest.mark.parametrize(
    ("features", "why"),
    [
        (lambda bars: {"x": bars.close_price[1:]}, r"'x' must have one value per bar, shape (3,), was (2,)"),
        (lambda bars: {"x": bars.close}, "'x' must be of float64, was int64; say values.astype(float)"),
        (lambda bars: {"x": [1.0, 2.0, 3.0]}, "'x' must be a numpy array, was list"),
        (
            lambda bars: bars.close_price,
            "precompute returns a mapping of names to arrays, or None, was ndarray",
        ),
        (lambda bars: {1: bars.close_price}, "a feature's name is text, was int"),
        (lambda bars: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_feature_suspends_at_the_first_bar(
    features: Callable[[BarColumns], Any], why: str
) -> None:
    (suspended,) = show(featured(features, lambda ctx: None))
    assert isinstance(suspended, StrategySuspended)
    assert why in suspended.error and "test_surface.py:" in suspended.error
    assert suspended.ts_ns == bar(0, 1, 1, 1, 1).ts_ns


def test_a_name_that_precompute_did_not_give_is_told_with_those_it_gave() -> None:
    (suspended,) = show(
        featured(lambda bars: {"b": bars.volume, "a": bars.volume}, lambda ctx: ctx.feature("c"))
    )
    assert isinstance(suspended, StrategySuspended)
    assert "LookupError: there is no feature 'c'; indicators() and precompute() gave: a, b" in suspended.error


def test_a_feature_without_precompute_or_without_a_bar_is_told() -> None:
    context = runner(("s", Answering(), 0))._hosted[0].context
    with pytest.raises(
        LookupError, match=r"no feature 'x': the strategy has no indicators\(\) and no precompute\(\), or the"
    ):
        context.feature("x")
    early = featured(lambda bars: {"x": bars.volume}, lambda ctx: None)._hosted[0].context
    with pytest.raises(LookupError, match="feature 'x' has no value before the first bar"):
        early.feature("x")
    none = featured(lambda bars: None, lambda ctx: None)._hosted[0].context
    with pytest.raises(LookupError, match=r"precompute\(\) gave: none"):
        none.feature("x")


def test_a_later_start_refuses_as_warm_up_and_shows_it() -> None:
    seen: list[bool] = []

    def answer(ctx: Context) -> OrderIntent:
        seen.append(ctx.is_warm)
        return BUY

    strategy = Answering(answer, warm_up=1)
    strategy.warm_from = 3
    which = runner(("s", strategy, 0))
    kinds = [type(each).__name__ for each in show(which)]
    assert kinds == ["ProposalRefused", "ProposalRefused", "OrderIntent"]
    assert seen == [False, False, True]
    assert which._hosted[0].context.warm_up == 1
