"""Numbers come out of text and floats exactly, onto a grid exactly, and back into the same text."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from njord.core.errors import DataError
from njord.storage.ingest.decimals import (
    DecimalsUsed,
    Numbers,
    OffGrid,
    exact_steps,
    in_steps,
    read_numbers,
    read_steps,
    step_decimals,
    step_texts,
)


def read(*values: object) -> list[Decimal]:
    numbers = read_numbers(pl.Series(values), "price", 1, "f.csv")
    return [
        Decimal(digits).scaleb(-decimals)
        for digits, decimals in zip(numbers.digits.tolist(), numbers.decimals.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    "text",
    ["1.10", "0.00141342", "1e-5", "1E3", "+3", " 4.5 ", ".5", "5.", "-0.05", "0", "-0.0", "9223372036854775807",
     "0.000000000000000001", "0.00010441057000000001", "922337203685.4775807", "1.2300e2"],
)  # fmt: skip
def test_text_is_read_as_the_number_it_shows(text: str) -> None:
    assert read(text) == [Decimal(text.strip())]


@pytest.mark.parametrize(
    "value",
    ["", " ", "nan", "NaN", "inf", "-Infinity", "1_0", "1,5", "1.2.3", "1.-5", "٣", "0x10", "9223372036854775808",
     "1e40", "1e-40", "0." + "0" * 40 + "1", "--1", "e5", ".", "1e", "1" * 2_000],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_row(value: str) -> None:
    with pytest.raises(DataError, match=r"^f\.csv row 8: price is ") as raised:
        read_numbers(pl.Series(["1", value]), "price", 7, "f.csv")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_floats_that_are_no_amounts_are_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"row 2: price is "):
        read_numbers(pl.Series([1.0, value]), "price", 1, "f.csv")


def test_a_missing_value_is_refused() -> None:
    for values in (
        pl.Series([1.5, None]),
        pl.Series(["1", None]),
        pl.Series([1, None]),
        pl.Series([None, None]),
    ):
        with pytest.raises(DataError, match=r"price is empty"):
            read_numbers(values, "price", 1, "f.csv")


def test_a_column_of_another_type_is_refused_by_its_type() -> None:
    with pytest.raises(DataError, match="the column price holds List"):
        read_numbers(pl.Series([[1]]), "price", 1, "f.csv")


def test_floats_are_the_shortest_decimal_that_reads_back_as_them() -> None:
    values = [0.1, 0.10441057000000001, 1e-5, 123456789.25, 0.0, -2.5, 1e-20, 2.0**60, 0.30000000000000004]
    assert read(*values) == [Decimal(repr(value)) for value in values]


def test_ints_and_decimals_are_read_exactly() -> None:
    assert read(5, -7, 2**63 - 1) == [5, -7, 2**63 - 1]
    assert read(Decimal("0.10"), Decimal("123456789012345.678")) == [
        Decimal("0.1"),
        Decimal("123456789012345.678"),
    ]


def numbers(*texts: str) -> Numbers:
    return read_numbers(pl.Series(texts), "price", 1, "f.csv")


def test_steps_of_any_multiple_are_exact() -> None:
    steps = in_steps(numbers("0.05", "1", "2.5", "0.1"), 2, 5)
    assert steps is not None
    assert steps.values.tolist() == [1, 20, 50, 2]
    assert not (steps.dirty | steps.off_grid).any()


def test_what_is_off_the_grid_is_rounded_to_the_nearest_step_ties_to_even() -> None:
    steps = in_steps(numbers("0.013", "0.015", "0.025", "0.02", "-0.015"), 2, 1)
    assert steps is not None
    assert steps.values.tolist() == [1, 2, 2, 2, -2]
    assert steps.off_grid.tolist() == [True, True, True, False, True]


def test_float_dirt_is_told_from_what_is_off_the_grid() -> None:
    steps = in_steps(numbers("0.10441057000000001", "124.999999", "0.104410571"), 8, 1)
    assert steps is not None
    assert steps.dirty.tolist() == [True, False, False]
    assert steps.off_grid.tolist() == [False, False, True]


def test_what_is_beyond_an_int64_is_told_not_wrapped() -> None:
    assert in_steps(numbers("9223372036854775807"), 1, 1) is None
    assert in_steps(numbers("9223372036854775807", "0.5"), 1, 2) is None
    fits = in_steps(numbers("922337203685477580.7", "0.1"), 1, 1)
    assert fits is not None
    assert fits.values.tolist() == [2**63 - 1, 1]
    wide = in_steps(numbers("9223372036854775807"), 1, 20)
    assert wide is not None
    assert wide.values.tolist() == [2**62]


def test_the_finest_decimal_used_is_the_step_unless_it_is_dirt() -> None:
    used = DecimalsUsed()
    used.add(numbers("23.0", "54.00"))
    assert used.step() == 1
    used.add(numbers("0.00141342"))
    assert used.step() == Decimal("1e-8")
    used.add(numbers("0.10441057000000001"))
    assert used.step() is None


@pytest.mark.parametrize(("scale", "multiple"), [(8, 1), (2, 5), (2, 25), (0, 1_000), (18, 3), (0, 1)])
def test_steps_become_text_and_decimals_and_come_back(scale: int, multiple: int) -> None:
    values = np.array([2**62 + 1, 0, 1, -1, 5, 2**63 - 1])
    texts = step_texts(values, scale, multiple)
    assert [Decimal(text) for text in texts] == [
        Decimal(f"{value * multiple}E-{scale}") for value in values.tolist()
    ]
    for written in (texts, step_decimals(values, scale, multiple)):
        back = read_steps(written, scale, multiple)
        assert back is not None
        assert back.tolist() == values.tolist()


@pytest.mark.parametrize(
    "text", ["0.011", "0.1", "1e-2", "0.03", "x", "", "99999999999999999999999999999999999999"]
)
def test_only_the_written_form_takes_the_short_way_back(text: str) -> None:
    assert read_steps(pl.Series(["0.05", text]), 2, 5) is None


def test_a_decimal_of_another_scale_is_not_rounded_on_the_way_back() -> None:
    assert read_steps(pl.Series([Decimal("0.051")]), 2, 1) is None
    with pytest.raises(OffGrid, match=r"price 0\.051 is not a whole number of steps of 0\.01") as raised:
        exact_steps(pl.Series([Decimal("0.050"), Decimal("0.051")]), 2, 1, "price")
    assert raised.value.index == 1


def test_other_forms_of_exact_steps_are_read_too() -> None:
    assert exact_steps(pl.Series(["0.1", "1e-1", "5"]), 2, 5, "price").tolist() == [2, 2, 100]


def test_more_digits_than_a_decimal_has_are_refused() -> None:
    with pytest.raises(DataError, match="more than 38 digits"):
        step_texts(np.array([2**62]), 0, 10**20)
