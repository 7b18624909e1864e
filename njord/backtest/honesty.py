"""Can a finished run be believed? The run and its folder in; its result with the verdicts of the checks on it out."""

import msgspec

from njord.backtest.findings_input import poison_facts, with_checks, with_findings
from njord.backtest.poison import check
from njord.backtest.result import BacktestResult
from njord.backtest.session import Finished, write_result
from njord.backtest.simulation import Prepared
from njord.backtest.wake_check import Overslept
from njord.backtest.warm_up_check import check_warm_up


def with_honesty(prepared: Prepared, finished: Finished) -> Finished:
    """Look whether the run's decisions read the future, or more history than they declare; rewrite its summary.

    `backtest.poison_cuts` says how hard to look; 0 leaves everything as it is. A run that was suspended, or has no journal, is left
    alone.
    A strategy whose `wakes` is found to be untrue counts as one that failed.
    """
    settings = prepared.config.backtest
    if not settings.poison_cuts or finished.result.error or not finished.result.journal["n_messages"]:
        return finished
    market = prepared.market
    try:
        poison = check(prepared, market, finished.folder, settings.poison_cuts, settings.seed)
    except Overslept as error:
        result = with_findings(msgspec.structs.replace(finished.result, error=str(error)))
        write_result(finished.folder, result)
        return msgspec.structs.replace(finished, result=result)
    warm_up = check_warm_up(prepared, market)
    result = with_checks(finished.result, msgspec.to_builtins(poison), msgspec.to_builtins(warm_up))
    write_result(finished.folder, result)
    return msgspec.structs.replace(finished, result=result)


def has_leaked(result: BacktestResult) -> bool:
    """Say whether a check has shown that a decision or a fill knew the future."""
    facts = poison_facts(result.poison)
    return facts is not None and bool(facts.leaks)


def leak_line(result: BacktestResult) -> str:
    """Return the first leak as one line."""
    facts = poison_facts(result.poison)
    return f"a decision has read the future: {facts.leaks[0]}" if facts is not None and facts.leaks else ""
