"""Any bars, in any pieces: an indicator says the same bits bar by bar and a piece at a time."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.contracts import Bar
from njord.core.instrument import Instrument
from njord.strategies.features import BarColumns
from njord.strategies.indicator_steps import start
from njord.strategies.indicators import (
    Atr,
    Band,
    Deviation,
    Ema,
    Highest,
    Indicator,
    Lowest,
    Rsi,
    Slope,
    Sma,
    Tema,
    Value,
)

TRADED = Instrument(
    symbol="COIN/USDT",
    venue="file",
    base="COIN",
    quote="USDT",
    tick_size=Decimal("0.05"),
    lot_size=Decimal("0.001"),
)
INDICATORS: tuple[Indicator, ...] = (
    Value("open"),
    Sma(1),
    Sma(4),
    Sma(3, of="volume"),
    Deviation(4),
    Band(4, 2.0),
    Band(3, -1.5, of="high"),
    Slope(1),
    Slope(4),
    Highest(4, of="high"),
    Lowest(3, of="low"),
    Ema(5),
    Tema(3),
    Rsi(3),
    Atr(3),
)
_PRICES = st.one_of(st.integers(990, 1010), st.integers(1, 10**12))


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    made = []
    for number in range(draw(st.integers(1, 25))):
        four = sorted(draw(st.lists(_PRICES, min_size=4, max_size=4)))
        made.append(
            Bar(
                ts_ns=60 * (number + 1),
                ts_open_ns=60 * number,
                instrument=0,
                open=four[1],
                high=four[3],
                low=four[0],
                close=four[2],
                volume_lots=draw(st.integers(0, 10**6)),
            )
        )
    return made


def columns(messages: list[Bar]) -> BarColumns:
    names = ("ts_open_ns", "ts_ns", "open", "high", "low", "close", "volume_lots")
    arrays = {name: np.array([getattr(each, name) for each in messages], dtype=np.int64) for name in names}
    return BarColumns(instrument=TRADED, **arrays)


@pytest.mark.parametrize("indicator", INDICATORS, ids=repr)
@given(messages=bars(), cuts=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=4))
def test_pieces_and_steps_in_any_order_say_the_same_bits(
    indicator: Indicator, messages: list[Bar], cuts: list[tuple[int, bool]]
) -> None:
    stepped, mixed = start(indicator, TRADED), start(indicator, TRADED)
    expected = np.array([stepped.step(each) for each in messages])
    said: list[np.ndarray] = []
    done = 0
    for end, as_piece in [*sorted(cuts), (len(messages), True)]:
        part = messages[done : max(done, end)]
        done = max(done, end)
        said.append(mixed.piece(columns(part)) if as_piece else np.array([mixed.step(each) for each in part]))
    assert np.concatenate(said).tobytes() == expected.tobytes()


@pytest.mark.parametrize("indicator", INDICATORS, ids=repr)
def test_a_step_a_piece_and_a_step_while_it_warms_up_count_every_bar_once(indicator: Indicator) -> None:
    messages = [
        Bar(
            ts_ns=60 * (n + 1),
            ts_open_ns=60 * n,
            instrument=0,
            open=990,
            high=999 - n,
            low=980,
            close=990 + n,
        )
        for n in range(6)
    ]
    stepped, mixed = start(indicator, TRADED), start(indicator, TRADED)
    expected = np.array([stepped.step(each) for each in messages])
    first, piece = mixed.step(messages[0]), mixed.piece(columns(messages[1:2]))
    said = [first, *piece, *(mixed.step(each) for each in messages[2:])]
    assert np.array(said).tobytes() == expected.tobytes()


@given(
    xs=st.lists(st.integers(10**6, 10**6 + 50), min_size=8, max_size=30),
    fast=st.integers(1, 3),
    slow=st.integers(4, 7),
)
def test_means_of_whole_ticks_compare_as_their_fractions_do(xs: list[int], fast: int, slow: int) -> None:
    one, other = start(Sma(fast), TRADED), start(Sma(slow), TRADED)
    for row, x in enumerate(xs):
        bar = Bar(ts_ns=row + 1, ts_open_ns=row, instrument=0, open=x, high=x, low=x, close=x)
        values = one.step(bar), other.step(bar)
        if row + 1 < slow:
            continue
        exact = sum(xs[row + 1 - fast : row + 1]) * slow - sum(xs[row + 1 - slow : row + 1]) * fast
        assert (values[0] > values[1], values[0] == values[1]) == (exact > 0, exact == 0)
