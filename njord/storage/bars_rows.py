"""Are these rows bars? In: frames as the file holds them. Out: staged numbers, every one finite and positive.

Each block is checked as it passes; the first bad row is named with its value, and nothing is kept of the file.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.bars_time import TimeReader
from njord.storage.certificate.facts import FactCollector
from njord.storage.stage import ColumnStage

FloatArray = NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
TS, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)
RAW_TYPES = (np.int64, *(np.float64,) * 5)


class Disorder(msgspec.Struct):
    """What is wrong with the order of rows, found while they pass; `facts` holds the places of rows out of order."""

    n_out_of_order: int = 0
    n_repeated: int = 0
    first_row: int = 0
    latest_ns: int = -1
    facts: FactCollector = msgspec.field(default_factory=FactCollector)


def stage_rows(frames: Iterable[pl.DataFrame], times: TimeReader, stage: ColumnStage, where: str) -> Disorder:
    """Write the rows of `frames` to `stage` as ts_ns, open, high, low, close, volume; return their disorder.

    Raises:
        DataError: A value is missing, not a number, not finite, a price <= 0 or a volume < 0; names row and value.
    """
    disorder = Disorder()
    for frame in frames:
        if not frame.height:
            continue
        first_row = stage.n_rows + 1
        numbers = [_numbers(frame[name], name, first_row, where) for name in PRICES]
        if "volume" in frame.columns:
            numbers.append(_numbers(frame["volume"], "volume", first_row, where))
        else:
            numbers.append(np.zeros(frame.height))
        stamps = times.read(frame["time"], first_row)
        _note_disorder(stamps, first_row, disorder)
        stage.append([stamps, *numbers])
    return disorder


def _numbers(values: pl.Series, name: str, first_row: int, where: str) -> FloatArray:
    numbers = _as_float64(values, name, where)
    if not numbers.null_count():
        array = numbers.to_numpy()
        # One comparison also refuses NaN; the sum of finite values decides nothing, so infinity is asked apart.
        good = (array >= 0 if name == "volume" else array > 0) & (array < np.inf)
        if good.all():
            return array
        index = int((~good).argmax())
    else:
        index = int(numbers.is_null().arg_max() or 0)
    raise _bad_number(values[index], name, first_row + index, where)


def _as_float64(values: pl.Series, name: str, where: str) -> pl.Series:
    if values.dtype == pl.String:
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.null_count() > values.null_count():
            numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
        return numbers
    if values.dtype == pl.Float32 or values.dtype.is_decimal():
        return values.cast(pl.String).cast(pl.Float64)  # The shortest decimal is what was meant.
    if values.dtype.is_numeric():
        return values.cast(pl.Float64)
    if values.dtype == pl.Null:
        return values.cast(pl.Float64)
    raise DataError(
        f"{where}: the column {name} holds {one_line(values.dtype)}",
        f"choose a numeric one with --column {name}=NAME",
    )


def _bad_number(value: object, name: str, row: int, where: str) -> DataError:
    shown = "is empty" if value is None or value == "" else f"is {one_line(value)!s}"
    wanted = "a number >= 0" if name == "volume" else "a number > 0"
    hint = "correct or remove the row"
    if isinstance(value, str) and "," in value:
        hint = "write numbers with a decimal point and without thousands separators: 1234.5"
    return DataError(f"{where} row {row}: {name} {shown}, expected {wanted}", hint)


def _note_disorder(stamps: NDArray[np.int64], first_row: int, disorder: Disorder) -> None:
    latest = np.maximum.accumulate(np.concatenate(([disorder.latest_ns], stamps)))
    behind = stamps < latest[:-1]
    again = stamps == latest[:-1]
    disorder.latest_ns = int(latest[-1])
    wrong = behind | again
    if wrong.any():
        at = np.flatnonzero(behind)
        disorder.n_out_of_order += len(at)
        disorder.facts.note("out_of_order", stamps[at], at + first_row)
        disorder.n_repeated += int(again.sum())
        disorder.first_row = disorder.first_row or first_row + int(wrong.argmax())
