"""How often is the verdict wrong? The best of 1,000 strategies, over 50 markets, without and with a planted edge.

Stated rates, of 50 markets each (four years of daily returns, 16 blocks): all 50 without skill are called overfit, none
"holds". With a planted annual Sharpe ratio of 4, the planted strategy is the best in all, none is called overfit, and at
least 45 hold; with 3, a tenth of the planted ones may be called overfit: so many trials leave little room.
"""

from collections import Counter

import pytest

from tests.unit.performance.planted import best_of_a_thousand

SEEDS = range(50)
DAYS = 4 * 365

pytestmark = [pytest.mark.integration, pytest.mark.long]


def verdicts(edge: float) -> tuple[Counter[str], int]:
    found = [best_of_a_thousand(seed, DAYS, edge, n_blocks=16) for seed in SEEDS]
    return Counter(report.verdict for report, _ in found), sum(is_planted for _, is_planted in found)


def test_the_best_of_a_thousand_random_strategies_is_always_called_overfit() -> None:
    found, _ = verdicts(0.0)
    assert found == {"overfit": 50}


def test_a_planted_edge_is_chosen_and_never_called_overfit() -> None:
    found, n_planted = verdicts(4.0)
    assert n_planted == 50
    assert found["overfit"] == 0
    assert found["holds"] >= 45


def test_a_weaker_edge_is_called_overfit_in_at_most_a_tenth_of_the_markets() -> None:
    found, n_planted = verdicts(3.0)
    assert n_planted >= 45
    assert found["overfit"] <= 5
