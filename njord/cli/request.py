"""What the flags of a run mean: typed groups in, settings, a checked request and an open market out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from njord.adapters.config_loader import LoadedConfig, load_config
from njord.backtest.session import BacktestRequest, Prepared, prepare
from njord.cli.flags import FileFlags, known_instruments, parse_number, parse_time
from njord.cli.options import RunFlags, TermsFlags
from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.core.units import EXACT, NS_PER_MS

CUTS_MAX = 1_000
_LATENCY_MAX_MS = 60_000


class Flags(FileFlags, frozen=True, kw_only=True):
    """The flags as they were typed."""

    settings: Mapping[str, str] = {}
    params: tuple[str, ...] = ()
    start: str | None = None
    end: str | None = None
    qty: str | None = None
    repair: bool = False


def flags_of(typed: RunFlags, settings: Mapping[str, str | None]) -> Flags:
    """Return a run's flags; `settings` are those that single flags stand for, None where one was not typed."""
    named = {name: getattr(typed, name) for name in FileFlags.__struct_fields__ if name != "columns"}
    return Flags(
        settings=settings_of(typed.setting, {**settings, "backtest.seed": typed.seed}),
        params=tuple(typed.param or ()),
        columns=tuple(typed.column or ()),
        start=typed.start,
        end=typed.end,
        qty=typed.qty,
        repair=typed.repair,
        **named,
    )


def settings_of(texts: Sequence[str] | None, single: Mapping[str, str | None]) -> dict[str, str]:
    """Return the settings of `--set`, and over them those of single flags; None where one was not typed."""
    return parse_settings(tuple(texts or ())) | {
        key: text for key, text in single.items() if text is not None
    }


def terms_settings(typed: TermsFlags, section: str = "backtest") -> dict[str, str | None]:
    """Return the settings that the flags of the terms stand for.

    Args:
        typed: The flags.
        section: Whose capital and risk profile are meant.

    Raises:
        ConfigError: A number is none, or out of bounds.
    """
    parse_number("--fee-bps", typed.fee_bps)  # Once, though makers pay it too.
    latency_ns = parse_latency_ms(typed.latency_ms)
    return {
        f"{section}.capital": typed.capital,
        "backtest.fee_bps": typed.fee_bps,
        "backtest.maker_fee_bps": typed.maker_fee_bps if typed.maker_fee_bps is not None else typed.fee_bps,
        "backtest.slippage_bps": typed.slippage_bps,
        "backtest.slippage_model": typed.slippage_model,
        "backtest.max_volume_share": typed.max_volume_share,
        "backtest.entry_latency_ns": latency_ns,
        "backtest.response_latency_ns": latency_ns,
        "backtest.queue_model": typed.queue_model,
        "backtest.account": typed.account,
        "backtest.leverage": typed.leverage,
        f"{section}.risk_profile": typed.risk_profile,
    }


def prepared_of(
    strategies: tuple[str, ...], data: tuple[Path, ...], flags: Flags, root: Path, synthetic: bool = False
) -> tuple[LoadedConfig, Prepared]:
    """Return the configuration and the checked run that flags ask for; the caller closes its market."""
    loaded = load_config(root, flags.settings)
    config = loaded.config
    request = request_of(strategies, data, flags, config, root, synthetic)
    return loaded, prepare(request, config, known_instruments(root, config.exchange.venue))


def request_of(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    config: Config,
    root: Path,
    synthetic: bool = False,
) -> BacktestRequest:
    """Return what is asked for beyond the configuration.

    Raises:
        ConfigError: A number or a time is none.
    """
    return BacktestRequest(
        strategy=strategies,
        data=tuple(find_data(path, root / config.paths.data) for path in data),
        params=flags.params,
        bars=flags.options(repair=flags.repair),
        start_ns=parse_time("--start", flags.start),
        end_ns=parse_time("--end", flags.end),
        qty=parse_number("--qty", flags.qty),
        synthetic=synthetic,
    )


def parse_settings(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the pairs of `--set KEY=VALUE`.

    Raises:
        ConfigError: One is no pair.
    """
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--set takes KEY=VALUE, was {text!r}", "for example --set backtest.impact_bps=20"
            )
        pairs[key.strip()] = value
    return pairs


def parse_latency_ms(text: str | None) -> str | None:
    """Return a flag's milliseconds as text of whole nanoseconds.

    Raises:
        ConfigError: It is no number, out of bounds, or a part of a nanosecond.
    """
    number = parse_number("--latency-ms", text)
    if number is None:
        return None
    latency_ns = EXACT.multiply(number, Decimal(NS_PER_MS))
    if not 0 <= number <= _LATENCY_MAX_MS or latency_ns != latency_ns.to_integral_value():
        raise ConfigError(
            f"--latency-ms must be 0 to {_LATENCY_MAX_MS} in whole nanoseconds, was {text:.40}",
            "for example --latency-ms 10",
        )
    return str(int(latency_ns))


def parse_poison(text: str | None) -> str | None:
    """Return `--poison off|N` as the setting's text.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    if text == "off":
        return "0"
    if not (text.isascii() and text.isdigit() and int(text) <= CUTS_MAX):
        raise ConfigError(
            f"--poison takes off or a number of cuts up to {CUTS_MAX}, was {text:.40}",
            "for example --poison 3",
        )
    return text


def find_data(data: Path, store: Path) -> Path:
    """Return the path of what `--data` names: a file or folder, else a dataset of the store."""
    if data.is_absolute() or data.exists() or not (store / data).is_dir():
        return data
    return store / data
