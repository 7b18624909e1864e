"""Bars written as floats come back as the ticks they were, however the floats were soiled."""

import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.storage.bars_file import BarOptions, open_bars
from njord.storage.grid import TickInference, snap

START_S = 1_640_995_200
TICKS = st.lists(st.tuples(*(st.integers(1, 10**9),) * 4), min_size=2, max_size=30)


def soiled(ticks: int, multiple: int, decimals: int, how: int) -> float:
    """The price of `ticks` as a float: clean, by multiplication, or as a difference; dirt below 1e-6 tick."""
    scale = 10.0**decimals
    clean = ticks * multiple / scale
    if how == 0:
        return clean
    if how == 1:
        return ticks * (multiple / scale)
    return (clean + multiple / scale) - multiple / scale


@settings(deadline=None)
@given(
    TICKS, st.sampled_from([1, 5, 25]), st.integers(0, 9), st.lists(st.integers(0, 2), min_size=4, max_size=4)
)
def test_ticks_survive_csv_text_and_float_dirt(
    bars: list[tuple[int, int, int, int]], multiple: int, decimals: int, dirt: list[int]
) -> None:
    prices = [[soiled(n, multiple, decimals, how) for n, how in zip(bar, dirt, strict=True)] for bar in bars]
    rows = [f"{START_S + 60 * i},{','.join(map(repr, bar))},1" for i, bar in enumerate(prices)]
    tick = Decimal(multiple).scaleb(-decimals)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "BTCUSDT.csv"
        path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]))
        with open_bars(path, BarOptions(tick=tick)) as opened:
            back = [
                row
                for chunk in opened.chunks(size=7)
                for row in zip(
                    *(c.tolist() for c in (chunk.open, chunk.high, chunk.low, chunk.close)), strict=True
                )
            ]
            dirty = sum(
                price != n * multiple / 10**decimals
                for bar, ticks in zip(prices, bars, strict=True)
                for price, n in zip(bar, ticks, strict=True)
            )
            assert (opened.certificate.n_of("float_dirt"), opened.certificate.n_of("off_grid")) == (dirty, 0)
    assert back == bars


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.integers(0, 9), st.integers(1, 40))
def test_the_inferred_tick_is_the_coarsest_grid_that_all_prices_share_whatever_the_pieces(
    ticks: list[int], decimals: int, size: int
) -> None:
    prices = np.array(ticks) / 10**decimals
    inference = TickInference(len(prices))
    for start in range(0, len(prices), size):
        inference.add(prices[start : start + size])
    tick = inference.tick("x.csv")
    exact = [Decimal(n).scaleb(-decimals) for n in ticks]
    assert all(price % tick == 0 for price in exact)
    assert tick == 1 or any(price % (tick * 10) for price in exact)


@given(st.integers(1, 8), st.integers(0, 2000))
def test_inference_is_never_coarser_than_the_grid_of_more_than_one_price_in_a_thousand(
    decimals: int, where: int
) -> None:
    ticks = np.arange(2001) * 10 + 10
    ticks[where] += 1
    ticks[(where + 7) % 2001] += 3
    inference = TickInference(len(ticks))
    inference.add(ticks / 10**decimals)
    assert inference.tick("x.csv") == Decimal(1).scaleb(
        1 - decimals
    )  # 2 of 2,001: within the one in a thousand.
    ticks[(where + 13) % 2001] += 7
    inference = TickInference(len(ticks))
    inference.add(ticks / 10**decimals)
    assert inference.tick("x.csv") == Decimal(1).scaleb(-decimals)


@given(
    st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=50), st.integers(0, 8), st.sampled_from([1, 2, 5, 25])
)
def test_a_price_goes_to_a_nearest_tick_and_is_judged_once(
    prices: list[float], decimals: int, multiple: int
) -> None:
    snapped = snap(np.array(prices), decimals, multiple)
    tick = Decimal(multiple).scaleb(-decimals)
    for price, ticks, dirty, off in zip(
        prices, snapped.ticks.tolist(), snapped.dirty, snapped.off_grid, strict=True
    ):
        distance = abs(Decimal(price) / tick - ticks)
        # Scaling a float of many ticks is itself rounded, so that a price halfway may go either way.
        slack = Decimal(ticks * multiple + 1) * Decimal(2) ** -51
        assert distance <= Decimal("0.5") + slack
        assert not (dirty and off)
        assert (not dirty and not off) == (price == ticks * multiple / 10**decimals)
        if off:
            assert distance + slack > Decimal("1e-6")
