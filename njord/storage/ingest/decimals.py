"""Which exact number does this text show, and how many steps of a grid is it? Text, floats or decimals in; ints out.

A number is kept as `digits` x 10**-`decimals`, both int64: nothing is rounded before the grid is known. A float stands
for the shortest decimal that reads back as it, as everywhere in njord.
"""

import math
import re
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.units import plain
from njord.storage.bars_text import one_line
from njord.storage.grid import DIRT_RELATIVE, DIRT_TICKS, FINEST_DECIMALS, snap

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DECIMALS_MAX = (
    36  # What a float's shortest decimal may need, and no power beyond what an error message can show.
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INT64_MAX = 2**63 - 1
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_FLOAT_UNITS = 2.0**50  # Below it scaling a float by a power of ten finds the nearest whole number.
_DECIMAL_DIGITS = 38  # Of polars' and Parquet's widest decimal.


class Numbers(NamedTuple):
    """Exact numbers: digits x 10**-decimals, with decimals >= 0."""

    digits: IntArray
    decimals: IntArray


class Steps(NamedTuple):
    """Numbers as whole steps of a grid, and how each came there."""

    values: IntArray
    dirty: BoolArray  # Within 1e-6 step and 2**10 last places of a float: what arithmetic leaves behind.
    off_grid: BoolArray  # Further away: rounded to the nearest step, ties to even.


def read_numbers(values: pl.Series, name: str, first_row: int, where: str) -> Numbers:
    """Return a column of text, decimals, ints or floats as exact numbers of either sign.

    Args:
        values: As a file holds them.
        name: What the column is called, for messages.
        first_row: Number of the first row, from 1, for messages.
        where: The file's name, for messages.

    Raises:
        DataError: A value is missing, not finite, no number, or has more digits than an int64 holds.
    """
    kind = values.dtype
    if kind == pl.Float64:
        numbers, bad = _of_floats(values)
    elif kind.is_integer() and kind not in (pl.UInt64, pl.Int128, pl.UInt128):
        bad = values.is_null().to_numpy()
        numbers = Numbers(
            values.cast(pl.Int64).fill_null(0).to_numpy(), np.zeros(len(values), dtype=np.int64)
        )
    elif kind == pl.String or kind == pl.Null or kind.is_numeric():
        numbers, bad = _of_texts(values.cast(pl.String))
    else:
        raise DataError(
            f"{where}: the column {name} holds {one_line(kind)}",
            f"choose a numeric one with --column {name}=NAME",
        )
    if bad.any():
        index = int(bad.argmax())
        raise _bad_number(values[index], name, first_row + index, where)
    return numbers


def in_steps(numbers: Numbers, scale: int, multiple: int) -> Steps | None:
    """Return `numbers` in steps of multiple x 10**-scale, or None if one of them is beyond an int64.

    Args:
        numbers: Exact numbers of either sign.
        scale: Decimals of the step, 0 to 18.
        multiple: The step in units of 10**-scale, >= 1.
    """
    digits, decimals = numbers
    nothing = np.zeros(len(digits), dtype=np.bool_)
    if not len(digits):
        return Steps(digits, nothing, nothing)
    finest = int(decimals.max())
    if multiple == 1 and finest <= scale:
        factors = _POWERS[scale - decimals]
        largest = int(digits.max()), -int(digits.min())
        if max(largest) <= _INT64_MAX // 10**scale or _products_fit(digits, factors):
            return Steps(digits * factors, nothing, nothing)
        return None
    values = np.empty(len(digits), dtype=np.int64)
    dirty, off_grid = nothing.copy(), nothing.copy()
    for each in np.unique(decimals).tolist():
        rows = np.flatnonzero(decimals == each)
        top, bottom = 10 ** max(0, scale - each), multiple * 10 ** max(0, each - scale)
        common = math.gcd(top, bottom)
        found = _divided(digits[rows], top // common, bottom // common)
        if found is None:
            return None
        values[rows], dirty[rows], off_grid[rows] = found
    return Steps(values, dirty, off_grid)


def read_steps(values: pl.Series, scale: int, multiple: int) -> IntArray | None:
    """Return a column as `step_texts` or `step_decimals` writes it in whole steps again: exact up to 38 digits.

    None if any value is not of that form, lies off the grid, or is beyond an int64; `read_numbers` knows more forms.
    """
    if not (values.dtype == pl.String or values.dtype.is_decimal()):
        return None
    read = values.cast(pl.Decimal(_DECIMAL_DIGITS, scale), strict=False)
    # A cast rounds without a word; what it read must be what stands there.
    same = read.cast(pl.String) == values if values.dtype == pl.String else read == values
    if read.null_count() or not same.all():
        return None
    units = read.to_physical().rename("n").to_frame()
    step = pl.lit(multiple, dtype=pl.Int128)
    split = units.select(n=pl.col("n") // step, off=pl.col("n") % step != 0)
    steps = split["n"].cast(pl.Int64, strict=False)
    return None if steps.null_count() or split["off"].any() else steps.to_numpy()


class DecimalsUsed:
    """Finds the coarsest power of ten, 1 at most, that all numbers lie on."""

    def __init__(self) -> None:
        self._finest = 0

    def add(self, numbers: Numbers) -> None:
        """Take note of the decimals of `numbers`, which have no zeros at their end."""
        self._finest = max(self._finest, int(numbers.decimals.max(initial=0)))

    def step(self) -> Decimal | None:
        """Return the step; None where it would be finer than 1e-12, which is float dirt and no grid."""
        return Decimal(1).scaleb(-self._finest) if self._finest <= FINEST_DECIMALS else None


class OffGrid(ValueError):
    """A value that should lie on a grid does not; `index` is its position."""

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index


def exact_steps(values: pl.Series, scale: int, multiple: int, name: str) -> IntArray:
    """Return a column of decimals in any form as whole steps of multiple x 10**-scale.

    Raises:
        OffGrid: A value is no number, not a whole number of steps, or beyond an int64.
    """
    found = read_steps(values, scale, multiple)
    if found is not None:
        return found
    step = plain(Decimal(multiple).scaleb(-scale))
    result = np.empty(len(values), dtype=np.int64)
    # Only where something is unusual, so each value may be looked at alone.
    for index, value in enumerate(values.cast(pl.String).to_list()):
        number = _one(value)
        if number is None:
            raise OffGrid(index, f"{name} {one_line(value)} is no number of at most 18 digits")
        steps = in_steps(Numbers(*(np.array([part], dtype=np.int64) for part in number)), scale, multiple)
        if steps is None or steps.dirty[0] or steps.off_grid[0]:
            raise OffGrid(index, f"{name} {one_line(value)} is not a whole number of steps of {step}")
        result[index] = steps.values[0]
    return result


def step_texts(values: IntArray, scale: int, multiple: int) -> pl.Series:
    """Return whole steps of multiple x 10**-scale as decimal text with `scale` decimals: exact.

    Raises:
        DataError: A value has more than 38 digits.
    """
    return step_decimals(values, scale, multiple).cast(pl.String)


def step_decimals(values: IntArray, scale: int, multiple: int) -> pl.Series:
    """Return whole steps of multiple x 10**-scale as Decimal(38, scale): exact.

    Raises:
        DataError: A value has more than 38 digits.
    """
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0))) * multiple
    step = Decimal(multiple).scaleb(-scale)
    if largest >= 10**_DECIMAL_DIGITS:
        raise DataError(
            f"{largest} x 10^-{scale} has more than {_DECIMAL_DIGITS} digits",
            f"its step of {plain(step)} is too large to write out",
        )
    whole = pl.Series("n", values).cast(pl.Decimal(_DECIMAL_DIGITS, 0)).to_frame()
    return whole.select(pl.col("n") * pl.lit(Decimal(plain(step)), pl.Decimal(_DECIMAL_DIGITS, scale)))["n"]


# --- out of text and floats ---


def _of_texts(texts: pl.Series) -> tuple[Numbers, BoolArray]:
    parts = texts.rename("text").to_frame().select(pl.col("text").str.splitn(".", 2)).unnest("text")
    found = parts.select(
        whole=pl.col("field_0"), rest=pl.col("field_1").fill_null("").str.strip_chars_end("0")
    ).select(
        digits=pl.concat_str("whole", "rest").cast(pl.Int64, strict=False),
        decimals=pl.col("rest").str.len_bytes().cast(pl.Int64),
    )
    unread = (found["digits"].is_null() | (found["decimals"] > DECIMALS_MAX)).to_numpy()
    digits = found["digits"].fill_null(0).to_numpy().copy()
    decimals = found["decimals"].fill_null(0).to_numpy().copy()
    bad = np.zeros(len(texts), dtype=np.bool_)
    for index in np.flatnonzero(unread).tolist():
        number = _one(texts[index])
        if number is None:
            bad[index] = True
        else:
            digits[index], decimals[index] = number
    return Numbers(digits, decimals), bad


# Exponents, blanks around the number, a lone point: rare enough to be taken one by one.
def _one(text: str | None) -> tuple[int, int] | None:
    if text is None or len(text) > 1_000 or not _NUMBER.fullmatch(text.strip()):
        return None
    sign, figures, power = Decimal(text.strip()).normalize().as_tuple()
    whole = int("".join(map(str, figures)))
    if not isinstance(power, int) or power < -DECIMALS_MAX or power > DECIMALS_MAX:
        return (0, 0) if whole == 0 else None
    whole *= 10 ** max(0, power)
    return (-whole if sign else whole, max(0, -power)) if whole <= _INT64_MAX else None


def _of_floats(values: pl.Series) -> tuple[Numbers, BoolArray]:
    floats = values.to_numpy()
    bad = ~np.isfinite(floats)
    digits, decimals = np.zeros(len(floats), dtype=np.int64), np.zeros(len(floats), dtype=np.int64)
    left = np.flatnonzero(~bad)
    for each in range(FINEST_DECIMALS + 1):
        near = left[np.abs(floats[left]) < _FLOAT_UNITS / 10.0**each]
        snapped = snap(floats[near], each, 1)
        clean = ~(snapped.dirty | snapped.off_grid)
        digits[near[clean]], decimals[near[clean]] = snapped.ticks[clean], each
        done = np.zeros(len(floats), dtype=np.bool_)
        done[near[clean]] = True
        left = left[~done[left]]
        if not len(left):
            return Numbers(digits, decimals), bad
    numbers, unread = _of_texts(values.gather(left).cast(pl.String))
    digits[left], decimals[left], bad[left] = numbers.digits, numbers.decimals, unread
    return Numbers(digits, decimals), bad


def _bad_number(value: object, name: str, row: int, where: str) -> DataError:
    shown = "is empty" if value is None or value == "" else f"is {one_line(value)}"
    hint = "correct or remove the row"
    if isinstance(value, str) and "," in value:
        hint = "write numbers with a decimal point and without thousands separators: 1234.5"
    return DataError(f"{where} row {row}: {name} {shown}, expected a number of at most 18 digits", hint)


# --- onto the grid ---


def _products_fit(digits: IntArray, factors: IntArray) -> bool:
    most = _INT64_MAX // factors
    return bool(((digits <= most) & (digits >= -most)).all())


def _divided(digits: IntArray, top: int, bottom: int) -> tuple[IntArray, BoolArray, BoolArray] | None:
    largest = max(int(digits.max()), -int(digits.min()))
    small = largest * top <= _INT64_MAX and bottom <= _INT64_MAX // 2
    # Python's own ints where an int64 could overflow on the way: slow, exact, and hardly ever needed.
    wide = digits if small else digits.astype(object)
    whole, rest = wide * top // bottom, wide * top % bottom
    up = (2 * rest > bottom) | ((2 * rest == bottom) & (whole % 2 == 1))
    values = whole + up
    if not small and not all(-_INT64_MAX <= each <= _INT64_MAX for each in values.tolist()):
        return None
    off = (rest != 0).astype(np.bool_)
    distance = np.minimum(rest, bottom - rest).astype(np.float64) / float(bottom)
    nearest = np.abs(values.astype(np.float64))
    near = (distance <= np.minimum(DIRT_TICKS, DIRT_RELATIVE * nearest)) & (nearest > 0)
    return values.astype(np.int64), off & near, off & ~near
