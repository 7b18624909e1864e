"""Compute ratios with empyrical-reloaded: read series as JSON from stdin, print their ratios as JSON.

Run by the python of an oracle environment (locks/oracles.txt), never by ours: njord does not depend on empyrical, and
this script does not depend on njord. Input: a list of {"returns": [...], "periods_per_year": number, "risk_free":
number per period}. Output: a list of {"sharpe", "sortino", "volatility", "max_drawdown", "calmar", "cagr"}.
"""

import importlib
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

empyrical: Any = importlib.import_module("empyrical")  # Lives in the oracles' environment only.


def ratios(returns: NDArray[np.float64], periods_per_year: float, risk_free: float) -> dict[str, float]:
    """Return empyrical's own figures, in its own conventions."""
    yearly = {"annualization": periods_per_year}
    return {
        "sharpe": float(empyrical.sharpe_ratio(returns, risk_free=risk_free, **yearly)),
        "sortino": float(empyrical.sortino_ratio(returns, required_return=risk_free, **yearly)),
        "volatility": float(empyrical.annual_volatility(returns, **yearly)),
        "max_drawdown": float(empyrical.max_drawdown(returns)),
        "calmar": float(empyrical.calmar_ratio(returns, **yearly)),
        "cagr": float(empyrical.cagr(returns, **yearly)),
    }


def main() -> None:
    """Answer every series of stdin on stdout."""
    series = json.load(sys.stdin)
    answers = [
        ratios(np.array(each["returns"]), each["periods_per_year"], each["risk_free"]) for each in series
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
