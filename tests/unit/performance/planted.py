"""Markets of noise with strategies of random sign on them, and one that may have an edge: what is chosen, and the verdict."""

import numpy as np

from njord.performance.assessment import SelectionReport, assess
from njord.performance.ratios import moments_of, ratios_of
from njord.performance.selection import TrialCount

N_STRATEGIES = 1_000
DAYS_A_YEAR = 365


def best_of_a_thousand(seed: int, n_days: int, edge: float, n_blocks: int) -> tuple[SelectionReport, bool]:
    """Return the report of the best of 1,000 strategies by Sharpe ratio, and whether it is the planted one.

    Args:
        seed: Of the market and of the signs.
        n_days: Daily returns of the market: normal, without drift, deviation 2 %.
        edge: Annual Sharpe ratio of the first strategy; 0 = it is as random as the others.
        n_blocks: For the cross-validation.
    """
    random = np.random.default_rng(seed)
    market = random.normal(0.0, 0.02, n_days)
    returns = np.where(random.random((N_STRATEGIES, n_days)) < 0.5, -1.0, 1.0) * market
    if edge:
        returns[0] = random.normal(edge * 0.02 / np.sqrt(DAYS_A_YEAR), 0.02, n_days)
    sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    best = int(sharpes.argmax())
    parts = returns[:, : n_days // n_blocks * n_blocks].reshape(N_STRATEGIES, n_blocks, -1)
    blocks = np.stack(
        [np.full(parts.shape[:2], float(parts.shape[2])), parts.sum(2), (parts**2).sum(2)], axis=2
    )
    trials = TrialCount(
        n=N_STRATEGIES,
        n_compared=N_STRATEGIES,
        mean_sharpe=float(sharpes.mean()),
        variance_sharpe=float(sharpes.var(ddof=1)),
    )
    return assess(ratios_of(moments_of(returns[best]), DAYS_A_YEAR), trials, blocks), best == 0
