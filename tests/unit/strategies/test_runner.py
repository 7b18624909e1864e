"""The runner: who is called with what, and what becomes of what they answer."""

import re
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.account import SpotAccount
from njord.core.contracts import (
    BookEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderIntent,
    ProposalRefused,
    StrategySuspended,
    Target,
    TimerFired,
    TimerSet,
    TradeEvent,
)
from njord.core.errors import StrategyError
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.types import OrderType, RefusalReason, Side
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from njord.strategies.hosted import HostedStrategy
from njord.strategies.runner import StrategyRunner
from tests.property.strategies import bar, fill_event, instrument, order_event

TRADED = (instrument(), instrument("ETH/USDT"))
BAR = bar(0, 1000, 1000, 1000, 1000)
NOW = BAR.ts_ns


class Answering(Strategy):
    """Answers every callback by the function it was given, and notes what it was called with."""

    class State(msgspec.Struct):
        """How often it was called."""

        n: int = 0

    def __init__(self, answer: Callable[[Context], Any] = lambda ctx: None, warm_up: int = 0) -> None:
        super().__init__(StrategyParams())
        self.answer, self._warm_up = answer, warm_up
        self.calls: list[tuple[str, Any]] = []

    def warm_up(self) -> int:
        return self._warm_up

    def _called(self, what: str, ctx: Context, with_: Any) -> Any:
        self.calls.append((what, with_))
        self.state.n += 1
        return self.answer(ctx)

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        return self._called("on_bar", ctx, bar.message)  # type: ignore[no-any-return]  # Nonsense is the point.

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        return self._called("on_trade", ctx, trade)  # type: ignore[no-any-return]

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        return self._called("on_book", ctx, book)  # type: ignore[no-any-return]

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        return self._called("on_fill", ctx, fill)  # type: ignore[no-any-return]

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return self._called("on_timer", ctx, timer)  # type: ignore[no-any-return]


def runner(*hosted: tuple[str, Strategy, int], last: int = 0) -> StrategyRunner:
    counters = {name: Counter(name, last) for name, _, _ in hosted}
    account = SpotAccount(TRADED, "USDT", Decimal(1000))
    hosts = [HostedStrategy(name, strategy, index) for name, strategy, index in hosted]
    return StrategyRunner(hosts, TRADED, Holdings(account, TRADED), "main", counters)


def tell(which: StrategyRunner, message: Message) -> list[Message]:
    return list(which.handlers()[type(message)](message) or ())


def answer_of(proposal: Any, warm_up: int = 0) -> list[Message]:
    return tell(runner(("s", Answering(lambda ctx: proposal, warm_up), 0)), BAR)


def suspension(messages: list[Message]) -> str:
    (suspended,) = messages
    assert isinstance(suspended, StrategySuspended)
    assert "\n" not in suspended.error
    return suspended.error


TRADE = TradeEvent(
    ts_ns=NOW, instrument=0, price_ticks=7, qty_lots=1, side=Side.BUY, trade_id=1, ts_venue_ns=NOW
)
BOOK = BookEvent(
    ts_ns=NOW,
    instrument=0,
    bids=((1, 1),),
    asks=((2, 1),),
    is_snapshot=True,
    first_update_id=1,
    last_update_id=1,
    ts_venue_ns=NOW,
)
TIMER = TimerFired(ts_ns=NOW, strategy_id="s", instrument=0, key="k", due_ns=NOW)

# --- who is called ---


@pytest.mark.parametrize(
    ("message", "callback"),
    [(BAR, "on_bar"), (TRADE, "on_trade"), (BOOK, "on_book"), (TIMER, "on_timer"), (fill_event(), "on_fill")],
)
def test_every_callback_is_called_with_its_message_and_the_time(message: Message, callback: str) -> None:
    times: list[int] = []
    strategy = Answering(lambda ctx: times.append(ctx.ts_ns))
    tell(runner(("s", strategy, 0)), message)
    assert strategy.calls == [(callback, message)]
    assert times == [message.ts_ns]


def test_market_data_goes_to_its_instrument_and_the_rest_to_its_owner() -> None:
    mine, eth, other = Answering(), Answering(), Answering()
    which = runner(("s", mine, 0), ("s", eth, 1), ("other", other, 0))
    tell(which, BAR)
    tell(which, TIMER)
    tell(which, fill_event())
    tell(which, msgspec.structs.replace(TIMER, instrument=-1))
    assert [what for what, _ in mine.calls] == ["on_bar", "on_timer", "on_fill", "on_timer"]
    assert [what for what, _ in eth.calls] == ["on_timer"]
    assert [what for what, _ in other.calls] == ["on_bar"]


def test_objects_of_one_strategy_share_no_state_between_instruments() -> None:
    first, second = Answering(warm_up=2), Answering(warm_up=2)
    which = runner(("s", first, 0), ("s", second, 1))
    for number in range(3):
        tell(which, bar(number, 1000 + number, 1000 + number, 1000 + number, 1000 + number))
    tell(which, bar(0, 5, 5, 5, 5, index=1))
    assert (first.state.n, second.state.n) == (3, 1)
    contexts = [host.context for host in which._hosted]
    assert [past.close_ticks for past in contexts[0].history(2)] == [1001, 1002]
    assert [past.close_ticks for past in contexts[1].history(2)] == [5]
    assert [ctx.price for ctx in contexts] == [100.2, 0.5]


def test_a_trade_moves_the_price_that_strategies_see() -> None:
    prices: list[float | None] = []
    which = runner(("s", Answering(lambda ctx: prices.append(ctx.price)), 0))
    tell(which, TRADE)
    assert prices == [0.7]


def test_in_on_fill_the_position_the_cash_and_the_open_orders_already_know_the_fill() -> None:
    seen: list[Any] = []
    which = runner(
        ("s", Answering(lambda ctx: seen.append((ctx.qty, ctx.cash, ctx.open_orders[0].remaining_lots))), 0)
    )
    tell(which, order_event())
    fill = fill_event(price_ticks=1000, qty_lots=4, fee=Decimal(1))
    tell(which, fill)
    assert seen == [(Decimal("0.004"), Decimal("998.6"), 6)]
    # The ledger's snapshot then says the same and changes nothing.
    (snapshot,) = SpotAccount(TRADED, "USDT", Decimal(1000)).apply_fill(fill, [0, 0])
    tell(which, snapshot)
    assert which.world.account.position(0).qty == Decimal("0.004")
    assert which.world.account.cash == Decimal("998.6")


# --- what becomes of an answer ---


def test_a_proposal_is_stamped_with_who_what_and_when() -> None:
    which = runner(("s", Answering(lambda ctx: OrderIntent(side=Side.BUY, qty_lots=3)), 1))
    here = bar(0, 1, 1, 1, 1, index=1)
    assert tell(which, here) == [
        OrderIntent(
            ts_ns=here.ts_ns,
            instrument=1,
            account_id="main",
            strategy_id="s",
            intent_id="s-1",
            side=Side.BUY,
            qty_lots=3,
        )
    ]


def test_a_strategy_can_not_speak_for_another() -> None:
    forged = OrderIntent(
        ts_ns=1,
        instrument=1,
        account_id="x",
        strategy_id="other",
        intent_id="other-1",
        side=Side.BUY,
        qty_lots=3,
    )
    (intent,) = answer_of(forged)
    assert isinstance(intent, OrderIntent)
    assert (intent.ts_ns, intent.instrument, intent.account_id) == (NOW, 0, "main")
    assert (intent.strategy_id, intent.intent_id) == ("s", "s-1")


def test_a_list_keeps_its_order_and_ids_go_on() -> None:
    order = OrderIntent(side=Side.BUY, qty_lots=1)
    every = [
        order,
        Target(weight=0.5),
        TimerSet(key="t", due_ns=NOW + 1),
        CancelIntent(client_order_id="c"),
        order,
    ]
    which = runner(("s", Answering(lambda ctx: every), 0), last=41)
    stamped: list[Any] = tell(which, BAR)
    assert [type(each) for each in stamped] == [type(each) for each in every]
    assert [stamped[0].intent_id, stamped[3].intent_id, stamped[4].intent_id] == ["s-42", "s-43", "s-44"]
    assert {each.strategy_id for each in stamped} == {"s"}


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_nothing_is_an_answer(nothing: Any) -> None:
    assert answer_of(nothing) == []


def test_plain_words_and_lists_become_what_the_types_say() -> None:
    plain: Any = OrderIntent(side="sell", type="limit", qty_lots=3, limit_price_ticks=5, features=[["x", 1]])  # type: ignore[arg-type]
    (intent,) = answer_of(plain)
    assert isinstance(intent, OrderIntent)
    assert intent.side is Side.SELL and intent.type is OrderType.LIMIT
    assert intent.features == (("x", 1.0),)
    (target,) = answer_of(Target(qty=0.1))  # type: ignore[arg-type]  # What beginners write.
    assert isinstance(target, Target) and target.qty == Decimal("0.1")


# --- warm-up ---


def test_before_the_warm_up_ends_callbacks_run_and_proposals_are_refused() -> None:
    order = OrderIntent(side=Side.BUY, qty_lots=1)
    every = [Target(weight=1.0), order, CancelIntent(client_order_id="c"), TimerSet(key="t", due_ns=NOW * 2)]
    which = runner(("s", Answering(lambda ctx: every, warm_up=2), 0))
    early: list[Any] = tell(which, BAR)
    assert [type(each) for each in early] == [ProposalRefused, ProposalRefused, CancelIntent, TimerSet]
    assert [(each.proposal, each.reason, each.detail) for each in early[:2]] == [
        (kind, RefusalReason.WARM_UP, "bar 1 of 2") for kind in ("Target", "OrderIntent")
    ]
    warm: list[Any] = tell(which, bar(1, 1, 1, 1, 1))
    assert [type(each) for each in warm] == [Target, OrderIntent, CancelIntent, TimerSet]
    # What was refused was never an intent, so it took no id.
    assert [early[2].intent_id, warm[1].intent_id, warm[2].intent_id] == ["s-1", "s-2", "s-3"]


@pytest.mark.parametrize("warm_up", [-1, 1.5, "ten", None, True])
def test_a_warm_up_that_is_no_number_of_bars_is_refused(warm_up: Any) -> None:
    with pytest.raises(StrategyError, match=r"warm_up\(\) of s must be a whole number of bars >= 0"):
        HostedStrategy("s", Answering(warm_up=warm_up), 0)


# --- suspension ---


class Broken(Exception):
    """The user's own error."""


def failing(ctx: Context) -> None:
    raise Broken(f"at {ctx!r}")


def test_a_strategy_that_raises_is_suspended_with_the_place_in_its_own_file() -> None:
    strategy = Answering(failing)
    which = runner(("s", strategy, 0))
    assert re.fullmatch(r"test_runner\.py:\d+: Broken: at .* object at 0x>", suspension(tell(which, BAR)))
    assert tell(which, bar(1, 1, 1, 1, 1)) == []
    assert tell(which, fill_event()) == tell(which, TRADE) == tell(which, TIMER) == []
    assert len(strategy.calls) == 1


def test_an_error_inside_the_library_is_shown_at_the_strategys_line() -> None:
    line = ask_too_much.__code__.co_firstlineno + 1
    text = suspension(tell(runner(("s", Answering(ask_too_much), 0)), BAR))
    assert text == (
        f"test_runner.py:{line}: ValueError: history reaches back 0 bars, the declared warm-up; asked for 50"
    )


def ask_too_much(ctx: Context) -> None:
    ctx.history(50)


class Wordless(Exception):
    """An error that fails at saying what it is."""

    def __str__(self) -> str:
        raise ValueError("again")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Broken("two\n  lines"), "Broken: two lines"),
        (Wordless(), "Wordless: an error that can not say itself"),
    ],
)
def test_any_error_is_said_in_one_line(error: Exception, said: str) -> None:
    def raising(ctx: Context) -> None:
        raise error

    assert suspension(tell(runner(("s", Answering(raising), 0)), BAR)).endswith(said)


def test_leaving_python_is_an_error_like_any_other() -> None:
    assert "SystemExit" in suspension(tell(runner(("s", Answering(lambda ctx: sys.exit(0)), 0)), BAR))


@pytest.mark.parametrize("callback", [BAR, TRADE, BOOK, TIMER, fill_event()])
def test_every_callback_is_guarded(callback: Message) -> None:
    assert "Broken" in suspension(tell(runner(("s", Answering(failing), 0)), callback))


class Truthless:
    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")


class Mute:
    def __repr__(self) -> str:
        raise ValueError("has no words")


ORDER = OrderIntent(side=Side.BUY, qty_lots=1)


@pytest.mark.parametrize(
    ("nonsense", "why"),
    [
        (0, "was int"),
        (False, "was bool"),
        ("buy", "was str"),
        ({}, "was dict"),
        (object(), "was object"),
        (Truthless(), "was Truthless"),
        (Mute(), "was Mute"),
        ((each for each in (ORDER,)), "was generator"),
        ([ORDER, None], "was NoneType"),
        ([ORDER, [ORDER]], "was list"),
        (OrderIntent, "was StructMeta"),
        (BAR, "was Bar"),
        (Target(weight=float("nan")), "weight of a Target must be finite, was nan"),
        (Target(weight=float("inf")), "weight of a Target must be finite, was inf"),
        (Target(qty=Decimal("NaN")), "qty of a Target must be finite, was NaN"),
        (Target(qty=Decimal("sNaN")), "ValueError"),
        (Target(weight="all"), "TypeError"),  # type: ignore[arg-type]
        (Target(weight=True), "Expected"),
        (
            Target(weight=0.5, features=(("x", float("nan")),)),
            "Expected `float`, got `null` - at `$.features[0][1]`",
        ),
        (OrderIntent(side="bye", qty_lots=1), "Invalid enum value 'bye' - at `$.side`"),  # type: ignore[arg-type]
        (OrderIntent(side=Side.BUY, qty_lots=1.5), "Expected `int`, got `float` - at `$.qty_lots`"),  # type: ignore[arg-type]
        (OrderIntent(side=Side.BUY, qty_lots=1, reason=object()), "TypeError"),  # type: ignore[arg-type]
        (CancelIntent(client_order_id=5), "Expected `str`, got `int` - at `$.client_order_id`"),  # type: ignore[arg-type]
        (TimerSet(key="k", due_ns=NOW), f"a timer must be due after now ({NOW}), was due at {NOW}"),
        (TimerSet(key="k", due_ns=NOW - 1), "a timer must be due after now"),
        (TimerSet(key="k", due_ns=None), "Expected `int`, got `null` - at `$.due_ns`"),  # type: ignore[arg-type]
        ([ORDER, TimerSet(key="k", due_ns=0)], "a timer must be due after now"),
    ],
)
def test_nonsense_suspends_and_takes_all_proposals_of_its_callback_with_it(nonsense: Any, why: str) -> None:
    assert why in suspension(answer_of(nonsense))


def test_a_suspended_strategy_stands_still_on_all_its_instruments_and_others_go_on() -> None:
    bad, bad_too, good = Answering(failing), Answering(), Answering(lambda ctx: ORDER)
    which = runner(("bad", bad, 0), ("bad", bad_too, 1), ("good", good, 0))
    kinds = [type(each) for each in tell(which, BAR)]
    assert kinds == [StrategySuspended, OrderIntent]
    assert [type(each) for each in tell(which, bar(1, 1, 1, 1, 1))] == [OrderIntent]
    tell(which, bar(1, 1, 1, 1, 1, index=1))
    assert bad_too.calls == []


def test_what_it_proposed_in_the_same_moment_on_another_instrument_is_lost_too() -> None:
    first, second, good = Answering(lambda ctx: ORDER), Answering(failing), Answering(lambda ctx: ORDER)
    which = runner(("good", good, 0), ("s", first, 0), ("s", second, 1))
    left: list[Any] = tell(which, msgspec.structs.replace(TIMER, instrument=-1))
    assert [type(each) for each in left] == [StrategySuspended]
    twice = runner(("good", good, 0), ("s", first, 0), ("s", second, 0))
    assert [(type(each), each.strategy_id) for each in tell(twice, BAR)] == [  # type: ignore[attr-defined]
        (OrderIntent, "good"),
        (StrategySuspended, "s"),
    ]


def test_an_interrupt_by_the_user_is_not_swallowed() -> None:
    def interrupted(ctx: Context) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tell(runner(("s", Answering(interrupted), 0)), BAR)
