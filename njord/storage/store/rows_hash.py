"""When are two datasets the same? When their canonical rows, instrument and interval hash alike, whatever file or store
they lie in.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.storage.dataset import BarHash
from njord.storage.store.kinds import DataKind, IntArray


class RowsHash:
    """SHA-256 over the instrument and the canonical rows of trades, books or quotes, whatever the size of the pieces."""

    def __init__(self, kind: DataKind, instrument: Instrument) -> None:
        facts = (
            f"njord-{kind.value}-1", instrument.symbol, instrument.venue, instrument.base, instrument.quote,
            instrument.kind.value, plain(instrument.tick_size), plain(instrument.lot_size), plain(instrument.min_qty),
            plain(instrument.max_qty), plain(instrument.min_notional), str(instrument.money_scale), "0",
        )  # fmt: skip
        self._sha256 = hashlib.sha256(("\n".join(facts) + "\n\n").encode())

    def add(self, columns: Sequence[IntArray]) -> None:
        """Add rows, one array per column of the kind; each value counts as 8 little-endian bytes, row by row."""
        self._sha256.update(np.stack(columns, axis=1).astype("<i8", copy=False).data)

    def text(self) -> str:
        """Return "sha256:" and the digest in hex."""
        return f"sha256:{self._sha256.hexdigest()}"


def rows_hash(kind: DataKind, instrument: Instrument, interval_ns: int) -> BarHash | RowsHash:
    """Return the empty hash of a dataset; that of bars is the one that a bare file has."""
    return BarHash(instrument, interval_ns) if kind is DataKind.BARS else RowsHash(kind, instrument)
