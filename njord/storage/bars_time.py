"""When is a bar? In: the timestamps of a file in any usual form. Out: int64 nanoseconds of UTC, or one clear error.

Forms: ISO text with an offset, ISO text without (UTC unless `--timezone` says otherwise), 20220131 for days, epoch
numbers in s, ms, us or ns (told by magnitude), and the date and datetime columns of Parquet and Feather. The form
is fixed by the first row; a row of another form is an error, never a guess.
"""

import re
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY, NS_PER_MS, NS_PER_S, NS_PER_US
from njord.storage.bars_text import one_line, show_time

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_UNIT_NS = {"s": NS_PER_S, "ms": NS_PER_MS, "us": NS_PER_US, "ns": 1}
_UNIT_BELOW = (("s", 10**11), ("ms", 10**14), ("us", 10**17), ("ns", 2**63))
TIME_UNITS = (*_UNIT_NS, "iso")
_ISO = re.compile(
    r"(?P<year>\d{4})(?P<sep>[-/]?)(?P<month>\d\d)(?P=sep)(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<offset> ?(?:Z|z|UTC|(?P<sign>[+-])(?P<offset_hour>\d\d):?(?P<offset_minute>\d\d)?))?)?"
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_FORMS = "ISO 8601 such as 2022-01-31T12:00:00Z, or epoch s, ms, us or ns"
_RANGE = "between 1970 and 2262"
_MAX_FORMS = 64
_FIRST_YEAR, _LAST_YEAR = 1970, 2261
_MAX_NS = int(np.datetime64("2262-01-01", "ns").astype(np.int64))


class TimeReader:
    """Turns the timestamp column of one file into nanoseconds, block by block, holding every row to one form."""

    def __init__(self, where: str, unit: str | None = None, timezone: str | None = None) -> None:
        if unit is not None and unit not in TIME_UNITS:
            raise DataError(f"--time-unit {one_line(unit)} is unknown", f"use one of {', '.join(TIME_UNITS)}")
        if timezone is not None:
            _check_timezone(timezone)
        self._where = where
        self._unit = unit
        self._by_magnitude = False
        self._timezone = timezone
        self._has_offset: bool | None = None

    def assumptions(self) -> list[str]:
        """Return what was taken for granted about the timestamps, as sentences."""
        if self._has_offset is False:
            zone = self._timezone or "UTC"
            return [
                f"Timestamps carry no offset and are read as {zone} ({'--timezone' if self._timezone else 'change with --timezone'})."
            ]
        if self._by_magnitude:
            return [
                f"Timestamps are epoch numbers in {self._unit}, told by their magnitude (change with --time-unit)."
            ]
        return []

    def read(self, times: pl.Series, first_row: int) -> IntArray:
        """Return `times` as nanoseconds of UTC.

        Args:
            times: Text, numbers, dates or datetimes; nulls are refused.
            first_row: Number of the first row, from 1, for messages.

        Raises:
            DataError: A value is missing, of another form than the first, or not between 1970 and 2262.
        """
        if times.null_count():
            row = first_row + int(times.is_null().arg_max() or 0)
            raise DataError(f"{self._where} row {row} has no timestamp", "remove the row or fill it in")
        kind = times.dtype
        if isinstance(kind, pl.Datetime):
            return self._read_datetimes(times, kind, first_row)
        if kind == pl.Date:
            self._offset_seen(np.zeros(len(times), dtype=np.bool_), first_row)
            return self._checked(times.cast(pl.Int64).to_numpy(), NS_PER_DAY, times.to_physical(), first_row)
        if kind.is_decimal():
            return self._read_text(times.cast(pl.String), first_row)
        if kind.is_numeric():
            return self._read_numeric(times, first_row)
        if kind == pl.String:
            return self._read_text(times, first_row)
        raise DataError(f"{self._where}: the time column holds {one_line(kind)}", f"store times as {_FORMS}")

    def _read_datetimes(self, times: pl.Series, kind: pl.Datetime, first_row: int) -> IntArray:
        factor = _UNIT_NS[kind.time_unit]
        stamps = self._checked(times.to_physical().to_numpy(), factor, times.to_physical(), first_row)
        aware = np.full(len(times), kind.time_zone is not None)
        self._offset_seen(aware, first_row)
        return stamps if kind.time_zone is not None else self._to_utc(stamps, first_row)

    def _read_numeric(self, times: pl.Series, first_row: int) -> IntArray:
        if self._unit is None and 19700101 <= times[0] < _LAST_YEAR * 10_000:
            self._unit = "iso"  # Days written as 20220131; as epoch seconds they would all lie in 1970.
        if self._unit == "iso":
            return self._read_iso(times.cast(pl.Int64).cast(pl.String), first_row)
        return self._read_epoch(times, times, first_row)

    def _read_text(self, times: pl.Series, first_row: int) -> IntArray:
        if self._unit is None and not (
            _NUMBER.fullmatch(times[0].strip()) and not _ISO.fullmatch(times[0].strip())
        ):
            self._unit = "iso"
        if self._unit == "iso":
            return self._read_iso(times, first_row)
        numbers = times.cast(pl.Int64, strict=False)
        if numbers.null_count():
            numbers = times.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count():
            index = int(numbers.is_null().arg_max() or 0)
            raise self._bad(
                times[index], first_row + index, "is not a number, as the epoch timestamps before it are"
            )
        return self._read_epoch(numbers, times, first_row)

    def _read_epoch(self, numbers: pl.Series, shown: pl.Series, first_row: int) -> IntArray:
        values = numbers.to_numpy()
        if values.dtype.kind == "f":
            whole = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 2.0**63)
            self._require(
                whole,
                shown,
                first_row,
                "is not a whole number; say its unit with --time-unit or use a finer one",
            )
        stamps = values.astype(np.int64)
        self._require(stamps >= 0, shown, first_row, f"is not a moment {_RANGE}")
        if self._unit is None:
            self._unit = next(unit for unit, below in _UNIT_BELOW if int(stamps[0]) < below)
            self._by_magnitude = True
        if self._by_magnitude:
            bounds = dict(_UNIT_BELOW)
            lower = {"s": 0, "ms": bounds["s"], "us": bounds["ms"], "ns": bounds["us"]}[self._unit]
            alike = (stamps >= lower) & (stamps < bounds[self._unit])
            self._require(
                alike,
                shown,
                first_row,
                f"has another magnitude than the first ({self._unit}); use one unit in one file",
            )
        return self._checked(stamps, _UNIT_NS[self._unit], shown, first_row)

    def _read_iso(self, times: pl.Series, first_row: int) -> IntArray:
        stamps = np.zeros(len(times), dtype=np.int64)
        aware = np.zeros(len(times), dtype=np.bool_)
        lengths = times.str.len_bytes().to_numpy()
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            same_length = times if len(rows) == len(times) else times.gather(rows)
            self._read_same_length(same_length, rows, stamps, aware, first_row)
        self._offset_seen(aware, first_row)
        naive = ~aware
        return self._to_utc(stamps, first_row) if naive.any() else stamps

    def _read_same_length(
        self, times: pl.Series, rows: NDArray[np.int64], stamps: IntArray, aware: BoolArray, first_row: int
    ) -> None:
        # All texts have one length, so they make a matrix of bytes: one array per character position.
        matrix = np.frombuffer(times.str.join("")[0].encode(), dtype=np.uint8).reshape(len(rows), -1).T.copy()
        left = np.arange(len(rows))
        for _ in range(_MAX_FORMS):
            index = int(left[0])
            form = _ISO.fullmatch(times[index].rstrip())
            if form is None or not times[index].isascii():
                break
            template = np.frombuffer(times[index].encode(), dtype=np.uint8)
            alike = _fits(matrix if len(left) == len(rows) else matrix[:, left], template)
            chosen = left[alike]
            part = matrix if len(chosen) == len(rows) else matrix[:, chosen]
            values, valid = _iso_values(part, form)
            self._require(valid, times.gather(chosen), first_row, f"is not a moment {_RANGE}", rows[chosen])
            stamps[rows[chosen]] = values
            aware[rows[chosen]] = form["offset"] is not None
            left = left[~alike]
            if not len(left):
                return
        index = int(left[0])
        raise self._bad(times[index], first_row + int(rows[index]), f"is not a timestamp ({_FORMS})")

    def _offset_seen(self, aware: BoolArray, first_row: int) -> None:
        if self._has_offset is None:
            self._has_offset = bool(aware[0])
        other = aware != self._has_offset
        if other.any():
            row = first_row + int(other.argmax())
            this = "without" if self._has_offset else "with"
            before = "with" if self._has_offset else "without"
            raise DataError(
                f"{self._where}: mixed timezones, row {row} is {this} an offset and the rows before it are {before}",
                "write every timestamp with an offset, such as Z, or every one without",
            )

    def _to_utc(self, stamps: IntArray, first_row: int) -> IntArray:
        if self._timezone in (None, "UTC"):
            return stamps
        local = pl.Series(stamps).cast(pl.Datetime("ns"))
        utc = local.dt.replace_time_zone(self._timezone, ambiguous="null", non_existent="null")
        if utc.null_count():
            index = int(utc.is_null().arg_max() or 0)
            raise DataError(
                f"{self._where} row {first_row + index}: {show_time(int(stamps[index]))[:-1]} happens twice or never in {self._timezone}"
                " (the clocks change)",
                "write the timestamps with their offset or in UTC",
            )
        return utc.to_physical().to_numpy()

    def _checked(self, values: IntArray, factor: int, shown: pl.Series, first_row: int) -> IntArray:
        stamps = values.astype(np.int64, copy=False)
        self._require(
            (stamps >= 0) & (stamps < _MAX_NS // factor), shown, first_row, f"is not a moment {_RANGE}"
        )
        return stamps if factor == 1 else stamps * factor

    def _require(
        self,
        valid: BoolArray,
        shown: pl.Series,
        first_row: int,
        what: str,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        if not valid.all():
            index = int((~valid).argmax())
            raise self._bad(shown[index], first_row + (index if rows is None else int(rows[index])), what)

    def _bad(self, value: object, row: int, what: str) -> DataError:
        return DataError(
            f"{self._where} row {row}: the timestamp {one_line(value)!r} {what}", "correct or remove the row"
        )


def _fits(matrix: NDArray[np.uint8], template: NDArray[np.uint8]) -> BoolArray:
    # A text has the template's form if it has digits where that has digits, and the same characters elsewhere.
    fits = np.ones(matrix.shape[1], dtype=np.bool_)
    for column, char in zip(matrix, template, strict=True):
        fits &= (column - 48 <= 9) if 48 <= char <= 57 else (column == char)
    return fits


def _iso_values(matrix: NDArray[np.uint8], form: re.Match[str]) -> tuple[IntArray, BoolArray]:
    def field(name: str) -> IntArray | None:
        start, end = form.span(name)
        if start < 0:
            return None
        value = np.zeros(matrix.shape[1], dtype=np.int64)
        for column in matrix[start:end]:
            value = value * 10 + (column - 48)
        return value

    year, month, day = field("year"), field("month"), field("day")
    assert year is not None and month is not None and day is not None
    valid = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    first_day = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_first_day = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid &= first_day + day <= next_first_day
    seconds = (first_day + day - 1) * 86_400
    for name, size, limit in (("hour", 3600, 24), ("minute", 60, 60), ("second", 1, 60)):
        if (value := field(name)) is not None:
            valid &= value < limit
            seconds += value * size
    sign = {"+": -1, "-": 1}.get(form["sign"] or "", 0)
    for name, size, limit in (("offset_hour", 3600, 24), ("offset_minute", 60, 60)):
        if (value := field(name)) is not None:
            valid &= value < limit
            seconds += sign * value * size
    valid &= seconds >= 0
    stamps = seconds * NS_PER_S
    if (fraction := field("fraction")) is not None:
        stamps += fraction * 10 ** (9 - len(form["fraction"]))
    return stamps, valid


def _check_timezone(name: str) -> None:
    # Polars carries the zone database itself, so this asks for no file of the machine.
    try:
        pl.Series([datetime(2000, 1, 1, tzinfo=UTC)]).dt.convert_time_zone(name)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"--timezone {one_line(name)} is not a known zone",
            "use UTC or an IANA name such as Europe/Berlin",
        ) from None
