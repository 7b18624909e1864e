"""What may be asked of a sweep? The flags of a search in, each with its default; what no sweep can do is refused in one line."""

from decimal import Decimal
from typing import Any

import msgspec

from njord.backtest.points import EngineChoice
from njord.core.errors import ConfigError
from njord.core.registry import nearest
from njord.research.axes import Axis
from njord.research.executors import n_workers_of
from njord.research.sampler_optuna import need_optuna
from njord.research.sweep_result import OF_OPTUNA, PRUNERS, SAMPLERS, check_objective


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How a sweep is to search; see `SweepPlan`."""

    axes: tuple[Axis, ...]
    objective: str = "sharpe"
    sampler: str = "grid"
    pruner: str = "none"
    n_points: int | None = None
    seed: int = 42
    n_top: int = 10
    holdout: Decimal = Decimal("0.3")
    workers: str = "1"
    engine: EngineChoice = "auto"
    typed: dict[str, Any] = {}


def check_wishes(wishes: Wishes) -> None:
    """Refuse what no sweep can do.

    Raises:
        ConfigError: One line says what.
    """
    check_objective(wishes.objective)
    n_workers_of(wishes.workers)
    for flag, value, known in (
        ("--sampler", wishes.sampler, SAMPLERS),
        ("--pruner", wishes.pruner, PRUNERS),
    ):
        if value not in known:
            raise ConfigError(f"{flag} {value!r} is not known", nearest(value, known))
    if wishes.n_points is not None and wishes.n_points < 1:
        raise ConfigError(f"--points must be >= 1, was {wishes.n_points}", "for example --points 100")
    if wishes.n_top < 1:
        raise ConfigError(f"--top must be >= 1, was {wishes.n_top}", "for example --top 10")
    if wishes.sampler == "grid" and wishes.n_points is not None:
        raise ConfigError(
            f"--points {wishes.n_points}: a grid evaluates all of its points", "add --sampler random"
        )
    if wishes.sampler != "grid" and wishes.n_points is None:
        raise ConfigError(
            f"--sampler {wishes.sampler} needs to know how many points", "for example --points 100"
        )
    if wishes.pruner != "none" and wishes.sampler not in OF_OPTUNA:
        raise ConfigError(
            f"--pruner {wishes.pruner} needs a sampler that learns, not {wishes.sampler}", "add --sampler tpe"
        )
    if wishes.sampler in OF_OPTUNA:
        need_optuna(wishes.sampler)
