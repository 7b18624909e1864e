"""What does a YAML file that sops has encrypted say, for whoever holds its age identity? Decrypted in memory alone.

The format is that of sops 3 (github.com/getsops/sops, sops.go and aes/cipher.go): one data key, wrapped for each age
recipient; each value by AES-256-GCM under the names that lead to it; and over all of them a MAC, itself bound to the
time of the last change. A file whose MAC does not fit is refused as a whole. Problems are returned as words, and raised
by whoever holds nothing decrypted: a traceback keeps the values of its frames.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from njord.core.units import plain

Names = tuple[str, ...]
_Named = tuple[Names, str]

BYTES_MAX = 1 << 20
DEPTH_MAX = 16
_BEGINS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_KEY_BYTES = 32
_META = "sops"
_VALUE = re.compile(r"ENC\[AES256_GCM,data:(.*?),iv:(.*?),tag:(.*?),type:(\w+)\]", re.DOTALL)
_IDENTITY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+")
# Where the MAC covers encrypted values only, it begins with this, so that it never equals one over all.
_MAC_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
# How sops writes what stands in the open, for the MAC.
_CANONICAL: Mapping[str, Callable[[str], str]] = {
    "tag:yaml.org,2002:bool": str.title,
    "tag:yaml.org,2002:float": lambda text: plain(Decimal(text)),
}
_age: Any = import_module("pyrage")  # It has no types of its own.


class Problem(msgspec.Struct, frozen=True):
    """Why a file is not read, and the next thing to do; nothing of what was in it."""

    text: str
    remedy: str


class Opened:
    """The encrypted texts of a file, decrypted; shows nothing of itself."""

    __slots__ = ("_texts", "in_the_open")

    def __init__(self, texts: dict[tuple[str, ...], str], in_the_open: frozenset[tuple[str, ...]]) -> None:
        self._texts = texts
        self.in_the_open = in_the_open  # The names of values that were not encrypted.

    def get(self, path: tuple[str, ...]) -> str | None:
        """Return the text under these names, None if there is none that was encrypted."""
        return self._texts.get(path)

    def names(self, above: tuple[str, ...]) -> list[str]:
        """Return the names that stand under these."""
        depth = len(above)
        paths = [*self._texts, *self.in_the_open]
        return sorted({path[depth] for path in paths if path[:depth] == above and len(path) > depth})


def open_sops(path: Path, label: str, identities: Sequence[object]) -> Opened | Problem:
    """Return what the file at `path` says, or why it is not read.

    Args:
        path: An existing file.
        label: Its name in messages.
        identities: Of age: `pyrage.x25519.Identity` or another of its kinds.
    """
    values = _read(path)
    if isinstance(values, str):
        return Problem(
            f"{label} can not be read: {values}", f"look at it, or decrypt it yourself: sops decrypt {label}"
        )
    meta = {names[1:]: value for names, value in values if names[0] == _META}
    wrapped = [value for names, value in meta.items() if names[0] == "age" and names[-1] == "enc"]
    if not meta:
        return Problem(
            f"{label} is not encrypted, and keys are never read in the open",
            f"sops encrypt -i {label}, and change the keys at the venue: they have been on disk",
        )
    if not wrapped:
        return Problem(
            f"{label} is not encrypted for age",
            "list your age recipient in .sops.yaml, then: sops updatekeys",
        )
    key = _data_key(wrapped, identities)
    if not key:
        return Problem(
            f"{label} is encrypted for others: none of your age identities opens it",
            "name your key file in SOPS_AGE_KEY_FILE, or have somebody add you: sops updatekeys",
        )
    said = [(names, value) for names, value in values if names[0] != _META]
    return _decrypted(said, meta, key) or Problem(
        f"{label} was changed since it was encrypted (its MAC does not fit)", f"sops edit {label}"
    )


def age_identities(text: str) -> list[object]:
    """Return the age identities in the text of a key file; what is none is left out."""
    found: list[object] = []
    for identity in _IDENTITY.findall(text):
        try:
            found.append(_age.x25519.Identity.from_str(identity))
        except _age.IdentityError:
            continue
    return found


def _data_key(wrapped: Sequence[str], identities: Sequence[object]) -> bytes:
    for text in wrapped:
        try:
            armored = "".join(line for line in text.split("\n") if line and not line.startswith("-"))
            key = _age.decrypt(base64.b64decode(armored, validate=True), identities)
        except (_age.DecryptError, ValueError):
            continue
        if len(key) == _KEY_BYTES:
            return bytes(key)
    return b""


# None where anything does not fit: which value it was is of no use, and every word about it could be too much.
def _decrypted(values: Sequence[_Named], meta: dict[Names, str], key: bytes) -> Opened | None:
    is_partial = meta.get(("mac_only_encrypted",)) == "True"
    mac = hashlib.sha512(_MAC_ONLY_ENCRYPTED if is_partial else b"")
    texts: dict[Names, str] = {}
    in_the_open: set[Names] = set()
    try:
        for names, value in values:
            sealed = _VALUE.fullmatch(value)
            if sealed is not None:
                raw = _open(sealed, ":".join(names) + ":", key)
                mac.update(raw)
                texts[names] = raw.decode()
            else:
                in_the_open.add(names)
                if not is_partial:
                    mac.update(value.encode())
        sealed = _VALUE.fullmatch(meta.get(("mac",), ""))
        wanted = b"" if sealed is None else _open(sealed, meta.get(("lastmodified",), ""), key)
    except (InvalidTag, ValueError):
        return None
    if not hmac.compare_digest(wanted, mac.hexdigest().upper().encode()):
        return None
    return Opened(texts, frozenset(in_the_open))


def _open(sealed: re.Match[str], names: str, key: bytes) -> bytes:
    data, iv, tag = (base64.b64decode(text, validate=True) for text in sealed.groups()[:3])
    opener = Cipher(AES(key), GCM(iv, tag)).decryptor()
    opener.authenticate_additional_data(names.encode())
    return opener.update(data) + opener.finalize()


# --- the file, as the texts that the MAC is made of ---


def _read(path: Path) -> list[_Named] | str:
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
        text = raw.decode()
        if len(raw) > BYTES_MAX:
            return f"it has more than {BYTES_MAX} bytes"
        if strange := _strange(text):
            return strange
        top = yaml.compose(text, yaml.SafeLoader)
        return list(_inside((), top)) if isinstance(top, yaml.MappingNode) else "it has no keys and values"
    except OSError as error:
        return str(error.strerror)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError):
        return "it is no YAML"


# Looked at token by token: what is nested deeply takes the parser's time with the square of its depth.
def _strange(text: str) -> str:
    depth = 0
    for token in yaml.scan(text, yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken | yaml.TagToken):
            return "it has aliases or tags"
        depth += isinstance(token, _BEGINS) - isinstance(token, _ENDS)
        if depth > DEPTH_MAX:
            return "it is nested too deeply"
    return ""


# In the order of the document; what is in a list stands under the list's name, as sops has it.
def _inside(names: Names, node: yaml.Node) -> Iterator[_Named]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _inside(names, item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise ValueError("a key that is none, or stands twice")
            seen.add(key.value)
            yield from _inside((*names, key.value), value)
    elif node.tag not in (_NULL, _MERGE):
        yield names, _CANONICAL.get(node.tag, str)(node.value)
