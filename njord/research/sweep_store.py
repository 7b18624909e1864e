"""Where do a sweep's points lie until it is finished? Scores come in as chunks; rows that survive a kill go out.

`points.bin` grows by chunks of fixed records, `points.chunks` by one line for each, with its hash, once it is on the
disk. What has no line, or does not match it, is cut off on opening and evaluated again.
"""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.point import Params, Score
from njord.storage.disk import OsFile

ROWS = "points.bin"
LEDGER = "points.chunks"
N_RUNGS = 2  # Intermediate values that a pruned search keeps of a point.
COUNTS = ("n_bars", "n_orders", "n_fills", "n_trips")
FLOATS = tuple(
    name for name in Score.__struct_fields__ if name not in (*COUNTS, "params", "blocks", "engine", "error")
)
_ERROR_BYTES = 160
_READ_ROWS = 8192

Rows = NDArray[np.void]


class _Chunk(msgspec.Struct, frozen=True):
    chunk: int
    rows: int
    sha256: str


def record_type(n_blocks: int) -> np.dtype[np.void]:
    """Return the type of one row: its place in the grid, its score, and what pruning went by."""
    return np.dtype(
        [
            ("index", "<u8"),
            *((name, "<i8") for name in COUNTS),
            *((name, "<f8") for name in FLOATS),
            ("blocks", "<f8", (n_blocks, 3)),
            ("rungs", "<f8", (N_RUNGS,)),
            ("is_fast", "?"),
            ("error", f"S{_ERROR_BYTES}"),
        ]
    )


def row_of(index: int, score: Score, n_blocks: int, rungs: Sequence[float] = ()) -> Rows:
    """Return a score as an array of one row."""
    row = np.zeros(1, dtype=record_type(n_blocks))
    row["index"] = index
    for name in (*COUNTS, *FLOATS):
        row[name] = getattr(score, name)
    if score.blocks:
        row["blocks"][0, : len(score.blocks)] = score.blocks
    row["rungs"] = math.nan
    row["rungs"][0, : len(rungs)] = rungs
    row["is_fast"] = score.engine == "fast"
    row["error"] = score.error.encode()[:_ERROR_BYTES]
    return row


def score_of(row: Any, params: Params) -> Score:
    """Return a row as a score."""
    figures: dict[str, Any] = {name: int(row[name]) for name in COUNTS}
    figures |= {name: float(row[name]) for name in FLOATS}
    blocks = tuple((int(n), float(total), float(squares)) for n, total, squares in row["blocks"])
    return Score(
        params=params,
        **figures,
        blocks=blocks if figures["n_bars"] else (),
        engine="fast" if row["is_fast"] else "ordered",
        error=bytes(row["error"]).decode(errors="ignore"),
    )


class SweepStore:
    """The rows of one sweep's folder; a sweep has one at a time.

    Attributes:
        done: Chunks that are kept.
        n_rows: Rows that are kept.
    """

    def __init__(self, folder: Path, n_blocks: int) -> None:
        self._type = record_type(n_blocks)
        self._path = folder / ROWS
        self.done: set[int] = set()
        self.n_rows = 0
        self._is_closed = False
        self._rows, self._ledger = OsFile(self._path), OsFile(folder / LEDGER)
        n_good = self._verify((folder / LEDGER).read_bytes())
        self._rows.truncate(self.n_rows * self._type.itemsize)
        self._ledger.truncate(n_good)

    def add(self, chunk: int, rows: Rows) -> None:
        """Keep a chunk: after this it survives a kill.

        Raises:
            OSError: The disk refuses it.
        """
        data = rows.tobytes()
        line = msgspec.json.encode(_Chunk(chunk, rows.size, hashlib.sha256(data).hexdigest())) + b"\n"
        self._rows.write(data)
        self._rows.sync()
        self._ledger.write(line)
        self._ledger.sync()
        self.done.add(chunk)
        self.n_rows += rows.size

    def column(self, name: str) -> NDArray[Any]:
        """Return one column of all rows, in the order they were kept."""
        pieces = [piece[name].copy() for piece in self._pieces()]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=self._type[name])

    def has_error(self, prefix: str = "") -> NDArray[np.bool_]:
        """Say of all rows whether they have an error that begins with `prefix`; the texts themselves are not held."""
        begins = prefix.encode()
        errors = (piece["error"] for piece in self._pieces())
        flags = [(error != b"") & np.char.startswith(error, begins) for error in errors]
        return np.concatenate([np.empty(0, dtype=np.bool_), *flags])

    def take(self, places: NDArray[np.intp]) -> Rows:
        """Return the rows at some places, in that order."""
        rows = np.empty(places.size, dtype=self._type)
        size = self._type.itemsize
        with self._path.open("rb") as file:
            for to, place in enumerate(places.tolist()):
                file.seek(place * size)
                rows[to] = np.frombuffer(file.read(size), dtype=self._type)[0]
        return rows

    def close(self) -> None:
        """Close the files; once is enough."""
        if not self._is_closed:
            self._is_closed = True
            self._rows.close()
            self._ledger.close()

    def remove(self) -> None:
        """Close and remove the files: the finished table has all of it."""
        self.close()
        for name in (ROWS, LEDGER):
            (self._path.parent / name).unlink(missing_ok=True)

    def _pieces(self) -> Iterator[Rows]:
        with self._path.open("rb") as file:
            while data := file.read(_READ_ROWS * self._type.itemsize):
                yield np.frombuffer(data, dtype=self._type)

    # Returns how many bytes of the ledger are good.
    def _verify(self, ledger: bytes) -> int:
        n_good = 0
        with self._path.open("rb") as file:
            for line in ledger.splitlines(keepends=True):
                try:
                    chunk = msgspec.json.decode(line, type=_Chunk)
                except msgspec.DecodeError:
                    break
                data = file.read(chunk.rows * self._type.itemsize)
                if not line.endswith(b"\n") or hashlib.sha256(data).hexdigest() != chunk.sha256:
                    break
                n_good += len(line)
                self.done.add(chunk.chunk)
                self.n_rows += chunk.rows
        return n_good


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_bytes(data)
    os.replace(temporary, path)
