"""Which figures are findings made of? A result comes in; it goes out again with its findings, ranked.

Checks that run after the result is made (future poison, warm-up) come in here as well.
"""

from decimal import Decimal
from typing import Any

import msgspec

from njord.backtest.recorder import LIQUIDATED
from njord.backtest.result import BacktestResult
from njord.backtest.utc import at
from njord.core.types import OrderReason, OrderStatus
from njord.performance.findings import find
from njord.performance.run_facts import PoisonFacts, RunFacts, TrialFacts, WarmUpFacts

_FAILURES = frozenset(
    {
        OrderReason.INSUFFICIENT_FUNDS, OrderReason.FILTER_PRICE, OrderReason.FILTER_QTY, OrderReason.FILTER_NOTIONAL,
        OrderReason.FILTER_TRIGGER, OrderReason.DUPLICATE_ID, OrderReason.APPROVAL_EXPIRED, OrderReason.NO_LIQUIDITY,
    }
)  # fmt: skip
_WARM_UP = "WARM_UP"  # Refused by design while history is gathered.


def with_findings(result: BacktestResult) -> BacktestResult:
    """Return `result` with its findings made anew from its figures."""
    return msgspec.structs.replace(result, findings=find(facts_of(result)))


def with_checks(
    result: BacktestResult, poison: dict[str, Any] | None, warm_up_check: dict[str, Any] | None
) -> BacktestResult:
    """Return `result` with the verdicts of the checks that ran after it, and its findings made anew."""
    return with_findings(msgspec.structs.replace(result, poison=poison, warm_up_check=warm_up_check))


def with_trial(result: BacktestResult, trial: dict[str, Any]) -> BacktestResult:
    """Return `result` with the trial it is, and its findings made anew."""
    return with_findings(msgspec.structs.replace(result, trial=trial))


def facts_of(result: BacktestResult) -> RunFacts:
    """Return the figures of a result that findings are made of."""
    stats, pairs = result.stats, result.contributions
    span_ns = result.end_ns - result.start_ns
    hold = result.benchmark
    return RunFacts(
        asset=result.report_asset,
        span_ns=span_ns,
        net_profit=Decimal(stats["net_profit"]),
        unrealized_pnl=Decimal(pairs["total"]["unrealized_pnl"]),
        fees=Decimal(result.fees),
        total_return=stats["total_return"],
        max_drawdown=stats["max_drawdown"],
        trip_pnls=tuple(Decimal(trip.pnl) for trip in result.round_trips),
        n_fills=stats["n_fills"],
        n_orders=result.n_orders,
        n_never_filled=result.n_never_filled,
        n_failed=_n_failed(result.endings),
        refusals=tuple((reason, n) for reason, n in result.refusals.items() if reason != _WARM_UP),
        grades=tuple(
            (each["file"], each["certificate"]["grade"], each["certificate"]["because"])
            for each in result.data
        ),
        n_fills_in_gaps=sum(each["n_fills_in_bad"] for each in result.data),
        symbols=tuple((each["symbol"], Decimal(each["pnl"])) for each in pairs["symbols"]),
        strategies=tuple((each["strategy_id"], Decimal(each["pnl"])) for each in pairs["strategies"]),
        benchmark=(hold["total_return"], hold["max_drawdown"]),
        fee_multiple=result.break_even["fee_multiple"],
        extra_slippage_bps=result.break_even["extra_slippage_bps"],
        under_water=stats["longest_under_water_ns"] / span_ns if span_ns else 0.0,
        n_liquidations=result.endings.get(LIQUIDATED, 0),
        is_ruined=stats["ruined_ns"] is not None,
        poison=poison_facts(result.poison),
        warm_up=warm_up_facts(result.warm_up_check),
        trial=trial_facts(result.trial),
        suspended=result.error,
    )


def _n_failed(endings: dict[str, int]) -> int:
    failed = 0
    for ending, n in endings.items():
        status, _, reason = ending.partition("/")
        is_refused = status == OrderStatus.REJECTED and reason != OrderReason.POST_ONLY_WOULD_TAKE
        failed += n if is_refused or reason in _FAILURES else 0
    return failed


def poison_facts(verdict: dict[str, Any] | None) -> PoisonFacts | None:
    """Return what a future-poison verdict says; None without one."""
    if verdict is None:
        return None
    early = [
        f"an order of {each['strategy_id'] or 'the venue'} on {each['symbol']} filled at {at(each['ts_ns'])} by data "
        f"that began at {at(each['began_ns'])}, before it could have been there"
        for each in verdict["acausal_fills"]
    ]
    return PoisonFacts(
        n_asked=verdict["n_cuts_asked"],
        n_run=verdict["n_cuts"],
        n_decisions=verdict["n_decisions"],
        leaks=tuple([_leak(each) for each in verdict["leaks"]] + early),
    )


def warm_up_facts(check: dict[str, Any] | None) -> WarmUpFacts | None:
    """Return what a warm-up check says; None without one."""
    if check is None:
        return None
    strategies = check["strategies"]
    differences = [
        f"{each['strategy_id']}: {each['difference']}" for each in strategies if each["difference"]
    ]
    skipped = [f"{each['strategy_id']}: {each['skipped']}" for each in strategies if each["skipped"]]
    return WarmUpFacts(
        n_compared=sum(each["n_compared"] for each in strategies),
        difference=differences[0] if differences else "",
        skipped=skipped[0] if skipped else "",
    )


def trial_facts(trial: dict[str, Any] | None) -> TrialFacts | None:
    """Return what counting the trials says; None if nobody counts."""
    if trial is None:
        return None
    report = trial["report"]
    if report is None:
        return TrialFacts(n_trials=0, verdict="", because=trial["error"])
    return TrialFacts(n_trials=report["n_trials"], verdict=report["verdict"], because=report["because"])


def _leak(leak: dict[str, Any]) -> str:
    who = f" of {leak['strategy_id']}" if leak["strategy_id"] else ""
    return f"{leak['kind']}{who} at {at(leak['ts_ns'])} changed with what came after {at(leak['cut_ns'])} ({leak['read']})"
