"""The quick way for plain orders against the rules themselves, both ways round, in any world of one instrument."""

from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.accounts import AccountTerms, make_account
from njord.core.contracts import (
    Bar,
    FillEvent,
    KillSwitchState,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
)
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderStatus, OrderType, Side, TimeInForce, TradingState
from njord.core.units import exponent
from njord.risk.bounds import Unbounded, limits_of
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.plain import plain_orders
from njord.risk.profile import build_rules
from njord.risk.rules import RiskRule
from njord.risk.rules.base import Refusal

S = 10**9
START_NS = 1_700_006_400 * S - 300 * S  # Five minutes before a midnight.
CAPITAL = Decimal(1_000)
CAP = st.fixed_dictionaries(
    {
        "cap_notional": st.sampled_from(["0", "0", "0", "40", "250.3", "700"]),
        "cap_equity_fraction": st.sampled_from(["0", "0", "0", "0.05", "0.5", "1", "1.7"]),
    }
)
RULES = st.fixed_dictionaries(
    {
        "affordable": st.fixed_dictionaries({"buffer_bps": st.sampled_from(["0", "0.5", "100"])}),
        "order_rate": st.fixed_dictionaries(
            {
                "per_minute": st.sampled_from([1_000, 1_000, 3, 1]),
                "per_strategy_per_minute": st.sampled_from([0, 0, 2]),
            }
        ),
        "open_orders": st.just({"cap": 9}),
        "daily_loss": CAP,
        "max_order_notional": CAP,
        "max_position": CAP,
        "max_gross": CAP,
    },
    optional={
        "price_collar": st.just({}),
        "symbol_allowed": st.sampled_from([{"symbols": []}, {"symbols": ["AAA/USD"]}]),
    },
)
INSTRUMENT = st.builds(
    Instrument,
    symbol=st.just("AAA/USD"),
    venue=st.just("sim"),
    base=st.just("AAA"),
    quote=st.just("USD"),
    tick_size=st.sampled_from([Decimal("0.5"), Decimal("0.03"), Decimal(2)]),
    lot_size=st.sampled_from([Decimal("0.1"), Decimal(1), Decimal("0.00025")]),
    min_qty=st.sampled_from([Decimal(0), Decimal("0.2")]),
    max_qty=st.sampled_from([Decimal(0), Decimal(30)]),
    min_notional=st.sampled_from([Decimal(0), Decimal("4.01"), Decimal("10.000000000000001")]),
    kind=st.sampled_from(InstrumentKind),
    money_scale=st.sampled_from([0, 2, 8]),
)
# What makes an order something else than plain, or no order at all.
ODD: tuple[dict[str, Any], ...] = (
    {"tif": TimeInForce.IOC},
    {"type": "market"},
    {"strategy_id": ""},
    {"qty_lots": 0},
    {"qty_lots": 1.0},
    {"instrument": False},
    {"instrument": 1},
    {"side": "buy"},
    {"limit_price_ticks": None},
    {"limit_price_ticks": 40, "type": OrderType.LIMIT},
    {"trigger_price_ticks": False},
    {"trail_ticks": 0.0},
    {"expire_ns": False},
    {"post_only": 0},
    {"reduce_only": 0},
    {"group_id": "g"},
    {"account_id": "\ud800"},
    {"parent_id": None},
    {"intent_id": "a-1"},
    {"qty_lots": 2**63},
    {"ts_ns": None},
    {"ts_ns": START_NS},
)
INTENT = st.tuples(
    st.just("intent"),
    st.sampled_from(Side),
    st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 16]),
    st.sampled_from(["filled", "filled", "filled", "works"]),
    st.sampled_from(["0", "0.3", "-0.01", "0.0000000001"]),
)
BAR = st.tuples(st.just("bar"), st.integers(20, 80), st.sampled_from([S, 30 * S, 59 * S, 200 * S]))
READING = st.tuples(st.just("reading"), st.sampled_from(TradingState), st.sampled_from([60 * S, 10**15]))
PASS = st.tuples(st.just("wait"), st.integers(1, 90))
END = st.tuples(st.just("end"))
ACTS = st.lists(
    st.sampled_from([INTENT] * 10 + [BAR] * 8 + [READING, PASS, END]).flatmap(lambda act: act), max_size=8
)


class World:
    def __init__(self, instrument: Instrument, rules: Any, kind: Any, cost_bps: Decimal) -> None:
        terms = AccountTerms(kind=kind)
        self.instrument = instrument
        self.ledger, mirror = (make_account(terms, (instrument,), "USD", CAPITAL) for _ in range(2))
        self.exposure = Exposure((instrument,), mirror, cost_bps)
        self.gate = RiskGate(build_rules("any", rules), self.exposure, "main", "run")
        self.now_ns, self.ticks, self.n = START_NS, 40, 0
        self.is_exact, self.plain = True, self.gate._plain
        self.working: list[OrderEvent] = []
        self.reading(TradingState.ACTIVE, 10**15)
        self.bar(40, S)

    def bar(self, ticks: int, after_ns: int) -> None:
        self.now_ns += after_ns
        self.ticks = ticks
        prices = {"open": ticks, "high": ticks, "low": ticks, "close": ticks}
        self.exposure.observe_bar(
            Bar(ts_ns=self.now_ns, instrument=0, ts_open_ns=self.now_ns - 60 * S, **prices)
        )

    def reading(self, state: TradingState, valid_ns: int) -> None:
        until_ns, self.is_on = self.now_ns + valid_ns, state is TradingState.ACTIVE
        self.exposure.observe_kill_switch(
            KillSwitchState(ts_ns=self.now_ns, state=state, source="file", valid_until_ns=until_ns)
        )

    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * S

    def end(self) -> None:
        if self.working:
            self._end(self.working.pop())

    def _end(self, order: OrderEvent) -> None:
        ids = {
            name: getattr(order, name)
            for name in ("account_id", "strategy_id", "intent_id", "client_order_id")
        }
        self.exposure.working.update(
            OrderUpdate(
                ts_ns=self.now_ns, instrument=0, status=OrderStatus.CANCELED, ts_venue_ns=self.now_ns, **ids
            )
        )

    def order(self, side: Side, lots: int, **fields: Any) -> OrderIntent:
        values: dict[str, Any] = {"ts_ns": self.now_ns, "account_id": "main", "strategy_id": "a"}
        values |= {"intent_id": f"a-{self.n + 1}", "side": side, "qty_lots": lots}
        return OrderIntent(**values | fields)

    # What the quick way says is what the rules say: always where it says yes, and of a plain order in all.
    def check(self, intent: OrderIntent, is_plain: bool = False) -> bool:
        assert self.plain is not None
        answers = self.gate.hear(intent)
        passes, is_quick = not any(answer.refusal for answer in answers), self.plain.passes(intent)
        assert not is_quick or passes, (intent, answers)
        is_known = not self.exposure.working and self.is_exact and self.is_on
        if is_plain and is_known and self.exposure.mark_ts_ns[0] == self.now_ns:
            assert is_quick is passes, (intent, answers)
        return is_quick

    # Orders at the edge of what may be sent, exits of all and more than all.
    def look_around(self) -> None:
        self.exposure.advance(self.now_ns)
        held = int(self.ledger.position(0).qty / self.instrument.lot_size)
        for side in Side:
            passes, refused = 0, 2**24
            while refused - passes > 1:
                middle = (passes + refused) // 2
                is_quick = self.plain is not None and self.plain.passes(self.order(side, middle))
                passes, refused = (middle, refused) if is_quick else (passes, middle)
            for lots in {
                1,
                2,
                2**63,
                passes,
                refused,
                max(1, abs(held) - 1),
                max(1, abs(held)),
                abs(held) + 1,
            }:
                if lots:
                    self.check(self.order(side, lots), is_plain=True)
                    reduces = held * (1 if side is Side.SELL else -1) >= lots
                    self.check(self.order(side, lots, reduce_only=True), is_plain=reduces)

    def intent(self, side: Side, part: int, fate: str, fee: str) -> None:
        unit = self.instrument.tick_size * self.instrument.lot_size
        # Sizes about as large as the account's room, and exits of just what is held.
        lots = max(1, int(CAPITAL * part / 20 / (self.ticks * unit)))
        held = int(abs(self.ledger.position(0).qty) / self.instrument.lot_size)
        self.decide(self.order(side, held if part % 3 == 0 and held else lots), fate, Decimal(fee))

    def decide(self, intent: OrderIntent, fate: str, fee: Decimal) -> None:
        self.n += 1
        first = next((each for each in self.gate.hear(intent) if each.refusal), None)
        decision, *orders = self.gate._on_intent(intent)
        assert isinstance(decision, RiskDecision)
        assert decision.allowed is (first is None)
        if first is not None and first.refusal is not None:
            assert (decision.rule, decision.reason) == (first.rule, first.refusal.reason)
            assert not orders
            return
        order = orders[0]
        assert isinstance(order, OrderEvent)
        if fate == "works" or self.working:
            self.working.append(order)
            return
        scale = max(self.instrument.unit_scale, self.instrument.money_scale)
        self.is_exact = self.is_exact and exponent(fee) <= scale
        fill = FillEvent(
            ts_ns=self.now_ns,
            instrument=0,
            account_id="main",
            strategy_id=order.strategy_id,
            intent_id=order.intent_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=self.ticks,
            qty_lots=order.qty_lots,
            fee=fee,
            fee_asset="USD",
            is_maker=False,
            venue_trade_id=str(self.n),
            ts_venue_ns=self.now_ns,
        )
        self.exposure.working.fill(fill)
        for snapshot in self.ledger.apply_fill(fill, self.exposure.mark_ticks):
            self.exposure.observe_position(snapshot)
        self._end(order)


@given(
    INSTRUMENT,
    RULES,
    st.sampled_from(["spot", "margin"]),
    st.sampled_from([Decimal(0), Decimal("15"), Decimal("0.7")]),
    ACTS,
)
@settings(max_examples=settings.default.max_examples * 4 if settings.default else 60)
def test_the_quick_way_says_of_plain_orders_what_every_rule_says(
    instrument: Instrument, rules: Any, kind: str, cost_bps: Decimal, acts: list[tuple[Any, ...]]
) -> None:
    world = World(instrument, rules, kind, cost_bps)
    for name, *arguments in acts:
        getattr(world, name)(*arguments)
        world.look_around()


COIN = Instrument(
    symbol="AAA/USD", venue="sim", base="AAA", quote="USD", tick_size=Decimal("0.5"), lot_size=Decimal("0.1")
)


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("side", Side)
def test_what_is_odd_is_left_to_the_rules(side: Side, odd: dict[str, Any]) -> None:
    world = World(COIN, {}, "spot", Decimal(0))
    world.intent(Side.BUY, 1, "filled", "0")
    assert world.check(world.order(side, 2), is_plain=True)
    assert not world.check(msgspec.structs.replace(world.order(side, 2), **odd))


class Nosy(RiskRule):
    """A rule that somebody added, and said nothing of its bounds."""

    name: ClassVar[str] = "nosy"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        return None


def test_a_rule_without_bounds_switches_the_quick_way_off_and_is_named() -> None:
    world = World(COIN, {}, "spot", Decimal(0))
    rules = (*build_rules("any", {}), Nosy(Nosy.Params()))
    assert plain_orders(rules[:-1], world.exposure) is not None
    assert plain_orders(rules, world.exposure) is None
    with pytest.raises(Unbounded, match=r"^nosy$"):
        limits_of(rules, COIN, 8, Decimal(0), may_short=False)


@pytest.mark.parametrize(
    ("name", "params"), [("cool_down", {"seconds": 1}), ("symbol_allowed", {"symbols": ["BBB/USD"]})]
)
def test_limits_that_are_no_whole_numbers_have_no_bounds(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(Unbounded, match=f"^{name}$"):
        limits_of(build_rules("any", {name: params}), COIN, 8, Decimal(0), may_short=False)


def test_what_lies_between_two_whole_numbers_is_rounded_to_the_safe_side() -> None:
    coin = msgspec.structs.replace(COIN, min_notional=Decimal("10.0000000001"))
    cap = {"cap_notional": "40.0000000001"}
    rules = build_rules("any", {"daily_loss": cap, "max_position": cap, "order_rate": {"per_minute": 5}})
    limits = limits_of(rules, coin, 8, Decimal(0), may_short=False)
    assert limits.min_notional == 10 * 10**8 + 1
    assert limits.daily_loss.notional == 40 * 10**8 + 1  # Reached by the next.
    assert limits.position.notional == 40 * 10**8  # Exceeded by it.
    assert (limits.per_minute, limits.strategy_per_minute) == (5, 5)
    assert not limits.gross.is_on


def test_the_smallest_notional_itself_is_enough() -> None:
    world = World(msgspec.structs.replace(COIN, min_notional=Decimal(4)), {}, "spot", Decimal(0))
    assert not world.check(world.order(Side.BUY, 1), is_plain=True)
    assert world.check(world.order(Side.BUY, 2), is_plain=True)


def test_what_would_add_to_a_broken_up_holding_is_left_to_the_rules_and_what_only_closes_is_not() -> None:
    world = World(COIN, {}, "spot", Decimal(0))
    world.intent(Side.BUY, 1, "filled", "0")
    held = world.ledger.position(0)
    dust = msgspec.structs.replace(held, qty=held.qty - Decimal("0.05"))
    world.exposure.account.positions[0] = dust
    assert not world.check(world.order(Side.BUY, 1))
    whole = int(dust.qty / COIN.lot_size)
    assert world.check(world.order(Side.SELL, whole))
    assert not world.check(world.order(Side.SELL, whole + 1))
    unvalued = PositionSnapshot(
        ts_ns=world.now_ns,
        instrument=0,
        account_id="main",
        qty=dust.qty,
        cost=dust.cost,
        realized_pnl=dust.realized_pnl,
        fees=Decimal(0),
        cash=CAPITAL,
        unvalued=(("FEE", Decimal(-1)),),
    )
    world.exposure.account.adopt(unvalued)  # What the account is worth is unknown.
    assert not world.check(world.order(Side.BUY, 1))
    assert world.check(world.order(Side.SELL, whole, reduce_only=True))
