"""The synthetic market: seeded, and shaped like one."""

import numpy as np

from njord.venues.synthetic import SyntheticBars, SyntheticMarket, synthetic_bars


def draw(n: int, seed: int = 3, **market: float | int) -> SyntheticBars:
    batches = list(synthetic_bars(SyntheticMarket(**market), n, np.random.default_rng(seed)))  # type: ignore[arg-type]
    return SyntheticBars(
        *(np.concatenate([getattr(b, name) for b in batches]) for name in SyntheticBars.__struct_fields__)
    )


def test_the_same_seed_gives_the_same_bars_and_another_seed_others() -> None:
    first, second, other = draw(500), draw(500), draw(500, seed=4)
    for name in SyntheticBars.__struct_fields__:
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.close, other.close)


def test_bars_are_consistent_contiguous_and_positive_across_batches() -> None:
    n = 65_600  # Just beyond one batch.
    bars = draw(n)
    assert bars.close.size == n
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.low >= 1).all() and (bars.volume >= 0).all()
    assert np.array_equal(bars.open[1:], bars.close[:-1])
    assert (np.diff(bars.ts_open_ns) == SyntheticMarket().interval_ns).all()
    assert bars.ts_open_ns[0] == SyntheticMarket().start_ns
    assert bars.open[0] == SyntheticMarket().start_price


def test_prices_never_fall_below_one_tick() -> None:
    bars = draw(300, start_price=2, calm=1.0, wild=2.0)
    assert bars.low.min() == 1


def test_calm_and_wild_times_differ() -> None:
    moves = np.abs(np.diff(np.log(draw(20_000, switch=0.01).close.astype(float))))
    weekly = moves[: len(moves) // 100 * 100].reshape(-1, 100).mean(axis=1)
    assert weekly.max() > 2 * weekly.min()


def test_no_bars_asked_no_bars_given() -> None:
    assert list(synthetic_bars(SyntheticMarket(), 0, np.random.default_rng(1))) == []
