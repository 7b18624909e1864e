"""How lucky was a run? Its folder and a question in; how its end, its depths and its waits could as well have come out.

Trades or bars that were seen are drawn again (`montecarlo_bootstrap.py`), or the run itself is run again on other terms or
other bars (`montecarlo_rerun.py`). Paths are counted and not kept: memory does not grow with their number. The same
question gives the same bytes, with any number of workers.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from njord.adapters.state_lock import write_durably
from njord.backtest.trial import subject_of
from njord.core.errors import ConfigError, DataError
from njord.core.ids import short_hash
from njord.core.units import NS_PER_S
from njord.research.montecarlo_bins import Distribution
from njord.research.montecarlo_blocks import automatic_block
from njord.research.montecarlo_bootstrap import Plan, bootstrap
from njord.research.montecarlo_bounds import CONFIDENCE, Probability
from njord.research.montecarlo_rerun import AUTOMATIC, opened, rerun, settled
from njord.research.montecarlo_run import FinishedRun, read_run
from njord.research.montecarlo_shake import Jitter, Shake
from njord.research.montecarlo_tally import Fan, Figures, Paths, checkpoints_of, followed
from njord.storage.trials import TRIALS_NAME, Trial, TrialLedger

SCHEMA = 1
RESULT_FILE = "montecarlo.json"
PATHS, RERUN_PATHS = 10_000, 200
PATHS_MAX, RERUN_PATHS_MAX = 10_000_000, 100_000
Method = Literal["trades", "trades-block", "bars-block", "market-block", "rerun"]
METHODS: tuple[Method, ...] = ("trades", "trades-block", "bars-block", "market-block")

_SAYS = {
    "trades": "Trades are drawn one by one, each as likely as any: that one follows from another is lost.",
    "trades-block": "Trades are drawn in blocks of random length, so that runs of luck stay together.",
    "bars-block": "The account's bar returns are drawn in blocks of random length, all symbols at once.",
    "market-block": "Each path is a run of the strategy on bars drawn in blocks, the same rows of all symbols at once.",
    "rerun": "Each path is a run of the strategy on the recorded market.",
}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a run.

    Attributes:
        method: What is drawn.
        n_paths: How many paths.
        seed: From 0 to 2**63 - 1.
        block: Mean length of the blocks in steps, >= 1; None = chosen by the data.
        ruin: The fraction of its start below which equity is ruined.
        shake: What differs where a path is a run.
    """

    method: Method = "trades"
    n_paths: int = PATHS
    seed: int = 42
    block: float | None = None
    ruin: float = 0.5
    shake: Shake = Shake()

    @property
    def is_rerun(self) -> bool:
        """Whether each path is a run of the engine."""
        return self.method in ("market-block", "rerun")


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The run itself, measured as the paths are."""

    final_equity: float
    max_drawdown: float
    under_water: float
    lowest_equity: float


class MonteCarloResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `montecarlo.json` holds; nothing of the machine, so that the same question gives the same bytes.

    Attributes:
        schema: Version of this structure; fields are only ever added within a version.
        run_id: Of the run that was asked.
        title: Its strategies and symbols.
        capital: At the start of every path, in `report_asset`.
        method: What was drawn.
        step: What one step of a path is, `trade` or `bar`.
        n_steps: How long a path is.
        n_paths: How many were counted.
        n_refused: Paths whose parameters the strategy refused; they are not counted.
        n_failed: Paths in which the strategy failed; likewise.
        first_failure: Why the first of those came to nothing.
        block: Mean length of the blocks in steps; 1 = each step was drawn for itself, 0 = nothing was drawn.
        is_block_automatic: It was chosen by the data.
        ruin_fraction: The fraction of its start below which equity counts as ruined.
        confidence: Of all intervals.
        jitter: Parameters that differed.
        delay_ms: Least and most; null if there was none.
        slippage_bps: Likewise.
        run: The run itself.
        final_equity: In `report_asset`.
        max_drawdown: A fraction of the peak before it.
        under_water: The most successive steps that ended below a peak.
        ruin: That equity ever fell below the fraction of ruin.
        loss: That equity ended below its start.
        fan: Percentiles of equity over time.
        assumptions: In sentences, what this rests on.
    """

    schema: int = SCHEMA
    run_id: str
    title: str
    report_asset: str
    capital: float
    method: str
    step: str
    n_steps: int
    n_paths: int
    n_refused: int
    n_failed: int
    first_failure: str
    seed: int
    block: float
    is_block_automatic: bool
    ruin_fraction: float
    confidence: float
    jitter: tuple[Jitter, ...]
    delay_ms: tuple[float, float] | None
    slippage_bps: tuple[float, float] | None
    run: RunFigures
    final_equity: Distribution
    max_drawdown: Distribution
    under_water: Distribution
    ruin: Probability
    loss: Probability
    fan: Fan
    assumptions: list[str]


class Answer(NamedTuple):
    """The result, and the trials of the strategy's idea that it took: runs with other parameters."""

    result: MonteCarloResult
    trials: tuple[Trial, ...]


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the paths came to, before it is told."""

    figures: Figures
    run: Paths
    n_steps: int
    block: float
    n_refused: int = 0
    n_failed: int = 0
    first_failure: str = ""
    trials: tuple[Trial, ...] = ()


Done = Callable[[int, int], None]


def answer(
    folder: Path,
    question: Question,
    workers: str | int = 1,
    on_done: Done = lambda done, total: None,
    on_forecast: Callable[[float], None] = lambda seconds: None,
) -> Answer:
    """Return the answer to a question about the run in `folder`; nothing is written.

    Args:
        folder: A backtest's.
        question: What is asked.
        workers: Threads for a bootstrap; processes, or `dask://HOST:PORT`, where each path is a run.
        on_done: Called now and then with how many paths are done, and how many are wanted.
        on_forecast: Called once the first path has run, where each is a run: how long all take one by one, in seconds.

    Raises:
        UserError: The run is none, too short for the question, or can not be run again.
    """
    run = read_run(folder)
    if question.is_rerun:
        told = _rerun(run, question, workers, on_done, on_forecast)
    else:
        told = _bootstrap(run, question, workers, on_done)
    figures, shake = told.figures, question.shake
    result = MonteCarloResult(
        run_id=run.run_id,
        title=run.title,
        report_asset=run.report_asset,
        capital=run.capital,
        method=question.method,
        step="trade" if question.method.startswith("trades") else "bar",
        n_steps=told.n_steps,
        n_paths=figures.ruin.n,
        n_refused=told.n_refused,
        n_failed=told.n_failed,
        first_failure=told.first_failure,
        seed=question.seed,
        block=told.block,
        is_block_automatic=question.block is None and question.method.endswith("block"),
        ruin_fraction=question.ruin,
        confidence=CONFIDENCE,
        jitter=shake.jitter,
        delay_ms=shake.delay_ms,
        slippage_bps=shake.slippage_bps,
        run=_of_run(told.run, run.capital),
        final_equity=figures.final_equity,
        max_drawdown=figures.max_drawdown,
        under_water=figures.under_water,
        ruin=figures.ruin,
        loss=figures.loss,
        fan=figures.fan,
        assumptions=_assumptions(question, figures),
    )
    return Answer(result, told.trials)


def count_trials(folder: Path, trials: Sequence[Trial], state: Path, ts_ns: int) -> str:
    """Count runs with other parameters in the ledger of the `state` folder, and return what that makes, in a sentence.

    A ledger that can not be used costs no answer: the sentence says so.

    Args:
        folder: The backtest's.
        trials: As `answer` gives them, at least one.
        state: Where the ledger is.
        ts_ns: When.
    """
    prepared = opened(folder.resolve()).prepared
    subject = subject_of(prepared)
    interval_ns = min(source.interval_ns or NS_PER_S for source in prepared.market.sources)
    ledger = TrialLedger(state / TRIALS_NAME)
    try:
        n_new = ledger.add(subject.record("montecarlo", ts_ns, interval_ns, trials))
        n = ledger.count(subject.idea, interval_ns, synthetic=subject.synthetic).n
    except DataError as error:
        return f"not counted as trials of {subject.idea}: {error}"
    made_up = " (synthetic: counted apart)" if subject.synthetic else ""
    return f"{n_new:,} new trials of {subject.idea}, {n:,} in all{made_up}"


def folder_of(run: Path, question: Question) -> Path:
    """Return where the answer belongs: within the run's folder, the same for the same question."""
    digest = short_hash(msgspec.json.encode(question).decode())
    return run / "montecarlo" / f"{question.method}-{digest[:8]}"


def write_result(folder: Path, result: MonteCarloResult) -> Path:
    """Write `montecarlo.json`, whole or not at all, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULT_FILE
    write_durably(path, encode_result(result))
    return path


def encode_result(result: MonteCarloResult) -> bytes:
    """Return the result as indented JSON, ended by a newline."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def _bootstrap(run: FinishedRun, question: Question, workers: str | int, on_done: Done) -> _Told:
    threads = str(workers)
    if not (threads.isascii() and threads.isdigit() and int(threads) > 0):
        raise ConfigError(f"a bootstrap runs on threads of this machine, not on {workers}", "use --workers 2")
    factors = run.bar_factors() if question.method == "bars-block" else run.trade_factors()
    block = 1.0
    if question.method != "trades":
        block = automatic_block(factors - 1.0) if question.block is None else question.block
        if block > factors.size:
            raise ConfigError(
                f"--block {block:g} is longer than the run, which has {factors.size} steps",
                "use --block auto",
            )
    plan = Plan(
        n_paths=question.n_paths, n_steps=factors.size, seed=question.seed, block=block, ruin=question.ruin
    )
    tally = bootstrap(factors, plan, int(threads), on_done)
    return _Told(
        figures=tally.figures(run.capital),
        run=followed(np.cumprod(factors, dtype=np.float64), 1.0, checkpoints_of(factors.size)),
        n_steps=factors.size,
        block=block,
    )


def _rerun(
    run: FinishedRun,
    question: Question,
    workers: str | int,
    on_done: Done,
    on_forecast: Callable[[float], None],
) -> _Told:
    shake = question.shake
    if question.method == "market-block":
        shake = msgspec.structs.replace(shake, block=AUTOMATIC if question.block is None else question.block)
    folder = run.folder.resolve()
    shake = settled(shake, opened(folder))
    n_steps = run.equity.size
    plan = Plan(n_paths=question.n_paths, n_steps=n_steps, seed=question.seed, ruin=question.ruin)
    ran = rerun(folder, shake, plan, workers, on_done, on_forecast)
    return _Told(
        figures=ran.tally.figures(run.capital),
        run=followed(run.equity, run.capital, checkpoints_of(n_steps)),
        n_steps=n_steps,
        block=shake.block,
        n_refused=ran.n_refused,
        n_failed=ran.n_failed,
        first_failure=ran.why,
        trials=ran.trials,
    )


def _of_run(run: Paths, capital: float) -> RunFigures:
    final, lowest, deepest, longest = run.ends[:, 0].tolist()
    return RunFigures(
        final_equity=final * capital,
        max_drawdown=1.0 - deepest,
        under_water=longest,
        lowest_equity=lowest * capital,
    )


def _assumptions(question: Question, figures: Figures) -> list[str]:
    said = [_SAYS[question.method]]
    if not question.is_rerun:
        said.append(
            "What was never seen in the run can not happen in a path, and costs are those of the run."
        )
    if question.method.startswith("trades"):
        said.append(
            "Equity is known when a trade closes: what happened while it was open is not in a drawdown."
        )
    if question.shake.delay_ms is not None:
        said.append(
            "On bars one delay holds for all orders of a path, in whole bars; on ticks each order draws its own."
        )
    final, drawdown = figures.final_equity.resolution, figures.max_drawdown.resolution
    said.append(
        f"Percentiles are counted in bins: equity to {final / 2:.2g} of its value, drawdown to {drawdown / 2:.2g}."
    )
    return said
