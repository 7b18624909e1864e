"""What does a file of ours say about itself? The header: kind, instrument, interval, and the hash of its rows.

It is the first line of an NDJSON file, lies in the metadata of a Parquet file, and in `<name>.njord.json` beside a CSV
or Feather file. With it a file comes back exactly as it went out; its hash shows whether the rows are still the same.
"""

from pathlib import Path

import msgspec

from njord.core.errors import DataError, UserError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.store.kinds import DataKind

SCHEMA = 1
SIDECAR_SUFFIX = ".njord.json"
METADATA_KEY = "njord"
_HEADER_BYTES_MAX = 2**16


class DataHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file of rows says about itself.

    Attributes:
        njord: Always "data".
        schema: Version of this form.
        kind: bars, trades, book or quotes.
        key: Name of the dataset that the rows come from, or the topic that was recorded; may be empty.
        instrument: Gives the steps of prices and quantities.
        interval_ns: Length of a bar; 0 for the other kinds.
        hash: Of the canonical rows; empty while rows are still being added.
    """

    njord: str = "data"
    schema: int = SCHEMA
    kind: DataKind
    key: str = ""
    instrument: Instrument
    interval_ns: int = 0
    hash: str = ""


class _Version(msgspec.Struct):
    njord: str
    schema: int


def encode_header(header: DataHeader) -> bytes:
    """Return `header` as one line of JSON without its line end."""
    return msgspec.json.encode(header)


def decode_header(line: bytes, where: str) -> DataHeader:
    """Return the header that `line` holds.

    Raises:
        DataError: It is none, or one of a newer version.
    """
    try:
        version = msgspec.json.decode(line, type=_Version)
        if version.njord != "data":
            raise DataError(
                f"{where} starts with a {one_line(version.njord)} line, not a data header", "give a data file"
            )
        if version.schema > SCHEMA:
            raise DataError(
                f"{where} is of schema {version.schema}, this njord reads up to {SCHEMA}", "update njord"
            )
        header = msgspec.json.decode(line, type=DataHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _no_header(where, error) from None
    except DataError:
        raise
    except UserError as error:
        raise _no_header(where, error) from None
    if (header.interval_ns > 0) != (header.kind is DataKind.BARS) or header.interval_ns < 0:
        raise _no_header(where, f"an interval of {header.interval_ns} ns for {header.kind.value}")
    return header


def read_sidecar(path: Path, where: str) -> DataHeader | None:
    """Return the header that lies beside `path`; None if there is none.

    Raises:
        DataError: There is one that can not be read.
    """
    sidecar = sidecar_of(path)
    try:
        with sidecar.open("rb") as file:
            text = file.read(_HEADER_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{one_line(sidecar.name, 80)} can not be read: {error.strerror}", "check its permissions"
        ) from None
    return decode_header(text, f"{where}{SIDECAR_SUFFIX}")


def sidecar_of(path: Path) -> Path:
    """Return where the header of a CSV or Feather file lies."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def check_hash(header: DataHeader, digest: str, where: str) -> None:
    """Refuse rows that are not those the header was written for.

    Raises:
        DataError: The header names a hash, and it is another one.
    """
    if header.hash and header.hash != digest:
        raise DataError(
            f"{where}: its rows are not those it was written with (hash {digest[:19]}, expected {one_line(header.hash, 19)})",
            "export it again, or give --symbol, --tick and --lot to read it as a file of unknown origin",
        )


def _no_header(where: str, why: object) -> DataError:
    return DataError(f"{where} has no sound njord header ({one_line(why, 120)})", "export it again")
