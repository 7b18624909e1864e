"""The whole system under random strategies on random bars: the promises that must hold after every engine step."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from njord.core.accounts import AccountTerms
from njord.core.codec import decode, encode
from njord.core.contracts import (
    INBOUND,
    AmendIntent,
    Bar,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
    TimerFired,
    TimerSet,
)
from njord.core.orders import TERMINAL
from njord.core.types import InstrumentKind, OrderType, Side, TimeInForce
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.bracket import bracket
from njord.strategies.context import BarView, Context
from tests.property.strategies import INTERVAL_NS, BarHost, bar_series, instrument

TRADED = (
    instrument("BTC/USDT", tick_size=Decimal("0.5"), lot_size=Decimal("0.01"), min_notional=Decimal(1)),
    instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("0.25"), lot_size=Decimal("0.1")),
)
CAPITAL = Decimal(300)
ACCOUNTS = (
    AccountTerms(),
    AccountTerms(kind="margin", leverage=Decimal(3)),
    AccountTerms(kind="perpetual", leverage=Decimal(20)),
)


class Act(msgspec.Struct, frozen=True):
    """One thing that a random strategy does."""

    what: str
    number: int = 1
    side: Side = Side.BUY
    flag: bool = False


ACTS = st.lists(
    st.builds(
        Act,
        what=st.sampled_from(
            [
                "weight",
                "weight",
                "heavy",
                "qty",
                "market",
                "limit",
                "limit",
                "cancel",
                "bracket",
                "bracket",
                "stop",
                "trail",
                "either",
                "amend",
                "amend",
                "timer",
                "zero",
                "stranger",
                "raise",
            ]
        ),
        number=st.integers(-9, 10),
        side=st.sampled_from(Side),
        flag=st.booleans(),
    ),
    max_size=3,
)
SCRIPTS = st.lists(ACTS, min_size=1, max_size=14)


class Random(Strategy):
    """Does what its script says, one line per callback."""

    def __init__(self, script: list[list[Act]], warm_up: int) -> None:
        super().__init__(StrategyParams())
        self._script, self._warm_up = iter(script), warm_up

    def warm_up(self) -> int:
        return self._warm_up

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        return [each for act in next(self._script, []) for each in _proposals(ctx, act)]

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        return [each for act in next(self._script, []) for each in _proposals(ctx, act)]

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return [each for act in next(self._script, []) for each in _proposals(ctx, act)]


def _proposals(ctx: Context, act: Act) -> list[Any]:
    now = int((ctx.price or 1) / float(ctx.instrument.tick_size))
    lots = 5 + abs(act.number)
    match act.what:
        case "bracket":
            entry = OrderIntent(side=act.side, qty_lots=lots)
            if act.flag:
                entry = OrderIntent(side=act.side, type=OrderType.LIMIT, qty_lots=lots, limit_price_ticks=now)
            sign = act.side.sign
            far = 2 + abs(act.number)
            return list(bracket(entry, take_profit_ticks=now + sign * far, stop_ticks=now - sign * far))
        case "either":
            return [
                OrderIntent(
                    side=act.side,
                    type=OrderType.LIMIT,
                    qty_lots=lots,
                    limit_price_ticks=ticks,
                    group_id="one",
                )
                for ticks in (now - 3, now + act.number)
            ]
        case "stop":
            return [
                OrderIntent(
                    side=act.side,
                    type=OrderType.STOP if act.flag else OrderType.TAKE_PROFIT,
                    qty_lots=lots,
                    trigger_price_ticks=now + act.number,
                )
            ]
        case "trail":
            expire_ns = ctx.ts_ns + 3 * INTERVAL_NS if act.flag else 0
            tif = TimeInForce.GTD if act.flag else TimeInForce.GTC
            return [
                OrderIntent(
                    side=act.side,
                    type=OrderType.TRAILING_STOP,
                    tif=tif,
                    qty_lots=lots,
                    trail_ticks=lots,
                    expire_ns=expire_ns,
                )
            ]
        case "amend" if ctx.open_orders:
            order = ctx.open_orders[act.number % len(ctx.open_orders)]
            limit = max(1, order.limit_price_ticks + act.number) if order.limit_price_ticks else 0
            return [
                AmendIntent(
                    client_order_id=order.client_order_id,
                    qty_lots=max(0, order.qty_lots + act.number),
                    limit_price_ticks=limit if act.flag else 0,
                )
            ]
        case "amend":
            return [AmendIntent(client_order_id="NJ-STRANGER", qty_lots=3)]
    return [_proposal(ctx, act)]


def _proposal(ctx: Context, act: Act) -> Any:
    match act.what:
        case "weight":
            return Target(weight=act.number / 10)
        case "heavy":
            return Target(weight=2.0 * act.number)
        case "qty":
            return Target(qty=Decimal(act.number) / 10)
        case "market" | "zero":
            lots = 0 if act.what == "zero" else 5 * abs(act.number)
            return OrderIntent(side=act.side, qty_lots=lots, reduce_only=act.flag)
        case "limit":
            ticks = int((ctx.price or 1) / float(ctx.instrument.tick_size)) + act.number
            tif = TimeInForce.IOC if act.flag else TimeInForce.GTC
            return OrderIntent(
                side=act.side, type=OrderType.LIMIT, tif=tif, qty_lots=30, limit_price_ticks=ticks
            )
        case "cancel" if ctx.open_orders:
            return CancelIntent(
                client_order_id=ctx.open_orders[act.number % len(ctx.open_orders)].client_order_id
            )
        case "cancel" | "stranger":
            return CancelIntent(client_order_id="NJ-STRANGER")
        case "raise" if act.number < 8:
            return Target(weight=0.5)
        case "timer":
            return TimerSet(
                key=str(act.number % 3), due_ns=ctx.ts_ns + (1 + act.number % 7) * INTERVAL_NS // 3
            )
    raise RuntimeError(act.what)


def check_step(host: BarHost, message: Message) -> None:
    """What holds after every engine step; with each bar all fills are in, so the venue must agree too."""
    system = host.system
    working = system.oms.working
    assert working == system.gate.exposure.working
    assert working == system.rebalancer.working
    assert working == system.strategies.world.working
    assert not system.rebalancer._undecided
    account = system.ledger.account
    marks = system.ledger.mark_ticks
    account.check()
    for mirror in (system.gate.exposure.account, system.strategies.world.account, system.rebalancer._account):
        assert mirror.balances() == account.balances()
        assert mirror.equity(marks) == account.equity(marks)
    for index in range(len(TRADED)):
        rebalancer = system.rebalancer
        shares = [rebalancer._held_qty(owner) for owner in rebalancer._lots if owner[1] == index]
        assert sum(shares, Decimal(0)) == account.position(index).qty
    if isinstance(message, Bar):
        assert account.cash == host.venue.cash
        for index in range(len(TRADED)):
            assert account.position(index).qty == host.venue.held_qty(index)


class Case(msgspec.Struct):
    """A random system that can be built again."""

    scripts: dict[str, dict[int, list[list[Act]]]]
    warm_up: int
    fixed_qty: Decimal | None
    bars: list[Bar]
    account: AccountTerms

    def host(self) -> BarHost:
        """Build it, with nothing run yet."""
        hosted = {
            name: [(index, Random(script, self.warm_up)) for index, script in by_index.items()]
            for name, by_index in self.scripts.items()
        }
        return BarHost(
            hosted,
            TRADED,
            capital=CAPITAL,
            fixed_qty=self.fixed_qty,
            account=self.account,
            after_step=check_step,
        )

    def run(self) -> BarHost:
        """Build and run it to its end."""
        return self.host().run(self.bars)


CASES = st.builds(
    Case,
    scripts=st.fixed_dictionaries(
        {name: st.dictionaries(st.integers(0, 1), SCRIPTS, min_size=1) for name in ("alpha", "beta")}
    ),
    warm_up=st.integers(0, 2),
    fixed_qty=st.sampled_from([None, None, Decimal("0.5")]),
    bars=bar_series(n_instruments=2),
    account=st.sampled_from(ACCOUNTS),
)
HOSTS = CASES.map(Case.run)


def all_books_of_orders_are_equal_after_every_step_and_empty_at_the_end(host: BarHost) -> None:
    assert len(host.system.oms.working) == 0


def every_intent_ends_in_exactly_one_terminal_message(host: BarHost) -> None:
    ends: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    for message in host.journal.messages:
        if isinstance(message, RiskDecision):
            decisions[message.intent_id] += 1
            ends[message.intent_id] += not message.allowed
        elif isinstance(message, OrderUpdate) and message.status in TERMINAL:
            ends[message.intent_id] += 1
    intents = [message.intent_id for message in host.of(OrderIntent)]
    cancels = [message.intent_id for kind in (CancelIntent, AmendIntent) for message in host.of(kind)]
    assert len(set(intents + cancels)) == len(intents + cancels)
    assert decisions == Counter(intents + cancels)
    assert {name: n for name, n in ends.items() if name not in cancels} == dict.fromkeys(intents, 1)


def our_cash_and_positions_are_the_sum_of_the_journaled_fills(host: BarHost) -> None:
    if host.system.ledger.account.cash != host.venue.cash:
        raise AssertionError("the venue has another cash")
    cash, held = Fraction(CAPITAL), [Fraction(0)] * len(TRADED)
    for fill in host.of(FillEvent):
        traded = TRADED[fill.instrument]
        signed = fill.side.sign * Fraction(traded.lot_size) * fill.qty_lots
        cash -= signed * Fraction(traded.tick_size) * fill.price_ticks + Fraction(fill.fee)
        held[fill.instrument] += signed
    account = host.system.ledger.account
    if (
        host.account.kind == "perpetual"
    ):  # A contract settles its profit: what it is worth is not in cash yet.
        cash += Fraction(account.position(1).cost)
    assert Fraction(account.cash) == cash
    assert [Fraction(account.position(index).qty) for index in range(len(TRADED))] == held


def every_order_follows_an_approval_of_its_own_intent(host: BarHost) -> None:
    approved: set[str] = set()
    for message in host.journal.messages:
        if isinstance(message, RiskDecision) and message.allowed:
            approved.add(message.intent_id)
        elif isinstance(message, OrderEvent):
            assert message.intent_id in approved
            approved.remove(message.intent_id)


def every_message_of_a_run_survives_the_codec(host: BarHost) -> None:
    for message in host.journal.messages:
        assert decode(encode(message)) == message


def a_suspended_strategy_neither_proposes_nor_keeps_an_order_working(host: BarHost) -> None:
    suspended: dict[str, int] = {}
    for message in host.journal.messages:
        strategy_id = getattr(message, "strategy_id", "")
        if isinstance(message, StrategySuspended):
            suspended[strategy_id] = message.ts_ns
        elif isinstance(
            message, Target | OrderIntent | AmendIntent | OrderEvent | TimerSet | ProposalRefused
        ):
            assert strategy_id not in suspended
        elif isinstance(message, FillEvent):  # What the venue filled in the same bar had happened already.
            assert message.ts_ns <= suspended.get(strategy_id, message.ts_ns)


PROMISES = (
    all_books_of_orders_are_equal_after_every_step_and_empty_at_the_end,
    every_intent_ends_in_exactly_one_terminal_message,
    our_cash_and_positions_are_the_sum_of_the_journaled_fills,
    every_order_follows_an_approval_of_its_own_intent,
    every_message_of_a_run_survives_the_codec,
    a_suspended_strategy_neither_proposes_nor_keeps_an_order_working,
)


@given(HOSTS)
def test_every_run_keeps_every_promise(host: BarHost) -> None:
    for promise in PROMISES:  # One run for all of them: each is a claim of its own above.
        promise(host)


@given(CASES)
def test_the_inbound_messages_alone_derive_every_message_again_byte_for_byte(case: Case) -> None:
    recorded = case.run().journal.messages
    again = case.host()  # Its first message, the kill switch, has been stepped already.
    for message in recorded[1:]:
        if type(message) in INBOUND:
            again.system.engine.step(message)
    assert [encode(m) for m in again.journal.messages] == [encode(m) for m in recorded]
