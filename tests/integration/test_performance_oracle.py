"""Our ratios against an independent library, in an environment of its own (decision 8).

The oracle is empyrical-reloaded, from locks/oracles.txt, in .cache/oracles; it is asked over a pipe and never
imported. Both sides get the same simple returns. Where the conventions differ, the inputs or the sign are aligned here:

- Annualization: empyrical assumes 252 trading days unless told; it is told our periods per year (365 days).
- Maximum drawdown: empyrical's is negative and works on compounded returns that start at 100; ours is a positive
  fraction of the equity curve that starts at the capital. So the sign is turned.
- CAGR: empyrical takes n_periods / periods_per_year as the years, ours takes elapsed time; they are the same on a
  curve without gaps whose elapsed time is n_periods intervals, which these are.
- Calmar: both divide the CAGR of the whole curve by its maximum drawdown; empyrical's sign is already positive.
- Sharpe (ddof=1), Sortino (downside over all periods, target per period) and volatility (ddof=1) are the same.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.performance.drawdown import max_drawdown
from njord.performance.ratios import annual_volatility, cagr, calmar_ratio, sharpe_ratio, sortino_ratio
from njord.performance.returns import FloatArray, periods_per_year, simple_returns
from njord.performance.streaming import EquityStatistics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "locks" / "oracles.txt"
HOME = ROOT / ".cache" / "oracles"
CAPITAL = 10_000.0
RISK_FREE = 1e-5


def run(*command: str | Path, environment: Path | None = None, stdin: str = "") -> str:
    variables = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    if environment:
        variables["VIRTUAL_ENV"] = str(environment)
    done = subprocess.run(command, env=variables, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def oracle_python() -> Path:
    """The oracle environment's python; the environment is made once and again when its lock changes."""
    HOME.mkdir(parents=True, exist_ok=True)
    uv, ready = Path(sys.executable).with_name("uv"), HOME / "ready"
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Another test process may be making it now.
        if not ready.exists() or ready.read_text() != LOCK.read_text():
            ready.unlink(missing_ok=True)
            run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, HOME / "venv")
            run(uv, "pip", "sync", "--quiet", "--require-hashes", LOCK, environment=HOME / "venv")
            ready.write_text(LOCK.read_text())
    return HOME / "venv" / "bin" / "python"


def curves() -> dict[str, tuple[int, FloatArray]]:
    """Seeded equity curves with their bar interval, the capital first."""
    found: dict[str, tuple[int, FloatArray]] = {}
    for name, seed, interval_ns, n_bars, drift, deviation in [
        ("five years of days", 1, NS_PER_DAY, 1825, 5e-4, 0.03),
        ("a losing year of days", 2, NS_PER_DAY, 365, -2e-3, 0.02),
        ("a month of minutes", 3, NS_PER_MINUTE, 43_200, 1e-7, 5e-4),
        ("a year of hours", 4, 60 * NS_PER_MINUTE, 8760, 1e-5, 4e-3),
        ("ten days", 5, NS_PER_DAY, 10, 1e-3, 0.01),
        ("mostly flat", 6, 60 * NS_PER_MINUTE, 4000, 1e-5, 4e-3),
    ]:
        generator = np.random.default_rng(seed)
        returns = generator.normal(drift, deviation, n_bars)
        if name == "mostly flat":
            returns[generator.random(n_bars) < 0.9] = 0.0
        growth: FloatArray = np.concatenate(([1.0], 1.0 + returns)).cumprod()
        found[name] = interval_ns, CAPITAL * growth
    return found


def ours(interval_ns: int, curve: FloatArray, risk_free: float) -> dict[str, float]:
    """Our batch figures under the oracle's names and signs."""
    returns, per_year = simple_returns(curve), periods_per_year(interval_ns)
    growth = cagr(float(curve[0]), float(curve[-1]), returns.size * interval_ns)
    return {
        "sharpe": sharpe_ratio(returns, per_year, risk_free),
        "sortino": sortino_ratio(returns, per_year, risk_free),
        "volatility": annual_volatility(returns, per_year),
        "max_drawdown": -max_drawdown(curve),
        "calmar": calmar_ratio(growth, max_drawdown(curve)),
        "cagr": growth,
    }


def streamed(interval_ns: int, curve: FloatArray) -> dict[str, float]:
    """Our streaming figures under the oracle's names and signs."""
    statistics = EquityStatistics(capital=float(curve[0]), interval_ns=interval_ns)
    points = curve[1:]
    times = np.arange(1, points.size + 1, dtype=np.int64) * interval_ns
    for first in range(0, points.size, 997):
        statistics.update(times[first : first + 997], points[first : first + 997])
    return {
        "sharpe": statistics.bar.sharpe,
        "sortino": statistics.bar.sortino,
        "volatility": statistics.bar.volatility,
        "max_drawdown": -statistics.max_drawdown,
        "calmar": statistics.calmar,
        "cagr": statistics.cagr,
    }


@pytest.mark.long
def test_batch_and_streaming_ratios_are_those_of_empyrical(oracle_python: Path) -> None:
    asked = [(name, *curve, risk_free) for name, curve in curves().items() for risk_free in (0.0, RISK_FREE)]
    series = [
        {
            "returns": simple_returns(curve).tolist(),
            "periods_per_year": periods_per_year(interval_ns),
            "risk_free": risk_free,
        }
        for _, interval_ns, curve, risk_free in asked
    ]
    answers = json.loads(run(oracle_python, ROOT / "scripts" / "oracle_ratios.py", stdin=json.dumps(series)))
    for (name, interval_ns, curve, risk_free), answer in zip(asked, answers, strict=True):
        assert ours(interval_ns, curve, risk_free) == pytest.approx(answer, rel=1e-9, abs=0), name
        if not risk_free:
            assert streamed(interval_ns, curve) == pytest.approx(answer, rel=1e-9, abs=0), name
