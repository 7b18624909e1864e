"""The risk rules: one file each. `RULES` is the order in which they are asked when a profile does not say otherwise."""

from njord.risk.rules.affordable import Affordable
from njord.risk.rules.base import RiskRule
from njord.risk.rules.cool_down import CoolDown
from njord.risk.rules.daily_loss import DailyLoss
from njord.risk.rules.duplicate_intent import DuplicateIntent
from njord.risk.rules.instrument_filters import InstrumentFilters
from njord.risk.rules.kill_switch import KillSwitch
from njord.risk.rules.market_price import MarketPrice
from njord.risk.rules.max_gross import MaxGross
from njord.risk.rules.max_order_notional import MaxOrderNotional
from njord.risk.rules.max_position import MaxPosition
from njord.risk.rules.open_orders import OpenOrders
from njord.risk.rules.order_links import OrderLinks
from njord.risk.rules.order_rate import OrderRate
from njord.risk.rules.price_collar import PriceCollar
from njord.risk.rules.reduce_only import ReduceOnly
from njord.risk.rules.symbol_allowed import SymbolAllowed
from njord.risk.rules.well_formed import WellFormed

# Cheap and decisive first. The later rules rely on the earlier ones: sizes are sane, a price is known.
RULES: tuple[type[RiskRule], ...] = (
    KillSwitch,
    WellFormed,
    DuplicateIntent,
    SymbolAllowed,
    InstrumentFilters,
    MarketPrice,
    PriceCollar,
    OrderLinks,
    ReduceOnly,
    OpenOrders,
    OrderRate,
    CoolDown,
    DailyLoss,
    MaxOrderNotional,
    MaxPosition,
    MaxGross,
    Affordable,
)

# These stand in every profile, named or not: they protect the meaning of the others.
MANDATORY: frozenset[str] = frozenset(
    {
        KillSwitch.name,
        WellFormed.name,
        DuplicateIntent.name,
        InstrumentFilters.name,
        MarketPrice.name,
        OrderLinks.name,
        ReduceOnly.name,
        Affordable.name,
    }
)

__all__ = ["MANDATORY", "RULES", "RiskRule"]
