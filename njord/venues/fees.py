"""What does a venue charge? Maker and taker rates in basis points of notional, rounded once per fill, against us.

Rates may fall with the notional traded in the 30 days before a fill. The fee is charged in quote, or in kind: a buyer
of the asset itself then pays in what was bought, and a seller, who receives quote, in quote.
"""

from collections import deque
from decimal import Decimal
from typing import Literal

import msgspec

from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import EXACT, NS_PER_DAY, ZERO, quantum, round_down, round_up

VOLUME_WINDOW_NS = 30 * NS_PER_DAY


class FeeTier(msgspec.Struct, frozen=True, kw_only=True):
    """Rates from `volume_notional` of the last 30 days on."""

    volume_notional: Decimal
    maker_bps: Decimal
    taker_bps: Decimal


class FeeModel(msgspec.Struct, frozen=True, kw_only=True):
    """Maker and taker rates; a negative rate is a rebate.

    Attributes:
        maker_bps: For fills of orders that rested.
        taker_bps: For fills of orders that took.
        fee_asset: quote, or received: a buyer of the asset itself pays in it.
        tiers: Rates by volume, rising; below the first one the flat rates above hold.

    Raises:
        ConfigError: The tiers' volumes do not rise.
    """

    maker_bps: Decimal
    taker_bps: Decimal
    fee_asset: Literal["quote", "received"] = "quote"
    tiers: tuple[FeeTier, ...] = ()

    def __post_init__(self) -> None:
        volumes = [tier.volume_notional for tier in self.tiers]
        if volumes != sorted(set(volumes)):
            raise ConfigError(f"fee_tiers must rise in volume_notional, were {' '.join(map(str, volumes))}")


class FeeMeter:
    """Charges fills, and remembers the volume that decides the tier.

    Args:
        model: The rates.
    """

    __slots__ = ("_in_kind", "_maker", "_recent", "_taker", "_tiers", "_volume", "has_tiers")

    def __init__(self, model: FeeModel) -> None:
        self._maker, self._taker = _fraction(model.maker_bps), _fraction(model.taker_bps)
        self._tiers = [
            (tier.volume_notional, _fraction(tier.maker_bps), _fraction(tier.taker_bps))
            for tier in model.tiers
        ]
        self.has_tiers = bool(model.tiers)
        self._in_kind = model.fee_asset == "received"
        self._recent: deque[tuple[int, Decimal]] = deque()
        self._volume = ZERO

    def charge(
        self, instrument: Instrument, notional: Decimal, qty: Decimal, sign: int, is_maker: bool, ts_ns: int
    ) -> tuple[Decimal, str]:
        """Return the fee of one fill and its asset; nothing is remembered until `record`.

        Args:
            instrument: What is traded.
            notional: Of the fill, in quote.
            qty: Of the fill, in base, > 0.
            sign: +1 for a buy, -1 for a sell.
            is_maker: Whether the order rested.
            ts_ns: The fill's time.
        """
        rate = self._maker if is_maker else self._taker
        if self.has_tiers:
            rate = self._tier_rate(rate, is_maker, ts_ns)
        if self._in_kind and sign > 0 and instrument.kind is InstrumentKind.SPOT:
            return _fee_in_kind(instrument, qty, rate), instrument.base
        return instrument.fee_at(notional, rate), instrument.quote

    def record(self, notional: Decimal, ts_ns: int) -> None:
        """Count a fill's notional toward the tier of the fills after it; of use where `has_tiers`."""
        self._recent.append((ts_ns, notional))
        self._volume = EXACT.add(self._volume, notional)

    def _tier_rate(self, rate: Decimal, is_maker: bool, ts_ns: int) -> Decimal:
        while self._recent and self._recent[0][0] < ts_ns - VOLUME_WINDOW_NS:
            self._volume = EXACT.subtract(self._volume, self._recent.popleft()[1])
        for from_volume, maker, taker in self._tiers:
            if self._volume < from_volume:
                break
            rate = maker if is_maker else taker
        return rate


def _fraction(bps: Decimal) -> Decimal:
    return EXACT.scaleb(bps, -4)


def _fee_in_kind(instrument: Instrument, qty: Decimal, rate: Decimal) -> Decimal:
    raw = EXACT.multiply(qty, rate)
    step = quantum(instrument.money_scale)
    return round_up(raw, step) if raw >= 0 else round_down(raw, step)
