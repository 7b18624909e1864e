"""What does a worker do? A list of points in, their scores out; the data stay open in the process from task to task."""

import threading
from collections.abc import Sequence

import msgspec

from njord.adapters.source_hash import package_hash
from njord.backtest.point import Evaluator, Params, PointSpec, Score, Window
from njord.backtest.points import EngineChoice, open_evaluator
from njord.core.errors import ConfigError


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker comes to its evaluator.

    Attributes:
        key: The same for the same evaluator.
        spec: What to open.
        engine: Which one; all workers have the same.
        code_hash: Of njord where the points are handed out; empty where it is the same installation.
    """

    key: str
    spec: PointSpec
    engine: EngineChoice
    code_hash: str


_open: dict[str, Evaluator] = {}
_opening = threading.Lock()
_ordered = (
    threading.Lock()
)  # The ordered engine computes within the interpreter's lock: one at a time is as fast.


def evaluate(opening: Opening, points: Sequence[Params], window: Window) -> list[Score]:
    """Return the scores of some points, in order.

    Raises:
        UserError: This process has other code, or can not open the data.
    """
    evaluator = _evaluator(opening)
    if evaluator.engine == "fast":
        return evaluator.evaluate(points, window)
    with _ordered:
        return evaluator.evaluate(points, window)


def adopt(key: str, evaluator: Evaluator) -> None:
    """Let tasks of this process use an evaluator that is open already; its owner closes it, after `forget`."""
    _open[key] = evaluator


def forget(key: str) -> None:
    """Stop using an evaluator that was adopted."""
    _open.pop(key, None)


def _evaluator(opening: Opening) -> Evaluator:
    with _opening:
        evaluator = _open.get(opening.key)
        if evaluator is None:
            if opening.code_hash not in ("", package_hash()):
                raise ConfigError(
                    "a worker runs another version of njord than this process",
                    "install the same on all machines",
                )
            for stale in list(_open):
                _open.pop(stale).close()
            evaluator = _open[opening.key] = open_evaluator(opening.spec, opening.engine)
        return evaluator
