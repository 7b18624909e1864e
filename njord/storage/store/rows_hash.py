"""When are two datasets the same? When their canonical rows, instrument and interval hash alike, whatever file or store
they lie in.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from njord.core.instrument import Instrument
from njord.storage.dataset import BarHash, hashed_facts
from njord.storage.store.kinds import DataKind, IntArray


class RowsHash:
    """SHA-256 over the instrument and the canonical rows of trades, books or quotes, whatever the size of the pieces."""

    def __init__(self, kind: DataKind, instrument: Instrument) -> None:
        self._sha256 = hashlib.sha256(hashed_facts(f"njord-{kind.value}-1", instrument, 0))

    def add(self, columns: Sequence[IntArray]) -> None:
        """Add rows, one array per column of the kind; each value counts as 8 little-endian bytes, row by row."""
        self._sha256.update(np.stack(columns, axis=1).astype("<i8", copy=False).data)

    def text(self) -> str:
        """Return "sha256:" and the digest in hex."""
        return f"sha256:{self._sha256.hexdigest()}"


def rows_hash(kind: DataKind, instrument: Instrument, interval_ns: int) -> BarHash | RowsHash:
    """Return the empty hash of a dataset; that of bars is the one that a bare file has."""
    return BarHash(instrument, interval_ns) if kind is DataKind.BARS else RowsHash(kind, instrument)
