"""Whose account is it? The number by which a venue knows the account that earlier sessions of its name traded for.

An account's name is the user's, and its keys can be another account's by mistake; its number is the venue's and never
changes. A session writes it down beside its journal before its first order can leave. Every later life of it, and every
later session for the account of that name at that address, asks for that number; the configuration has the last word.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from njord.adapters.state_lock import write_durably
from njord.apps.session_files import SESSIONS
from njord.backtest.recorded_run import SESSION_FILE
from njord.core.config import Config
from njord.core.errors import ConfigError, JournalHalted

ACCOUNT_FILE: Final = "account.json"


class _Account(msgspec.Struct, forbid_unknown_fields=True):
    uid: int


class _Session(msgspec.Struct):
    started_ns: int = 0
    config: dict[str, Any] = {}


def account_uid(state: Path, config: Config) -> int:
    """Return the number of the account that must answer; 0 = nobody knows it yet.

    Args:
        state: The state folder.
        config: As it was loaded: `live.account_uid` wins, else it is that of the last session for the account of this name
            at this venue and address.

    Raises:
        ConfigError: What a session wrote down is damaged.
    """
    if config.live.account_uid:
        return config.live.account_uid
    whose = (config.exchange.venue, config.live.endpoint, config.live.account)
    found = []
    for path in (state / SESSIONS).glob(f"*/{ACCOUNT_FILE}"):
        session = _session(path.parent / SESSION_FILE)
        if session is not None and _whose(session) == whose:
            found.append((session.started_ns, path.parent.name, path.parent))
    return noted_uid(max(found)[-1]) if found else 0


def noted_uid(folder: Path) -> int:
    """Return the number that a session in `folder` has written down; 0 before its first connection.

    Raises:
        ConfigError: It is damaged.
    """
    path = folder / ACCOUNT_FILE
    try:
        uid = msgspec.json.decode(path.read_bytes(), type=_Account).uid
    except FileNotFoundError:
        return 0
    except msgspec.MsgspecError:
        uid = 0
    if uid <= 0:
        raise ConfigError(f"{path} is damaged", "put the original back, or begin a new session: --fresh")
    return uid


def note_uid(folder: Path, uid: int) -> None:
    """Write down, durably and once, whose account the session in `folder` trades for.

    Raises:
        JournalHalted: The disk refuses.
    """
    path = folder / ACCOUNT_FILE
    if path.exists() or not uid:
        return
    try:
        write_durably(path, msgspec.json.encode(_Account(uid)))
    except OSError as error:
        raise JournalHalted(f"{path} can not be written: {error.strerror or error}") from None


def check_uid(folder: Path, uid: int) -> None:
    """Refuse to go on with a session for another account than it began with.

    Args:
        folder: Of the session.
        uid: Of the account that is asked for; 0 = any.

    Raises:
        ConfigError: It is another one.
    """
    noted = noted_uid(folder)
    if noted and uid != noted:
        raise ConfigError(
            f"the session {folder.name} trades for account {noted}, not {uid}",
            f"set live.account_uid: {noted}, or begin a new session: --fresh",
        )


# What tells of another session may be damaged: whoever goes on with it says so.
def _session(path: Path) -> _Session | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Session)
    except (OSError, msgspec.MsgspecError):
        return None


def _whose(session: _Session) -> tuple[Any, Any, Any] | None:
    try:
        live = session.config["live"]
        return session.config["exchange"]["venue"], live["endpoint"], live["account"]
    except (KeyError, TypeError):
        return None
