"""Findings: what must be said first about a run, in words, and only what its numbers say.

The exact figures of a run come in; sentences go out, the most important first: what makes the result untrue, then what
makes it fragile, then what is good to know. A finding that its numbers do not bear out does not appear.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from njord.core.units import EXACT, NS_PER_DAY, ZERO, ratio
from njord.performance.run_facts import RunFacts

Severity = Literal["alarm", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("alarm", "warning", "note")

BEST_TRIPS = 3
_MINUS = "\N{MINUS SIGN}"
_TRIPS_FEW, _TRIPS_SOME = 10, 30
_ORDERS_MIN = 10
_SHORT_DAYS = 30


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to know.

    Attributes:
        rank: 1 is the most important.
        code: What kind of finding it is, for machines.
        severity: "alarm" = the result is not true or not usable, "warning" = it is fragile, "note" = good to know.
        says: The sentence.
        figures: The numbers it rests on: fractions, counts, or decimal strings of money.
    """

    rank: int = 0
    code: str
    severity: Severity
    says: str
    figures: dict[str, float | int | str]


def find(facts: RunFacts) -> list[Finding]:
    """Return the findings of a run: alarms, warnings, notes, within each in the order of `CHECKS`."""
    found = [finding for check in CHECKS if (finding := check(facts)) is not None]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return [msgspec.structs.replace(finding, rank=rank) for rank, finding in enumerate(found, start=1)]


def _leak(facts: RunFacts) -> Finding | None:
    if facts.poison is None or not facts.poison.leaks:
        return None
    leaks = facts.poison.leaks
    more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
    return _finding(
        "future_leak",
        "alarm",
        f"The run reads the future: {leaks[0]}{more}. Nothing below can be believed.",
        n_leaks=len(leaks),
        n_cuts=facts.poison.n_run,
    )


def _suspended(facts: RunFacts) -> Finding | None:
    if not facts.suspended:
        return None
    return _finding("suspended", "alarm", f"A strategy failed and was suspended: {facts.suspended}")


def _ruined(facts: RunFacts) -> Finding | None:
    if not facts.is_ruined:
        return None
    return _finding("ruined", "alarm", "Equity fell to zero or below: the account was ruined.")


def _liquidated(facts: RunFacts) -> Finding | None:
    if not facts.n_liquidations:
        return None
    times = "once" if facts.n_liquidations == 1 else f"{facts.n_liquidations:,} times"
    says = f"Margin ran out: the venue liquidated {times}."
    return _finding("liquidated", "alarm", says, n_liquidations=facts.n_liquidations)


def _grade(facts: RunFacts) -> Finding | None:
    worst = max(facts.grades, key=lambda each: each[1], default=None)
    if worst is None or worst[1] < "C":
        return None
    name, grade, because = worst
    severity: Severity = "note" if grade == "C" else "warning" if grade == "D" else "alarm"
    return _finding("data_grade", severity, f"The data of {name} are grade {grade}: {because}.", grade=grade)


def _fills_in_gaps(facts: RunFacts) -> Finding | None:
    n = facts.n_fills_in_gaps
    if not n or not facts.n_fills:
        return None
    part = n / facts.n_fills
    says = f"{_count(n, 'fill')} inside data gaps or flagged bars ({_percent(part)} of all): such prices may never have been."
    return _finding("fills_in_gaps", "alarm" if part > 0.1 else "warning", says, n_fills=n, share=part)


def _warm_up(facts: RunFacts) -> Finding | None:
    if facts.warm_up is None or not facts.warm_up.difference:
        return None
    says = f"Decisions depend on more history than the declared warm-up: {facts.warm_up.difference}."
    return _finding("warm_up", "warning", says)


def _trials(facts: RunFacts) -> Finding | None:
    trial = facts.trial
    if trial is None or trial.verdict not in ("", "overfit"):
        return None
    if not trial.verdict:
        return _finding("trial_not_counted", "note", f"The run was not counted as a trial: {trial.because}.")
    says = f"The number of trials explains the result. {trial.because}"
    return _finding("explained_by_trials", "warning", says, n_trials=trial.n_trials)


def _fees(facts: RunFacts) -> Finding | None:
    gross = EXACT.add(facts.net_profit, facts.fees)
    if facts.fees <= 0:
        return None
    if not gross:
        says = f"The trades earned nothing to pay the fees of {_money(facts.fees, facts)} with."
        return _finding("lost_before_fees", "warning", says, fees=f"{facts.fees:f}", before_fees="0")
    if gross < 0:
        says = f"The trades lost {_money(gross.copy_negate(), facts)} even before fees of {_money(facts.fees, facts)}."
        return _finding("lost_before_fees", "warning", says, fees=f"{facts.fees:f}", before_fees=f"{gross:f}")
    part = float(ratio(facts.fees, gross))
    figures: dict[str, float | int | str] = {
        "fees": f"{facts.fees:f}",
        "profit_before_fees": f"{gross:f}",
        "share": part,
    }
    if facts.fees > gross:
        says = f"Fees of {_money(facts.fees, facts)} exceed the gross profit of {_money(gross, facts)}."
        return _finding("fees_exceed_profit", "warning", says, **figures)
    if part < 0.5:
        return None
    says = f"Fees took {_percent(part)} of the gross profit of {_money(gross, facts)}."
    return _finding("fees_take_profit", "note", says, **figures)


def _rebates(facts: RunFacts) -> Finding | None:
    if facts.fees >= 0 or facts.net_profit <= 0 or EXACT.add(facts.net_profit, facts.fees) > 0:
        return None
    says = f"All profit is rebates: without them the trades lost {_money(EXACT.add(facts.net_profit, facts.fees), facts)}."
    return _finding("only_rebates", "warning", says, rebates=f"{facts.fees.copy_negate():f}")


def _few_trips(facts: RunFacts) -> Finding | None:
    n = len(facts.trip_pnls)
    if not facts.n_fills:
        return _finding("no_trade", "warning", "Nothing was traded.", n_fills=0)
    if not n:
        return _finding(
            "no_round_trip", "warning", "No round trip was closed: the result is what is still held."
        )
    if n >= _TRIPS_SOME:
        return None
    says = f"The result rests on {_count(n, 'round trip')}: too few to tell skill from luck."
    return _finding("few_round_trips", "warning" if n < _TRIPS_FEW else "note", says, n_round_trips=n)


def _concentrated(facts: RunFacts) -> Finding | None:
    n = len(facts.trip_pnls)
    if facts.net_profit <= 0 or n < _TRIPS_FEW:
        return None
    best = _sum(sorted(facts.trip_pnls)[-BEST_TRIPS:])
    part = float(ratio(best, facts.net_profit))
    if part < 0.5:
        return None
    figures = {"share": part, "n_trades": BEST_TRIPS, "n_round_trips": n}
    if part > 1:
        says = f"Without its {BEST_TRIPS} best of {n:,} trades the run would have lost: they made {_percent(part)} of the profit."
    else:
        says = f"{_percent(part)} of the profit comes from {BEST_TRIPS} of {n:,} trades."
    return _finding("concentrated", "warning", says, **figures)


def _fee_margin(facts: RunFacts) -> Finding | None:
    multiple = facts.fee_multiple
    if multiple is None or facts.net_profit <= 0 or multiple > 2:
        return None
    says = (
        f"The profit turns to loss at {multiple:.2f} times the fees: the same trades, nothing else changed."
    )
    return _finding("fee_margin", "warning", says, fee_multiple=multiple)


def _slippage_margin(facts: RunFacts) -> Finding | None:
    bps = facts.extra_slippage_bps
    if bps is None or facts.net_profit <= 0 or bps > 5:
        return None
    says = f"The profit turns to loss at {bps:.2g} bp more slippage on the orders that take."
    return _finding("slippage_margin", "warning", says, extra_slippage_bps=bps)


def _benchmark(facts: RunFacts) -> Finding | None:
    if facts.benchmark is None or facts.benchmark[0] <= facts.total_return:
        return None
    earned, fell = facts.benchmark
    figures = {"benchmark_return": earned, "total_return": facts.total_return}
    verb = "earned more" if earned > 0 else "lost less"
    says = f"Buy and hold {verb}: {_percent(earned, 1)} against {_percent(facts.total_return, 1)}"
    if fell is not None and facts.max_drawdown is not None and fell < facts.max_drawdown:
        figures |= {"benchmark_drawdown": fell, "max_drawdown": facts.max_drawdown}
        says += f", with less drawdown ({_percent(fell, 1)} against {_percent(facts.max_drawdown, 1)})."
        return _finding("benchmark_better", "warning", says, **figures)
    return _finding("benchmark_earned_more", "note", f"{says}.", **figures)


def _symbols(facts: RunFacts) -> Finding | None:
    return _offset("symbol", facts.symbols, facts)


def _strategies(facts: RunFacts) -> Finding | None:
    return _offset("strategy", facts.strategies, facts)


def _offset(what: str, parts: Sequence[tuple[str, Decimal]], facts: RunFacts) -> Finding | None:
    lost = _sum([pnl for _, pnl in parts if pnl < 0]).copy_negate()
    earned = _sum([pnl for _, pnl in parts if pnl > 0])
    if not lost or not earned or float(ratio(lost, earned)) < 0.5:
        return None
    worst, best = min(parts, key=lambda each: each[1]), max(parts, key=lambda each: each[1])
    says = f"One {what} lost what another earned: {worst[0]} {_money(worst[1], facts)}, {best[0]} {_money(best[1], facts)}."
    figures = {"lost": f"{lost:f}", "earned": f"{earned:f}", "worst": worst[0], "best": best[0]}
    return _finding(f"{what}_offset", "warning", says, **figures)


def _never_filled(facts: RunFacts) -> Finding | None:
    if facts.n_orders < _ORDERS_MIN or facts.n_never_filled / facts.n_orders < 0.25:
        return None
    part = facts.n_never_filled / facts.n_orders
    says = f"{_percent(part)} of orders never filled ({facts.n_never_filled:,} of {facts.n_orders:,})."
    return _finding("never_filled", "note", says, share=part, n_orders=facts.n_orders)


def _failed(facts: RunFacts) -> Finding | None:
    if facts.n_failed < 2 or facts.n_failed / facts.n_orders < 0.05:
        return None
    part = facts.n_failed / facts.n_orders
    says = f"The venue turned down {facts.n_failed:,} of {facts.n_orders:,} orders ({_percent(part)})."
    return _finding("turned_down", "warning", says, share=part, n_orders=facts.n_orders)


def _refused(facts: RunFacts) -> Finding | None:
    refused = sum(n for _, n in facts.refusals)
    asked = refused + facts.n_orders
    if asked < _ORDERS_MIN or refused / asked < 0.5:
        return None
    reason, n = max(facts.refusals, key=lambda each: each[1])
    says = f"{_percent(refused / asked)} of what was asked for was refused before the venue, most often {reason} ({n:,})."
    return _finding("refused", "warning", says, share=refused / asked, most_often=reason)


def _largest_loss(facts: RunFacts) -> Finding | None:
    wins = [pnl for pnl in facts.trip_pnls if pnl > 0]
    worst = min(facts.trip_pnls, default=ZERO)
    if not wins or worst >= 0 or len(facts.trip_pnls) < _TRIPS_FEW:
        return None
    times = float(ratio(EXACT.multiply(worst.copy_negate(), Decimal(len(wins))), _sum(wins)))
    if times < 5:
        return None
    says = f"The largest loss, {_money(worst, facts)}, is {times:.1f} times the average win."
    return _finding("largest_loss", "warning", says, times=times, largest_loss=f"{worst:f}")


def _not_realized(facts: RunFacts) -> Finding | None:
    if facts.net_profit <= 0 or facts.unrealized_pnl <= 0 or not facts.trip_pnls:
        return None
    part = float(ratio(facts.unrealized_pnl, facts.net_profit))
    if part < 0.5:
        return None
    says = f"{_percent(part)} of the profit is not realized: it hangs on the last price."
    return _finding("not_realized", "warning", says, share=part)


def _poison_off(facts: RunFacts) -> Finding | None:
    poison = facts.poison
    if poison is None or not poison.n_run:
        says = "The future-poison check did not run: that no decision reads the future is not shown."
        return _finding("poison_off", "warning", says, n_cuts=0)
    if poison.leaks:
        return None
    if not poison.n_decisions:
        says = "The future-poison check saw no decision before its cuts: it shows nothing."
        return _finding("poison_empty", "warning", says, n_cuts=poison.n_run)
    if poison.n_run >= poison.n_asked:
        return None
    says = f"Only {poison.n_run} of {poison.n_asked} future-poison cuts were run, to keep within their share of the run."
    return _finding("poison_fewer", "note", says, n_cuts=poison.n_run, n_asked=poison.n_asked)


def _short_run(facts: RunFacts) -> Finding | None:
    if not facts.n_fills or facts.span_ns >= _SHORT_DAYS * NS_PER_DAY:
        return None
    days = facts.span_ns / NS_PER_DAY
    span = (
        f"{days:.3g} days"
        if days >= 2
        else f"{24 * days:.2g} hours"
        if days >= 1 / 12
        else f"{1440 * days:.2g} minutes"
    )
    says = f"The run covers {span}: figures per year mean little."
    return _finding("short_run", "note", says, days=days)


def _under_water(facts: RunFacts) -> Finding | None:
    if facts.under_water < 0.5 or not facts.n_fills:
        return None
    says = f"Equity stayed below an earlier peak for {_percent(facts.under_water)} of the run at a stretch."
    return _finding("under_water", "note", says, share=facts.under_water)


# In the order of importance within a severity.
CHECKS: tuple[Callable[[RunFacts], Finding | None], ...] = (
    _leak, _suspended, _ruined, _liquidated, _grade, _fills_in_gaps, _warm_up, _trials, _fees, _rebates, _few_trips,
    _concentrated, _fee_margin, _slippage_margin, _benchmark, _symbols, _strategies, _failed, _refused,
    _largest_loss, _not_realized, _poison_off, _never_filled, _short_run, _under_water,
)  # fmt: skip


def _finding(code: str, severity: Severity, says: str, **figures: float | int | str) -> Finding:
    return Finding(code=code, severity=severity, says=says, figures=figures)


def _sum(amounts: Sequence[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


# One more decimal below 1 %, so that two small figures do not look the same.
def _percent(fraction: float, decimals: int = 0) -> str:
    decimals += abs(fraction) < 0.01
    return f"{100 * fraction:,.{decimals}f} %".replace("-", _MINUS)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _money(amount: Decimal, facts: RunFacts) -> str:
    text = f"{amount:,.2f}" if amount.copy_abs() >= 1 or not amount else f"{amount:.2g}"
    return f"{text} {facts.asset}".replace("-", _MINUS, 1)
