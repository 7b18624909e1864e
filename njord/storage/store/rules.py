"""What did an instrument trade like, and what did a trade cost, at a time? Rules and fees, each from when on."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

import msgspec

from njord.core.errors import ConfigError, DataError
from njord.core.instrument import Instrument
from njord.core.units import ZERO
from njord.storage.bars_text import show_time


class InstrumentRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The instrument's steps and minima from `from_ns` on; its tick may differ from the grid that rows are stored on."""

    from_ns: int
    instrument: Instrument


class FeeTier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fees from `from_ns` on, for those whose 30-day volume in quote is at least `min_volume_quote`; rebates are negative."""

    from_ns: int
    maker_bps: Decimal
    taker_bps: Decimal
    min_volume_quote: Decimal = ZERO

    def __post_init__(self) -> None:
        for name in ("maker_bps", "taker_bps", "min_volume_quote"):
            value: Decimal = getattr(self, name)
            if not value.is_finite():
                raise ConfigError(f"{name} of a fee tier must be finite, was {value}")


class _Dated(Protocol):
    @property
    def from_ns(self) -> int: ...


Entry = TypeVar("Entry", bound=_Dated)


def rules_at(rules: Sequence[InstrumentRules], ts_ns: int) -> Instrument:
    """Return the instrument as it was at `ts_ns`; before the first record, as the first record has it.

    Raises:
        DataError: There are no rules.
    """
    return _at(rules, ts_ns, "rules")[0].instrument


def fees_at(fees: Sequence[FeeTier], ts_ns: int, volume_quote: Decimal = ZERO) -> FeeTier:
    """Return the tier that held at `ts_ns` for a trader with this volume; before the first record, the first record's.

    Raises:
        DataError: There are no fees, or none for so small a volume.
    """
    tiers = [tier for tier in _at(fees, ts_ns, "fees") if tier.min_volume_quote <= volume_quote]
    if not tiers:
        raise DataError(
            f"no fee tier at {show_time(ts_ns)} begins at a volume of 0", "add one to the dataset"
        )
    return max(tiers, key=lambda tier: tier.min_volume_quote)


# All entries of the last date that is not after `ts_ns`, or of the first date.
def _at(entries: Sequence[Entry], ts_ns: int, what: str) -> list[Entry]:
    if not entries:
        raise DataError(f"the dataset records no {what}", "import it again with the venue's rules")
    dates = sorted({entry.from_ns for entry in entries})
    date = max((date for date in dates if date <= ts_ns), default=dates[0])
    return [entry for entry in entries if entry.from_ns == date]
