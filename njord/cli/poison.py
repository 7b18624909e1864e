"""`njord poison`: a run, the same run with another future at random moments, and what that shows, in a few lines."""

import sys
import tempfile
from pathlib import Path

import msgspec

from njord.backtest.poison import Leak, PoisonVerdict, examine
from njord.backtest.poison_fills import AcausalFill
from njord.backtest.session import Prepared, run_backtest
from njord.backtest.utc import at
from njord.backtest.warm_up_check import StrategyWarmUp, WarmUpVerdict, check_warm_up
from njord.cli import EXIT_CHECK_FAILED, EXIT_LEAK, EXIT_OK, EXIT_STRATEGY
from njord.cli.progress import Progress
from njord.cli.request import CUTS_MAX, Flags, prepared_of
from njord.core.errors import ConfigError

CUTS = 30
_SHOWN_CHARACTERS = 400
_NO_LIMIT = float("inf")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the verb has found.

    Attributes:
        passed: Nothing knows the future, and no decision depends on more history than was declared.
        error: Why a strategy was suspended in the run itself; empty if none was.
        poison: The cuts.
        warm_up: The starts.
    """

    passed: bool
    error: str
    poison: PoisonVerdict
    warm_up: WarmUpVerdict


def run(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    root: Path,
    n_cuts: int = CUTS,
    json_out: bool = False,
) -> int:
    """Run the verb and return its exit code."""
    if not 1 <= n_cuts <= CUTS_MAX:
        raise ConfigError(
            f"--cuts must be a whole number from 1 to {CUTS_MAX}, was {n_cuts}", f"for example --cuts {CUTS}"
        )
    _, prepared = prepared_of(strategies, data, flags, root)
    with prepared.market:
        outcome = look(prepared, n_cuts)
    if json_out:
        print(msgspec.json.format(msgspec.json.encode(outcome), indent=1).decode())
    else:
        _print(outcome)
    return _exit_code(outcome)


def look(prepared: Prepared, n_cuts: int) -> Outcome:
    """Run `prepared` into a temporary folder, and then against other futures and other histories."""
    market = prepared.market
    with tempfile.TemporaryDirectory(prefix="njord-poison-") as temporary:
        folder = Path(temporary) / "run"
        with Progress("events of the run") as progress:
            finished = run_backtest(prepared, Path(temporary), progress.show, folder)
        with Progress("events of the cuts") as progress:
            seed = prepared.config.backtest.seed
            poison = examine(prepared, market, folder, n_cuts, seed, progress.show)
        warm_up = check_warm_up(prepared, market, _NO_LIMIT)
    error = finished.result.error
    passed = poison.passed and warm_up.passed and not error
    return Outcome(passed=passed, error=error, poison=poison, warm_up=warm_up)


# A decision that knows the future makes everything else worthless.
def _exit_code(outcome: Outcome) -> int:
    if not outcome.poison.passed:
        return EXIT_LEAK
    if outcome.error:
        print(f"njord: a strategy failed and was suspended: {outcome.error}", file=sys.stderr)
        return EXIT_STRATEGY
    return EXIT_OK if outcome.warm_up.passed else EXIT_CHECK_FAILED


# --- in words ---


def _print(outcome: Outcome) -> None:
    poison = outcome.poison
    cuts = f"{poison.n_cuts:,} of {poison.n_cuts_asked:,} cuts"
    if poison.leaks:
        print(f"future   LEAK: {len(poison.leaks):,} of {poison.n_cuts:,} cuts")
    elif not poison.n_decisions:
        print(f"future   not shown: {cuts}, and nothing was decided before them")
    else:
        print(
            f"future   passed: {cuts}, {poison.n_decisions:,} decisions before them are the same whatever came later"
        )
    if poison.leaks:
        _print_leak(poison.leaks[0])
    if poison.acausal_fills:
        _print_fill(poison.acausal_fills[0], len(poison.acausal_fills), poison.n_fills)
    else:
        print(f"fills    passed: {poison.n_fills:,}, none by data that began before its order could be there")
    for strategy in outcome.warm_up.strategies:
        print(f"warm-up  {strategy.strategy_id}: {_warm_up(strategy)}")
    for note in poison.notes:
        print(f"note     {note}")


def _print_leak(leak: Leak) -> None:
    who = f" of {leak.strategy_id}" if leak.strategy_id else ""
    print(f"first    {leak.kind}{who} at {at(leak.ts_ns)}, cut at {at(leak.cut_ns)}")
    print(f"read     {leak.read}")
    if leak.expected or leak.derived:
        print(f"run      {_clipped(leak.expected)}")
        print(f"another  {_clipped(leak.derived)}")


def _print_fill(fill: AcausalFill, n_early: int, n_fills: int) -> None:
    print(f"fills    LEAK: {n_early:,} of {n_fills:,} by data that began before its order could be there")
    print(
        f"first    {fill.symbol} at {at(fill.ts_ns)}: order {fill.client_order_id} of {fill.strategy_id} could fill from "
        f"{at(fill.order_ns)} on, what filled it began at {at(fill.began_ns)}"
    )


def _warm_up(strategy: StrategyWarmUp) -> str:
    if strategy.skipped:
        return f"not tried: {strategy.skipped}"
    if strategy.difference:
        return f"TOO SHORT: {strategy.difference}"
    bars = " and ".join(f"{n:,}" for n in strategy.history_bars[-2:])
    if len(strategy.history_bars) > 2:
        bars = f"{strategy.history_bars[0]:,}, {bars}"
    tried = f"with {bars} bars before {at(strategy.start_ns)}"
    if not strategy.n_compared:
        return f"not shown: {tried} not all runs decided anything"
    return f"passed: {tried} {strategy.n_compared:,} decisions are the same"


def _clipped(text: str) -> str:
    if not text:
        return "nothing"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
