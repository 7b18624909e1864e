"""From files, environment and flags to one `Config`, remembering where each value came from.

Layers, the later the stronger: built-in defaults, `config/base.yaml` (may be absent), variables named
`NJORD_SECTION__KEY`, flags. Whatever is not known is refused with its place and the nearest known name, so a
typing error never leaves a limit silently at its default.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

import msgspec
from pydantic import SecretStr, ValidationError

from njord.adapters.config_errors import MASK, Entry, KeyPath, get_at, one_line, suggestion, value_text
from njord.adapters.iso_time import iso_ns
from njord.adapters.yaml_text import Item, Leaf, Value, read_yaml, resolve, shown
from njord.core.config import ALIAS_LOWERS_ONLY, ALIASES, Config, check_number, check_symbol, is_secret_name
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument

BASE = "config/base.yaml"
INSTRUMENTS = "config/instruments"
PREFIX = "NJORD_"
_ALIASES = {
    tuple(alias.split(".")): tuple(tuple(target.split(".")) for target in targets)
    for alias, targets in ALIASES.items()
}

# Variables that are no settings: gates, tokens, channels, deployment. All else that starts with NJORD_ must be one.
KNOWN_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "NJORD_ENABLE_LIVE": "1 = the second consent to live orders",
        "NJORD_ENABLE_METRICS": "1 = the metrics service may start",
        "NJORD_ENABLE_ALERTS": "1 = the alert service may start",
        "NJORD_ENABLE_AUDIT": "1 = the audit service may start",
        "NJORD_METRICS_TOKEN": "bearer token of the metrics endpoint",
        "NJORD_DASHBOARD_TOKEN": "bearer token of the dashboard",
        "NJORD_CONTROLLER_TOKEN": "bearer token of the controller",
        "NJORD_ALERT_WEBHOOK_URL": "where alerts are posted",
        "NJORD_ALERT_WEBHOOK_TOKEN": "bearer token for that address",
        "NJORD_SMTP_HOST": "mail server for alerts",
        "NJORD_SMTP_USER": "its user",
        "NJORD_SMTP_PASS": "its password",
        "NJORD_SLACK_WEBHOOK_URL": "Slack address for alerts",
        "NJORD_BINANCEUS_API_KEY": "key of the account that live trading uses",
        "NJORD_BINANCEUS_API_SECRET": "its secret",
        "NJORD_SEAL_KEY": "key of the seal on orders between services, in hexadecimal",
        "NJORD_ENV": "stage, for the deployment scripts",
        "NJORD_USER": "service user, for the deployment scripts",
    }
)
# The seed's names of settings.
SHORT_VARIABLES: Mapping[str, KeyPath] = MappingProxyType(
    {"NJORD_RECONCILE_INTERVAL_SEC": ("live", "reconcile_every_s")}
)
# Whoever knows these addresses may post there: as good as a password.
SECRET_VARIABLES = frozenset({"NJORD_ALERT_WEBHOOK_URL", "NJORD_SLACK_WEBHOOK_URL"})

_NUMBERS = frozenset(item.name for item in msgspec.structs.fields(Instrument) if item.type is Decimal)

Tree = dict[str, object]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration with its history.

    Attributes:
        config: The typed settings.
        origins: Dotted key to where its value came from, for every key.
        secrets: Texts that must never be shown; hand them to the log.
    """

    config: Config
    origins: Mapping[str, str]
    secrets: tuple[str, ...] = field(repr=False)


def load_config(
    root: Path, overrides: Mapping[str, str] = NOTHING, environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Return the configuration of the folder `root`.

    Args:
        root: The folder that holds `config/`; an empty one will do.
        overrides: Dotted key to text, from flags: {"backtest.capital": "5000"}.
        environ: Variables; the process's own if None.

    Raises:
        ConfigError: Something is unknown or out of bounds; one line with key, value, expectation and place.
    """
    environ = os.environ if environ is None else environ
    leaves = _base_leaves(root, environ)
    used = {name for leaf in leaves for name in leaf.variables}
    layers: tuple[Callable[[Tree], list[Entry]], ...] = (
        lambda _: _from_file(leaves),
        lambda tree: _from_environment(tree, environ, used),
        lambda tree: _from_flags(tree, overrides),
    )
    config = Config()
    origin_of: dict[KeyPath, Entry] = {}
    for layer in layers:
        tree: Tree = config.model_dump()
        origin_of |= {entry.path: entry for entry in _apply(tree, layer(tree))}
        try:
            config = Config.model_validate(tree)
        except ValidationError as error:
            raise one_line(error, origin_of, tree) from None
    origins = {
        ".".join(path): origin_of[path].origin if path in origin_of else "default"
        for path, _ in _leaves_of(config)
    }
    return LoadedConfig(config, MappingProxyType(origins), _secrets(config, environ, used))


def load_instruments(root: Path, environ: Mapping[str, str] | None = None) -> dict[str, Instrument]:
    """Return the instruments of `config/instruments/*.yaml` under their ids, such as BTC/USDT@binanceus.

    Raises:
        ConfigError: A file does not describe one instrument, or two describe the same; one line names it.
    """
    environ = os.environ if environ is None else environ
    folder = root / INSTRUMENTS
    found: dict[str, Instrument] = {}
    file_of: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        label = f"{INSTRUMENTS}/{path.name}"
        _refuse_yml(path, label)
        if path.suffix != ".yaml":
            continue
        instrument = _instrument(path, label, environ)
        if instrument.id in found:
            raise ConfigError(
                f"{instrument.id} stands in {file_of[instrument.id]} and in {label}", "keep one of them"
            )
        found[instrument.id] = instrument
        file_of[instrument.id] = label
    return found


def explain(loaded: LoadedConfig) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) of every setting, in order; secrets as ***."""
    rows = []
    for path, value in _leaves_of(loaded.config):
        key = ".".join(path)
        hidden = value is not None and (isinstance(value, SecretStr) or is_secret_name(path[-1]))
        rows.append((key, MASK if hidden else value_text(value), loaded.origins[key]))
    return rows


# --- files ----------------------------------------------------------------------


def _refuse_yml(path: Path, label: str) -> None:
    if path.suffix == ".yml":
        raise ConfigError(f"{label} is not read: njord's files end in .yaml", f"mv {label} {label[:-3]}yaml")


def _base_leaves(root: Path, environ: Mapping[str, str]) -> list[Leaf]:
    path = root / BASE
    stray = path.with_suffix(".yml")
    if stray.exists():
        _refuse_yml(stray, BASE[:-4] + "yml")
    return read_yaml(path, BASE, environ) if path.exists() or path.is_symlink() else []


def _instrument(path: Path, label: str, environ: Mapping[str, str]) -> Instrument:
    tree: dict[str, Value] = {}
    for leaf in read_yaml(path, label, environ, typed=False):
        key = ".".join(leaf.path)
        if key not in Instrument.__struct_fields__:
            known = list(Instrument.__struct_fields__)
            remedy = suggestion(key, known, f"the keys are {', '.join(known)}")
            raise ConfigError(f"unknown key {shown(key)} ({label}:{leaf.line})", remedy)
        try:
            if key == "symbol":
                check_symbol(str(leaf.value))
            elif key in _NUMBERS:
                check_number(leaf.value)
        except ValueError as error:
            where = f"{label}:{leaf.line}"
            raise ConfigError(
                f"{key} {error}, was {shown(value_text(leaf.value))} ({where})", "correct it there"
            ) from None
        tree[key] = _changes(leaf.value, f"{label}:{leaf.line}") if key == "filter_changes" else leaf.value
    try:
        instrument = msgspec.convert(tree, Instrument, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{label}: {error}", "correct it there") from None
    except ConfigError as error:
        raise ConfigError(f"{label}: {error.problem}", "correct it there") from None
    base, _, rest = instrument.symbol.partition("/")
    if (instrument.base, instrument.quote) != (base, rest.partition(":")[0]):
        assets = f"base {shown(instrument.base)} and quote {shown(instrument.quote)}"
        raise ConfigError(
            f"{label}: {assets} must be those of the symbol, which is {instrument.symbol}", "correct it there"
        )
    return instrument


# People write `from: 2024-01-31`; the instrument holds nanoseconds.
def _changes(value: Value, where: str) -> Value:
    if not isinstance(value, list):
        return value
    changes: list[Item] = []
    for item in value:
        if isinstance(item, dict) and "from" in item:
            try:
                changes.append(
                    {key: each for key, each in item.items() if key != "from"}
                    | {"from_ns": iso_ns(str(item["from"]))}
                )
            except ValueError:
                raise ConfigError(
                    f"from must be an ISO 8601 time, was {shown(value_text(item['from']))} ({where})",
                    "write for example from: 2024-01-31",
                ) from None
        else:
            changes.append(item)
    return changes


# --- layers ---------------------------------------------------------------------


def _from_file(leaves: Iterable[Leaf]) -> list[Entry]:
    entries = []
    for leaf in leaves:
        variables = f" ({', '.join(f'${{{name}}}' for name in leaf.variables)})" if leaf.variables else ""
        secret = any(is_secret_name(name) for name in leaf.variables)
        entries.append(Entry(leaf.path, leaf.value, f"{BASE}:{leaf.line}{variables}", secret))
    return entries


def _from_environment(tree: Tree, environ: Mapping[str, str], used: set[str]) -> list[Entry]:
    paths = {PREFIX + "__".join(path).upper(): path for path in _settable(tree)}
    paths.update(SHORT_VARIABLES)
    entries = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in KNOWN_VARIABLES or name in used:
            continue
        if name not in paths:
            # Without the prefix, which would make any two names look alike.
            known = [other.removeprefix(PREFIX) for other in (*paths, *KNOWN_VARIABLES)]
            otherwise = "unset it, or look at: njord config show"
            remedy = suggestion(name.removeprefix(PREFIX), known, otherwise, prefix=PREFIX)
            raise ConfigError(f"unknown variable {shown(name)}", remedy)
        origin = f"env {name}"
        entries.append(Entry(paths[name], _read(tree, paths[name], environ[name], origin), origin))
    return entries


def _from_flags(tree: Tree, overrides: Mapping[str, str]) -> list[Entry]:
    paths = {".".join(path): path for path in _settable(tree)}
    entries = []
    for key, text in overrides.items():
        origin = f"flag --{key.rpartition('.')[2].replace('_', '-')}"
        if key not in paths:
            raise ConfigError(
                f"unknown key {shown(key)} ({origin})", suggestion(key, list(paths), "njord config show")
            )
        entries.append(Entry(paths[key], _read(tree, paths[key], text, origin), origin))
    return entries


def _settable(tree: Tree) -> Iterator[KeyPath]:
    # One variable sets one value that exists: a profile or rule can be born in a file only.
    for path, value in _walk((), tree):
        if value != {}:
            yield path
    yield from _ALIASES


def _read(tree: Tree, path: KeyPath, text: str, origin: str) -> object:
    """Return `text` as the kind of value that it replaces: a list by commas, text as it is, else as in YAML."""
    key = ".".join(path)
    if text.startswith("ENC["):
        raise ConfigError(f"{key} is still encrypted (sops, {origin})", "decrypt it first")
    present = get_at(tree, _ALIASES[path][0] if path in _ALIASES else path)
    if isinstance(present, list | tuple):
        return [item.strip() for item in text.split(",") if item.strip()]
    if present is None or isinstance(present, str | SecretStr):
        return text or None
    try:
        return resolve(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {error} ({origin})", "correct it there") from None


def _apply(tree: Tree, layer: list[Entry]) -> list[Entry]:
    """Put a layer into `tree`, aliases as what they stand for; return the entries as applied."""
    named = {entry.path: entry for entry in layer}
    applied = []
    for entry in layer:
        for target in _ALIASES.get(entry.path, ()):
            key = ".".join(target)
            if target in named:
                where = f"{'.'.join(entry.path)} ({entry.origin}) and {key} ({named[target].origin})"
                raise ConfigError(f"{where} say the same thing", "keep one of them")
            if key not in ALIAS_LOWERS_ONLY or _is_lower(entry.value, get_at(tree, target)):
                origin = f"{entry.origin} {entry.path[-1]}"
                applied.append(Entry(target, entry.value, origin, entry.secret))
        if entry.path and entry.path not in _ALIASES:
            applied.append(entry)
    for entry in applied:
        _set(tree, entry.path, entry.value)
    return applied


def _is_lower(value: object, present: object) -> bool:
    # What is not a number goes through, so that validation refuses it by name.
    if isinstance(value, int | Decimal) and isinstance(present, int | Decimal):
        return value < present
    return True


# --- trees of plain values ------------------------------------------------------


def _walk(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _walk((*path, str(key)), item)
    else:
        yield path, value


def _leaves_of(config: Config) -> Iterator[tuple[KeyPath, object]]:
    return _walk((), config.model_dump())


def _set(tree: Tree, path: KeyPath, value: object) -> None:
    node = tree
    for key in path[:-1]:
        below = node.get(key)
        if not isinstance(below, dict):
            below = node[key] = {}
        node = below
    present = node.get(path[-1])
    # `risk:` with nothing under it, or {}, changes nothing; any other value replaces.
    if not (isinstance(present, dict) and (value is None or value == {})):
        node[path[-1]] = value


def _secrets(config: Config, environ: Mapping[str, str], used: set[str]) -> tuple[str, ...]:
    texts = {
        value
        for name, value in environ.items()
        if name in SECRET_VARIABLES or (is_secret_name(name) and (name in KNOWN_VARIABLES or name in used))
    }
    for _, value in _leaves_of(config):
        if isinstance(value, SecretStr):
            url = value.get_secret_value()
            password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
            texts |= {url, password, unquote(password)}
    return tuple(sorted(texts - {""}))
