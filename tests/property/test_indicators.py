"""Any series: a batch is the fold of its step, in any pieces, and a window knows nothing but what is in it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.kernels import recursive as plain
from njord.kernels import recursive_batch as batch
from njord.kernels import rolling, rolling_batch
from njord.kernels.rolling_extreme import extreme

PRICES = st.lists(st.one_of(st.floats(0, 1e9), st.just(float("nan"))), min_size=1, max_size=60)
TICKS = st.lists(st.integers(10**6, 10**6 + 10**4), min_size=1, max_size=60)
PERIOD = 3

FOLDS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], Any]] = {
    "ema": (
        lambda state, x: plain.ema_step(state, x, 0.3),
        plain.ema_value,
        lambda state, xs, out: batch.ema(state, xs, 0.3, out),
        plain.NO_EMA,
    ),
    "tema": (
        lambda state, x: plain.tema_step(state, x, 0.3),
        plain.tema_value,
        lambda state, xs, out: batch.tema(state, xs, 0.3, out),
        plain.NO_TEMA,
    ),
    "macd": (
        lambda state, x: plain.macd_step(state, x, 0.3, 0.1, 0.2),
        lambda state: plain.macd_value(state)[0],
        lambda state, xs, out: batch.macd(state, xs, 0.3, 0.1, 0.2, out, np.empty_like(out)),
        plain.NO_MACD,
    ),
    "rma": (
        lambda state, x: plain.rma_step(state, x, PERIOD),
        lambda state: plain.rma_value(state, PERIOD),
        lambda state, xs, out: batch.rma(state, xs, PERIOD, out),
        plain.NO_RMA,
    ),
    "rsi": (
        lambda state, x: plain.rsi_step(state, x, PERIOD),
        lambda state: plain.rsi_value(state, PERIOD),
        lambda state, xs, out: batch.rsi(state, xs, PERIOD, out),
        plain.NO_RSI,
    ),
    "atr": (
        lambda state, x: plain.atr_step(state, x + 1, x - 1, x, PERIOD),
        lambda state: plain.atr_value(state, PERIOD),
        lambda state, xs, out: batch.atr(state, xs + 1, xs - 1, xs, PERIOD, out),
        plain.NO_ATR,
    ),
}


@pytest.mark.parametrize("name", FOLDS)
@given(xs=PRICES, cut=st.integers(0, 60))
def test_a_batch_in_two_pieces_is_the_fold_of_its_step_bit_for_bit(
    name: str, xs: list[float], cut: int
) -> None:
    step, value, whole, start = FOLDS[name]
    state, said = start, []
    for x in xs:
        state = step(state, x)
        said.append(value(state))
    array, out = np.array(xs), np.empty(len(xs))
    last = whole(start, array[:cut], out[:cut])
    last = whole(last, array[cut:], out[cut:])
    assert out.tobytes() == np.array(said).tobytes() or np.array_equal(out, said, equal_nan=True)
    assert last == state


@given(xs=PRICES)
def test_rsi_stays_between_0_and_100(xs: list[float]) -> None:
    out = np.empty(len(xs))
    batch.rsi(plain.NO_RSI, np.array(xs), PERIOD, out)
    known = out[~np.isnan(out)]
    assert ((known >= 0) & (known <= 100)).all()


@given(xs=TICKS, window=st.integers(1, 12))
def test_windows_say_what_the_values_in_them_say_and_batches_what_steps_say(
    xs: list[int], window: int
) -> None:
    array, n = np.array(xs), len(xs)
    origin = rolling_batch.check_range(array, window)
    means, deviations, slopes = np.empty(n), np.empty(n), np.empty(n)
    rolling_batch.mean(array, window, means)
    rolling_batch.deviation(array, window, origin, deviations)
    rolling_batch.slope(array, window, origin, slopes)
    highs, lows = np.empty(n, np.int64), np.empty(n, np.int64)
    extreme(array, window, 1, highs)
    extreme(array, window, -1, lows)
    sums, line = rolling.NO_SUMS, rolling.NO_LINE
    for row, x in enumerate(xs):
        leaving = xs[row - window] if row >= window else 0
        sums = rolling.sums_step(sums, x, leaving, window)
        line = rolling.line_step(line, x, leaving, window)
        seen = xs[max(0, row + 1 - window) : row + 1]
        assert (highs[row], lows[row]) == (max(seen), min(seen))
        said = (means[row], deviations[row], slopes[row])
        steps = (
            rolling.mean_value(sums, window),
            rolling.deviation_value(sums, window),
            rolling.slope_value(line, window),
        )
        assert np.array_equal(said, steps, equal_nan=True)
        if row + 1 < window:
            assert np.isnan(said).all()
            continue
        centered = np.array(seen) - sum(seen) / window
        assert said[0] == pytest.approx(sum(seen) / window, rel=1e-15)
        assert said[1] == pytest.approx(float(np.sqrt((centered**2).mean())), rel=1e-9, abs=1e-9)
        if window > 1:
            places = np.arange(window) - (window - 1) / 2
            slope = float((places * centered).sum() / (places**2).sum())
            assert said[2] == pytest.approx(slope, rel=1e-9, abs=1e-6)
            numerator, denominator = rolling.ahead_value(line, window)
            ahead = said[0] + slope * (window + 1) / 2
            assert numerator / denominator == pytest.approx(ahead, rel=1e-12)
