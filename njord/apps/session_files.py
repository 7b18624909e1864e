"""Which session is meant? The state folder and a run in; the folder of the session to go on with, or of a new one, out.

`session.json` holds the facts of a run (`backtest/recorded_run.py`) and, once it has ended, the hash and the length of
its journal. A session goes on only as the run that it began as: the same code, strategies, data and settings.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.adapters.state_lock import write_durably
from njord.backtest.recorded_run import RUN_FILE, SESSION_FILE
from njord.backtest.session import machine_facts
from njord.backtest.simulation import Prepared
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_S
from njord.storage.disk import OsDisk
from njord.storage.journal_reader import list_segments, scan

SESSIONS = "sessions"
PAPER, LIVE = "paper", "live"
_TAIL_BYTES = 1024  # More than an end mark and the line that closes its block.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LAST = "last"  # Means the youngest, wherever a session is asked for.
_SHOWN = 40
_PATH_SHOWN = 200


class _Strategy(msgspec.Struct):
    id: str


class _Instrument(msgspec.Struct):
    symbol: str


class _Known(msgspec.Struct, kw_only=True):
    """What tells whether a session is the one that is meant."""

    run_id: str
    strategies: list[_Strategy]
    data: list[str]
    instruments: list[_Instrument]
    started_ns: int
    kind: str = "paper"
    journal_head: str = ""
    config: dict[str, Any] = {}

    @property
    def subject(self) -> tuple[list[str], list[str], list[str]]:
        """Which strategies on what; the same with other settings is another run of the same subject."""
        strategies = [strategy.id for strategy in self.strategies]
        return strategies, self.data, [instrument.symbol for instrument in self.instruments]


class SessionFiles:
    """The folder of one session, and its `session.json`.

    Args:
        folder: It exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / SESSION_FILE

    @classmethod
    def find(cls, state: Path, prepared: Prepared, name: str | None, fresh: bool, kind: str = PAPER) -> Self:
        """Return the session to go on with, or a new one.

        Args:
            state: The state folder.
            prepared: The run.
            name: Of the session; None = the last one of these strategies on these data, or a new name.
            fresh: Begin one even if there is one to go on with.
            kind: Of session.

        Raises:
            ConfigError: It has ended, or is of another run.
        """
        root = state / SESSIONS
        folder, found = _looked_up(root, prepared, name, kind)
        if folder is None or found is None or (fresh and name is None):
            return cls._make(root, prepared, name, kind)
        if fresh:
            raise ConfigError(f"the session {name} exists", "give --fresh another --session, or none")
        _check(folder.name, found, prepared, kind)
        files = cls(folder)
        if files._has_ended(found):
            if name is None:
                return cls._make(root, prepared, None, kind)
            raise ConfigError(f"the session {name} has ended", "give another --session, or none")
        return files

    @classmethod
    def _make(cls, root: Path, prepared: Prepared, name: str | None, kind: str) -> Self:
        folder = root / (name or _new_name(root, prepared))
        folder.mkdir(parents=True, exist_ok=True)
        files = cls(folder)
        write_durably(files.path, _encoded(_facts(prepared, kind)))
        for path in (root, root.parent):
            OsDisk().sync_folder(path)
        return files

    # A crash may have come between the journal's end mark and the word of it.
    def _has_ended(self, found: _Known) -> bool:
        if found.journal_head:
            return True
        segments = list_segments(self.folder / "journal")
        if not segments or not _may_be_whole(segments[-1]):
            return False
        state = scan(self.folder / "journal")
        if state.is_complete:
            self.seal(state.head, state.last_seq)
        return state.is_complete

    def seal(self, journal_head: str, n_messages: int) -> None:
        """Note that the session has ended, and how its journal must be found."""
        facts = msgspec.json.decode(self.path.read_bytes(), type=dict[str, Any])
        ended_ns = WallClock().now_ns()
        sealed = {**facts, "journal_head": journal_head, "n_messages": n_messages, "ended_ns": ended_ns}
        write_durably(self.path, _encoded(sealed))


def opening_capital(state: Path, prepared: Prepared, name: str | None, kind: str) -> Decimal | None:
    """Return the capital with which the session that would go on had begun; None if a new one begins.

    Args:
        state: The state folder.
        prepared: The run, with any capital.
        name: Of the session; None = the last one of these strategies on these data.
        kind: Of session.

    Raises:
        ConfigError: What tells of a session is damaged.
    """
    _, found = _looked_up(state / SESSIONS, prepared, name, kind)
    if found is None or found.journal_head:
        return None
    try:
        return Decimal(str(found.config["backtest"]["capital"]))
    except (KeyError, TypeError, InvalidOperation):
        raise ConfigError(
            f"{SESSION_FILE} of a session names no capital", "begin a new one: --fresh"
        ) from None


def _looked_up(
    root: Path, prepared: Prepared, name: str | None, kind: str
) -> tuple[Path | None, _Known | None]:
    folder = _last_of(root, prepared, kind) if name is None else root / name
    return folder, None if folder is None else _known(folder)


def check_name(name: str) -> None:
    """Refuse what can be no session's name.

    Raises:
        ConfigError: It is none.
    """
    if name == _LAST:
        raise ConfigError("a session can not be called last: that means the youngest", "give another name")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name[:_SHOWN]!r} is no name of a session", "use letters, digits, . _ and -")


def session_folder(root: Path, name: str) -> Path:
    """Return the folder of a session, or of a backtest, given as a path, its name, or `last`.

    Args:
        root: The folder that njord runs in.
        name: `last` is the youngest of both.

    Raises:
        ConfigError: There is none.
    """
    paths = load_config(root).config.paths
    homes = ((root / paths.state / SESSIONS, SESSION_FILE), (root / paths.reports, RUN_FILE))
    if name == _LAST:
        found = [file for home, facts in homes for file in home.glob(f"*/{facts}")]
        if not found:
            raise ConfigError(
                f"there is no session under {homes[0][0]} and no run under {homes[1][0]}",
                "make one: njord paper or njord demo",
            )
        return max(found, key=lambda file: (file.stat().st_mtime_ns, file.parent.name)).parent
    for home, facts in homes:
        for folder in (Path(name), home / name):
            if _is_file(folder / facts):
                return folder
    raise ConfigError(
        f"{name[:_PATH_SHOWN]!r} is neither a session nor a run: it has no {SESSION_FILE} and no {RUN_FILE}",
        f"look under {homes[0][0]} and {homes[1][0]}, or say last",
    )


# A path that is too long to be one is no file either.
def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


# Reading a whole journal takes its time, and most sessions that are asked about have not ended.
def _may_be_whole(segment: Path) -> bool:
    with segment.open("rb") as file:
        file.seek(max(0, segment.stat().st_size - _TAIL_BYTES))
        return b'{"end":true}' in file.read()


def _last_of(root: Path, prepared: Prepared, kind: str) -> Path | None:
    strategies = [strategy.strategy_id for strategy in prepared.strategies]
    symbols = [instrument.symbol for instrument in prepared.spec.instruments]
    subject = (strategies, _data(prepared), symbols)
    found = []
    for path in root.glob(f"*/{SESSION_FILE}"):
        known = _known(path.parent)
        if known is not None and known.kind == kind and known.subject == subject:
            found.append((known.started_ns, path.parent))
    return max(found)[1] if found else None


def _check(name: str, found: _Known, prepared: Prepared, kind: str) -> None:
    if found.kind != kind:
        raise ConfigError(
            f"the session {name} is a {found.kind} session", f"njord {found.kind} goes on with it"
        )
    if found.run_id != prepared.spec.run_id and not found.journal_head:
        raise ConfigError(
            f"the session {name} was begun with another code, strategy file, parameter, setting or dataset",
            "put it back, or begin a new session: --fresh",
        )


def _known(folder: Path) -> _Known | None:
    path = folder / SESSION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Known)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"{path} is damaged: {error}", f"move the folder {folder.name} out of the way"
        ) from None


def _new_name(root: Path, prepared: Prepared) -> str:
    now = datetime.fromtimestamp(WallClock().now_ns() // NS_PER_S, UTC)
    first, *more = (strategy.strategy_id for strategy in prepared.strategies)
    also = f"-and-{len(more)}" if more else ""
    base = f"{now:%Y%m%dT%H%M%S}-{first}{also}-{prepared.spec.run_id[:6]}"
    name, again = base, 1
    while (root / name).exists():
        again += 1
        name = f"{base}-{again}"
    return name


def _data(prepared: Prepared) -> list[str]:
    return [str(path.resolve()) for path in prepared.request.paths]


def _facts(prepared: Prepared, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        **machine_facts(prepared),
        "sources": [
            {"kind": source.kind, "name": source.name, "interval_ns": source.interval_ns}
            for source in prepared.market.sources
        ],
        "started_ns": WallClock().now_ns(),
    }


def _encoded(facts: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"
