"""Are these rows trades? In: frames as the file holds them. Out: staged exact numbers, sides and ids, in file order.

Each block is checked as it passes; the first bad row is named with its value. A trade of quantity zero, which some
venues publish, is skipped and counted: no dataset can hold it and nothing traded.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.bars_time import TimeReader
from njord.storage.certificate.facts import FactCollector
from njord.storage.ingest.decimals import Numbers, read_numbers
from njord.storage.ingest.frames_rows import RawRows

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_BUYS = ("buy", "b", "1", "+1", "bid", "buyer")
_SELLS = ("sell", "s", "-1", "ask", "seller")
_UNKNOWN = ("", "0", "unknown", "none", "null", "na", "n/a")
_SIDES = {**dict.fromkeys(_BUYS, 1), **dict.fromkeys(_SELLS, -1), **dict.fromkeys(_UNKNOWN, 0)}
_BUYER_MAKER = {"true": -1, "t": -1, "1": -1, "yes": -1, "false": 1, "f": 1, "0": 1, "no": 1}


class TradeReader:
    """Reads the frames of one file into staged rows, and keeps what was assumed on the way."""

    def __init__(self, times: TimeReader, venue_times: TimeReader, where: str) -> None:
        self._times = times
        self._venue_times = venue_times
        self._where = where
        self._has_ids: bool | None = None
        self._n_rows = 0

    def assumptions(self) -> list[str]:
        """Return what was taken for granted about times and ids, as sentences."""
        said = self._times.assumptions()
        if self._has_ids is False:
            said.append("Trade ids are no whole numbers: none are kept, and repeated trades can not be told.")
        return said

    def stage(self, frames: Iterable[pl.DataFrame], raw: RawRows, facts: FactCollector) -> None:
        """Write the trades of `frames` to `raw`, in file order.

        Raises:
            DataError: A value is missing or is none of its kind; names row and value.
        """
        for frame in frames:
            if not frame.height:
                continue
            first_row = self._n_rows + 1
            self._n_rows += frame.height
            rows = np.arange(first_row, first_row + frame.height)
            ts_ns = self._times.read(frame["time"], first_row)
            venue = (
                self._venue_times.read(frame["venue_time"], first_row)
                if "venue_time" in frame.columns
                else ts_ns
            )
            price = read_numbers(frame["price"], "price", first_row, self._where)
            qty = read_numbers(frame["qty"], "qty", first_row, self._where)
            traded = qty.digits != 0
            self._check_positive(qty.digits >= 0, frame["qty"], "qty", ">= 0", first_row)
            self._check_positive((price.digits > 0) | ~traded, frame["price"], "price", "> 0", first_row)
            columns: dict[str, IntArray | Numbers] = {
                "ts_ns": ts_ns,
                "ts_venue_ns": venue,
                "trade_id": self._ids(frame, first_row),
                "side": self._sides(frame, first_row),
                "price": price,
                "qty": qty,
            }
            if not traded.all():
                facts.note("skipped", ts_ns[~traded], rows[~traded], "quantity zero")
                rows = rows[traded]
                columns = {name: _chosen(values, traded) for name, values in columns.items()}
            raw.append(rows, columns)

    @property
    def n_rows(self) -> int:
        """Rows read so far, skipped ones included."""
        return self._n_rows

    def _ids(self, frame: pl.DataFrame, first_row: int) -> IntArray:
        nothing = np.zeros(frame.height, dtype=np.int64)
        if "id" not in frame.columns or self._has_ids is False:
            return nothing
        given = frame["id"]
        if given.null_count() == len(given):
            return nothing
        whole = given.cast(pl.String).str.strip_chars().replace("", None)
        numbers = whole.cast(pl.Int64, strict=False)
        bad = ((numbers.is_null() & whole.is_not_null()) | (numbers < 0).fill_null(False)).to_numpy()
        if self._has_ids is None:
            self._has_ids = not bad[int(whole.is_not_null().arg_max() or 0)]
            if not self._has_ids:
                return nothing
        if bad.any():
            index = int(bad.argmax())
            raise self._bad("id", given[index], first_row + index, "a whole number from 0 to 2**63")
        return numbers.fill_null(0).to_numpy()

    def _sides(self, frame: pl.DataFrame, first_row: int) -> IntArray:
        for name, known in (("side", _SIDES), ("buyer_maker", _BUYER_MAKER)):
            if name not in frame.columns:
                continue
            words = frame[name].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
            sides = words.replace_strict(known, default=None, return_dtype=pl.Int64)
            if sides.null_count():
                index = int(sides.is_null().arg_max() or 0)
                wanted = "buy or sell" if name == "side" else "true or false"
                raise self._bad(name, frame[name][index], first_row + index, wanted)
            return sides.to_numpy()
        return np.zeros(frame.height, dtype=np.int64)

    def _check_positive(
        self, good: BoolArray, shown: pl.Series, name: str, wanted: str, first_row: int
    ) -> None:
        if not good.all():
            index = int((~good).argmax())
            raise self._bad(name, shown[index], first_row + index, f"a number {wanted}")

    def _bad(self, name: str, value: object, row: int, wanted: str) -> DataError:
        return DataError(
            f"{self._where} row {row}: {name} is {one_line(value)}, expected {wanted}",
            "correct or remove the row",
        )


def _chosen(values: IntArray | Numbers, keep: BoolArray) -> IntArray | Numbers:
    if isinstance(values, Numbers):
        return Numbers(values.digits[keep], values.decimals[keep])
    return values[keep]
