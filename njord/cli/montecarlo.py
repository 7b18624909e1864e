"""`njord montecarlo`: flags to a question, progress while its paths run, and the answer in a few lines."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.apps.session_files import session_folder
from njord.backtest.recorded_run import RUN_FILE
from njord.cli import EXIT_OK
from njord.cli.flags import parse_number
from njord.cli.montecarlo_flags import MonteCarloFlags
from njord.cli.progress import Progress
from njord.core.errors import ConfigError
from njord.core.registry import nearest
from njord.research.montecarlo import (
    METHODS,
    PATHS,
    PATHS_MAX,
    RERUN_PATHS,
    RERUN_PATHS_MAX,
    Method,
    MonteCarloResult,
    Question,
    answer,
    count_trials,
    encode_result,
    folder_of,
    write_result,
)
from njord.research.montecarlo_bins import Distribution, Percentile
from njord.research.montecarlo_bounds import Probability
from njord.research.montecarlo_page import write_page
from njord.research.montecarlo_shake import Shake, parse_jitter, parse_range

_QUIET_S = 2.0
_SEED_MAX = 2**63 - 1
_AUTO = "auto"


def run(name: str, flags: MonteCarloFlags, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    folder = session_folder(root, name)
    if not (folder / RUN_FILE).is_file():
        raise ConfigError(
            f"{folder} is a session, and paths are made of a backtest", "name a run of njord backtest"
        )
    question = question_of(flags)
    with (
        redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
        Progress("paths") as progress,
    ):
        result, trials = answer(folder, question, flags.workers, progress.show, _forecast)
    path = write_result(folder_of(folder, question), result)
    said = [*lines(result), f"written   {path}"]
    page = write_page(path.parent)
    if trials:
        state = root / load_config(root).config.paths.state
        counted = count_trials(folder, trials, state, WallClock().now_ns())
        said.insert(-1, f"trials    {counted}")
    said.append(f"page      {page}")
    if json_out:
        sys.stdout.write(encode_result(result).decode())
    else:
        print("\n".join(said))
    return EXIT_OK


def question_of(flags: MonteCarloFlags) -> Question:
    """Return what is asked.

    Raises:
        ConfigError: A flag is out of its bounds, or does not go with another.
    """
    shake = Shake(
        jitter=parse_jitter(tuple(flags.jitter or ())),
        delay_ms=parse_range("--delays", flags.delays),
        slippage_bps=parse_range("--slippage-bps", flags.slippage_bps),
    )
    method = _method(flags, shake)
    is_rerun = method in ("market-block", "rerun")
    most = RERUN_PATHS_MAX if is_rerun else PATHS_MAX
    n_paths = flags.paths if flags.paths is not None else RERUN_PATHS if is_rerun else PATHS
    if not 1 <= n_paths <= most:
        why = ", each being a run" if is_rerun else ""
        raise ConfigError(
            f"--paths takes 1 to {most:,}{why}, was {n_paths}", f"for example --paths {min(most, 1000)}"
        )
    if not 0 <= flags.seed <= _SEED_MAX:
        raise ConfigError(f"--seed takes 0 to {_SEED_MAX}, was {flags.seed}", "for example --seed 42")
    ruin = parse_number("--ruin", flags.ruin)
    if ruin is None or not 0 < ruin < 1:
        raise ConfigError(
            f"--ruin takes a fraction between 0 and 1, was {flags.ruin}", "for example --ruin 0.5"
        )
    return Question(
        method=method,
        n_paths=n_paths,
        seed=flags.seed,
        block=_block(flags.block, method),
        ruin=float(ruin),
        shake=shake,
    )


def _method(flags: MonteCarloFlags, shake: Shake) -> Method:
    named = next((method for method in METHODS if method == flags.method), None)
    if flags.method is not None and named is None:
        raise ConfigError(f"--method {flags.method:.60} is not known", nearest(flags.method, METHODS))
    if shake == Shake():
        return named or "trades"
    if named not in (None, "market-block"):
        raise ConfigError(
            f"--jitter, --delays and --slippage-bps run the strategy again, --method {named} does not",
            "leave it out, or use --method market-block",
        )
    return named or "rerun"


def _block(text: str | None, method: Method) -> float | None:
    if text is None or text == _AUTO:
        return None
    block = parse_number("--block", text)
    if method not in ("trades-block", "bars-block", "market-block"):
        raise ConfigError(f"--block {text} is for a method that draws blocks", "add --method trades-block")
    if block is None or not 1 <= block <= _SEED_MAX:
        raise ConfigError(
            f"--block takes auto or a mean length of 1 or more, was {text}", "for example --block 20"
        )
    return float(block)


def _forecast(seconds: float) -> None:
    if seconds > _QUIET_S:
        print(f"the first path is done; one after the other all take about {seconds:.0f} s", file=sys.stderr)


# --- in words ---


def lines(result: MonteCarloResult) -> list[str]:
    """Return the answer as lines of text."""
    asset, unit = result.report_asset, f"{result.step}s"
    dropped = result.n_refused + result.n_failed
    said = [
        f"{result.title}: {result.n_paths:,} paths of {result.n_steps:,} {unit}, {_drawn(result)}, seed {result.seed}",
        *([f"left out  {dropped:,} paths, the first because: {result.first_failure}"] if dropped else []),
        f"{'':22}{'the run':>14}{'5 %':>14}{'median':>14}{'95 %':>14}",
        _row(f"final equity {asset}", result.run.final_equity, result.final_equity, ",.2f"),
        _row("maximum drawdown", result.run.max_drawdown, result.max_drawdown, ".2%"),
        _row(f"{unit} under water", result.run.under_water, result.under_water, ",.0f"),
        f"loss      {_chance(result.loss)}",
        f"ruin      {_chance(result.ruin)}, equity below {result.ruin_fraction:.0%} of its start at any time",
    ]
    for percent, distribution, name, shape in (
        (5, result.final_equity, "final equity", ",.2f"),
        (95, result.max_drawdown, "drawdown", ".2%"),
    ):
        said.append(f"surely    {_between(_at(distribution, percent), name, shape)}")
    return [*said, *(f"note      {sentence}" for sentence in result.assumptions)]


def _drawn(result: MonteCarloResult) -> str:
    if result.block == 0:
        return "run again on the recorded market"
    how = "chosen by the data" if result.is_block_automatic else "given"
    if result.block == 1:
        return "drawn one by one" if result.method == "trades" else f"drawn one by one ({how})"
    return f"drawn in blocks of {result.block:.3g} on average ({how})"


def _row(name: str, own: float, distribution: Distribution, shape: str) -> str:
    values = [own, *(_at(distribution, percent).value for percent in (5, 50, 95))]
    return f"{name:22}" + "".join(f"{value:>14{shape}}" for value in values)


def _between(percentile: Percentile, name: str, shape: str) -> str:
    low, high = (
        "open" if bound is None else f"{bound:{shape}}" for bound in (percentile.low, percentile.high)
    )
    return f"the {percentile.percent} % point of {name} lies from {low} to {high} (95 % confidence)"


def _chance(found: Probability) -> str:
    return f"{found.value:.2%} of paths (from {found.low:.2%} to {found.high:.2%})"


def _at(distribution: Distribution, percent: int) -> Percentile:
    return next(each for each in distribution.percentiles if each.percent == percent)
