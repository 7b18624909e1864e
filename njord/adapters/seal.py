"""Has the gate approved this order, for this run, just now? An envelope around encoded bytes that only a key can make.

The seal is an HMAC-SHA256 (RFC 2104) over the payload, the run, the number of the gate's decision and the moment at
which the approval ends. Whoever sends seals, whoever receives opens; what is forged, altered, of another run, used
before or too old is refused with its reason. The key comes from the environment or from a file that nobody else may
read; it is in no repr, no log and no error. The core never sees it.
"""

import contextlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from njord.core.errors import ConfigError, NjordError

KEY_VARIABLE = "NJORD_SEAL_KEY"
KEY_FILE = "seal.key"
KEY_BYTES_MIN = 32
_KEY_CHARS_MAX = 4096
_DOMAIN = b"njord seal 1"


class SealReason(StrEnum):
    """Why a seal was refused."""

    FORGED = "forged"  # Made without the key, or altered afterwards.
    OTHER_RUN = "other_run"
    REPLAYED = "replayed"  # Its decision is not newer than the last one that was opened.
    EXPIRED = "expired"


class SealRefused(NjordError):
    """An envelope was not opened; `reason` says why."""

    def __init__(self, reason: SealReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SealKey:
    """The secret of a seal; it can not be printed.

    Args:
        secret: At least 32 bytes.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) < KEY_BYTES_MIN:
            raise ConfigError(
                f"a seal key has at least {KEY_BYTES_MIN} bytes, this one has {len(secret)}",
                "make one: openssl rand -hex 32",
            )
        self._secret = secret

    def __repr__(self) -> str:
        return "SealKey(***)"

    def __reduce__(self) -> str:
        raise TypeError("a seal key is not written anywhere")

    def mac(self, content: bytes) -> bytes:
        """Return the code that proves that somebody with this key has seen `content`."""
        return hmac.digest(self._secret, content, "sha256")


class Sealed(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """An envelope."""

    payload: bytes
    run_id: str
    decision_seq: int
    expires_ns: int
    mac: bytes


def seal(key: SealKey, payload: bytes, *, run_id: str, decision_seq: int, expires_ns: int) -> Sealed:
    """Return `payload` in an envelope that is good for one decision of one run, until `expires_ns`."""
    mac = key.mac(_content(payload, run_id, decision_seq, expires_ns))
    return Sealed(payload, run_id, decision_seq, expires_ns, mac)


def open_seal(key: SealKey, sealed: Sealed, *, now_ns: int, run_id: str, last_decision_seq: int) -> bytes:
    """Return what is in the envelope.

    Args:
        key: The sender's.
        sealed: As it came.
        now_ns: Engine time; a seal is good up to and including `expires_ns`.
        run_id: Of the run that is under way.
        last_decision_seq: Of the last envelope that was opened.

    Raises:
        SealRefused: It is forged, altered, of another run, was used before, or has expired.
    """
    content = _content(sealed.payload, sealed.run_id, sealed.decision_seq, sealed.expires_ns)
    if not hmac.compare_digest(key.mac(content), sealed.mac):  # In constant time.
        raise SealRefused(SealReason.FORGED, "the seal does not match what it is on")
    if sealed.run_id != run_id:
        raise SealRefused(SealReason.OTHER_RUN, f"sealed for run {sealed.run_id}, this is {run_id}")
    if sealed.decision_seq <= last_decision_seq:
        text = f"decision {sealed.decision_seq} was sealed before, the last one opened is {last_decision_seq}"
        raise SealRefused(SealReason.REPLAYED, text)
    if now_ns > sealed.expires_ns:
        raise SealRefused(SealReason.EXPIRED, f"good until {sealed.expires_ns}, it is {now_ns}")
    return sealed.payload


# Every part with its length, so that no two envelopes have the same content.
def _content(payload: bytes, run_id: str, decision_seq: int, expires_ns: int) -> bytes:
    run = run_id.encode("utf-8", "surrogatepass")
    return b"%b\n%d %d %d %d\n%b%b" % (
        _DOMAIN,
        len(run),
        decision_seq,
        expires_ns,
        len(payload),
        run,
        payload,
    )


def load_seal_key(state: Path, environ: Mapping[str, str]) -> SealKey:
    """Return the key of the environment, else of `<state>/seal.key`, which is made on first use.

    Raises:
        ConfigError: It is no key, or others may read its file.
    """
    given = environ.get(KEY_VARIABLE)
    if given is not None:
        return SealKey(_from_hex(given, KEY_VARIABLE))
    path = state / KEY_FILE
    if not os.path.lexists(path):
        _make(path)
    return SealKey(_from_hex(_read_private(path), str(path)))


def _from_hex(text: str, where: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise ConfigError(f"{where} holds no hexadecimal key", "make one: openssl rand -hex 32") from None


def _read_private(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"{path} can not be read ({error.strerror})", f"rm {path}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ConfigError(f"{path} is no file of our own", f"rm -r {path}")
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"{path} may be read by others (mode {stat.S_IMODE(found.st_mode):o})",
                f"it is a secret no more: rm {path}, a new one is made",
            )
        return os.read(descriptor, _KEY_CHARS_MAX).decode("ascii", "replace")
    finally:
        os.close(descriptor)


# Whole or not at all, and the first of several services to come wins.
def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES_MIN).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
