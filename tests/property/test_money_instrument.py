"""The door between float, Decimal and whole numbers: exact one way, to the safe side the other."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from njord.core.instrument import Instrument, exact
from njord.core.types import Side
from njord.core.units import EXACT, exponent, plain, quantum, round_down, round_half_even, round_up
from tests.property.strategies import amounts, instruments

COUNTS = st.integers(0, 2**63 - 1)
ASKED = st.one_of(
    amounts("-10", "1e12", places=14),
    st.floats(-10, 1e15, allow_nan=False).map(lambda number: exact(number)),
    st.integers(-10, 10**15).map(Decimal),
)


@given(instruments(), COUNTS)
def test_prices_and_quantities_are_exact_multiples_and_come_back_as_the_same_number(
    traded: Instrument, count: int
) -> None:
    assert Fraction(traded.price(count)) == count * Fraction(traded.tick_size)
    assert Fraction(traded.qty(count)) == count * Fraction(traded.lot_size)
    assert traded.exact_ticks(traded.price(count)) == count
    assert traded.lots(traded.qty(count)) == count
    assert traded.limit_ticks(traded.price(count), Side.BUY) == count
    assert traded.limit_ticks(traded.price(count), Side.SELL) == count


@given(instruments(), COUNTS, COUNTS)
def test_a_notional_is_the_exact_product(traded: Instrument, ticks: int, lots: int) -> None:
    product = Fraction(traded.price(ticks)) * Fraction(traded.qty(lots))
    assert Fraction(traded.notional(ticks, lots)) == product


@given(instruments(), COUNTS)
def test_floats_for_signals_are_the_nearest_there_are(traded: Instrument, count: int) -> None:
    assert traded.price_float(count) == float(traded.price(count))
    assert traded.qty_float(count) == float(traded.qty(count))


@given(instruments(), st.integers(1, 10**12))
def test_a_float_price_comes_back_to_its_own_tick(traded: Instrument, ticks: int) -> None:
    assert traded.exact_ticks(traded.price_float(ticks)) == ticks


@given(instruments(), ASKED)
def test_a_limit_is_never_worse_than_asked_and_less_than_a_tick_better(
    traded: Instrument, asked: Decimal
) -> None:
    tick = Fraction(traded.tick_size)
    buy, sell = (traded.limit_ticks(asked, side) * tick for side in (Side.BUY, Side.SELL))
    assert buy <= Fraction(asked) <= sell
    assert Fraction(asked) - buy < tick and sell - Fraction(asked) < tick


@given(instruments(), ASKED)
def test_a_quantity_is_never_rounded_up(traded: Instrument, asked: Decimal) -> None:
    lot = Fraction(traded.lot_size)
    got = traded.lots(asked) * lot
    assert abs(got) <= abs(Fraction(asked)) < abs(got) + lot
    assert got * Fraction(asked) >= 0


@given(
    instruments(),
    st.integers(1, 10**15),
    st.integers(1, 10**15),
    st.decimals("-100", "10000", places=4, allow_nan=False),
)
def test_a_fee_is_rounded_once_and_against_us(
    traded: Instrument, ticks: int, lots: int, rate: Decimal
) -> None:
    notional = traded.notional(ticks, lots)
    owed = Fraction(notional) * Fraction(rate) / 10_000
    fee = Fraction(traded.fee(notional, rate))
    step = Fraction(10) ** -traded.money_scale
    assert 0 <= fee - owed < step
    assert fee % step == 0


@given(amounts(places=20), st.integers(0, 18))
def test_rounding_does_what_its_name_says(value: Decimal, scale: int) -> None:
    step = quantum(scale)
    down, up, near = (f(value, step) for f in (round_down, round_up, round_half_even))
    assert abs(Fraction(down)) <= abs(Fraction(value)) <= abs(Fraction(up))
    assert abs(Fraction(up) - Fraction(down)) in (0, Fraction(step))
    assert abs(Fraction(near) - Fraction(value)) * 2 <= Fraction(step)
    assert all(exponent(each) <= scale for each in (down, up, near))


@given(amounts(places=18))
def test_plain_text_is_the_same_number_without_exponent_or_tail(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert "E" not in text and not (("." in text) and text.endswith("0"))
    assert plain(value.normalize(EXACT)) == text
    assert exponent(value) == (len(text.partition(".")[2]))
