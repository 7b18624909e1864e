"""Counting paths: what bins say against the values themselves, and that no order of counting changes it."""

import msgspec
import numpy as np
import pytest

from njord.research.montecarlo_bins import PERCENTILES, Bins, EvenBins, RelativeBins
from njord.research.montecarlo_bootstrap import Plan, bootstrap
from njord.research.montecarlo_bounds import interval_ranks, rank_of
from njord.research.montecarlo_tally import CHECKPOINTS, Tally, checkpoints_of, followed

RANDOM = np.random.default_rng(5)
LOG_NORMAL = np.exp(RANDOM.normal(0.1, 0.3, 5_000))
SHARES = RANDOM.beta(2, 5, 5_000)
COUNTS = RANDOM.integers(0, 900, 5_000).astype(np.float64)
FACTORS = RANDOM.normal(1.001, 0.02, 200)


def bins_of(values: np.ndarray) -> Bins:
    if values is LOG_NORMAL:
        return RelativeBins(values[:256])
    return EvenBins(values[:256], 900.0, is_whole=True) if values is COUNTS else EvenBins(values[:256], 1.0)


@pytest.mark.parametrize("values", [LOG_NORMAL, SHARES, COUNTS], ids=["multiples", "shares", "counts"])
def test_percentiles_are_order_statistics_within_the_resolution_that_is_told(values: np.ndarray) -> None:
    bins = bins_of(values)
    bins.add(values)
    ordered = np.sort(values)
    found = bins.distribution()
    assert (found.minimum, found.maximum) == (ordered[0], ordered[-1])
    for each, quick in zip(found.percentiles, bins.values(), strict=True):
        true = ordered[rank_of(each.percent, 5_000) - 1]
        reach = found.resolution * (true if found.is_relative else 1.0)
        assert abs(each.value - true) <= reach / 2 + 1e-15
        assert each.value == quick
        low, high = (ordered[rank - 1] for rank in interval_ranks(each.percent, 5_000) if rank)
        assert each.low is not None and low - reach <= each.low <= low
        assert each.high is not None and high <= each.high <= high + reach
    assert sum(found.counts) == 5_000 and len(found.edges) == len(found.counts) + 1
    assert found.edges == sorted(found.edges)
    assert found.mean == pytest.approx(values.mean(), rel=found.resolution if found.is_relative else 1e-3)


def test_whole_numbers_are_told_exactly_while_there_is_a_bin_for_each() -> None:
    bins = bins_of(COUNTS)
    bins.add(COUNTS)
    ordered = np.sort(COUNTS)
    assert [each.value for each in bins.percentiles()] == [
        ordered[rank_of(percent, 5_000) - 1] for percent in PERCENTILES
    ]


@pytest.mark.parametrize("values", [LOG_NORMAL, SHARES, COUNTS], ids=["multiples", "shares", "counts"])
def test_parts_add_up_to_the_whole_in_any_order(values: np.ndarray) -> None:
    whole, parts = bins_of(values), [bins_of(values) for _ in range(3)]
    whole.add(values)
    for part, some in zip(parts, np.split(values, [17, 3_000]), strict=True):
        part.add(np.ascontiguousarray(some))
    for part in (parts[0], parts[1]):
        parts[2].merge(part)
    assert parts[2].distribution() == whole.distribution()


def test_what_lies_beyond_the_bins_counts_in_the_outermost_and_extremes_stay_exact() -> None:
    bins = RelativeBins(np.array([1.0, 1.1]))
    bins.add(np.array([0.0, 0.2, 1.05, 50.0]))
    found = bins.distribution()
    assert (found.minimum, found.maximum, sum(found.counts)) == (0.0, 50.0, 4)
    assert 0.0 <= found.percentiles[0].value <= found.edges[1] < 1.0
    assert 1.1 < found.percentiles[-1].value <= 50.0


def test_one_value_alone_is_told_exactly() -> None:
    for bins in (RelativeBins(np.ones(3)), EvenBins(np.zeros(3), 1.0)):
        bins.add(np.ones(3))
        assert {each.value for each in bins.percentiles()} == {1.0}


@pytest.mark.parametrize("block", [1.0, 5.0])
def test_threads_and_chunks_change_no_byte(block: float) -> None:
    def told(n_threads: int, chunk_paths: int) -> bytes:
        plan = Plan(n_paths=1_000, n_steps=51, seed=8, block=block, chunk_paths=chunk_paths)
        return msgspec.json.encode(bootstrap(FACTORS, plan, n_threads).figures(10_000.0))

    expected = told(1, 0)
    assert {told(2, 0), told(1, 7), told(3, 100), told(2, 1)} == {expected}


def test_another_seed_or_block_is_another_answer() -> None:
    plans = [
        Plan(n_paths=300, n_steps=51, seed=seed, block=block)
        for seed, block in ((1, 1.0), (2, 1.0), (1, 5.0))
    ]
    told = {msgspec.json.encode(bootstrap(FACTORS, plan).figures(1.0)) for plan in plans}
    assert len(told) == 3


@pytest.mark.parametrize("factors", [[], [1.0, float("nan")], [1.0, -0.1], [float("inf")]])
def test_factors_that_are_none_are_refused(factors: list[float]) -> None:
    with pytest.raises(ValueError, match="factors must be finite"):
        bootstrap(np.array(factors), Plan(n_paths=1, n_steps=1, seed=0))


@pytest.mark.parametrize("n_steps", [1, 2, 3, 63, 64, 65, 127, 128, 129, 1_000, 1_000_001])
def test_checkpoints_are_even_but_the_last_and_evenly_spaced(n_steps: int) -> None:
    checkpoints = checkpoints_of(n_steps)
    assert checkpoints[-1] == n_steps
    assert not (checkpoints[:-1] % 2).any() and (checkpoints > 0).all()
    gaps = np.diff(checkpoints)
    assert checkpoints.size <= CHECKPOINTS and (gaps > 0).all()
    if gaps.size:
        assert gaps.max() <= n_steps / CHECKPOINTS + 2


def test_a_known_curve_is_measured_as_paths_are() -> None:
    equity = np.array([110.0, 99.0, 105.0, 110.0, 121.0, 60.5, 70.0])
    ends, fan = followed(equity, 100.0, checkpoints_of(7))
    assert ends[:, 0].tolist() == [0.7, 0.605, 0.5, 2.0]
    assert fan[:, 0].tolist() == [equity[step - 1] / 100 for step in checkpoints_of(7)]
    ends, _ = followed(np.array([50.0, -1.0, 80.0]), 100.0, checkpoints_of(3))
    assert ends[:, 0].tolist() == [0.0, 0.0, 0.0, 3.0]


def test_ruin_and_loss_are_counted_as_they_are_defined() -> None:
    equity = [np.array([100.0, 49.0, 120.0]), np.array([100.0, 50.0, 90.0]), np.array([101.0, 102.0, 100.0])]
    checkpoints = checkpoints_of(3)
    paths = [followed(each, 100.0, checkpoints) for each in equity]
    tally = Tally(paths[0], checkpoints, 0.5)
    for each in paths:
        tally.add(each)
    figures = tally.figures(100.0)
    assert (figures.ruin.value, figures.loss.value, figures.ruin.n) == (1 / 3, 1 / 3, 3)
    assert figures.fan.steps == [0, 2, 3] and len(figures.fan.equity) == len(PERCENTILES)
