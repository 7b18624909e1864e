"""What does a dataset consist of? Its manifest: a struct in, one line of JSON with its own checksum out, and back.

A manifest is believed as a whole or not at all: its bytes must be exactly those that its content encodes to, so that
every flipped or missing byte is found.
"""

import hashlib
import re

import msgspec

from njord.core.errors import DataError, UserError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.certificate.certificate import Certificate, decode_certificate
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.rules import FeeTier, InstrumentRules

MANIFEST_SCHEMA = 1
NO_CERTIFICATE = msgspec.Raw(b"null")
# Period, time of the first row, hash: names sort as their rows do, for whoever reads a folder without its manifest.
PART_NAME = re.compile(r"\d{4}(?:-\d\d){0,2}-\d{19}-[0-9a-f]{16}\.parquet", re.ASCII)
_PERIOD = re.compile(r"\d{4}(?:-\d\d){0,2}", re.ASCII)
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One Parquet file; `period` is the year, month or day whose rows (or some of them) it holds, such as 2022-01."""

    file: str
    period: str
    n_rows: int
    first_ns: int
    last_ns: int
    n_bytes: int
    sha256: str


class SourceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that was imported.

    Attributes:
        name: The file's name, or what was asked of a venue.
        sha256: Of its bytes.
        n_rows: Rows that it offered.
        n_added: Of these, rows that were new.
        n_known: Of these, rows that were there already.
        facts: Counts from the importer, such as n_duplicates and n_out_of_order.
    """

    name: str
    sha256: str
    n_rows: int = 0
    n_added: int = 0
    n_known: int = 0
    facts: dict[str, int] = msgspec.field(default_factory=dict)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about one state of a dataset.

    Attributes:
        key: What the dataset is.
        instrument: The grid of its prices and quantities, and a part of its hash.
        interval_ns: Length of a bar; 0 unless bars.
        rules: The instrument's rules, each from when on.
        fees: Its fees, each from when on.
        parts: In time order; their rows one after the other are the dataset.
        retired: Parts of earlier states, kept for their readers until `compact`.
        sources: What was imported, in this order.
        n_rows: Rows in all parts.
        hash: "sha256:" and the hash over the canonical rows.
        certificate: The quality certificate, a JSON object whose form is its own module's; null = none.
        assumptions: What importers inferred, in sentences.
        checksum: SHA-256 over this manifest's JSON with an empty checksum.
    """

    schema: int = MANIFEST_SCHEMA
    key: DatasetKey
    instrument: Instrument
    interval_ns: int
    n_rows: int
    hash: str
    parts: tuple[Part, ...]
    retired: tuple[str, ...] = ()
    rules: tuple[InstrumentRules, ...] = ()
    fees: tuple[FeeTier, ...] = ()
    sources: tuple[SourceFile, ...] = ()
    assumptions: tuple[str, ...] = ()
    certificate: msgspec.Raw = NO_CERTIFICATE
    checksum: str = ""


class _Head(msgspec.Struct):
    schema: int


_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Manifest)
_heads = msgspec.json.Decoder(_Head)
_REFUSALS = (msgspec.MsgspecError, UserError, ValueError, RecursionError)


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as one line of JSON, with its checksum."""
    body = _encoder.encode(msgspec.structs.replace(manifest, checksum=""))
    checksum = hashlib.sha256(body).hexdigest()
    return _encoder.encode(msgspec.structs.replace(manifest, checksum=checksum)) + b"\n"


def decode(data: bytes, where: str) -> Manifest:
    """Return the manifest that `data` holds.

    Args:
        data: All bytes of the file.
        where: The dataset's path, for messages.

    Raises:
        DataError: A byte is not as it was written, the content contradicts itself, or the schema is a newer one.
    """
    try:
        manifest = _decoder.decode(data)
    except _REFUSALS as error:
        raise _refused(data, where, one_line(error, 160)) from None
    if manifest.schema != MANIFEST_SCHEMA:
        raise _refused(data, where, f"its schema is {manifest.schema}")
    if encode(manifest) != data:
        raise _refused(data, where, "its bytes do not match its checksum")
    problem = contradiction(manifest)
    if problem:
        raise _refused(data, where, problem)
    return manifest


def contradiction(manifest: Manifest) -> str:
    """Return what is impossible about a manifest, or nothing."""
    is_bars = manifest.key.kind is DataKind.BARS
    if is_bars != (manifest.interval_ns > 0):
        return f"interval_ns is {manifest.interval_ns} for {manifest.key.kind.value}"
    if not _HASH.fullmatch(manifest.hash):
        return "its hash is none"
    last_ns, n_rows = 0, 0
    for part in manifest.parts:
        if not PART_NAME.fullmatch(part.file) or not _PERIOD.fullmatch(part.period):
            return f"{one_line(part.file)} is no name of a part"
        if part.n_rows < 1 or part.n_bytes < 1 or not last_ns <= part.first_ns <= part.last_ns:
            return f"{part.file} has impossible rows, bytes or times"
        last_ns, n_rows = part.last_ns, n_rows + part.n_rows
    if len({part.file for part in manifest.parts}) != len(manifest.parts):
        return "it names a part twice"
    if not manifest.parts or n_rows != manifest.n_rows:
        return f"its parts have {n_rows} rows, not {manifest.n_rows}"
    if not all(map(PART_NAME.fullmatch, manifest.retired)):
        return "a retired part has an impossible name"
    return ""


def certificate_of(manifest: Manifest) -> bytes | None:
    """Return the certificate's JSON, or None where there is none."""
    data = bytes(manifest.certificate)
    return None if data == bytes(NO_CERTIFICATE) else data


def read_certificate(manifest: Manifest) -> Certificate | None:
    """Return the certificate, or None where there is none.

    Raises:
        DataError: It is none that this version reads.
    """
    data = certificate_of(manifest)
    if data is None:
        return None
    try:
        return decode_certificate(data)
    except DataError as error:
        raise DataError(f"{one_line(manifest.key.path)}: {error.problem}", error.remedy) from None


def _refused(data: bytes, where: str, reason: str) -> DataError:
    try:
        schema = _heads.decode(data).schema
    except _REFUSALS:
        schema = 0
    if schema > MANIFEST_SCHEMA:
        return DataError(
            f"the manifest of {where} has schema {schema}, this version reads {MANIFEST_SCHEMA}",
            "use the njord that wrote it",
        )
    return DataError(
        f"the manifest of {where} is damaged ({reason})",
        "restore manifest.json from a copy, or remove the dataset's folder and import it again",
    )
