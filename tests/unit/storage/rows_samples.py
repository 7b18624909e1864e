"""Instruments and rows of every kind for the tests of formats and recordings; built once, never changed."""

from decimal import Decimal

import numpy as np

from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.storage.store.kinds import COLUMNS, Columns, DataKind

MINUTE_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000

SPOT = Instrument(
    symbol="BTC/USDT",
    venue="sim",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("1e-5"),
)
# A tick that is no power of ten, bounds that only the header can carry, and a symbol with everything in it.
PERP = Instrument(
    symbol="BTC/USD:USD", venue='a"b,c', base="BTC", quote="USD", tick_size=Decimal("0.05"), lot_size=Decimal("0.25"),
    min_qty=Decimal("0.5"), max_qty=Decimal(1_000), min_notional=Decimal("5.5"), kind=InstrumentKind.LINEAR, money_scale=6,
)  # fmt: skip


def interval_of(kind: DataKind) -> int:
    """Return a minute for bars and 0 for the rest."""
    return MINUTE_NS if kind is DataKind.BARS else 0


def rows_of(kind: DataKind, n_rows: int, first: int = 0, step_ns: int = MINUTE_NS) -> Columns:
    """Return `n_rows` plain rows of one kind, numbered on from `first`, `step_ns` apart."""
    number = np.arange(first, first + n_rows)
    ts_ns = START_NS + number * step_ns
    known = {"ts_open_ns": ts_ns, "ts_ns": ts_ns, "ts_venue_ns": ts_ns - 7, "side": number % 3 - 1}
    plain = {"open": 1_000, "high": 1_009, "low": 998, "close": 1_001, "trade_id": 1, "update_id": 5}
    return {name: known.get(name, number + plain.get(name, 900)) for name in COLUMNS[kind]}


def extremes_of(kind: DataKind, limit: int = 2**62) -> Columns:
    """Return rows of one kind that reach from nothing up to `limit` steps."""
    values = np.array([0, 1, 2, 3, 7, 10**9, 2**53 + 1, limit - 1, limit])
    ts_ns = np.array([0, 1, 1, 10**9, 1_500_000_000_123_456_789, 1_600_000_000 * 10**9, 2**61, 2**62, 2**62])
    columns = {name: np.roll(values, shift) for shift, name in enumerate(COLUMNS[kind])}
    columns[COLUMNS[kind][0]] = ts_ns
    if "side" in columns:
        columns["side"] = columns["side"] % 3 - 1
    return columns


def same_rows(one: Columns, other: Columns) -> bool:
    """Return whether two blocks hold the same columns in the same order."""
    return list(one) == list(other) and all(np.array_equal(one[name], other[name]) for name in one)


def joined(blocks: list[Columns], kind: DataKind) -> Columns:
    """Return several blocks as one."""
    return {
        name: np.concatenate([block[name] for block in blocks]) if blocks else np.empty(0, dtype=np.int64)
        for name in COLUMNS[kind]
    }
