"""What a venue charges: maker and taker rates in basis points of notional, rounded once per fill, against us."""

from decimal import Decimal

import msgspec

from njord.core.instrument import Instrument


class FeeModel(msgspec.Struct, frozen=True, kw_only=True):
    """Flat maker and taker rates, charged in the quote asset; a negative rate is a rebate."""

    maker_bps: Decimal
    taker_bps: Decimal

    def charge(self, instrument: Instrument, notional: Decimal, is_maker: bool) -> tuple[Decimal, str]:
        """Return the fee on one fill and its asset."""
        rate = self.maker_bps if is_maker else self.taker_bps
        return instrument.fee(notional, rate), instrument.quote
