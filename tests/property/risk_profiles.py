"""What the gate is tried with: two instruments, profiles in each of which other rules are the tight ones, accounts."""

from decimal import Decimal
from typing import Any

from njord.core.accounts import AccountTerms
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind

S = 10**9
START_NS = 1_700_006_400 * S - 90 * S  # Ninety seconds before a midnight.
CAPITAL, COST_BPS = Decimal(1_000), Decimal(15)
SPOT = Instrument(
    symbol="AAA/USD",
    venue="sim",
    base="AAA",
    quote="USD",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.1"),
    min_qty=Decimal("0.2"),
    max_qty=Decimal(12),
    min_notional=Decimal(4),
)
PERP = Instrument(
    symbol="BBB/USD:USD",
    venue="sim",
    base="BBB",
    quote="USD",
    tick_size=Decimal("0.25"),
    lot_size=Decimal(1),
    kind=InstrumentKind.LINEAR,
)
# In each profile other rules are the tight ones.
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "money": {
        "symbol_allowed": {"symbols": ["AAA/USD", "BBB/USD:USD"]},
        "market_price": {"max_age_ns": 90 * S, "max_age_intervals": 2},
        "price_collar": {"max_distance_fraction": "0.25"},
        "open_orders": {"cap": 5},
        "order_rate": {"per_minute": 6, "per_strategy_per_minute": 4},
        "cool_down": {"seconds": 60},
        "daily_loss": {"cap_notional": 40},
        "max_order_notional": {"cap_notional": 300},
        "max_position": {"cap_notional": 500},
        "max_gross": {"cap_notional": 700},
        "affordable": {"buffer_bps": 50},
    },
    "share": {
        "symbol_allowed": {"symbols": []},
        "market_price": {"max_age_intervals": 3},
        "price_collar": {"max_distance_fraction": "0.5"},
        "open_orders": {"cap": 6},
        "order_rate": {"per_minute": 8, "per_strategy_per_minute": 0},
        "cool_down": {"seconds": 0},
        "daily_loss": {"cap_equity_fraction": "0.1"},
        "max_order_notional": {"cap_equity_fraction": "0.75", "cap_notional": 700},
        "max_position": {"cap_equity_fraction": "0.9"},
        "max_gross": {"cap_equity_fraction": 1},
        "affordable": {},
    },
    "cash alone": {
        "symbol_allowed": {"symbols": ["AAA/USD", "BBB/USD:USD"]},
        "market_price": {"max_age_intervals": 1_000},
        "price_collar": {"max_distance_fraction": 3},
        "open_orders": {"cap": 6},
        "order_rate": {"per_minute": 50, "per_strategy_per_minute": 0},
        "cool_down": {"seconds": 3_600},
        "affordable": {"buffer_bps": 10},
    },
}


TERMS = (
    AccountTerms(),
    AccountTerms(kind="margin", leverage=Decimal(3)),
    AccountTerms(kind="perpetual", leverage=Decimal(4)),
)
