"""Layers, origins, aliases, refusals: from files, variables and flags to one configuration."""

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from njord.adapters.config_loader import KNOWN_VARIABLES, LoadedConfig, explain, load_config, load_instruments
from njord.core.config import Config
from njord.core.config_shapes import config_hash
from njord.core.errors import ConfigError

REPOSITORY = Path(__file__).parents[3]
PAPER_CAP = "risk.profiles.paper.rules.max_order_notional.cap_notional"
LIVE_CAP = "risk.profiles.live.rules.max_order_notional.cap_notional"


def _base(root: Path, text: str) -> Path:
    (root / "config").mkdir(exist_ok=True)
    (root / "config" / "base.yaml").write_text(text, encoding="utf-8")
    return root


def _shown(loaded: LoadedConfig) -> dict[str, str]:
    return {key: value for key, value, _ in explain(loaded)}


def _refusal(root: Path, environ: dict[str, str] | None = None, **flags: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(root, {key.replace("__", "."): text for key, text in flags.items()}, environ or {})
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_folder_gives_the_defaults(tmp_path: Path) -> None:
    loaded = load_config(tmp_path, environ={})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.secrets == ()


def test_the_repositorys_file_repeats_the_built_in_defaults_exactly() -> None:
    loaded = load_config(REPOSITORY, environ={})
    assert loaded.config == Config()
    assert config_hash(loaded.config) == config_hash(Config())
    assert all(origin.startswith("config/base.yaml:") for origin in loaded.origins.values())


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    root = _base(tmp_path, "backtest:\n  seed: 1\n  capital: 1\n  fee_bps: 1\n")
    environ = {"NJORD_BACKTEST__SEED": "2", "NJORD_BACKTEST__CAPITAL": "2"}
    loaded = load_config(root, {"backtest.capital": "3", "backtest.risk_profile": "paper"}, environ)
    backtest = loaded.config.backtest
    assert [backtest.capital, backtest.seed, backtest.fee_bps, backtest.slippage_bps] == [3, 2, 1, 5]
    assert loaded.origins["backtest.capital"] == "flag --capital"
    assert loaded.origins["backtest.risk_profile"] == "flag --risk-profile"
    assert loaded.origins["backtest.seed"] == "env NJORD_BACKTEST__SEED"
    assert loaded.origins["backtest.fee_bps"] == "config/base.yaml:4"
    assert loaded.origins["backtest.slippage_bps"] == "default"


def test_a_file_changes_one_limit_and_keeps_every_other_rule(tmp_path: Path) -> None:
    root = _base(tmp_path, "risk: {profiles: {paper: {rules: {max_position: {cap_notional: 500}}}}}")
    paper = load_config(root, environ={}).config.risk.profiles["paper"].rules
    assert paper["max_position"] == {"cap_notional": 500, "cap_equity_fraction": 1}
    assert list(paper) == list(Config().risk.profiles["paper"].rules)


def test_sections_with_nothing_in_them_change_nothing(tmp_path: Path) -> None:
    assert load_config(_base(tmp_path, "risk:\nbacktest: {}\napp:\n"), environ={}).config == Config()


def test_decimals_come_from_the_text(tmp_path: Path) -> None:
    root = _base(tmp_path, "backtest:\n  fee_bps: 0.10000000000000000001\n")
    assert load_config(root, environ={}).config.backtest.fee_bps == Decimal("0.10000000000000000001")


def test_variables_take_the_kind_of_what_they_replace(tmp_path: Path) -> None:
    environ = {
        "NJORD_EXCHANGE__SYMBOLS": "BTC/USDT, ETH/USDT",
        "NJORD_BACKTEST__ACCOUNT_ID": "007",
        "NJORD_RISK__PROFILES__PAPER__RULES__PRICE_COLLAR__MAX_DISTANCE_FRACTION": "0.25",
        "NJORD_RISK__PROFILES__PAPER__RULES__SYMBOL_ALLOWED__SYMBOLS": "BTC/USDT",
    }
    config = load_config(tmp_path, environ=environ).config
    assert config.exchange.symbols == ("BTC/USDT", "ETH/USDT")
    assert config.backtest.account_id == "007"
    rules = config.risk.profiles["paper"].rules
    assert rules["price_collar"]["max_distance_fraction"] == Decimal("0.25")
    assert rules["symbol_allowed"]["symbols"] == ["BTC/USDT"]


def test_substitution_names_the_variable_in_the_origin(tmp_path: Path) -> None:
    root = _base(tmp_path, "backtest:\n  capital: ${NJORD_CAPITAL}\n  seed: ${SEED:-7}\n")
    loaded = load_config(root, environ={"NJORD_CAPITAL": "2500.5"})
    assert (loaded.config.backtest.capital, loaded.config.backtest.seed) == (Decimal("2500.5"), 7)
    assert loaded.origins["backtest.capital"] == "config/base.yaml:2 (${NJORD_CAPITAL})"


# --- the seed's names -----------------------------------------------------------


def test_the_seeds_caps_set_the_limits_of_paper_and_live(tmp_path: Path) -> None:
    root = _base(
        tmp_path, "risk:\n  per_order_usd_cap: 200\n  daily_loss_usd_cap: 50\n  orders_per_min_cap: 7\n"
    )
    loaded = load_config(root, environ={})
    shown = _shown(loaded)
    assert shown[PAPER_CAP] == "200"
    assert loaded.origins[PAPER_CAP] == "config/base.yaml:2 per_order_usd_cap"
    for name in ("paper", "live"):
        assert shown[f"risk.profiles.{name}.rules.daily_loss.cap_notional"] == "50"
        assert shown[f"risk.profiles.{name}.rules.order_rate.per_minute"] == "7"
    assert loaded.config.risk.profiles["research"] == Config().risk.profiles["research"]


@pytest.mark.parametrize(("given", "live"), [("200", "10"), ("5", "5")])
def test_the_seeds_order_cap_lowers_lives_micro_cap_and_never_raises_it(
    tmp_path: Path, given: str, live: str
) -> None:
    shown = _shown(load_config(tmp_path, environ={"NJORD_RISK__PER_ORDER_USD_CAP": given}))
    assert (shown[PAPER_CAP], shown[LIVE_CAP]) == (given, live)


def test_an_alias_beside_the_limit_it_means_is_refused(tmp_path: Path) -> None:
    rules = "  profiles: {paper: {rules: {max_order_notional: {cap_notional: 9}}}}\n"
    message = _refusal(_base(tmp_path, f"risk:\n  per_order_usd_cap: 8\n{rules}"))
    assert "base.yaml:2" in message
    assert "base.yaml:3" in message
    assert "say the same thing" in message


def test_a_seed_cap_that_is_no_number_is_refused(tmp_path: Path) -> None:
    assert "must be 0 or more" in _refusal(_base(tmp_path, "risk: {per_order_usd_cap: -5}"))


# --- refusals -------------------------------------------------------------------


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    root = _base(tmp_path, "risk:\n  kill_switch_key: k\n  profles:\n    paper: {}\n")
    assert _refusal(root) == "unknown key risk.profles (config/base.yaml:4); did you mean risk.profiles?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "bcktest: {}\nx: 1\n",
            "unknown key bcktest (config/base.yaml:1) (and 1 more); did you mean backtest?",
        ),
        ("zzz: 1\n", "unknown key zzz (config/base.yaml:1); the keys here are app, logging, paths, redis"),
        ("backtest.seed: 1\n", "unknown key backtest.seed (config/base.yaml:1)"),
        ("backtest: {capitl: 1}\n", "did you mean backtest.capital?"),
        ("risk: {profiles: {paper: {rulse: {}}}}\n", "did you mean risk.profiles.paper.rules?"),
        ("risk: {profiles: {papr: {rules: {}}}}\n", "risk.profiles.papr.description is missing"),
        ("risk: {profiles: {papr: {rules: {}}}}\n", "did you mean risk.profiles.paper?"),
        ("backtest: {capital: -5}\n", "backtest.capital must be greater than 0, was -5 (config/base.yaml:1)"),
        ("backtest: {capital: lots}\n", "backtest.capital must be a finite number, was lots"),
        ("backtest:\n  capital:\n", "backtest.capital must be a number, was (not set) (config/base.yaml:2)"),
        (
            "risk: {profiles: {own: {descripton: d}}}",
            "unknown key risk.profiles.own.descripton (config/base.yaml:1)",
        ),
        ("backtest: 5\n", "backtest must hold keys and values, was 5"),
        ("backtest: {seed: 1.5}\n", "backtest.seed must be a valid integer, was 1.5"),
        ("backtest: {risk_profile: rsearch}\n", "backtest.risk_profile must be one of research, paper, live"),
        ("app: {env: prod}\n", "app.env must be 'dev', 'paper' or 'live', was prod (config/base.yaml:1)"),
        ("app: {env: no}\n", "was no (config"),
        ("exchange: {symbols: [BTC/USDT, ../x]}\n", "exchange.symbols must be a symbol such as BTC/USDT"),
        ("exchange: {symbols: BTC/USDT}\n", "exchange.symbols must be a list, was BTC/USDT"),
        ("risk: {profiles: {My Own: {description: d, rules: {}}}}\n", "risk.profiles.My Own"),
        ("backtest:\n  account_id: ENC[AES256]\n", "still encrypted"),
        ("sops: {mac: 'ENC[AES256]'}\n", "sops.mac is still encrypted"),
    ],
)
def test_a_wrong_file_gets_one_line_that_says_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    assert message in _refusal(_base(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NJORD_BACKTEST__CAPTAL", "did you mean NJORD_BACKTEST__CAPITAL?"),
        ("NJORD_BACKTEST_CAPITAL", "did you mean NJORD_BACKTEST__CAPITAL?"),
        ("NJORD_ENABLE_LIFE", "did you mean NJORD_ENABLE_LIVE?"),
        (
            "NJORD_RISK__PROFILES__PAPR__RULES__DAILY_LOSS__CAP_NOTIONAL",
            "__PAPER__RULES__DAILY_LOSS__CAP_NOTIONAL?",
        ),
        ("NJORD_RISK__PROFILES__PAPER__RULES__KILL_SWITCH", "RULES__"),
        ("NJORD_QQQ", "unset it"),
        ("NJORD_", "unknown variable NJORD_"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(tmp_path: Path, name: str, message: str) -> None:
    refusal = _refusal(tmp_path, {name: "1"})
    assert refusal.startswith(f"unknown variable {name}; ")
    assert message in refusal


def test_variables_of_other_readers_pass(tmp_path: Path) -> None:
    environ = dict.fromkeys(KNOWN_VARIABLES, "1") | {"PATH": "/bin", "NJORDX": "1"}
    assert load_config(tmp_path, environ=environ).config == Config()


def test_a_bad_variable_or_flag_is_named(tmp_path: Path) -> None:
    assert "was many (env NJORD_BACKTEST__SEED)" in _refusal(tmp_path, {"NJORD_BACKTEST__SEED": "many"})
    assert "was -1 (flag --capital)" in _refusal(tmp_path, backtest__capital="-1")
    assert "did you mean backtest.capital?" in _refusal(tmp_path, backtest__captal="1")
    assert "still encrypted" in _refusal(tmp_path, backtest__capital="ENC[AES256]")
    assert "40 characters" in _refusal(tmp_path, backtest__capital="1" * 5000)


def test_a_file_in_the_way_or_misnamed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config" / "base.yaml").mkdir(parents=True)
    assert "config/base.yaml is not a regular file" in _refusal(tmp_path)
    (tmp_path / "config" / "base.yaml").rmdir()
    (tmp_path / "config" / "base.yaml").symlink_to("nowhere")
    assert "config/base.yaml is not a regular file" in _refusal(tmp_path)
    (tmp_path / "config" / "base.yaml").unlink()
    (tmp_path / "config" / "base.yml").touch()
    assert "mv config/base.yml config/base.yaml" in _refusal(tmp_path)


# --- secrets --------------------------------------------------------------------

CANARY = "c4nary-0123456789"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("redis: {url: 'http://:c4nary-0123456789@h'}", {}),
        ("redis: 'redis://:c4nary-0123456789@h'", {}),
        ("redis: {ulr: 'redis://:c4nary-0123456789@h'}", {}),
        ("redis: {url: {password: c4nary-0123456789}}", {}),
        ("redis: {url: [c4nary-0123456789]}", {}),
        ("app: {env: '${DB_PASSWORD}'}", {"DB_PASSWORD": CANARY}),
        ("", {"NJORD_REDIS__URL": f"ftp://:{CANARY}@h"}),
    ],
)
def test_a_refused_secret_is_not_shown(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    assert CANARY not in _refusal(_base(tmp_path, text), environ)


def test_a_loaded_secret_is_not_shown_but_handed_to_the_log(tmp_path: Path) -> None:
    environ = {"REDIS_URL": f"redis://user:{CANARY}%2F@h:6379/0", "NJORD_SMTP_PASS": "mail-password"}
    loaded = load_config(_base(tmp_path, "redis:\n  url: ${REDIS_URL}\n"), environ=environ)
    assert isinstance(loaded.config.redis.url, SecretStr)
    shown = f"{loaded} {explain(loaded)} {config_hash(loaded.config)} {loaded.config.model_dump_json()}"
    assert CANARY not in shown
    assert ("redis.url", "***", "config/base.yaml:2 (${REDIS_URL})") in explain(loaded)
    assert {environ["REDIS_URL"], f"{CANARY}%2F", f"{CANARY}/", "mail-password"} == set(loaded.secrets)


def test_a_setting_named_key_that_is_no_secret_is_shown(tmp_path: Path) -> None:
    assert _shown(load_config(tmp_path, environ={}))["risk.kill_switch_key"] == "njord:kill_switch"


# --- instruments ----------------------------------------------------------------

INSTRUMENT = (
    "symbol: BTC/USDT\nvenue: binanceus\nbase: BTC\nquote: USDT\ntick_size: 0.01\nlot_size: 0.00001\n"
)


def _instrument(root: Path, text: str, name: str = "a.yaml") -> Path:
    (root / "config" / "instruments").mkdir(parents=True, exist_ok=True)
    (root / "config" / "instruments" / name).write_text(text, encoding="utf-8")
    return root


def test_the_repositorys_instruments_load_exactly() -> None:
    found = load_instruments(REPOSITORY, environ={})
    assert set(found) == {"BTC/USDT@binanceus", "ETH/USDT@binanceus"}
    assert found["BTC/USDT@binanceus"].tick_size == Decimal("0.01")
    assert found["BTC/USDT@binanceus"].lot_scale == 5


def test_no_folder_means_no_instruments(tmp_path: Path) -> None:
    assert load_instruments(tmp_path, environ={}) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            INSTRUMENT.replace("tick_size", "tick_sise"),
            "unknown key tick_sise (config/instruments/a.yaml:5); did you mean tick_size?",
        ),
        (INSTRUMENT.replace("lot_size: 0.00001", ""), "missing required field `lot_size`"),
        (
            INSTRUMENT.replace("0.01", "0"),
            "config/instruments/a.yaml: tick_size of BTC/USDT must be > 0, was 0",
        ),
        (
            INSTRUMENT.replace("0.01", "cheap"),
            "tick_size must be a finite number, was cheap (config/instruments/a.yaml:5)",
        ),
        (INSTRUMENT.replace("0.01", "NaN"), "tick_size must be a finite number, was NaN"),
        (INSTRUMENT.replace("0.01", "[1, 2]"), "tick_size must be a number"),
        (INSTRUMENT + "money_scale: many\n", "$.money_scale"),
        (INSTRUMENT.replace("symbol: BTC/USDT", "symbol: ../../x"), "must be a symbol such as BTC/USDT"),
        (INSTRUMENT.replace("base: BTC", "base: ETH"), "base ETH and quote USDT must be those of the symbol"),
        (INSTRUMENT + "kind: option\n", "$.kind"),
        (INSTRUMENT + "max_qty: 1e999999999\n", "max_qty"),
        (INSTRUMENT.replace("0.01", "1e-999999999"), "tick_size"),
        (INSTRUMENT + "min_qty: 1e-999999999\n", "min_qty"),
        (INSTRUMENT + "limits: {a: 1}\n", "unknown key limits.a"),
        ("", "missing required field `symbol`"),
    ],
)
def test_a_wrong_instrument_is_refused_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_instruments(_instrument(tmp_path, text), environ={})
    assert message in str(caught.value)
    assert "config/instruments/a.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_instrument_in_two_files_is_refused(tmp_path: Path) -> None:
    _instrument(_instrument(tmp_path, INSTRUMENT), INSTRUMENT, "b.yaml")
    with pytest.raises(ConfigError, match=r"a\.yaml and in .*b\.yaml; keep one"):
        load_instruments(tmp_path, environ={})


def test_a_misnamed_instrument_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mv config/instruments/a\.yml config/instruments/a\.yaml"):
        load_instruments(_instrument(tmp_path, INSTRUMENT, "a.yml"), environ={})


def test_an_instrument_s_filters_change_at_the_times_that_its_file_says(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "instruments"
    folder.mkdir(parents=True)
    (folder / "coin.yaml").write_text(
        "symbol: COIN/USDT\nvenue: here\nbase: COIN\nquote: USDT\ntick_size: 0.01\nlot_size: 0.001\n"
        "min_notional: 10\nfilter_changes:\n"
        "  - {from: 2024-01-31, min_notional: 5}\n  - {from: 2024-02-01T12:00:00+01:00, tick_multiple: 10}\n"
    )
    instrument = load_instruments(tmp_path)["COIN/USDT@here"]
    first, second = (change.from_ns for change in instrument.filter_changes)
    assert (first, second) == (1_706_659_200_000_000_000, 1_706_785_200_000_000_000)
    assert [instrument.filters_at(ts_ns).min_notional for ts_ns in (first - 1, first, second)] == [10, 5, 0]
    (folder / "coin.yaml").write_text("filter_changes: [{from: yesterday, min_notional: 5}]\n")
    with pytest.raises(ConfigError, match="from must be an ISO 8601 time, was yesterday"):
        load_instruments(tmp_path)


def test_fee_tiers_are_a_list_of_mappings(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_text(
        "backtest:\n  fee_tiers:\n    - {volume_notional: 0, maker_bps: 10, taker_bps: 20}\n"
        "    - {volume_notional: 1000000, maker_bps: -1, taker_bps: 8}\n"
    )
    tiers = load_config(tmp_path, {}, {}).config.backtest.fee_tiers
    assert [tuple(map(int, (tier.volume_notional, tier.maker_bps, tier.taker_bps))) for tier in tiers] == [
        (0, 10, 20),
        (10**6, -1, 8),
    ]
    (tmp_path / "config" / "base.yaml").write_text(
        "backtest:\n  fee_tiers:\n    - {volume_notional: 0, maker: 10}\n"
    )
    with pytest.raises(ConfigError, match="fee_tiers"):
        load_config(tmp_path, {}, {})


def test_the_seeds_name_of_the_reconciliations_sets_their_period(tmp_path: Path) -> None:
    loaded = load_config(tmp_path, environ={"NJORD_RECONCILE_INTERVAL_SEC": "30"})
    assert loaded.config.live.reconcile_every_s == 30
    assert loaded.origins["live.reconcile_every_s"] == "env NJORD_RECONCILE_INTERVAL_SEC"
    with pytest.raises(ConfigError, match="NJORD_RECONCILE_INTERVAL_SEC"):
        load_config(tmp_path, environ={"NJORD_RECONCILE_INTERVAL_SEC": "never"})
