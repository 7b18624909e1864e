"""The quick way for plain orders against the rules themselves, both ways round, in any world of one instrument."""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from njord.core.accounts import AccountTerms, make_account
from njord.core.contracts import (
    Bar,
    FillEvent,
    KillSwitchState,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
)
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderStatus, OrderType, Side, TimeInForce, TradingState
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.profile import build_rules

S = 10**9
START_NS = 1_700_006_400 * S - 300 * S  # Five minutes before a midnight.
CAPITAL = Decimal(1_000)
CAP = st.fixed_dictionaries(
    {
        "cap_notional": st.sampled_from(["0", "0", "40", "250.3", "700"]),
        "cap_equity_fraction": st.sampled_from(["0", "0", "0.05", "0.5", "1", "1.7"]),
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
    },
    optional={
        "daily_loss": CAP,
        "max_order_notional": CAP,
        "max_position": CAP,
        "max_gross": CAP,
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
    {"strategy_id": "b"},
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
    {"intent_id": "a-01"},
    {"ts_ns": None},
    {"ts_ns": START_NS},
)
INTENT = st.tuples(
    st.just("intent"),
    st.sampled_from(Side),
    st.integers(0, 16),
    st.sampled_from(["filled", "filled", "filled", "works"]),
    st.sampled_from(["0", "0.3", "-0.01", "0.0000000001"]),
)
BAR = st.tuples(st.just("bar"), st.integers(20, 80), st.sampled_from([S, 30 * S, 59 * S, 200 * S]))
READING = st.tuples(st.just("reading"), st.sampled_from(TradingState), st.sampled_from([60 * S, 10**15]))
PASS = st.tuples(st.just("wait"), st.integers(1, 90))
END = st.tuples(st.just("end"))
ACTS = st.lists(
    st.sampled_from([INTENT] * 8 + [BAR] * 6 + [READING, PASS, END]).flatmap(lambda act: act), max_size=8
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

    # Orders at the edge of what may be sent, exits of all and more than all, and one that is odd.
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
            for odd in ODD:
                self.check(msgspec.structs.replace(self.order(side, 2), **odd))

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
        self.is_exact = self.is_exact and fee != Decimal("0.0000000001")
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
        self.exposure.observe_fill(fill)
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
def test_the_quick_way_says_of_plain_orders_what_every_rule_says(
    instrument: Instrument, rules: Any, kind: str, cost_bps: Decimal, acts: list[tuple[Any, ...]]
) -> None:
    world = World(instrument, rules, kind, cost_bps)
    for name, *arguments in acts:
        getattr(world, name)(*arguments)
        world.look_around()
