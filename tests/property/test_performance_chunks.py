"""Any way of cutting an equity curve into chunks gives what the batch functions give for the whole curve."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.performance.drawdown import deepest_drawdown, longest_under_water_ns, max_drawdown
from njord.performance.ratios import annual_volatility, cagr, sharpe_ratio, sortino_ratio, total_return
from njord.performance.returns import (
    FloatArray,
    IntArray,
    daily_closes,
    monthly_returns,
    periods_per_year,
    simple_returns,
    yearly_returns,
)
from njord.performance.streaming import EquityStatistics

CAPITAL = 1000.0


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-10, abs=1e-15, nan_ok=True)


@st.composite
def curves(draw: st.DrawFn) -> tuple[int, IntArray, FloatArray, list[int]]:
    """Interval, times with gaps, whole-number equity (many ties at the peak, sometimes ruin), and cuts."""
    interval_ns = draw(st.sampled_from([NS_PER_MINUTE, 7 * 60 * NS_PER_MINUTE, NS_PER_DAY, 11 * NS_PER_DAY]))
    bars = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(-4, 4)), min_size=1, max_size=60))
    start = draw(st.integers(-400, 20_000)) * NS_PER_DAY + draw(st.integers(0, 1440)) * NS_PER_MINUTE
    ts_ns = start + np.cumsum([gap for gap, _ in bars], dtype=np.int64) * interval_ns
    equity = CAPITAL + np.cumsum([move for _, move in bars], dtype=np.float64) * draw(
        st.sampled_from([0, 1, 20])
    )
    cuts = draw(st.sets(st.integers(0, len(bars))) | st.just(set(range(len(bars)))))
    return interval_ns, ts_ns, equity, sorted(cuts)


@given(curves())
def test_any_chunking_agrees_with_the_batch(curve: tuple[int, IntArray, FloatArray, list[int]]) -> None:
    interval_ns, ts_ns, equity, cuts = curve
    stream = EquityStatistics(capital=CAPITAL, interval_ns=interval_ns)
    for times, points in zip(np.split(ts_ns, cuts), np.split(equity, cuts), strict=True):
        stream.update(times, points)

    whole = np.concatenate(([CAPITAL], equity))
    times = np.concatenate(([ts_ns[0] - interval_ns], ts_ns))
    per_bar, bars_a_year = simple_returns(whole), periods_per_year(interval_ns)
    assert stream.total_return == total_return(CAPITAL, float(equity[-1]))
    assert stream.cagr == close(cagr(CAPITAL, float(equity[-1]), int(times[-1] - times[0])))
    assert stream.bar.n_periods == per_bar.size
    assert stream.bar.volatility == close(annual_volatility(per_bar, bars_a_year))
    assert stream.bar.sharpe == close(sharpe_ratio(per_bar, bars_a_year))
    assert stream.bar.sortino == close(sortino_ratio(per_bar, bars_a_year))

    assert stream.max_drawdown == max_drawdown(whole)
    assert stream.deepest_drawdown == deepest_drawdown(times, whole)
    assert stream.longest_under_water_ns == longest_under_water_ns(times, whole)
    ruined = np.flatnonzero(equity <= 0)
    assert stream.ruined_ns == (ts_ns[ruined[0]] if ruined.size else None)

    closes = daily_closes(ts_ns, equity)
    assert stream.daily_closes().day.tolist() == closes.day.tolist()
    assert stream.daily_closes().equity.tolist() == closes.equity.tolist()
    daily = simple_returns(np.concatenate(([CAPITAL], closes.equity)))
    assert stream.daily.n_periods == daily.size
    assert stream.daily.volatility == close(annual_volatility(daily, 365))
    assert stream.daily.sharpe == close(sharpe_ratio(daily, 365))
    assert stream.daily.sortino == close(sortino_ratio(daily, 365))
    assert stream.best_day is not None and stream.best_day.value == daily.max()
    assert stream.worst_day is not None and stream.worst_day.value == daily.min()
    assert repr(stream.monthly_returns()) == repr(monthly_returns(closes, CAPITAL))
    assert repr(stream.yearly_returns()) == repr(yearly_returns(closes, CAPITAL))


@given(curves())
def test_drawdown_times_agree_with_a_plain_loop(curve: tuple[int, IntArray, FloatArray, list[int]]) -> None:
    _, ts_ns, equity, _ = curve
    whole = [CAPITAL, *equity.tolist()]
    times = [int(ts_ns[0]) - 1, *ts_ns.tolist()]
    peak, peak_ns, depth, longest = CAPITAL, times[0], 0.0, 0
    fall: tuple[float, int, int] | None = None
    for now, value in zip(times, whole, strict=True):
        if value < peak:
            longest = max(longest, now - peak_ns)
            if (peak - value) / peak > depth:
                depth = (peak - value) / peak
                fall = (depth, peak_ns, now)
        else:
            # Reaching the peak again ends a fall, and only a fall: the time until here counts.
            longest = max(longest, now - peak_ns if whole[times.index(now) - 1] < peak else 0)
            peak, peak_ns = value, now
    found = deepest_drawdown(np.array(times), np.array(whole))
    assert (found and (found.depth, found.peak_ns, found.trough_ns)) == fall
    assert longest_under_water_ns(np.array(times), np.array(whole)) == longest


@given(st.lists(st.integers(-500, 900), min_size=2, max_size=50))
def test_the_months_compound_to_the_total_return(moves: list[int]) -> None:
    equity: FloatArray = np.float64(1000) * np.cumprod(1 + np.array(moves, dtype=np.float64) / 1000)
    ts_ns = np.arange(1, len(moves) + 1, dtype=np.int64) * 9 * NS_PER_DAY
    months = monthly_returns(daily_closes(ts_ns, equity), 1000.0)
    assert math.prod(1 + month.value for month in months) == pytest.approx(equity[-1] / 1000.0)
