"""What is a sweep, and what has it found? The plan that a folder is resumed by, and the result that pages are drawn from."""

import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from njord.backtest.point import Score, Window
from njord.core.errors import ConfigError, DataError
from njord.core.registry import nearest
from njord.research.axes import Axis

PLAN = "plan.json"
RESULT = "sweep.json"
TABLE = "points.parquet"
SAMPLERS = ("grid", "random", "tpe")
OF_OPTUNA = frozenset({"tpe"})
PRUNERS = ("none", "median", "halving")

# What can be searched for, and which way is better.
OBJECTIVES = {
    "sharpe": 1,
    "sortino": 1,
    "calmar": 1,
    "total_return": 1,
    "cagr": 1,
    "final_equity": 1,
    "win_rate": 1,
    "profit_factor": 1,
    "max_drawdown": -1,
    "volatility": -1,
}


class SweepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep is, so that it can go on later exactly as it would have.

    Attributes:
        identity: Of code, configuration, data, strategy and everything below: another one is another sweep.
        data: Names of the data, in words.
        shared: `key=value` of parameters that do not vary.
        n_points: How many are to be evaluated; None = all.
        chunk_points: How many a task has; of a search that learns, how many are asked for at a time.
        engine: "fast" or "ordered".
        window: What the search sees.
        holdout: What it never sees; None = there is none.
        rung_ends_ns: Where a point may be given up: the ends of what is evaluated of it first; empty without pruning.
        typed: What the user typed, for whoever reads it back.
    """

    identity: str
    strategy: str
    symbol: str
    data: str
    axes: tuple[Axis, ...]
    shared: tuple[str, ...]
    objective: str
    sampler: str
    pruner: str
    n_points: int | None
    seed: int
    n_top: int
    n_blocks: int
    chunk_points: int
    engine: Literal["fast", "ordered"]
    why_ordered: str
    window: Window
    holdout: Window | None
    rung_ends_ns: tuple[int, ...] = ()
    typed: dict[str, Any] = {}


class TwinScore(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best points: where the search has seen it, and where it has not.

    Attributes:
        inside: In sample.
        outside: On the hold-out; None without one.
        neighbors: Mean objective in sample of the grid's neighbors that were evaluated; NaN without any.
        n_neighbors: How many those are.
    """

    inside: Score
    outside: Score | None
    neighbors: float
    n_neighbors: int


class SweepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep has found; `points.parquet` beside it has one row a point.

    Attributes:
        n_points: Rows of the table.
        n_refused: Combinations that the strategy's own parameters refused; they have no row.
        n_failed: Rows with an error.
        n_pruned: Rows that were given up early.
        positive_share: Of the points with a score, those that earned money in sample.
        median: Of the objective over all points that have one, in sample.
        label: How every number here is to be read.
        top: The best by the objective, each with its twin.
        honesty: The selection report of the best point.
        wall_s: Of the last sitting.
    """

    strategy: str
    symbol: str
    data: str
    axes: tuple[Axis, ...]
    shared: tuple[str, ...]
    objective: str
    sampler: str
    pruner: str
    seed: int
    n_combinations: int
    n_points: int
    n_refused: int
    n_failed: int
    n_pruned: int
    positive_share: float
    median: float
    engine: str
    why_ordered: str
    wall_s: float
    window: Window
    holdout: Window | None
    label: str
    folder: Path
    top: tuple[TwinScore, ...]
    honesty: dict[str, Any] | None = None


def check_objective(name: str) -> str:
    """Return the objective's name.

    Raises:
        ConfigError: There is no such objective.
    """
    if name not in OBJECTIVES:
        raise ConfigError(f"--objective {name!r} is not known", nearest(name, OBJECTIVES))
    return name


def goodness(score: Score, objective: str) -> float:
    """Return the objective so that more is better; NaN if it has none, or the point failed."""
    return math.nan if score.error else float(getattr(score, objective)) * OBJECTIVES[objective]


def encode(value: SweepPlan | SweepResult) -> bytes:
    """Return indented JSON, ended by a newline; NaN is null."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=1) + b"\n"


def read_plan(folder: Path) -> SweepPlan:
    """Return the plan of a sweep's folder.

    Raises:
        DataError: It is none.
    """
    try:
        return msgspec.json.decode((folder / PLAN).read_bytes(), type=SweepPlan)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(
            f"{folder} is no folder of a sweep: {error}", "name one that njord sweep has printed"
        ) from None


def read_result(folder: Path) -> SweepResult:
    """Return the result of a finished sweep.

    Raises:
        DataError: There is none.
    """
    try:
        plain = msgspec.json.decode((folder / RESULT).read_bytes())
        for twin in plain["top"]:
            for score in (twin["inside"], twin["outside"]):
                if score is not None:
                    _fill(score)
            _fill(twin)
        return msgspec.convert(_fill(plain), SweepResult, dec_hook=lambda kind, value: kind(value))
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise DataError(
            f"{folder} holds no finished sweep: {error}", f"finish it with: njord sweep --resume {folder}"
        ) from None


_NULLABLE = ("outside", "holdout", "honesty")


# Floats that are not defined are null in JSON.
def _fill(plain: dict[str, Any]) -> dict[str, Any]:
    for name, value in plain.items():
        if value is None and name not in _NULLABLE:
            plain[name] = math.nan
    return plain
