"""What are the rows of a file of ours called? One list of fields per kind of data, for every format in and out.

Whole numbers and times keep the names of the stored columns; prices and quantities lose the unit in theirs, because a
file shows them as decimals in quote and base, and not in ticks and lots.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

import msgspec

from njord.core.instrument import Instrument
from njord.storage.store.kinds import COLUMNS, DataKind


class Role(Enum):
    """What a field's integers stand for, and so how a file shows them."""

    TIME = "nanoseconds since 1970, UTC"
    WHOLE = "a whole number"
    PRICE = "ticks, shown as a decimal in quote per base"
    QTY = "lots, shown as a decimal in base"


class Field(msgspec.Struct, frozen=True):
    """One field of a row: its name in files, its column in the store."""

    name: str
    column: str
    role: Role

    def step(self, instrument: Instrument) -> tuple[int, int]:
        """Return (scale, multiple) of one step: multiple x 10**-scale; (0, 1) for times and whole numbers."""
        if self.role is Role.PRICE:
            return instrument.tick_scale, instrument.tick_multiple
        if self.role is Role.QTY:
            return instrument.lot_scale, instrument.lot_multiple
        return 0, 1


_NAMES = {
    "volume_lots": "volume", "price_ticks": "price", "qty_lots": "qty", "bid_ticks": "bid", "bid_lots": "bid_qty",
    "ask_ticks": "ask", "ask_lots": "ask_qty",
}  # fmt: skip
_PRICES = frozenset({"open", "high", "low", "close"})


def _role(column: str) -> Role:
    if column.endswith("_ns"):
        return Role.TIME
    if column.endswith("_ticks") or column in _PRICES:
        return Role.PRICE
    return Role.QTY if column.endswith("_lots") else Role.WHOLE


FIELDS: Mapping[DataKind, tuple[Field, ...]] = MappingProxyType(
    {
        kind: tuple(Field(_NAMES.get(column, column), column, _role(column)) for column in columns)
        for kind, columns in COLUMNS.items()
    }
)


def kind_of_names(names: list[str]) -> DataKind | None:
    """Return the kind whose fields `names` are, in any order; None if they are those of none."""
    return next(
        (kind for kind, fields in FIELDS.items() if {field.name for field in fields} <= set(names)), None
    )
