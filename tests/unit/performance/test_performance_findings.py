"""Findings: each appears exactly when its numbers say so, the most important first."""

import inspect
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.units import NS_PER_DAY
from njord.performance import findings
from njord.performance.findings import Finding, find
from njord.performance.run_facts import PoisonFacts, RunFacts, TrialFacts, WarmUpFacts

PASSED = PoisonFacts(n_asked=3, n_run=3, n_decisions=40)
STEADY = tuple(Decimal(pnl) for pnl in ["10"] * 40 + ["-5"] * 20)

# A sound run: profitable, many alike round trips, good data, checks passed. Nothing is to be said of it.
SOUND = RunFacts(
    asset="USDT",
    span_ns=365 * NS_PER_DAY,
    net_profit=Decimal(300),
    unrealized_pnl=Decimal(0),
    fees=Decimal(30),
    total_return=0.03,
    max_drawdown=0.01,
    trip_pnls=STEADY,
    n_fills=120,
    n_orders=120,
    n_never_filled=0,
    n_failed=0,
    refusals=(),
    grades=(("bars", "A", "no fault"),),
    n_fills_in_gaps=0,
    symbols=(("BTC/USDT", Decimal(300)),),
    strategies=(("s", Decimal(300)),),
    benchmark=(0.02, 0.05),
    fee_multiple=11.0,
    extra_slippage_bps=40.0,
    under_water=0.1,
    poison=PASSED,
    warm_up=WarmUpFacts(n_compared=40),
)


def found(**changes: Any) -> list[Finding]:
    return find(msgspec.structs.replace(SOUND, **changes))


def codes(**changes: Any) -> list[str]:
    return [finding.code for finding in found(**changes)]


def test_nothing_is_said_of_a_sound_run() -> None:
    assert found() == []


D = Decimal
SAME = {"net_profit": D(-600), "total_return": -0.06, "fee_multiple": None, "extra_slippage_bps": None}
# (code, severity, what makes it appear, what nearly does, words of its sentence)
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    (
        "future_leak", "alarm",
        {"poison": PoisonFacts(n_asked=3, n_run=3, n_decisions=9, leaks=("Target of s changed", "x"))},
        {"poison": PASSED}, "reads the future: Target of s changed (and 1 more)",
    ),
    ("suspended", "alarm", {"suspended": "my.py:3: KeyError"}, {"suspended": ""}, "my.py:3: KeyError"),
    ("ruined", "alarm", {"is_ruined": True}, {"is_ruined": False}, "ruined"),
    ("liquidated", "alarm", {"n_liquidations": 2}, {"n_liquidations": 0}, "liquidated 2 times"),
    ("data_grade", "alarm", {"grades": (("a", "A", "x"), ("b", "E", "holes"))}, {"grades": (("b", "B", "x"),)}, "b are grade E: holes"),
    ("data_grade", "warning", {"grades": (("b", "D", "holes"),)}, {"grades": (("b", "B", "x"),)}, "grade D"),
    ("data_grade", "note", {"grades": (("b", "C", "holes"),)}, {"grades": ()}, "grade C"),
    ("fills_in_gaps", "alarm", {"n_fills_in_gaps": 17}, {"n_fills_in_gaps": 0}, "17 fills inside data gaps"),
    ("fills_in_gaps", "warning", {"n_fills_in_gaps": 1}, {"n_fills_in_gaps": 0}, "1 fill inside data gaps"),
    ("warm_up", "warning", {"warm_up": WarmUpFacts(n_compared=3, difference="s: buys at 1")}, {"warm_up": None}, "s: buys at 1"),
    ("explained_by_trials", "warning", {"trial": TrialFacts(n_trials=90, verdict="overfit", because="Luck reaches 1.1.")}, {"trial": TrialFacts(n_trials=90, verdict="not shown", because="x")}, "explains the result. Luck reaches 1.1."),
    ("trial_not_counted", "note", {"trial": TrialFacts(n_trials=0, verdict="", because="no room")}, {"trial": TrialFacts(n_trials=1, verdict="holds", because="x")}, "not counted as a trial: no room"),
    ("fees_exceed_profit", "warning", {"net_profit": D(-1), "fees": D(301), **{k: v for k, v in SAME.items() if k != "net_profit"}}, {"fees": D(299)}, "Fees of 301.00 USDT exceed the gross profit of 300.00 USDT"),
    ("fees_take_profit", "note", {"fees": D(300)}, {"fees": D(299)}, "took 50 % of the gross profit of 600.00 USDT"),
    ("lost_before_fees", "warning", {**SAME, "fees": D(100)}, {**SAME, "fees": D(0)}, "lost 500.00 USDT even before fees of 100.00 USDT"),
    ("only_rebates", "warning", {"fees": D(-301)}, {"fees": D(-299)}, "All profit is rebates"),
    ("no_trade", "warning", {"n_fills": 0, "trip_pnls": (), "n_orders": 0}, {}, "Nothing was traded"),
    ("no_round_trip", "warning", {"n_fills": 1, "trip_pnls": ()}, {}, "No round trip was closed"),
    ("few_round_trips", "warning", {"trip_pnls": STEADY[:4]}, {"trip_pnls": STEADY[:30]}, "rests on 4 round trips"),
    ("few_round_trips", "note", {"trip_pnls": STEADY[:29]}, {"trip_pnls": STEADY[:30]}, "rests on 29 round trips"),
    ("concentrated", "warning", {"trip_pnls": (*STEADY, D(223))}, {"net_profit": D(300), "trip_pnls": (*STEADY, D(129))}, "81 % of the profit comes from 3 of 61 trades"),
    ("concentrated", "warning", {"net_profit": D(29)}, {"net_profit": D(61)}, "Without its 3 best of 60 trades the run would have lost"),
    ("fee_margin", "warning", {"fee_multiple": 1.6}, {"fee_multiple": 2.01}, "at 1.60 times the fees"),
    ("slippage_margin", "warning", {"extra_slippage_bps": 1.04}, {"extra_slippage_bps": 5.1}, "at 1 bp more slippage"),
    ("benchmark_better", "warning", {"benchmark": (0.05, 0.005)}, {"benchmark": (0.03, 0.005)}, "earned more: 5.0 % against 3.0 %, with less drawdown (0.50 % against 1.0 %)"),
    ("benchmark_earned_more", "note", {"benchmark": (0.05, 0.02)}, {"benchmark": (0.03, 0.02)}, "earned more"),
    ("symbol_offset", "warning", {"symbols": (("A", D(100)), ("B", D(-50)))}, {"symbols": (("A", D(100)), ("B", D(-49)))}, "symbol lost what another earned: B \N{MINUS SIGN}50.00 USDT, A 100.00 USDT"),
    ("strategy_offset", "warning", {"strategies": (("x", D(1)), ("y", D(-1)))}, {"strategies": (("x", D(1)), ("y", D(1)))}, "One strategy lost"),
    ("turned_down", "warning", {"n_failed": 6}, {"n_failed": 5}, "turned down 6 of 120 orders"),
    ("refused", "warning", {"refusals": (("A", 20), ("B", 100))}, {"refusals": (("A", 20), ("B", 99))}, "most often B (100)"),
    ("largest_loss", "warning", {"trip_pnls": (*STEADY, D(-50))}, {"trip_pnls": (*STEADY, D(-49))}, "is 5.0 times the average win"),
    ("not_realized", "warning", {"unrealized_pnl": D(150)}, {"unrealized_pnl": D(149)}, "50 % of the profit is not realized"),
    ("poison_off", "warning", {"poison": None}, {"poison": PASSED}, "did not run"),
    ("poison_off", "warning", {"poison": PoisonFacts(n_asked=0, n_run=0, n_decisions=0)}, {}, "did not run"),
    ("poison_empty", "warning", {"poison": PoisonFacts(n_asked=3, n_run=3, n_decisions=0)}, {}, "shows nothing"),
    ("poison_fewer", "note", {"poison": PoisonFacts(n_asked=3, n_run=2, n_decisions=9)}, {}, "Only 2 of 3"),
    ("never_filled", "note", {"n_never_filled": 48}, {"n_never_filled": 29}, "40 % of orders never filled"),
    ("short_run", "note", {"span_ns": 29 * NS_PER_DAY}, {"span_ns": 30 * NS_PER_DAY}, "covers 29 days"),
    ("under_water", "note", {"under_water": 0.5}, {"under_water": 0.49}, "for 50 % of the run"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "severity", "changes", "nearly", "words"), CASES)
def test_a_finding_appears_exactly_when_its_numbers_say_so(
    code: str, severity: str, changes: dict[str, Any], nearly: dict[str, Any], words: str
) -> None:
    (finding,) = [each for each in found(**changes) if each.code == code]
    assert finding.severity == severity
    assert words in finding.says
    assert code not in codes(**nearly)


def test_every_kind_of_finding_has_a_case() -> None:
    named = set(re.findall(r'_finding\(\s*"(\w+)"', inspect.getsource(findings)))
    assert named | {"symbol_offset", "strategy_offset"} == {case[0] for case in CASES}


def test_a_leak_is_the_first_of_all_and_ranks_count_from_one() -> None:
    leak = PoisonFacts(n_asked=3, n_run=3, n_decisions=9, leaks=("x",))
    everything = found(
        poison=leak,
        is_ruined=True,
        n_liquidations=1,
        n_fills_in_gaps=1,
        benchmark=(0.05, 0.005),
        span_ns=NS_PER_DAY,
    )
    assert everything[0].code == "future_leak"
    assert [each.rank for each in everything] == list(range(1, len(everything) + 1))
    order = [("alarm", "warning", "note").index(each.severity) for each in everything]
    assert order == sorted(order)


def test_a_loss_is_no_profit_that_few_trades_made_or_costs_would_eat() -> None:
    lost = codes(**SAME, fees=Decimal(1), trip_pnls=(*STEADY, Decimal(-600)))
    assert not {"concentrated", "fee_margin", "slippage_margin", "not_realized"} & set(lost)


def test_buy_and_hold_that_lost_less_is_not_said_to_have_earned() -> None:
    (finding,) = [each for each in found(**SAME, benchmark=(-0.01, 0.05)) if "benchmark" in each.code]
    assert finding.says.startswith("Buy and hold lost less: \N{MINUS SIGN}1.0 % against \N{MINUS SIGN}6.0 %")


@pytest.mark.parametrize(("days", "words"), [(4.25, "4.25 days"), (0.5, "12 hours"), (0.004, "5.8 minutes")])
def test_a_short_run_says_how_short(days: float, words: str) -> None:
    (finding,) = found(span_ns=int(days * NS_PER_DAY))
    assert finding.says == f"The run covers {words}: figures per year mean little."


def test_trades_that_earned_exactly_nothing_are_not_said_to_have_lost_minus_zero() -> None:
    (finding,) = found(**SAME | {"net_profit": D(-30), "total_return": -0.003, "benchmark": None})
    assert finding.says == "The trades earned nothing to pay the fees of 30.00 USDT with."
