"""The gate against an oracle of its own, for any sequence of intents, markets, fills, readings and days."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.accounts import AccountTerms
from njord.core.types import OrderStatus, OrderType, Side, TimeInForce, TradingState
from tests.property.risk_harness import Harness
from tests.property.risk_profiles import PROFILES, TERMS

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
        "tif": st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
    },
)
CONDITIONS = st.tuples(
    st.sampled_from([kind for kind in OrderType if kind.is_conditional]), st.integers(-12, 12)
)
LINKED = st.builds(
    lambda good, more: {key: each for key, each in good.items() if key not in ("offset", "tif")} | more,
    GOOD,
    st.fixed_dictionaries(
        {},
        optional={
            "condition": CONDITIONS,
            "lives_s": st.sampled_from([0, 1, 3_600]),
            "group_id": st.sampled_from(["g", "g", "h"]),
            "is_exit": st.sampled_from([True, True, False]),
            "post_only": st.booleans(),
        },
    ),
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
            "post_only",
            "trigger_price_ticks",
            "trail_ticks",
            "expire_ns",
            "group_id",
            "after_intent_id",
        ]
    ),
    GARBAGE,
)
TICKS = st.integers(20, 70)
WISH = st.tuples(st.just("intent"), GOOD)
LINK = st.tuples(st.just("intent"), LINKED)
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
BRACKET = st.tuples(
    st.just("bracket"),
    GOOD,
    st.lists(st.tuples(st.integers(1, 40), st.integers(-9, 9)), min_size=1, max_size=3),
)
AMEND = st.tuples(
    st.just("amend"),
    st.integers(0, 20),
    st.sampled_from("ab"),
    st.sampled_from([0, 0, -8, -1, 1, 30]),
    st.sampled_from([0, 0, -3, 4, 30]),
    st.sampled_from([0, 0, 0, -2, 5]),
)
ANSWER = st.tuples(st.just("answer"), st.integers(0, 20), st.booleans())
CANCEL = st.tuples(st.just("cancel"), st.integers(0, 20), st.sampled_from("ab"))
KINDS = (
    [WISH] * 8
    + [LINK] * 4
    + [BRACKET] * 3
    + [AMEND] * 4
    + [ANSWER] * 3
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
            sizes = sum(max(map(abs, each)) for each in world.choices(index, side))
            assert exposure.instruments[index].qty(exposure.working.side_lots(index, side)) == sizes
    equity = exposure.equity()
    assert (None if equity is None else Fraction(equity)) == world.equity()


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(TERMS), IS_READY, st.lists(ACT, max_size=40))
@settings(max_examples=settings.default.max_examples * 4 if settings.default else 160)
def test_the_gate_decides_every_intent_as_the_oracle_does(
    profile: str, terms: AccountTerms, is_ready: bool, acts: list[tuple[Any, ...]]
) -> None:
    harness = Harness(profile, terms)
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
