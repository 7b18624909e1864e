"""What is this exchange like? Its limits, fees and tolerances: one value, checked when it is made."""

from decimal import Decimal

import msgspec

from njord.core.errors import ConfigError
from njord.core.filters import PriceBand, check_band
from njord.venues.terms import SelfTrade

LIMIT_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
TRIGGER_MARKET_TYPES = ("STOP_LOSS", "TAKE_PROFIT")
MIN_KEY_LENGTH = 4


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account: its name, its key and secret (of no worth anywhere else), its opening balances by asset."""

    name: str
    key: str
    secret: str
    balances: dict[str, Decimal] = {}

    def __repr__(self) -> str:
        return f"AccountSpec(name={self.name!r})"


class ExchangeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exchange's own rules.

    Attributes:
        maker_bps: Fee of fills that rested, of what is received; negative = rebate.
        taker_bps: Fee of fills that took.
        weight_per_minute: What an address may spend.
        orders_per_10s: What an account may place.
        orders_per_day: What an account may place in a UTC day.
        max_open_orders: Of one symbol and account, where the symbol's instrument has no number of its own.
        price_band: A limit must lie between these multiples of the average price of five minutes, where the symbol's
            instrument has no bands of its own.
        strikes_to_ban: Requests after the first 429 of a minute until the address is banned.
        ban_s: The first ban; each further one is twice as long, up to three days.
        early_ms: How far a timestamp may lie in the future.
        default_recv_window_ms: Where a request names none.
        max_recv_window_ms: The longest that it may name.
        has_trigger_market_orders: Whether STOP_LOSS and TAKE_PROFIT are offered, which Binance.US does not.
        tells_rejections: Whether the user stream also reports orders that were refused for money or would take, which
            Binance.US does not.
        self_trade: What ends when an order would trade with another of its account.
        listen_key_s: How long a listen key lives without a PUT.
        connection_s: After which every WebSocket connection is cut.
        queue_model: Of the book, see venues/tick_market.py.
        slippage_bps: Of orders that take where trades alone are known, and no book.

    Raises:
        ConfigError: A limit is below 1, or a fee takes more than was traded.
    """

    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)
    weight_per_minute: int = 1200
    orders_per_10s: int = 100
    orders_per_day: int = 200_000
    max_open_orders: int = 200
    price_band: PriceBand = (Decimal("0.2"), Decimal(5))
    strikes_to_ban: int = 10
    ban_s: int = 120
    early_ms: int = 1000
    default_recv_window_ms: int = 5000
    max_recv_window_ms: int = 60_000
    has_trigger_market_orders: bool = False
    tells_rejections: bool = False
    self_trade: SelfTrade = "expire_maker"
    listen_key_s: int = 3600
    connection_s: int = 86_400
    queue_model: str = "risk_averse"
    slippage_bps: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in (
            "weight_per_minute", "orders_per_10s", "orders_per_day", "max_open_orders", "strikes_to_ban", "ban_s",
            "default_recv_window_ms", "max_recv_window_ms", "listen_key_s", "connection_s",
        ):  # fmt: skip
            value: int = getattr(self, name)
            if value < 1:
                raise ConfigError(f"{name} must be >= 1, was {value}")
        check_band("every symbol", "price_band", self.price_band)
        for name in ("maker_bps", "taker_bps"):
            rate: Decimal = getattr(self, name)
            if not rate.is_finite() or abs(rate) >= 10_000:
                raise ConfigError(f"{name} must be between -10000 and 10000, was {rate}")

    @property
    def order_types(self) -> tuple[str, ...]:
        """The order types that are offered, as exchangeInfo lists them."""
        return (*LIMIT_TYPES, *TRIGGER_MARKET_TYPES) if self.has_trigger_market_orders else LIMIT_TYPES


def is_key(text: str) -> bool:
    """Say whether a text could be an API key."""
    return len(text) >= MIN_KEY_LENGTH and text.isascii() and text.isalnum()
