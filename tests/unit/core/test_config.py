"""Settings: what holds by default, what is refused, what is hashed."""

import pickle
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from njord.core.config import ALIASES, SECRET_KEYS, Config, check_symbol, is_secret_name
from njord.core.config_shapes import config_hash, live_config, paper_config


def _with(path: str, value: object) -> Config:
    tree: dict[str, Any] = Config().model_dump()
    node = tree
    *parents, last = path.split(".")
    for key in parents:
        node = node[key]
    node[last] = value
    return Config.model_validate(tree)


def test_the_defaults_are_a_complete_configuration() -> None:
    config = Config()
    assert config.app.env == "dev"
    assert config.backtest.capital == 10_000
    assert config.redis.url is None
    assert set(config.risk.profiles) == {"research", "paper", "live"}


def test_profiles_carry_the_numbers_that_were_decided() -> None:
    profiles = Config().risk.profiles
    research, paper, live = (profiles[name].rules for name in ("research", "paper", "live"))
    for rule in ("max_order_notional", "max_position"):
        assert research[rule] == {"cap_notional": 0, "cap_equity_fraction": 1}
    assert research["daily_loss"] == {"cap_notional": 0, "cap_equity_fraction": 0}
    assert research["order_rate"]["per_minute"] == 1_000
    assert research["market_price"] == {"max_age_intervals": 3}
    assert paper["max_order_notional"]["cap_notional"] == 250
    assert live["max_order_notional"]["cap_notional"] == 10
    for rules in (paper, live):
        assert rules["daily_loss"]["cap_notional"] == 300
        assert rules["order_rate"]["per_minute"] == 30


def test_every_profile_has_the_same_rules_in_the_same_order() -> None:
    orders = {tuple(profile.rules) for profile in Config().risk.profiles.values()}
    assert len(orders) == 1
    assert next(iter(orders))[0] == "kill_switch"


def test_aliases_point_at_limits_that_exist() -> None:
    for targets in ALIASES.values():
        for target in targets:
            node: Any = Config().model_dump()
            for key in target.split("."):
                node = node[key]
            assert isinstance(node, int | Decimal)


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().backtest.capital = Decimal(1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("app.env", "prod"),
        ("app.name", "a b"),
        ("logging.level", "INFO"),
        ("logging.dir", " "),
        ("paths.var", "a\nb"),
        ("redis.url", "http://localhost"),
        ("exchange.symbols", ["../../etc/passwd"]),
        ("exchange.symbols", ["BTC/USDT", "BTC/USDT"]),
        ("exchange.symbols", "BTC/USDT"),
        ("exchange.ws_keepalive_sec", True),
        ("exchange.ws_keepalive_sec", "15"),
        ("backtest.capital", 0),
        ("backtest.capital", -1),
        ("backtest.capital", True),
        ("backtest.capital", "NaN"),
        ("backtest.capital", float("inf")),
        ("backtest.slippage_bps", "1e999999999"),
        ("backtest.slippage_bps", "0e999999999"),
        ("backtest.slippage_bps", "1e-999999999"),
        ("backtest.slippage_bps", Decimal("1e-41")),
        ("backtest.capital", Decimal("0." + "1" * 60)),
        ("backtest.capital", {"a": 1}),
        ("backtest.fee_bps", -1),
        ("backtest.fee_bps", 10_001),
        ("backtest.maker_fee_bps", -101),
        ("backtest.seed", -1),
        ("backtest.seed", 2**63),
        ("backtest.seed", 1.5),
        ("backtest.risk_profile", "resaerch"),
        ("backtest.account_id", "a/b"),
        ("risk.kill_switch_max_age_ms", 0),
        ("risk.kill_switch_key", "a b"),
        ("risk.profiles", {}),
        ("risk.profiles.paper", {"description": "no rules"}),
        ("risk.profiles.paper.rules", {"Max Position": {}}),
        ("risk.profiles.paper.rules.max_position", None),
        ("risk.profiles.paper.rules.max_position", {"cap_notional": -1}),
        ("risk.profiles.paper.rules.max_position", {"cap_notional": float("nan")}),
        ("risk.profiles.paper.rules.max_position", {"cap_notional": 10**30}),
        ("risk.profiles.paper.rules.max_position", {"cap_notional": Decimal("1e30")}),
        ("risk.profiles.paper.rules.max_position", {"cap_notional": {"a": 1}}),
        ("risk.profiles.paper.rules.symbol_allowed", {"symbols": [1]}),
        ("unknown", 1),
        ("app.unknown", 1),
        ("risk.profiles.paper.unknown", 1),
    ],
)
def test_what_is_out_of_bounds_is_refused(path: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _with(path, value)


def test_a_float_counts_as_the_decimal_it_shows() -> None:
    assert _with("backtest.fee_bps", 0.1).backtest.fee_bps == Decimal("0.1")
    rules = _with("risk.profiles.paper.rules.affordable", {"buffer_bps": 0.1}).risk.profiles["paper"].rules
    assert rules["affordable"]["buffer_bps"] == Decimal("0.1")


def test_null_takes_a_parameter_away() -> None:
    config = _with("risk.profiles.paper.rules.market_price", {"max_age_ns": None, "max_age_intervals": 3})
    assert config.risk.profiles["paper"].rules["market_price"] == {"max_age_intervals": 3}


def test_hash_sees_a_changed_limit_and_not_how_a_number_is_written() -> None:
    before = config_hash(Config())
    assert config_hash(_with("backtest.capital", Decimal("1.0000e4"))) == before
    assert (
        config_hash(_with("risk.profiles.paper.rules.max_order_notional.cap_notional", Decimal("250.0")))
        == before
    )
    assert config_hash(_with("risk.profiles.paper.rules.max_order_notional.cap_notional", 251)) != before


def test_hash_is_the_same_in_every_process() -> None:
    assert config_hash(pickle.loads(pickle.dumps(Config()))) == config_hash(Config())


def test_hash_says_that_a_secret_is_set_and_not_which() -> None:
    one, two = (_with("redis.url", SecretStr(f"redis://:{word}@host")) for word in ("first", "second"))
    assert config_hash(one) == config_hash(two) != config_hash(Config())


def test_secrets_never_print() -> None:
    config = _with("redis.url", "redis://:canary@host")
    assert "canary" not in f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}"


def test_every_secret_setting_is_listed_by_name() -> None:
    found = {
        f"{section}.{name}"
        for section, field in Config.model_fields.items()
        for name, inner in getattr(field.annotation, "model_fields", {}).items()
        if "SecretStr" in str(inner.annotation)
    }
    assert found == SECRET_KEYS


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "api_key",
        "apiKey",
        "API_KEY",
        "redisPassword",
        "NJORD_SMTP_PASS",
        "auth-token",
        "Authorization",
        "secret",
    ],
)
def test_secret_names_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["kill_switch_key", "monkey", "author", "keyboard", "symbol", "passive", "tokenize"]
)
def test_other_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USD:USD", "BTC/USD:BTC-211225", "1INCH/USDT"])
def test_unified_symbols_pass(symbol: str) -> None:
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "symbol", ["", "BTC", "btc/usdt", "BTC/USDT/X", "../BTC", "BTC/..", "BTC/USDT\n", "BTC\\USDT"]
)
def test_other_symbols_do_not(symbol: str) -> None:
    with pytest.raises(ValueError, match="must be a symbol"):
        check_symbol(symbol)


def test_paper_trades_under_its_own_capital_and_profile_and_the_backtests_costs() -> None:
    shaped = paper_config(_with("backtest.fee_bps", Decimal(7)))
    assert (shaped.backtest.capital, shaped.backtest.risk_profile) == (Decimal(200), "paper")
    assert shaped.backtest.fee_bps == 7
    assert paper_config(_with("paper.capital", Decimal(90))).backtest.capital == 90


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [
        ("paper.stop_policy", "flatten", True),
        ("paper.flatten_within_s", 5, True),
        ("bus.stream_max_len", 5_000, True),
        ("logging.level", "debug", True),
        ("backtest.capital", Decimal(77), True),
        ("paper.capital", Decimal(77), False),
        ("paper.risk_profile", "research", False),
        ("backtest.slippage_bps", Decimal(1), False),
    ],
)
def test_a_paper_session_is_another_run_only_where_something_decides_otherwise(
    key: str, value: object, same: bool
) -> None:
    before = config_hash(paper_config(Config()))
    assert (config_hash(paper_config(_with(key, value))) == before) is same


def _cap_of(config: Config) -> object:
    return config.risk.profiles["live"].rules["max_order_notional"]["cap_notional"]


def test_live_trades_a_spot_account_under_its_own_name_profile_and_capital() -> None:
    shaped = live_config(_with("live.account", "alpha"), Decimal(431))
    backtest = shaped.backtest
    assert (backtest.capital, backtest.risk_profile, backtest.account, backtest.account_id) == (
        Decimal(431),
        "live",
        "spot",
        "alpha",
    )


@pytest.mark.parametrize(
    ("profile_cap", "micro_cap", "binding"),
    [(10, 10, 10), (100, 10, 10), (5, 10, 5), (0, 10, 10), (70, 50, 50)],
)
def test_no_profile_lets_a_live_order_be_worth_more_than_the_first_cap(
    profile_cap: int, micro_cap: int, binding: int
) -> None:
    config = Config.model_validate(
        {
            "risk": {
                "live_micro_cap_usd": micro_cap,
                "live_micro_cap_reason": "three weeks without a difference",
                "profiles": {
                    name: {
                        "description": profile.description,
                        "rules": {**profile.rules, "max_order_notional": {"cap_notional": profile_cap}},
                    }
                    for name, profile in Config().risk.profiles.items()
                },
            }
        }
    )
    assert _cap_of(live_config(config, Decimal(100))) == binding


def test_the_first_cap_is_not_lifted_without_a_reason() -> None:
    with pytest.raises(ValidationError, match=r"must say why risk\.live_micro_cap_usd is above 10"):
        Config.model_validate({"risk": {"live_micro_cap_usd": 11}})


@pytest.mark.parametrize(
    "endpoint", ["localhost:9095", "http://key:secret@127.0.0.1", "ftp://127.0.0.1", "http://a\n"]
)
def test_what_is_no_address_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="must be an address"):
        Config.model_validate({"live": {"endpoint": endpoint}})


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [
        ("live.stop_policy", "leave", True),
        ("live.dry_run", True, True),
        ("live.reconcile_every_s", 10, True),
        ("live.account", "beta", False),
        ("live.endpoint", "http://127.0.0.1:9095", False),
    ],
)
def test_a_live_session_is_another_run_only_at_another_account_or_where_something_decides_otherwise(
    key: str, value: object, same: bool
) -> None:
    before = config_hash(live_config(Config(), Decimal(100)))
    assert (config_hash(live_config(_with(key, value), Decimal(100))) == before) is same
