"""The gate against an oracle of its own, for any sequence of intents, markets, fills, readings and days."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import chain, combinations
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.account import SpotAccount
from njord.core.codec import decode, encode
from njord.core.contracts import (
    Bar,
    CancelEvent,
    CancelIntent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
    TradeEvent,
)
from njord.core.engine import Engine
from njord.core.instrument import Instrument
from njord.core.types import (
    InstrumentKind,
    OrderStatus,
    OrderType,
    RefusalReason,
    Side,
    TimeInForce,
    TradingState,
)
from njord.portfolio.ledger import Ledger
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.profile import build_rules
from tests.property.risk_oracle import DAY_NS, Order, World

S = 10**9
START_NS = 1_700_006_400 * S - 90 * S  # Ninety seconds before a midnight.
CAPITAL, COST_BPS = Decimal(1_000), Decimal(15)
SPOT = Instrument(
    symbol="AAA/USD",
    venue="sim",
    base="AAA",
    quote="USD",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.1"),
    min_qty=Decimal("0.2"),
    max_qty=Decimal(12),
    min_notional=Decimal(4),
)
PERP = Instrument(
    symbol="BBB/USD:USD",
    venue="sim",
    base="BBB",
    quote="USD",
    tick_size=Decimal("0.25"),
    lot_size=Decimal(1),
    kind=InstrumentKind.LINEAR,
)
# In each profile other rules are the tight ones.
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "money": {
        "symbol_allowed": {"symbols": ["AAA/USD", "BBB/USD:USD"]},
        "market_price": {"max_age_ns": 90 * S, "max_age_intervals": 2},
        "price_collar": {"max_distance_fraction": "0.25"},
        "open_orders": {"cap": 5},
        "order_rate": {"per_minute": 6, "per_strategy_per_minute": 4},
        "cool_down": {"seconds": 60},
        "daily_loss": {"cap_notional": 40},
        "max_order_notional": {"cap_notional": 300},
        "max_position": {"cap_notional": 500},
        "max_gross": {"cap_notional": 700},
        "affordable": {"buffer_bps": 50},
    },
    "share": {
        "symbol_allowed": {"symbols": []},
        "market_price": {"max_age_intervals": 3},
        "price_collar": {"max_distance_fraction": "0.5"},
        "open_orders": {"cap": 6},
        "order_rate": {"per_minute": 8, "per_strategy_per_minute": 0},
        "cool_down": {"seconds": 0},
        "daily_loss": {"cap_equity_fraction": "0.1"},
        "max_order_notional": {"cap_equity_fraction": "0.75", "cap_notional": 700},
        "max_position": {"cap_equity_fraction": "0.9"},
        "max_gross": {"cap_equity_fraction": 1},
        "affordable": {},
    },
    "cash alone": {
        "symbol_allowed": {"symbols": ["AAA/USD", "BBB/USD:USD"]},
        "market_price": {"max_age_intervals": 1_000},
        "price_collar": {"max_distance_fraction": 3},
        "open_orders": {"cap": 6},
        "order_rate": {"per_minute": 50, "per_strategy_per_minute": 0},
        "cool_down": {"seconds": 3_600},
        "affordable": {"buffer_bps": 10},
    },
}


class Harness:
    """The real gate behind the real ledger, and the oracle beside them."""

    def __init__(self, profile: str) -> None:
        instruments = (SPOT, PERP)
        configured = PROFILES[profile]
        self.world = World(instruments, configured, Fraction(CAPITAL), Fraction(COST_BPS) / 10_000)
        self.exposure = Exposure(instruments, SpotAccount(instruments, "USD", CAPITAL), COST_BPS)
        self.gate = RiskGate(build_rules(profile, configured), self.exposure, "main", "run")
        ledger = Ledger(SpotAccount(instruments, "USD", CAPITAL), len(instruments))
        self.engine = Engine((ledger, self.gate), self)
        self.now_ns = START_NS
        self.n_intents = 0
        self.n_trades = 0
        self.reasons: Counter[RefusalReason | None] = Counter()

    def append(self, message: Message) -> None:
        """The journal: whatever the gate makes must be writable and readable."""
        if not isinstance(message, (OrderIntent, CancelIntent)):
            assert decode(encode(message)) == message

    def step(self, message: Message) -> list[Message]:
        done = self.engine.step(message)
        self.world.note(self.now_ns)
        return done

    # --- acts ---

    def wait(self, how: str, sees_prices: bool) -> None:
        to_midnight = -self.now_ns % DAY_NS
        self.now_ns += {
            "a second": S,
            "30 s": 30 * S,
            "59.999999999 s": 60 * S - 1,
            "a minute": 60 * S,
            "to midnight": to_midnight,
            "over midnight": to_midnight + 1,
            "three days": 3 * DAY_NS,
        }[how]
        if sees_prices:
            for index, ticks in sorted(self.world.marks.items()):
                self.bar(index, ticks)

    def bar(self, index: int, ticks: int) -> None:
        world = self.world
        bar = Bar(
            ts_ns=self.now_ns,
            instrument=index,
            ts_open_ns=self.now_ns - 60 * S,
            open=ticks,
            high=ticks,
            low=ticks,
            close=ticks,
        )
        world.marks[index], world.mark_ts[index], world.intervals[index] = ticks, self.now_ns, 60 * S
        self.step(bar)

    def trade(self, index: int, ticks: int) -> None:
        self.world.marks[index], self.world.mark_ts[index] = ticks, self.now_ns
        self.step(
            TradeEvent(
                ts_ns=self.now_ns,
                instrument=index,
                price_ticks=ticks,
                qty_lots=1,
                side=Side.BUY,
                trade_id=1,
                ts_venue_ns=self.now_ns,
            )
        )

    def kill_switch(self, source: str, state: TradingState, valid_s: int, ago_s: int) -> None:
        reading = KillSwitchState(
            ts_ns=self.now_ns - ago_s * S,
            state=state,
            source=source,
            valid_until_ns=self.now_ns + valid_s * S,
        )
        self.world.readings[source] = reading
        self.step(reading)

    def order(self, number: int) -> Order | None:
        return self.world.orders[number % len(self.world.orders)] if self.world.orders else None

    def fill(self, number: int, share: int, offset: int, fee: Decimal) -> None:
        order = self.order(number)
        if order is None or order.left <= 0:
            return
        event = order.event
        self.n_trades += 1
        mark = self.world.marks[event.instrument]
        fill = FillEvent(
            ts_ns=self.now_ns,
            instrument=event.instrument,
            account_id=event.account_id,
            strategy_id=event.strategy_id,
            intent_id=event.intent_id,
            client_order_id=event.client_order_id,
            side=event.side,
            price_ticks=max(1, mark + offset),
            qty_lots=max(1, order.left * share // 4),
            fee=fee,
            fee_asset="USD",
            is_maker=False,
            venue_trade_id=str(self.n_trades),
            ts_venue_ns=self.now_ns,
        )
        self.world.fill(fill)
        if not order.is_open:
            order.left -= fill.qty_lots  # Late: it ended, and was filled all the same.
        self.step(fill)

    def update(self, number: int, status: OrderStatus) -> None:
        order = self.order(number)
        if order is None or not order.is_open:
            return
        event = order.event
        known = self.exposure.working.get(event.client_order_id)
        assert known is not None
        if status is OrderStatus.ACCEPTED and known.status is not OrderStatus.SENT:
            return
        if status is OrderStatus.REJECTED and known.status not in (OrderStatus.SENT, OrderStatus.UNKNOWN):
            return
        order.is_open = status in (OrderStatus.ACCEPTED, OrderStatus.UNKNOWN)
        self.step(
            OrderUpdate(
                ts_ns=self.now_ns,
                instrument=event.instrument,
                account_id=event.account_id,
                strategy_id=event.strategy_id,
                intent_id=event.intent_id,
                client_order_id=event.client_order_id,
                status=status,
                ts_venue_ns=self.now_ns,
            )
        )

    def cancel(self, number: int, strategy_id: str) -> None:
        order = self.order(number)
        wanted = order.event.client_order_id if order else "NJ-NOBODY"
        self.n_intents += 1
        intent = CancelIntent(
            ts_ns=self.now_ns,
            strategy_id=strategy_id,
            intent_id=f"{strategy_id}-{self.n_intents}",
            client_order_id=wanted,
        )
        self.world.decided.append(intent.intent_id)
        _, *made = self.step(intent)
        may = order is not None and order.is_open and order.event.strategy_id == strategy_id
        decision = cast(RiskDecision, made[0])
        assert decision.allowed is may
        assert decision.reason is (None if may else RefusalReason.ORDER_NOT_FOUND)
        assert [type(each) for each in made[1:]] == ([CancelEvent] if may else [])

    def intent(self, wish: dict[str, Any], repeats: int = 0) -> None:
        fields = wish.copy()
        if repeats and self.world.decided:
            intent_id = self.world.decided[-min(repeats, len(self.world.decided))]
        else:
            self.n_intents += 1
            intent_id = f"{fields['strategy_id']}-{self.n_intents}"
        index = fields.get("instrument")
        if "offset" in fields:
            mark = self.world.marks.get(index, 40) if isinstance(index, int) else 40
            fields["limit_price_ticks"] = max(1, mark + fields.pop("offset"))
            fields["type"] = OrderType.LIMIT
        values: dict[str, Any] = {"ts_ns": self.now_ns, "account_id": "main", "intent_id": intent_id} | fields
        self.decide(OrderIntent(**values))

    def decide(self, intent: OrderIntent) -> None:
        world = self.world
        expected = world.expected(intent)
        shrinks = expected is None and world.reduces(intent)
        _, *made = self.step(intent)
        decision = cast(RiskDecision, made[0])
        self.reasons[decision.reason] += 1
        assert decision.reason is expected, f"{decision} for {intent}"
        assert decision.allowed is (expected is None)
        if isinstance(intent.intent_id, str):
            world.decided.append(intent.intent_id)
        if expected is not None:
            assert len(made) == 1
            assert decision.rule
            assert decision.evidence or expected is RefusalReason.PRICE_UNKNOWN
            return
        order = made[1]
        assert isinstance(order, OrderEvent)
        assert len(made) == 2
        same = (
            "side",
            "type",
            "tif",
            "qty_lots",
            "limit_price_ticks",
            "reduce_only",
            "instrument",
            "intent_id",
        )
        assert all(getattr(order, name) == getattr(intent, name) for name in same)
        assert order.expires_ns == intent.ts_ns + 10 * S
        world.orders.append(Order(order, order.qty_lots))
        world.approvals.append((order.ts_ns, order.strategy_id))
        assert shrinks or is_funded(world, intent)


def is_funded(world: World, intent: OrderIntent) -> bool:
    """Whatever part of the open orders fills, with this one, at the prices it was decided at: 1x equity backs it all."""
    *others, own = world.open_orders()
    same_side = [
        order
        for order in others
        if order.event.instrument != intent.instrument or order.event.side is intent.side
    ]
    every = chain.from_iterable(combinations(same_side, n) for n in range(len(same_side) + 1))
    return all(world.backed((*some, own), intent.instrument) for some in every)


# --- any act -----------------------------------------------------------------------------------------------------

NOT_NUMBERS = [None, True, "5", 1.5, float("nan"), float("inf"), Decimal("NaN"), b"x", [1], {}, object()]
GARBAGE = st.sampled_from([*NOT_NUMBERS, -1, 0, 2**63, 10**5000, "", "buy", "BUY", "hold", "\ud800"])
GOOD = st.fixed_dictionaries(
    {
        "instrument": st.integers(0, 1),
        "strategy_id": st.sampled_from("ab"),
        "side": st.sampled_from(Side),
        "qty_lots": st.one_of(st.integers(1, 12), st.integers(10, 70)),
        "reduce_only": st.sampled_from([False] * 6 + [True]),
    },
    optional={
        "offset": st.one_of(st.integers(-8, 8), st.integers(-30, 30)),
        "tif": st.sampled_from(TimeInForce),
    },
)
HOSTILE = st.builds(
    lambda good, name, value: (
        good | {"offset": 0} | {name: value}
        if name not in ("limit_price_ticks", "type")
        else {key: each for key, each in good.items() if key != "offset"} | {name: value}
    ),
    GOOD,
    st.sampled_from(
        [
            "instrument",
            "side",
            "qty_lots",
            "type",
            "tif",
            "limit_price_ticks",
            "reduce_only",
            "account_id",
            "parent_id",
        ]
    ),
    GARBAGE,
)
TICKS = st.integers(20, 70)
WISH = st.tuples(st.just("intent"), GOOD)
FILL = st.tuples(
    st.just("fill"),
    st.integers(0, 20),
    st.sampled_from([1, 2, 3, 4, 4, 4]),
    st.integers(-3, 3),
    st.sampled_from([Decimal(0), Decimal("0.3"), Decimal(2), Decimal("-0.1")]),
)
BAR = st.tuples(st.just("bar"), st.integers(0, 1), TICKS)
UPDATE = st.tuples(
    st.just("update"),
    st.integers(0, 20),
    st.sampled_from(
        [
            OrderStatus.ACCEPTED,
            OrderStatus.UNKNOWN,
            OrderStatus.CANCELED,
            OrderStatus.REJECTED,
            OrderStatus.EXPIRED,
        ]
    ),
)
WAIT = st.tuples(
    st.just("wait"),
    st.sampled_from(
        ["a second", "30 s", "59.999999999 s", "a minute", "to midnight", "over midnight", "three days"]
    ),
    st.sampled_from([True, True, True, False]),
)
READING = st.tuples(
    st.just("kill_switch"),
    st.sampled_from(["file", "file", "redis"]),
    st.sampled_from([TradingState.ACTIVE] * 9 + [TradingState.REDUCE_ONLY] * 4 + [TradingState.HALTED]),
    st.sampled_from([0, 1, 60, *[10**9] * 6]),
    st.sampled_from([0] * 8 + [-1]),
)
REPEAT = st.tuples(st.just("intent"), GOOD, st.integers(1, 3))
BROKEN = st.tuples(st.just("intent"), HOSTILE)
TRADE = st.tuples(st.just("trade"), st.integers(0, 1), TICKS)
CANCEL = st.tuples(st.just("cancel"), st.integers(0, 20), st.sampled_from("ab"))
KINDS = (
    [WISH] * 12
    + [FILL] * 7
    + [BAR] * 3
    + [UPDATE] * 3
    + [WAIT] * 4
    + [REPEAT, BROKEN, TRADE, CANCEL, READING]
)
ACT = st.sampled_from(KINDS).flatmap(lambda kind: kind)
IS_READY = st.sampled_from([True] * 7 + [False])


def run(harness: Harness, acts: list[tuple[Any, ...]]) -> None:
    for name, *arguments in acts:
        getattr(harness, name)(*arguments)
        check_books(harness)


def check_books(harness: Harness) -> None:
    """What the gate believes is what happened."""
    world, exposure = harness.world, harness.exposure
    for index, book in enumerate(world.books):
        assert Fraction(exposure.held_qty(index)) == book.qty
        for side in Side:
            open_lots = sum(order.left for order in world.open_orders(index) if order.event.side is side)
            assert exposure.working.side_lots(index, side) == open_lots
    equity = exposure.equity()
    assert (None if equity is None else Fraction(equity)) == world.equity()


@given(st.sampled_from(sorted(PROFILES)), IS_READY, st.lists(ACT, max_size=40))
@settings(max_examples=settings.default.max_examples * 4 if settings.default else 160)
def test_the_gate_decides_every_intent_as_the_oracle_does(
    profile: str, is_ready: bool, acts: list[tuple[Any, ...]]
) -> None:
    harness = Harness(profile)
    if is_ready:
        harness.kill_switch("file", TradingState.ACTIVE, 10**9, 0)
        harness.bar(0, 40)
        harness.bar(1, 40)
    run(harness, acts)


@given(st.sampled_from(sorted(PROFILES)), st.lists(GOOD, min_size=2, max_size=12))
def test_intents_of_one_breath_never_use_a_limit_twice(profile: str, wishes: list[dict[str, Any]]) -> None:
    harness = Harness(profile)
    harness.kill_switch("file", TradingState.ACTIVE, 10**9, 0)
    harness.bar(0, 40)
    harness.bar(1, 40)
    for wish in wishes:
        harness.intent(wish)
    assert len({intent for intent in harness.world.decided}) == len(wishes)


@given(st.data())
def test_an_order_that_only_shrinks_always_passes_the_caps(data: st.DataObject) -> None:
    harness = Harness("money")
    harness.kill_switch("file", TradingState.ACTIVE, 10**9, 0)
    harness.bar(0, 20)
    harness.bar(1, 20)
    harness.intent(
        {"instrument": 1, "strategy_id": "a", "side": data.draw(st.sampled_from(Side)), "qty_lots": 50}
    )
    harness.fill(0, 4, 0, Decimal(1))
    harness.update(0, OrderStatus.EXPIRED)
    held = harness.world.books[1].qty
    assert abs(held) == 50
    # Any market, however bad: equity may be gone, the day lost, every cap exceeded.
    harness.bar(1, data.draw(st.integers(1, 5_000)))
    way_out = Side.SELL if held > 0 else Side.BUY
    lots = data.draw(st.integers(1, 50))
    harness.intent({"instrument": 1, "strategy_id": "a", "side": way_out, "qty_lots": lots})
    assert harness.reasons[None] == 2
