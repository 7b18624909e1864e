"""What ours of the compiled lane share: the terms of the comparison, and the door that sweeps use."""

from decimal import Decimal
from pathlib import Path
from typing import Any


def config_of(capital: Decimal) -> Any:
    """Return the configuration of W1 and W2: 10 bp, no slippage."""
    from njord.adapters.config_loader import load_config

    terms = {"backtest.capital": f"{capital}", "backtest.fee_bps": "10", "backtest.slippage_bps": "0"}
    return load_config(Path("/nonexistent"), terms, {}).config


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def strategy_of(name: str) -> str:
    """Return what names a strategy: one of the library, of the examples, or of this folder."""
    found = [folder / name for folder in (EXAMPLES, Path(__file__).parent) if (folder / name).is_file()]
    return str(found[0]) if found else name


def evaluator(table: Path, capital: Decimal, strategy: str = "sma_cross") -> Any:
    """Return the evaluator of a strategy's points with one unit a trade on a file of bars.

    Raises:
        SystemExit: The compiled lane does not take this strategy: nothing else is measured in its name.
    """
    from njord.backtest.point import PointSpec
    from njord.backtest.points import open_evaluator
    from njord.backtest.session import BacktestRequest

    request = BacktestRequest(strategy=strategy_of(strategy), data=table, qty=Decimal(1))
    opened = open_evaluator(PointSpec(request=request, config=config_of(capital), instruments={}))
    if opened.engine != "fast":
        raise SystemExit(f"missing: the compiled lane does not run this: {opened.why_ordered or 'not built'}")
    return opened
