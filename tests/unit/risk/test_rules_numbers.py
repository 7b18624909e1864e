"""Every rule tells what it compared, refused or not, and how much of its limit is used."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.filters import FilterChange
from njord.core.types import RefusalReason, Side, TimeInForce, TradingState
from njord.risk.profile import build_rules
from njord.risk.rules import RULES, RiskRule
from njord.risk.rules.base import LimitUse
from tests.unit.risk.risk_bench import MINUTE, NOON, Bench, S, priced, spot
from tests.unit.risk.test_rules_reasons import REACHED

BUY, SELL = Side.BUY, Side.SELL


def rule_of(name: str, **params: Any) -> RiskRule:
    return next(rule for rule in build_rules("bench", {name: params}) if rule.name == name)


def rules_of(bench: Bench) -> dict[str, RiskRule]:
    bound: Any = bench.gate._checks
    return {name: check.__self__ for name, check in bound}


def numbers(bench: Bench, name: str, **fields: Any) -> dict[str, str]:
    return dict(rules_of(bench)[name].numbers(bench.intent(**fields), bench.exposure))


@pytest.mark.parametrize("reason", REACHED)
def test_the_numbers_of_a_refused_intent_tell_the_value_and_the_limit_of_its_evidence(
    reason: RefusalReason,
) -> None:
    make, fields = REACHED[reason]
    bench = make()
    intent = bench.intent(**fields)
    told = {name: rule.numbers(intent, bench.exposure) for name, rule in rules_of(bench).items()}
    decision, _ = bench.decide(intent)
    assert decision.reason is reason
    assert set(decision.evidence) <= set(told[decision.rule])


ALL_ON: dict[str, dict[str, Any]] = {
    "symbol_allowed": {"symbols": ["AAA/USD"]},
    "price_collar": {},
    "open_orders": {"cap": 9},
    "order_rate": {"per_minute": 5, "per_strategy_per_minute": 4},
    "cool_down": {"seconds": 60},
    "daily_loss": {"cap_notional": 50},
    "max_order_notional": {"cap_notional": 300},
    "max_position": {"cap_equity_fraction": "0.5"},
    "max_gross": {"cap_notional": 700},
}
# Of a limit order of 5 lots (0.5 AAA) at 10.5 that passes, in a market at 10, on 1,000 with one order working.
PASSED: dict[str, dict[str, str]] = {
    "kill_switch": {
        "state": "active",
        "source": "file",
        "read_ns": str(NOON),
        "valid_until_ns": str(2**63 - 1),
    },
    "well_formed": {
        "side": "buy",
        "type": "limit",
        "tif": "gtc",
        "qty_lots": "5",
        "limit_price_ticks": "21",
    },
    "duplicate_intent": {"intent_id": "a-2", "is_known": "false"},
    "symbol_allowed": {"symbol": "AAA/USD", "allowed": "AAA/USD"},
    "instrument_filters": {
        "qty": "0.5",
        "min_qty": "0.2",
        "max_qty": "12",
        "notional": "5.25",
        "min_notional": "4",
    },
    "market_price": {"symbol": "AAA/USD", "price": "10", "age_ns": str(S), "max_age_ns": str(3 * MINUTE)},
    "price_collar": {"limit_price": "10.5", "reference": "10", "max_distance_fraction": "0.1"},
    "order_links": {},
    "reduce_only": {},
    "open_orders": {"open_orders": "1", "cap": "9"},
    "order_rate": {
        "orders": "1",
        "per_minute": "5",
        "strategy_orders": "1",
        "per_strategy_per_minute": "4",
    },
    "cool_down": {"seconds_left": "0", "seconds": "60", "only_reduces": "false"},
    "daily_loss": {"day_pnl": "0", "cap": "50", "only_reduces": "false"},
    "max_order_notional": {"notional": "5.25", "cap": "300"},
    "max_position": {"position_notional": "10.5", "cap": "500", "grows": "true"},
    "max_gross": {"gross_notional": "10.5", "cap": "700", "grows": "true"},
    "affordable": {"only_reduces": "false", "notional": "5.25", "needed": "10.25", "equity": "1000"},
}


def passing() -> Bench:
    coin = spot(min_qty=Decimal("0.2"), max_qty=Decimal(12), min_notional=Decimal(4))
    bench = priced(ALL_ON, spot=coin)
    bench.order(qty_lots=5)
    bench.now_ns += S
    return bench


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_a_rule_tells_what_it_compared_where_it_lets_pass_too(name: str) -> None:
    bench = passing()
    intent = bench.intent(qty_lots=5, limit_price_ticks=21)
    assert dict(rules_of(bench)[name].numbers(intent, bench.exposure)) == PASSED[name]
    assert bench.decide(intent)[0].allowed


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instrument", 2),
        ("instrument", None),
        ("qty_lots", "5"),
        ("qty_lots", 2**63),
        ("side", "buy"),
        ("type", None),
        ("ts_ns", 1.5),
        ("trail_ticks", -1),
        ("group_id", 3),
        ("after_intent_id", b"x"),
        ("reduce_only", 1),
    ],
)
def test_no_rule_raises_whatever_an_intent_holds(rule: type[RiskRule], field: str, value: object) -> None:
    bench = priced()
    told = rule_of(rule.name).numbers(bench.intent(**{field: value}), bench.exposure)
    assert bool(told) is (rule.name in ("kill_switch", "well_formed"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_raises_or_counts_anything_before_the_first_price(rule: type[RiskRule]) -> None:
    bench = Bench(ALL_ON, is_on=False)
    asked = rule_of(rule.name, **ALL_ON.get(rule.name, {}))
    told = dict(asked.numbers(bench.intent(), bench.exposure))
    assert all(use.used == 0 for use in asked.usage(bench.exposure))
    for name in ("notional", "position_notional", "gross_notional", "needed"):
        assert told.get(name, "unknown") == "unknown"


def test_linked_orders_tell_their_group_and_what_their_entry_covers() -> None:
    bench = priced()
    bench.order(qty_lots=10)
    first = {"side": SELL, "qty_lots": 6, "reduce_only": True, "after_intent_id": "a-1", "group_id": "g"}
    assert numbers(bench, "order_links", **first) == {
        "group_id": "g",
        "members": "0",
        "after_intent_id": "a-1",
        "exit_lots": "6",
        "entry_lots": "10",
    }
    bench.order(**first)
    second = numbers(bench, "order_links", **{**first, "group_id": "", "qty_lots": 4})
    assert second == {"after_intent_id": "a-1", "exit_lots": "10", "entry_lots": "10"}


def test_what_only_reduces_is_told_as_such() -> None:
    bench = priced({"daily_loss": {"cap_notional": 1}, "max_position": {"cap_notional": 50}})
    bench.trade(20, qty_lots=40)
    way_out: dict[str, Any] = {"side": SELL, "qty_lots": 40, "reduce_only": True}
    assert numbers(bench, "daily_loss", **way_out)["only_reduces"] == "true"
    assert numbers(bench, "max_position", **way_out) == {
        "position_notional": "40",
        "cap": "50",
        "grows": "false",
    }
    assert numbers(bench, "affordable", **way_out)["only_reduces"] == "true"
    assert numbers(bench, "reduce_only", **way_out) == {"position": "4", "in_open_orders": "0", "qty": "4"}
    bench.read(TradingState.REDUCE_ONLY)
    assert numbers(bench, "kill_switch", **way_out)["only_reduces"] == "true"
    assert numbers(bench, "kill_switch", qty_lots=1)["only_reduces"] == "false"


def used(rule: RiskRule, bench: Bench) -> list[LimitUse]:
    return list(rule.usage(bench.exposure))


def test_usage_is_what_stands_now_per_instrument_and_strategy_where_the_limit_is() -> None:
    bench = passing()
    bench.trade(20, strategy_id="b", instrument=0, qty_lots=10)
    bench.bar(20)
    bench.bar(20, index=1)
    rules = rules_of(bench)
    name = "open_orders"
    assert used(rules[name], bench) == [LimitUse(name, Decimal(1), Decimal(9), "orders")]
    name = "order_rate"
    assert used(rules[name], bench) == [
        LimitUse(name, Decimal(2), Decimal(5), "orders/min"),
        LimitUse(name, Decimal(1), Decimal(4), "orders/min", strategy_id="a"),
        LimitUse(name, Decimal(1), Decimal(4), "orders/min", strategy_id="b"),
    ]
    name = "max_position"  # 1.0 held and 0.5 working, at 10.
    assert used(rules[name], bench) == [
        LimitUse(name, Decimal(15), Decimal(500), "USD", instrument=0),
        LimitUse(name, Decimal(0), Decimal(500), "USD", instrument=1),
    ]
    name = "max_gross"
    assert used(rules[name], bench) == [LimitUse(name, Decimal(15), Decimal(700), "USD")]
    name = "affordable"
    assert used(rules[name], bench) == [LimitUse(name, Decimal(15), Decimal(1_000), "USD")]
    bench.now_ns += MINUTE
    bench.bar(20)
    assert used(rules["order_rate"], bench)[0].used == 0
    assert all(not rule.usage(bench.exposure) for rule in rules.values() if rule.name not in WITH_USAGE)


WITH_USAGE = {"open_orders", "order_rate", "max_position", "max_gross", "affordable", "daily_loss"}


def test_a_days_loss_is_used_up_by_losses_alone() -> None:
    bench = passing()
    rule = rules_of(bench)["daily_loss"]
    bench.trade(20, qty_lots=10, fee="3")
    assert used(rule, bench) == [LimitUse("daily_loss", Decimal(3), Decimal(50), "USD")]
    bench.bar(40)
    assert used(rule, bench)[0].used == 0
    bench.bar(1)
    assert used(rule, bench)[0].used == Decimal("12.5")


def test_a_cool_down_runs_off_with_the_markets_time() -> None:
    bench = passing()
    rule = rules_of(bench)["cool_down"]
    assert used(rule, bench) == []
    bench.trade(20, qty_lots=10)
    bench.trade(18, qty_lots=10, side=SELL)
    bench.now_ns += 30 * S
    bench.bar(20)
    assert used(rule, bench) == [LimitUse("cool_down", Decimal(30), Decimal(60), "s", instrument=0)]
    bench.now_ns += 30 * S
    bench.bar(20)
    assert used(rule, bench) == []


def test_a_coarser_step_of_the_time_is_told_with_what_must_be_its_multiple() -> None:
    coin = spot(filter_changes=(FilterChange(from_ns=0, lot_multiple=5, tick_multiple=2),))
    bench = priced(spot=coin)
    told = rules_of(bench)["instrument_filters"].numbers(
        bench.intent(qty_lots=10, limit_price_ticks=20, tif=TimeInForce.GTC), bench.exposure
    )
    assert ("qty_lots", "10") in told
    assert ("limit_price_ticks", "20") in told
    assert [value for name, value in told if name == "multiple_of"] == ["5", "2", "2"]
