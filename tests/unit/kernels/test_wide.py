"""Products of two 64-bit numbers are compared and divided as Python's unbounded numbers are."""

from hypothesis import example, given
from hypothesis import strategies as st

from njord.kernels.wide import PRODUCT_MAX, ceil_ratio, floor_ratio, product_exceeds

FACTORS = st.integers(0, 60).flatmap(lambda bits: st.integers(0, 2**bits))
SMALL = st.integers(0, 48).flatmap(lambda bits: st.integers(0, 2**bits))
DIVISORS = st.integers(1, 60).flatmap(lambda bits: st.integers(1, 2**bits))


@given(FACTORS, SMALL, FACTORS, st.integers(-2, 2))
def test_nearly_equal_products_are_told_apart(a: int, b: int, c: int, off: int) -> None:
    d = a * b // c + off if c else off
    if abs(d) < 2**60 and c * abs(d) < PRODUCT_MAX:
        assert product_exceeds(a, b, c, d) is (a * b > c * d)


@given(FACTORS, SMALL, DIVISORS)
@example(2**60, 2**48, 2**60 - 1)
@example(0, 5, 3)
def test_ratios_are_rounded_like_whole_numbers(a: int, b: int, divisor: int) -> None:
    if a * b // divisor < 2**60:
        assert floor_ratio(a, b, divisor) == a * b // divisor
        assert ceil_ratio(a, b, divisor) == -(-a * b // divisor)


def test_a_negative_side_is_smaller() -> None:
    assert product_exceeds(1, 1, -(2**60), 2**40)
    assert not product_exceeds(-3, 7, 1, 1)
