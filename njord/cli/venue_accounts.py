"""Who trades at a local exchange? What was typed, or a file, in; accounts with toy keys out.

Keys that are not given are made from the account's name, always the same ones: they open nothing but this exchange.
"""

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

from njord.core.config import check_number
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.exchange.options import AccountSpec

DEFAULT_NAME = "demo"
BASE_BALANCE, QUOTE_BALANCE = Decimal(1), Decimal(10_000)
_KEY_LENGTH = 64  # As the venue's own.
_EXAMPLE = "for example --account alice:BTC=1,USDT=10000"
_FILE_BYTES_MAX = 1 << 20


class _Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account as a file has it."""

    name: str
    key: str = ""
    secret: str = ""
    balances: dict[str, Any] | None = None


def accounts_of(
    texts: Sequence[str], file: Path | None, instruments: Iterable[Instrument]
) -> list[AccountSpec]:
    """Return the accounts that were asked for; without any there is one, with some of every asset.

    Args:
        texts: `NAME`, `NAME:BALANCES` or `NAME:KEY:SECRET:BALANCES`, balances as BTC=1,USDT=10000.
        file: YAML, a list of {name, key, secret, balances}; all but the name may be left out.
        instruments: What is traded.

    Raises:
        ConfigError: One of them can not be; one line says why.
    """
    plenty: dict[str, Decimal] = {}
    for instrument in instruments:
        plenty.setdefault(instrument.base, BASE_BALANCE)
        plenty[instrument.quote] = QUOTE_BALANCE
    listed = [_of_text(text) for text in texts] + ([] if file is None else _of_file(file))
    return [_spec(each, plenty) for each in listed or [_Listed(DEFAULT_NAME)]]


def toy(kind: str, name: str) -> str:
    """Return a key or a secret that says what it is."""
    digest = hashlib.sha256(f"njord local exchange {kind} {name}".encode()).hexdigest()
    return f"Toy{kind}OfNoWorth{digest}"[:_KEY_LENGTH]


def _spec(listed: _Listed, plenty: dict[str, Decimal]) -> AccountSpec:
    name = listed.name
    if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"an account's name is letters, digits, - and _, was {name!r}", _EXAMPLE)
    if bool(listed.key) is not bool(listed.secret):
        raise ConfigError(f"account {name} has only one of key and secret", "give both, or neither")
    if listed.key and not (listed.key.isascii() and listed.key.isalnum() and len(listed.key) >= 4):
        raise ConfigError(
            f"the key of account {name} must be 4 letters and digits or more", "leave it out to get one"
        )
    given = listed.balances
    balances = plenty if given is None else {asset: _amount(name, asset, given[asset]) for asset in given}
    return AccountSpec(
        name=name,
        key=listed.key or toy("Key", name),
        secret=listed.secret or toy("Secret", name),
        balances=dict(balances),
    )


def _of_text(text: str) -> _Listed:
    parts = text.split(":")
    if len(parts) not in (1, 2, 4):
        raise ConfigError(
            f"--account takes NAME, NAME:BALANCES or NAME:KEY:SECRET:BALANCES, was {text:.40}", _EXAMPLE
        )
    name, key, secret = (parts[0], *parts[1:3]) if len(parts) == 4 else (parts[0], "", "")
    if len(parts) == 1:
        return _Listed(name)
    balances: dict[str, str] = {}
    for pair in filter(None, parts[-1].split(",")):
        asset, equals, amount = pair.partition("=")
        if not equals:
            raise ConfigError(f"--account {name}: a balance is ASSET=AMOUNT, was {pair:.40}", _EXAMPLE)
        balances[asset] = amount
    return _Listed(name, key, secret, balances)


def _of_file(file: Path) -> list[_Listed]:
    try:
        raw = file.read_bytes()
        if len(raw) > _FILE_BYTES_MAX:
            raise ConfigError(f"{file} is larger than 1 MiB", "a list of accounts is a page or two")
        return msgspec.convert(yaml.safe_load(raw), list[_Listed])
    except OSError as error:
        raise ConfigError(f"{file} can not be read ({error.strerror})", "name a YAML file") from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(
            f"{file} is no list of accounts: {words:.200}", "see docs/local-exchange.md"
        ) from None


def _amount(name: str, asset: str, value: object) -> Decimal:
    if not (asset.isascii() and asset.isalnum() and asset == asset.upper()):
        raise ConfigError(f"account {name}: an asset is capitals and digits, was {asset!r:.40}", _EXAMPLE)
    try:
        amount = check_number(str(value))
    except ValueError as error:
        raise ConfigError(f"account {name}: {asset} {error}, was {value!s:.40}", _EXAMPLE) from None
    if amount < 0:
        raise ConfigError(f"account {name}: {asset} must be >= 0, was {value!s:.40}", _EXAMPLE)
    return amount
