"""The log: one call, one line of JSON in `app.ndjson`, and never a secret in it.

Comes in: an event name and fields of any kind. Goes out: an object with `time` (UTC, ISO), `level`, `logger`,
`event` and the fields. Every value is turned into plain text, numbers, lists and objects here, and each text passes
the masks on its way, so a secret hides neither in an object's repr nor in a traceback. The file is opened for
appending and turned over by others (logrotate with `copytruncate`).
"""

import functools
import re
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from pydantic import SecretStr
from structlog.typing import Processor

from njord.adapters.clock import WallClock
from njord.core.clock import Clock
from njord.core.config import is_secret_name
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_S, NS_PER_US

MASK = "***"
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# A shorter secret would blacken half of every line and protects nothing.
SECRET_CHARS_MIN = 4
TEXT_CHARS_MAX = 16_384
DEPTH_MAX = 8
INT64_MIN = -(2**63)  # The whole numbers that readers of JSON agree on.
UINT64_MAX = 2**64 - 1
# Controls that JSON lets through: line ends to some readers, commands to some terminals. Written as escapes.
_CONTROLS = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


class _Secrets:
    """The texts that no line may hold, longest first."""

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()

    def add(self, secrets: Iterable[str]) -> None:
        texts = set(self._texts)
        for secret in secrets:
            if len(secret) >= SECRET_CHARS_MIN:
                texts |= {secret, quote(secret, safe=""), repr(secret)[1:-1]}
        self._texts = tuple(sorted(texts, key=len, reverse=True))

    def masked(self, text: str) -> str:
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, MASK)
        return text


class _LogFile:
    """An append-only file; a full disk costs log lines and never stops trading."""

    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "a")
        self._torn = False

    def write(self, line: bytes) -> None:
        if self._file.closed:
            return
        data = (b"\n" if self._torn else b"") + line + b"\n"
        try:
            self._torn = self._file.write(data) != len(data)
        except OSError:
            return

    def close(self) -> None:
        self._file.close()


class _Logger:
    """What structlog calls at the end of the chain, under the name that `get_logger(name)` was given."""

    def __init__(self, file: _LogFile | None, name: str) -> None:
        self._file = file
        self.name = name

    def msg(self, line: bytes) -> None:
        if self._file is not None:
            self._file.write(line)

    debug = info = warning = error = critical = exception = msg


_secrets = _Secrets()
_open_files: list[_LogFile] = []


def register_secrets(secrets: Iterable[str]) -> None:
    """Mask these texts from now on, wherever they appear; see `LoadedConfig.secrets`."""
    _secrets.add(secrets)


def setup_logging(log_dir: Path | None, level: str, clock: Clock | None = None) -> None:
    """Send the log to `<log_dir>/app.ndjson`; call again to send it elsewhere.

    Args:
        log_dir: Made if it is missing; None drops every line.
        level: debug, info, warning or error; what is below is not written.
        clock: Where lines take their time from; the wall clock if None.

    Raises:
        ConfigError: The folder or file can not be written, or the level is unknown.
    """
    if level not in LEVELS:
        raise ConfigError(f"logging.level must be one of {', '.join(LEVELS)}, was {level!r}", "correct it")
    file = None
    if log_dir is not None:
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            file = _LogFile(log_dir / "app.ndjson")
        except OSError as error:
            remedy = "set NJORD_LOGGING__DIR to a folder you may write to"
            raise ConfigError(
                f"the log {log_dir}/app.ndjson can not be written ({error.strerror})", remedy
            ) from None
    while _open_files:
        _open_files.pop().close()
    if file is not None:
        _open_files.append(file)
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,  # Text only: a traceback with locals would show what they hold.
        functools.partial(_as_line, clock or WallClock()),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda name="njord": _Logger(file, str(name)),
        cache_logger_on_first_use=False,  # A cached logger would outlive the next call of this function.
    )


def iso_utc(ts_ns: int) -> str:
    """Return nanoseconds since the epoch as 2026-01-31T23:59:59.123456Z; what is below a microsecond is cut."""
    seconds, rest_ns = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // NS_PER_US:06d}Z"


def _as_line(clock: Clock, logger: _Logger, method: str, event: MutableMapping[str, Any]) -> bytes:
    line = {
        "time": iso_utc(clock.now_ns()),
        "level": "error" if method == "exception" else method,
        "logger": logger.name,
        "event": _plain(event.pop("event", ""), 1),
    }
    for key, value in event.items():
        name = f"{key}_" if key in line else key  # A field never stands in for ours.
        line[_text(name)] = MASK if is_secret_name(key) else _plain(value, 1)
    return _CONTROLS.sub(_escaped, msgspec.json.encode(line))


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match[0].decode())


def _plain(value: object, depth: int) -> object:
    """Return `value` as JSON's own kinds, every text in it masked."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        fits = INT64_MIN <= value <= UINT64_MAX
        text = str(int(value)) if fits else hex(value)
        return int(value) if fits and _secrets.masked(text) == text else _text(text)
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, msgspec.Struct) or (is_dataclass(value) and not isinstance(value, type)):
        names = (
            value.__struct_fields__
            if isinstance(value, msgspec.Struct)
            else [item.name for item in fields(value)]
        )
        value = {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping) and depth < DEPTH_MAX:
        return {
            _text(str(key)): MASK if is_secret_name(str(key)) else _plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < DEPTH_MAX:
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return _text(value.decode("utf-8", "backslashreplace"))
    return _text(str(value) if isinstance(value, str | Decimal | Path) else repr(value))


def _text(text: str) -> str:
    masked = _secrets.masked(text)
    if not masked.isascii():  # Lone surrogates, as in odd file names, are no UTF-8.
        masked = masked.encode("utf-8", "backslashreplace").decode()
    if len(masked) > TEXT_CHARS_MAX:
        return f"{masked[:TEXT_CHARS_MAX]}... ({len(masked) - TEXT_CHARS_MAX} more characters)"
    return masked
