"""Under which settings does a kind of session run, and which settings make it another run? A `Config` in; one, or its hash, out."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal

import msgspec
from pydantic import BaseModel, SecretStr

from njord.core.config import BusConfig, Config, LiveConfig, LoggingConfig, PaperConfig, check_number
from njord.core.units import plain


def paper_config(config: Config) -> Config:
    """Return `config` as a paper session runs under it: capital and profile of `backtest` are paper's.

    What decides stands in `backtest` then, whoever reads it. What does not decide (how a session stops, what is logged, how
    much is kept on the bus) is put back to its default, so that a session may go on with another of them.
    """
    paper = config.paper
    backtest = config.backtest.model_copy(
        update={"capital": paper.capital, "risk_profile": paper.risk_profile}
    )
    return config.model_copy(update={"backtest": backtest, **_neutral(), "live": LiveConfig()})


def live_config(config: Config, capital: Decimal) -> Config:
    """Return `config` as a live session runs under it: a spot account with `capital`, live's profile and the first cap.

    The account and its address stand in it, so that no session goes on at another; see `paper_config` for what does not.

    Args:
        config: As it was loaded.
        capital: What the account held of the quote asset when the session began.
    """
    live, risk = config.live, config.risk
    backtest = config.backtest.model_copy(
        update={
            "capital": capital,
            "risk_profile": live.risk_profile,
            "account": "spot",
            "account_id": live.account or config.backtest.account_id,
        }
    )
    profile = risk.profiles[live.risk_profile]
    largest = dict(profile.rules.get("max_order_notional", {}))
    set_cap = check_number(largest.get("cap_notional", 0))
    largest["cap_notional"] = min(set_cap, risk.live_micro_cap_usd) if set_cap else risk.live_micro_cap_usd
    capped = profile.model_copy(update={"rules": {**profile.rules, "max_order_notional": largest}})
    return config.model_copy(
        update={
            "backtest": backtest,
            **_neutral(),
            "live": LiveConfig(account=live.account, endpoint=live.endpoint),
            "risk": risk.model_copy(update={"profiles": {**risk.profiles, live.risk_profile: capped}}),
        }
    )


def _neutral() -> dict[str, BaseModel]:
    return {"paper": PaperConfig(), "bus": BusConfig(), "logging": LoggingConfig()}


def _canonical(value: object) -> object:
    # 250, 250.0 and 2.5e2 are one number; a secret says only whether it is set.
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, Decimal):
        return Decimal(plain(value))
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def config_hash(config: Config) -> str:
    """Return the SHA-256, in hex, over the canonical JSON of `config`; secrets do not enter."""
    encoder = msgspec.json.Encoder(order="sorted", decimal_format="number")
    return hashlib.sha256(encoder.encode(_canonical(config.model_dump()))).hexdigest()
