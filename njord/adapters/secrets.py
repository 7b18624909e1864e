"""Where do the keys of an account come from, and how are they kept? Out of the environment or a sops file, into `Secret`.

Keys are never in plain text on disk, in argv, in a log, a repr, an exception or the configuration. Out of a file they are
decrypted in memory (`secrets_sops.py`), for whoever holds the age identity. What is still encrypted is refused as a key:
it would be sent to the venue as one. Python can not wipe memory; so this process leaves no core dump from then on.
"""

import hmac
import os
import resource
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from njord.adapters.logging import register_secrets
from njord.adapters.secrets_sops import Opened, Problem, age_identities, open_sops
from njord.adapters.yaml_text import shown
from njord.core.errors import ConfigError

KEY_CHARS_MAX = 4096
_KEY_FILES = ("SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY")
_CIPHER_STARTS = ("ENC[", "-----BEGIN AGE ENCRYPTED FILE-----", "age-encryption.org/", "AGE-SECRET-KEY-")


class Secret:
    """A text that nobody sees who does not ask for it by `reveal`; it is not copied, written or compared in the open."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> NoReturn:  # Else a set of guesses would tell.
        raise TypeError("a secret is not hashed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class Keys:
    """An account's key and secret.

    Attributes:
        venue: Whose.
        account: Ours.
        origin: Where they were found, for a person.
    """

    venue: str
    account: str
    api_key: Secret
    api_secret: Secret
    origin: str


def load_keys(
    root: Path,
    venue: str,
    account: str,
    keys_file: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Keys:
    """Return the keys of an account.

    From a file encrypted by sops for age, with api_key and api_secret under venue and account; or, where none is
    named, from the environment: NJORD_BINANCEUS_API_KEY and NJORD_BINANCEUS_API_SECRET, by the venue's name. From then
    on the log masks them, and this process leaves no core dump.

    Args:
        root: The folder that njord runs in.
        venue: Its name.
        account: Ours.
        keys_file: Relative to `root`; None = the environment.
        environ: Variables; the process's own if None.

    Raises:
        ConfigError: There are none, or they can not be used; one line without any part of them.
    """
    environ = os.environ if environ is None else environ
    names = key_variables(venue)
    if keys_file is None:
        keys = _from_environment(names, venue, account, environ)
    else:
        names = (f"{venue}.{account}.api_key in {keys_file}", f"{venue}.{account}.api_secret in {keys_file}")
        keys = _from_file(root / keys_file, keys_file, venue, account, environ)
    for name, secret in zip(names, (keys.api_key, keys.api_secret), strict=True):
        problem = _problem(secret)
        if problem:
            raise ConfigError(f"{name} {problem}", "put it there as the venue showed it")
    if keys.api_key == keys.api_secret:
        raise ConfigError(f"{names[0]} and {names[1]} are the same", "put the key and its secret")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    register_secrets((keys.api_key.reveal(), keys.api_secret.reveal()))
    return keys


def key_variables(venue: str) -> tuple[str, str]:
    """Return the names of the variables that may hold a venue's keys."""
    return f"NJORD_{venue.upper()}_API_KEY", f"NJORD_{venue.upper()}_API_SECRET"


def _problem(secret: Secret) -> str:
    text = secret.reveal()
    if text.startswith(_CIPHER_STARTS) or "AGE ENCRYPTED" in text:
        return "is still encrypted: ciphertext is no key"
    if not text or len(text) > KEY_CHARS_MAX or not text.isascii() or not text.isprintable() or " " in text:
        return "is no key: it is empty, too long, or has spaces, line ends or other signs that no key has"
    return ""


def _from_environment(names: tuple[str, str], venue: str, account: str, environ: Mapping[str, str]) -> Keys:
    missing = [name for name in names if not environ.get(name)]
    if len(missing) == 1:
        (found,) = set(names) - set(missing)
        raise ConfigError(f"{found} is set and {missing[0]} is not", f"export {missing[0]} too")
    if missing:
        raise ConfigError(
            f"there are no keys: {' and '.join(names)} are not set, and live.keys_file names no file",
            "see docs/secrets.md",
        )
    return Keys(venue, account, Secret(environ[names[0]]), Secret(environ[names[1]]), "the environment")


# --- the file ---


def _from_file(path: Path, label: str, venue: str, account: str, environ: Mapping[str, str]) -> Keys:
    if not path.exists():
        raise ConfigError(f"live.keys_file names {label}, which is not there", "see docs/secrets.md")
    opened = open_sops(path, label, _identities(environ))
    if isinstance(opened, Problem):
        raise ConfigError(opened.text, opened.remedy)
    found: list[Secret] = []
    for name in ("api_key", "api_secret"):
        names = (venue, account, name)
        named = shown(".".join(names))
        if names in opened.in_the_open:
            raise ConfigError(
                f"{named} in {label} is not encrypted", "change it at the venue: it has been on disk"
            )
        secret = _secret(opened, names)
        if secret is None:
            accounts = shown(", ".join(opened.names((venue,))) or "none")
            raise ConfigError(
                f"{label} has no {named}; accounts of {venue}: {accounts}", f"sops edit {label}"
            )
        found.append(secret)
    return Keys(venue, account, found[0], found[1], label)


def _secret(opened: Opened, path: tuple[str, ...]) -> Secret | None:
    text = opened.get(path)
    return None if text is None else Secret(text)


# Where sops itself looks, in its order.
def _identities(environ: Mapping[str, str]) -> list[object]:
    inline = environ.get("SOPS_AGE_KEY", "")
    named = environ.get("SOPS_AGE_KEY_FILE", "")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    path = Path(named) if named else home / "sops" / "age" / "keys.txt"
    found = age_identities(inline + "\n" + _key_file(path, is_named=bool(named)))
    if not found:
        raise ConfigError(
            f"there is no age identity: not in {' or '.join(_KEY_FILES)}, nor in {path}",
            "age-keygen -o FILE, then export SOPS_AGE_KEY_FILE=FILE",
        )
    return found


def _key_file(path: Path, *, is_named: bool) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(1 << 16)
    except FileNotFoundError:
        if is_named:
            raise ConfigError(f"SOPS_AGE_KEY_FILE names {path}, which is not there", "correct it") from None
        return ""
    except OSError as error:
        raise ConfigError(f"{path} can not be read ({error.strerror})", f"chmod 600 {path}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others", f"chmod 600 {path}")
    return raw.decode("utf-8", "replace")
