"""PBO from sums per block, against the method carried out on whole series as its paper writes it, and by closed forms."""

import math
from itertools import combinations

import numpy as np
import pytest

from njord.performance.overfitting import group_logits, pbo_cscv
from njord.performance.returns import FloatArray


def blocks_of(returns: FloatArray, n_blocks: int) -> FloatArray:
    parts = np.array_split(returns, n_blocks, axis=1)
    moments = [
        (np.full(len(returns), part.shape[1]), part.sum(axis=1), (part**2).sum(axis=1)) for part in parts
    ]
    return np.array(moments).transpose(2, 0, 1)


def by_the_paper(returns: FloatArray, n_blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Logits and both Sharpe ratios of every split: submatrices of the series, joined and ranked one by one."""
    parts = np.array_split(returns, n_blocks, axis=1)
    logits, inside, outside = [], [], []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        rest = [block for block in range(n_blocks) if block not in chosen]
        halves = [np.concatenate([parts[block] for block in half], axis=1) for half in (chosen, rest)]
        own, other = (half.mean(axis=1) / half.std(axis=1) for half in halves)
        best = int(own.argmax())
        rank = 1 + sorted(other.tolist()).index(other[best])
        share = rank / (len(returns) + 1)
        logits.append(math.log(share / (1 - share)))
        inside.append(float(own[best]))
        outside.append(float(other[best]))
    return logits, inside, outside


@pytest.mark.parametrize(("n_points", "n_blocks", "n_bars"), [(7, 8, 90), (2, 2, 20), (40, 6, 61)])
def test_it_is_the_papers_method_split_by_split(n_points: int, n_blocks: int, n_bars: int) -> None:
    returns = np.random.default_rng(n_points).normal(0.001, 0.02, (n_points, n_bars))
    found = pbo_cscv(blocks_of(returns, n_blocks))
    logits, inside, outside = by_the_paper(returns, n_blocks)
    assert found.n_splits == len(logits) == math.comb(n_blocks, n_blocks // 2)
    assert found.logits.tolist() == pytest.approx(logits, abs=1e-12)
    assert found.inside.tolist() == pytest.approx(inside, rel=1e-9)
    assert found.outside.tolist() == pytest.approx(outside, rel=1e-9)
    assert found.pbo == sum(logit <= 1e-12 for logit in logits) / len(logits)
    assert found.probability_of_loss == sum(each < 0 for each in outside) / len(outside)
    slope, intercept = np.polyfit(inside, outside, 1)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), rel=1e-6, abs=1e-9)
    assert found.r_squared == pytest.approx(np.corrcoef(inside, outside)[0, 1] ** 2, rel=1e-6)


def test_points_that_add_up_to_nothing_are_always_overfit() -> None:
    # A closed form. Each point earns in one block what it loses in another, and blocks deviate alike: the better a
    # half, the worse the rest, so the best of one half is the worst of the other.
    returns = np.tile([0.02, -0.02], (4, 12)) + np.kron(
        np.array([[1, -1, 0, 0], [-1, 1, 0, 0], [2, 0, -2, 0], [0, -3, 0, 3]]) / 1000, np.ones((1, 6))
    )
    found = pbo_cscv(blocks_of(returns, 4))
    assert found.pbo == 1.0
    assert found.probability_of_loss == 1.0
    assert found.slope == pytest.approx(-1.0, abs=0.02)


def test_a_point_that_is_always_the_best_is_never_overfit() -> None:
    returns = np.random.default_rng(1).normal(0.0, 0.001, (9, 64))
    returns[3] += 0.01
    found = pbo_cscv(blocks_of(returns, 8))
    assert found.pbo == 0.0
    assert found.probability_of_loss == 0.0
    assert found.logits.tolist() == pytest.approx([math.log(9.0)] * 70)  # ln(0.9 / 0.1): rank 9 of 9.


def test_points_that_are_all_the_same_share_the_middle_rank_and_count_as_overfit() -> None:
    one = np.random.default_rng(2).normal(0.01, 0.02, 48)
    for n_points in (2, 3, 10):
        found = pbo_cscv(blocks_of(np.tile(one, (n_points, 1)), 6))
        assert found.logits.tolist() == [0.0] * 20
        assert found.pbo == 1.0


def test_a_point_that_never_trades_is_better_than_losers_and_worse_than_winners() -> None:
    random = np.random.default_rng(3)
    returns = random.normal(0.0, 0.001, (3, 40)) + np.array([[-0.01], [0.0], [0.01]])
    returns[1] = 0.0
    assert pbo_cscv(blocks_of(returns, 4)).pbo == 0.0
    losers = pbo_cscv(blocks_of(returns[:2], 4))
    assert losers.inside.tolist() == losers.outside.tolist() == [0.0] * 6
    assert math.isnan(losers.slope)  # All alike: there is no line.


def test_a_constant_return_is_no_infinite_sharpe() -> None:
    returns = np.vstack([np.full(40, 0.01), np.random.default_rng(4).normal(0.005, 0.001, 40)])
    found = pbo_cscv(blocks_of(returns, 4))
    assert (found.inside < 10).all()


def test_ruined_points_may_have_fewer_returns_than_the_others() -> None:
    blocks = blocks_of(np.random.default_rng(5).normal(0.0, 0.01, (4, 80)), 4)
    blocks[2, 2:] = 0.0
    found = pbo_cscv(blocks)
    assert np.isfinite(found.logits).all() and np.isfinite(found.outside).all()


def test_the_number_of_points_does_not_change_how_splits_are_cut_into_pieces() -> None:
    returns = np.random.default_rng(8).normal(0.0, 0.01, (3, 60))
    few = pbo_cscv(blocks_of(returns, 6))
    # 70,000 points, more than one piece holds a row of: the added ones lose in every block and change no best.
    many = np.vstack([blocks_of(returns, 6), np.tile(blocks_of(returns[:1] - 1.0, 6), (69_997, 1, 1))])
    assert pbo_cscv(many).inside.tolist() == few.inside.tolist()


def test_a_histogram_holds_every_logit() -> None:
    logits = np.array([-1.0, 0.0, 0.5, 3.0])
    assert list(group_logits(logits, 4)) == [(-1.0, 1), (0.0, 2), (1.0, 0), (2.0, 1)]


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        (np.ones((2, 4)), "shape"),
        (np.ones((1, 4, 3)), "at least 2 points"),
        (np.ones((2, 5, 3)), "even"),
        (np.ones((2, 18, 3)), "2 to 16"),
        (np.full((2, 4, 3), np.nan), "finite"),
        (np.full((2, 4, 3), -1.0), "negative"),
    ],
)
def test_what_are_no_blocks_is_refused(blocks: FloatArray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pbo_cscv(blocks)
