"""Settings: what may be configured, in which bounds, and what holds when nobody says otherwise.

In comes a tree of plain values (from a file, the environment, flags: `adapters/config_loader.py`), out goes a
frozen, validated `Config`. The defaults below are a complete configuration, so njord runs in an empty folder;
`config/base.yaml` repeats them for readers, and a test holds the two equal. Parameters of risk rules stay plain
values here: the risk registry gives them their types.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StrictInt,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from njord.core.instrument import exact
from njord.core.units import NS_PER_S

INT63_MAX = 2**63 - 1
DIGITS_MAX = 40
LIVE_MICRO_CAP_USD = Decimal(
    10
)  # What an order at a real venue may be worth until somebody lifts it, and says why.

# The seed's names in dollars, and the limits they stand for (decision 20).
ALIASES: Mapping[str, tuple[str, ...]] = {
    "risk.per_order_usd_cap": (
        "risk.profiles.paper.rules.max_order_notional.cap_notional",
        "risk.profiles.live.rules.max_order_notional.cap_notional",
    ),
    "risk.daily_loss_usd_cap": (
        "risk.profiles.paper.rules.daily_loss.cap_notional",
        "risk.profiles.live.rules.daily_loss.cap_notional",
    ),
    "risk.orders_per_min_cap": (
        "risk.profiles.paper.rules.order_rate.per_minute",
        "risk.profiles.paper.rules.order_rate.per_strategy_per_minute",
        "risk.profiles.live.rules.order_rate.per_minute",
        "risk.profiles.live.rules.order_rate.per_strategy_per_minute",
    ),
}
# An alias may lower these and never raise them: the seed's 250 must not widen the live micro cap of 10.
ALIAS_LOWERS_ONLY = frozenset({"risk.profiles.live.rules.max_order_notional.cap_notional"})

# Settings typed as secrets, by name: a refused value is no secret type yet and must not be shown either.
SECRET_KEYS = frozenset({"redis.url"})

_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20}(-[A-Z0-9-]{1,30})?)?")
_SECRET_WORD = re.compile(
    r"api_?key|auth|authorization|bearer|cookie|credentials?|dsn|keys?|mnemonic|pass|passphrase|passwd|password"
    r"|private|pwd|secrets?|signature|tokens?",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"kill_switch_key"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def is_secret_name(name: str) -> bool:
    """Say whether a value under `name` must never be shown: api_key, NJORD_METRICS_TOKEN, redisPassword."""
    return name not in _NOT_SECRET and any(map(_SECRET_WORD.fullmatch, _WORDS.findall(name)))


def check_number(value: object) -> Decimal:
    """Return `value` as a decimal of a sane size; a float counts as its shortest text.

    Raises:
        ValueError: It is no finite number, or has more digits than any setting needs.
    """
    if not isinstance(value, Decimal | int | float | str):
        raise ValueError("must be a number")
    try:
        number = exact(value)
    except ValueError:
        raise ValueError("must be a finite number") from None
    # Looked at without writing it out: 1e-999999999 would fill the memory.
    digits, exponent = len(number.as_tuple().digits), number.as_tuple().exponent
    if digits > DIGITS_MAX or number.adjusted() > DIGITS_MAX // 2 or int(exponent) < -DIGITS_MAX:
        raise ValueError(
            f"must be a number of at most {DIGITS_MAX} digits, {DIGITS_MAX // 2} of them before the point"
        )
    return number


def _param(value: object) -> str | int | Decimal | bool | list[str]:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal | float):
        number = check_number(value)
        if number < 0:
            raise ValueError("must be 0 or more: no limit is negative")
        return value if isinstance(value, int) else number
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    raise ValueError("must be text, a number, true, false or a list of texts")


def check_symbol(value: str) -> str:
    """Return `value` if it is a CCXT unified symbol.

    Raises:
        ValueError: It is not; a path, for one, never is.
    """
    if not _SYMBOL.fullmatch(value):
        raise ValueError("must be a symbol such as BTC/USDT or BTC/USD:USD")
    return value


def _symbols(value: object) -> object:
    if isinstance(value, list | tuple) and len(set(map(str, value))) < len(value):
        raise ValueError("must not name a symbol twice")
    return value


def _path(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be a path in printable characters")
    return value


def _endpoint(value: str) -> str:
    if not value.isprintable() or not value.startswith(("http://", "https://")) or "@" in value:
        raise ValueError("must be an address such as http://127.0.0.1:9095, without user or password")
    return value


def _lifted_knowingly(reason: str, info: ValidationInfo) -> str:
    if info.data.get("live_micro_cap_usd", 0) > LIVE_MICRO_CAP_USD and not reason.strip():
        raise ValueError(f"must say why risk.live_micro_cap_usd is above {LIVE_MICRO_CAP_USD}")
    return reason


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value


Number = Annotated[Decimal, BeforeValidator(check_number)]
Bps = Annotated[Number, Field(ge=0, le=10_000)]
Capital = Annotated[Number, Field(gt=0, le=Decimal(10) ** 15)]
ParamValue = Annotated[str | int | Decimal | bool | list[str], PlainValidator(_param)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
FilePath = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_path)]
Endpoint = Annotated[str, StringConstraints(max_length=200), AfterValidator(_endpoint)]
Symbols = Annotated[tuple[Annotated[str, AfterValidator(check_symbol)], ...], BeforeValidator(_symbols)]


class _Section(BaseModel):
    """Settings are written once, never changed, and hold no key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AppConfig(_Section):
    """Which stage this is. `live` alone sends nothing: it needs NJORD_ENABLE_LIVE=1 too."""

    name: Identifier = "njord"
    env: Literal["dev", "paper", "live"] = "dev"


class LoggingConfig(_Section):
    """How much is logged, and the folder of app.ndjson."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    dir: FilePath = "var/log/njord"


class PathsConfig(_Section):
    """Where njord writes, relative to the folder that it runs in."""

    var: FilePath = "var"
    state: FilePath = "var/state"
    reports: FilePath = "var/reports"
    data: FilePath = "var/data"


class RedisConfig(_Section):
    """Redis is used only where a URL is given; it may hold a password and is never shown."""

    url: Annotated[SecretStr | None, AfterValidator(_redis_url)] = None


class ExchangeConfig(_Section):
    """The venue and the symbols to follow there."""

    venue: Name = "binanceus"
    symbols: Symbols = ("BTC/USDT",)
    ws_keepalive_sec: Annotated[StrictInt, Field(ge=1, le=600)] = 15


class FeeTier(_Section):
    """Rates from a traded volume of the last 30 days on, in the report asset."""

    volume_notional: Annotated[Number, Field(ge=0)]
    maker_bps: Annotated[Number, Field(ge=-100, le=10_000)]
    taker_bps: Bps


class BacktestConfig(_Section):
    """What a backtest assumes; `capital` is in the data's quote asset, `fee_bps` is what a taker pays."""

    capital: Capital = Decimal(10_000)
    fee_bps: Bps = Decimal(10)
    maker_fee_bps: Annotated[Number, Field(ge=-100, le=10_000)] = Decimal(10)  # Negative = a rebate.
    slippage_bps: Bps = Decimal(5)
    seed: Annotated[StrictInt, Field(ge=0, le=INT63_MAX)] = 42
    account_id: Identifier = "main"
    risk_profile: Name = "research"
    # Costs beyond the flat rates.
    fee_asset: Literal["quote", "received"] = "quote"  # received = a buyer pays in what was bought.
    fee_tiers: tuple[FeeTier, ...] = ()  # Empty = the flat rates above.
    slippage_model: Literal["fixed", "linear", "square_root"] = "fixed"
    impact_bps: Bps = Decimal(
        0
    )  # Of the other two models: the cost of an order as large as the bar's volume.
    max_volume_share: Annotated[Number, Field(ge=0, le=1)] = Decimal(0)  # Of a bar's volume; 0 = no limit.
    # Ticks: what the way takes, and where in the queue we stand.
    latency_model: Literal["constant", "recorded"] = (
        "constant"  # recorded = drawn from the recording's feed delays.
    )
    entry_latency_ns: Annotated[StrictInt, Field(ge=0, le=60 * NS_PER_S)] = 0
    response_latency_ns: Annotated[StrictInt, Field(ge=0, le=60 * NS_PER_S)] = 0
    queue_model: Literal["risk_averse", "probability"] = "risk_averse"
    partial_fills: bool = True
    self_trade: Literal["none", "expire_taker", "expire_maker", "expire_both"] = "expire_taker"
    # The account.
    account: Literal["auto", "spot", "margin", "perpetual"] = (
        "auto"  # auto = perpetual where a contract is traded.
    )
    leverage: Annotated[Number, Field(ge=1, le=125)] = Decimal(1)
    maintenance_margin_bps: Bps = Decimal(50)
    liquidation_fee_bps: Bps = Decimal(50)
    funding_bps: Annotated[Number, Field(ge=-1000, le=1000)] = Decimal(0)  # Per 8 hours, longs pay.
    # Honesty.
    poison_cuts: Annotated[StrictInt, Field(ge=0, le=1000)] = 3  # 0 = off, and the report says so.


class PaperConfig(_Section):
    """What paper trading sets otherwise than a backtest; all else it takes from `backtest`."""

    capital: Capital = Decimal(200)  # A target of 100 % then fits into the profile's largest order.
    risk_profile: Name = "paper"
    stop_policy: Literal["cancel", "leave", "flatten"] = "cancel"  # What happens to orders on a stop.
    flatten_within_s: Annotated[StrictInt, Field(ge=1, le=3600)] = 30  # Then nothing but cancels passes.


class LiveConfig(_Section):
    """The account that live trading uses, and how carefully; keys are never in the configuration (docs/secrets.md)."""

    account: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$", max_length=64)] = ""
    # Its number at the venue; 0 = that of this name's last session, and before there is one, of whoever answers.
    account_uid: Annotated[StrictInt, Field(ge=0, le=INT63_MAX)] = 0
    keys_file: FilePath | None = None  # Encrypted by sops; None = the keys are in the environment.
    endpoint: Endpoint | None = None  # None = the venue itself.
    risk_profile: Name = "live"
    stop_policy: Literal["cancel", "leave", "flatten"] = "cancel"
    flatten_within_s: Annotated[StrictInt, Field(ge=1, le=3600)] = 30
    dry_run: bool = False  # Orders are shown and not sent.
    user_stream: Literal["signature", "listen_key"] = "signature"
    clock_tolerance_ms: Annotated[StrictInt, Field(ge=10, le=10_000)] = 1_000
    reconcile_every_s: Annotated[StrictInt, Field(ge=5, le=3600)] = 60


class BusConfig(_Section):
    """What is published, where `redis.url` is set."""

    stream_max_len: Annotated[StrictInt, Field(ge=1_000, le=100_000_000)] = 100_000  # Entries kept a stream.


class RiskProfile(_Section):
    """A named set of rules. Values are plain: the risk registry knows each rule's parameters and bounds."""

    description: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    rules: Mapping[Name, Mapping[Name, ParamValue]]

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, tree: object) -> object:
        # `max_age_ns: null` takes a parameter away that a lower layer set; a rule as such stays.
        rules = tree.get("rules") if isinstance(tree, dict) else None
        if not isinstance(tree, dict) or not isinstance(rules, dict):
            return tree
        kept = {
            name: {key: value for key, value in params.items() if value is not None}
            if isinstance(params, dict)
            else params
            for name, params in rules.items()
        }
        return {**tree, "rules": kept}


Rules = dict[str, dict[str, str | int | Decimal | bool | list[str]]]


def _common_rules() -> Rules:
    # In the order in which the gate asks; {} = the rule has nothing to set.
    return {
        "kill_switch": {},
        "well_formed": {},
        "duplicate_intent": {},
        "symbol_allowed": {"symbols": []},
        "instrument_filters": {},
        "market_price": {"max_age_ns": 10_000_000_000, "max_age_intervals": 3},
        "price_collar": {"max_distance_fraction": Decimal("0.05")},
        "max_order_notional": {"cap_notional": 250, "cap_equity_fraction": 1},
        "max_position": {"cap_notional": 0, "cap_equity_fraction": 1},
        "max_gross": {"cap_notional": 0, "cap_equity_fraction": 1},
        "open_orders": {"cap": 20},
        "order_rate": {"per_minute": 30, "per_strategy_per_minute": 30},
        "daily_loss": {"cap_notional": 300, "cap_equity_fraction": 0},
        "cool_down": {"seconds": 60},
        "reduce_only": {},
        "affordable": {"buffer_bps": 50},
    }


def _profiles() -> dict[str, RiskProfile]:
    research = _common_rules() | {
        "market_price": {"max_age_intervals": 3},
        "price_collar": {"max_distance_fraction": Decimal("0.5")},
        "max_order_notional": {"cap_notional": 0, "cap_equity_fraction": 1},
        "open_orders": {"cap": 1000},
        "order_rate": {"per_minute": 1000, "per_strategy_per_minute": 1000},
        "daily_loss": {"cap_notional": 0, "cap_equity_fraction": 0},
        "cool_down": {"seconds": 0},
        "affordable": {"buffer_bps": 0},
    }
    live = _common_rules() | {"max_order_notional": {"cap_notional": 10, "cap_equity_fraction": 1}}
    return {
        "research": RiskProfile(description="Backtests and sweeps: scaled to the capital.", rules=research),
        "paper": RiskProfile(
            description="Paper trading: the first limits for real money.", rules=_common_rules()
        ),
        "live": RiskProfile(description="Real money: paper's limits and orders of 10 at most.", rules=live),
    }


class RiskConfig(_Section):
    """The kill switch's sources, the cap on live orders, and the profiles to choose from."""

    kill_switch_file: FilePath = "var/state/kill_switch"
    kill_switch_key: Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=200)] = (
        "njord:kill_switch"
    )
    kill_switch_max_age_ms: Annotated[StrictInt, Field(ge=100, le=60_000)] = 1_000
    live_micro_cap_usd: Annotated[Number, Field(gt=0)] = LIVE_MICRO_CAP_USD  # No live order is worth more.
    live_micro_cap_reason: Annotated[
        str, StringConstraints(max_length=500), AfterValidator(_lifted_knowingly)
    ] = Field(default="", validate_default=True)  # Why it was lifted.
    profiles: Mapping[Name, RiskProfile] = Field(default_factory=_profiles)


class Config(_Section):
    """Everything that may be configured; `Config()` is complete."""

    app: AppConfig = AppConfig()
    logging: LoggingConfig = LoggingConfig()
    paths: PathsConfig = PathsConfig()
    redis: RedisConfig = RedisConfig()
    exchange: ExchangeConfig = ExchangeConfig()
    backtest: BacktestConfig = BacktestConfig()
    paper: PaperConfig = PaperConfig()
    live: LiveConfig = LiveConfig()
    bus: BusConfig = BusConfig()
    risk: RiskConfig = Field(default_factory=RiskConfig)

    @model_validator(mode="after")
    def _profiles_exist(self) -> Self:
        for key in ("backtest", "paper", "live"):
            name = getattr(self, key).risk_profile
            if name not in self.risk.profiles:
                raise ValueError(f"{key}.risk_profile must be one of {', '.join(self.risk.profiles)}")
        return self
