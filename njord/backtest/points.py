"""How do many parameters do on one market? What points share in, an evaluator of points out.

The fused engine is preferred, which gives the same fills, wherever it can express the run; else the ordered engine runs
every point message by message.
"""

from collections.abc import Callable
from typing import Literal

from njord.backtest.ordered_points import OrderedEvaluator
from njord.backtest.point import Evaluator, PointSpec
from njord.core.errors import ConfigError

EngineChoice = Literal["auto", "fast", "ordered"]


def open_evaluator(
    spec: PointSpec, engine: EngineChoice = "auto", on_stage: Callable[[], None] = lambda: None
) -> Evaluator:
    """Return what evaluates points of `spec`; the caller closes it.

    Args:
        spec: What to open.
        engine: Which one.
        on_stage: Called when the fast engine's compiler is loaded, and again when it has read the data.

    Raises:
        UserError: The strategy does not load, the data can not be used, or `engine` is "fast" and the run can not be fused.
    """
    if engine == "ordered":
        return OrderedEvaluator(spec)
    from njord.backtest.fast_points import FastEvaluator  # Loads a compiler.
    from njord.backtest.fused_terms import NotFused

    on_stage()
    try:
        return FastEvaluator(spec, on_stage)
    except NotFused as refusal:
        if engine == "fast":
            raise ConfigError(f"the fast engine can not run this: {refusal}", "use --engine auto") from None
        return OrderedEvaluator(spec, f"{refusal}")
