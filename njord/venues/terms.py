"""What is assumed of the venue, the way to it and the account there? One value for a run, checked when it is made."""

from decimal import Decimal
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import ConfigError
from njord.core.units import ZERO
from njord.venues.funding import FundingSchedule

SlippageModel = Literal["fixed", "linear", "square_root"]
SelfTrade = Literal["none", "expire_taker", "expire_maker", "expire_both"]
AccountKind = Literal["spot", "margin", "perpetual"]


class VenueTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of the simulated venue beyond its fees.

    Attributes:
        slippage_bps: Against every order that takes, on bars and where a market of trades shows no book.
        slippage_model: What an order's size adds: nothing, or impact_bps x participation or its square root.
        impact_bps: The added cost of an order as large as the bar's volume.
        max_volume_share: Of a bar's volume, that our orders may take together; 0 = no limit.
        entry_latency_ns: Until a request reaches the venue.
        response_latency_ns: Until its word is known here.
        latency_samples: (entry, response) delays in ns to draw from, added to the two above; None = constant.
        seed: Of the draws.
        self_trade: What ends when an order would trade with another of the same account.
        account: spot (what is sold is held), margin (may borrow), perpetual (contracts settle their profit).
        leverage: Exposure may be this many times the equity; 1 on spot.
        maintenance_margin_bps: Of the worth of contracts: equity that does not exceed it ends in liquidation.
        liquidation_fee_bps: Of what is liquidated.
        funding: Of contracts in a perpetual account.

    Raises:
        ConfigError: A value is out of its bounds.
    """

    slippage_bps: Decimal = ZERO
    slippage_model: SlippageModel = "fixed"
    impact_bps: Decimal = ZERO
    max_volume_share: Decimal = ZERO
    entry_latency_ns: int = 0
    response_latency_ns: int = 0
    latency_samples: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    seed: int = 0
    self_trade: SelfTrade = "expire_taker"
    account: AccountKind = "spot"
    leverage: Decimal = Decimal(1)
    maintenance_margin_bps: Decimal = Decimal(50)
    liquidation_fee_bps: Decimal = Decimal(50)
    funding: FundingSchedule = FundingSchedule()

    def __post_init__(self) -> None:
        for name in ("slippage_bps", "impact_bps", "maintenance_margin_bps", "liquidation_fee_bps"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value < 0:
                raise ConfigError(f"{name} must be >= 0, was {value}")
        if self.maintenance_margin_bps >= 10_000:
            raise ConfigError(f"maintenance_margin_bps must be < 10000, was {self.maintenance_margin_bps}")
        if not 0 <= self.max_volume_share <= 1:
            raise ConfigError(f"max_volume_share must be 0 to 1, was {self.max_volume_share}")
        if self.entry_latency_ns < 0 or self.response_latency_ns < 0:
            raise ConfigError("latencies must be >= 0 ns")
        if not self.leverage.is_finite() or self.leverage < 1:
            raise ConfigError(f"leverage must be >= 1, was {self.leverage}")
        if self.account == "spot" and self.leverage != 1:
            raise ConfigError(
                f"leverage must be 1 on a spot account, was {self.leverage}",
                "set backtest.account to margin or perpetual",
            )
        if self.latency_samples is not None:
            for samples in self.latency_samples:
                if not len(samples) or int(samples.min()) < 0:
                    raise ConfigError("latency_samples must be delays of 0 ns or more, and some of each")
