"""Units: exact or said."""

from decimal import Decimal, Inexact

import pytest

from njord.core.units import (
    EXACT,
    NS_PER_DAY,
    NS_PER_YEAR,
    exponent,
    plain,
    quantum,
    ratio,
    round_down,
    round_half_even,
    round_up,
)


def test_a_product_that_would_lose_a_digit_raises() -> None:
    long = Decimal("1." + "1" * 60)
    with pytest.raises(Inexact):
        EXACT.multiply(long, long)


def test_a_year_has_365_days() -> None:
    assert NS_PER_YEAR == 365 * NS_PER_DAY == 365 * 86_400 * 10**9


@pytest.mark.parametrize(
    ("value", "down", "up", "even"),
    [
        ("1.25", "1.2", "1.3", "1.2"),
        ("-1.25", "-1.2", "-1.3", "-1.2"),
        ("1.35", "1.3", "1.4", "1.4"),
        ("2", "2", "2", "2"),
    ],
)
def test_rounding_directions(value: str, down: str, up: str, even: str) -> None:
    tenth = quantum(1)
    assert round_down(Decimal(value), tenth) == Decimal(down)
    assert round_up(Decimal(value), tenth) == Decimal(up)
    assert round_half_even(Decimal(value), tenth) == Decimal(even)


@pytest.mark.parametrize(
    ("value", "decimals"), [("0.25", 2), ("300", 0), ("3E+2", 0), ("0.2500", 2), ("0", 0), ("1E-18", 18)]
)
def test_exponent_counts_the_decimals_that_are_needed(value: str, decimals: int) -> None:
    assert exponent(Decimal(value)) == decimals


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_what_is_not_finite_has_no_decimals(value: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        exponent(Decimal(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.50", "1.5"), ("-0.00", "0"), ("1E+3", "1000"), ("1E-9", "0.000000001"), ("100", "100")],
)
def test_plain_text(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_a_ratio_has_80_digits() -> None:
    assert len(ratio(Decimal(1), Decimal(3)).as_tuple().digits) == 80
