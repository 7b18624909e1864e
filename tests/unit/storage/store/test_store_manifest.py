"""A manifest is believed as a whole or not at all."""

import hashlib
from decimal import Decimal

import msgspec
import pytest

from njord.core.errors import DataError
from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import Manifest, Part, SourceFile, certificate_of, decode, encode
from njord.storage.store.rules import FeeTier, InstrumentRules
from tests.unit.storage.store.store_samples import instrument, key

PARTS = (
    Part("2022-01-1640995200000000000-0123456789abcdef.parquet", "2022-01", 3, 10, 20, 900, "ab" * 32),
    Part("2022-02-1643673600000000000-0123456789abcdef.parquet", "2022-02", 2, 21, 30, 800, "cd" * 32),
)
MANIFEST = Manifest(
    key=key(DataKind.BARS),
    instrument=instrument(),
    interval_ns=60_000_000_000,
    n_rows=5,
    hash="sha256:" + "0f" * 32,
    parts=PARTS,
    rules=(InstrumentRules(0, instrument()),),
    fees=(FeeTier(0, Decimal("1.5"), Decimal(10)),),
    sources=(SourceFile(name="é\n.csv", sha256="00" * 32, n_rows=5, n_added=5, facts={"n_duplicates": 1}),),
    assumptions=("Tick 0.01 is inferred.",),
    certificate=msgspec.Raw(b'{"grade":"A","share": 0.1}'),
)


def changed(**facts: object) -> bytes:
    return encode(msgspec.structs.replace(MANIFEST, **facts))


def test_a_manifest_comes_back_as_it_was_with_its_certificate_to_the_byte() -> None:
    data = encode(MANIFEST)
    read = decode(data, "x")
    assert msgspec.structs.replace(read, checksum="") == MANIFEST
    assert encode(read) == data
    assert certificate_of(read) == b'{"grade":"A","share": 0.1}'
    assert data.endswith(b"}\n") and data.count(b"\n") == 1


def test_the_checksum_is_that_of_the_json_without_it() -> None:
    data = encode(MANIFEST)
    checksum = decode(data, "x").checksum
    assert hashlib.sha256(data.replace(checksum.encode(), b"").rstrip(b"\n")).hexdigest() == checksum


def test_every_flipped_bit_and_every_cut_is_found() -> None:
    data = encode(MANIFEST)
    for at in range(len(data)):
        with pytest.raises(DataError) as refused:
            decode(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :], "bars/x")
        assert "the manifest of bars/x" in str(refused.value) and "\n" not in str(refused.value)
        with pytest.raises(DataError, match="the manifest of bars/x is damaged"):
            decode(data[:at], "bars/x")
    with pytest.raises(DataError, match="damaged"):
        decode(data + b" ", "bars/x")


def test_a_newer_schema_is_refused_by_name() -> None:
    data = encode(MANIFEST).replace(b'"schema":1', b'"schema":2,"new":[]')
    with pytest.raises(
        DataError, match="bars/x has schema 2, this version reads 1; use the njord that wrote it"
    ):
        decode(data, "bars/x")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"n_rows": 6}, "its parts have 5 rows, not 6"),
        ({"parts": ()}, "its parts have 0 rows, not 5"),
        ({"parts": PARTS[::-1]}, "impossible rows, bytes or times"),
        ({"parts": (PARTS[0], PARTS[0])}, "impossible rows|names a part twice"),
        ({"interval_ns": 0}, "interval_ns is 0 for bars"),
        ({"hash": "sha256:zz"}, "its hash is none"),
        ({"retired": ("../../x.parquet",)}, "a retired part has an impossible name"),
        ({"schema": 0}, "its schema is 0"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(facts: dict[str, object], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode(changed(**facts), "bars/x")


@pytest.mark.parametrize(
    "name",
    [
        "../2022-01-1640995200000000000-0123456789abcdef.parquet",
        "/x.parquet",
        "2022-01-1640995200000000000-0123456789abcdef.parquet\n",
        ".parquet",
    ],
)
def test_a_part_is_a_plain_file_name_or_refused(name: str) -> None:
    part = Part(name, "2022-01", 5, 10, 20, 900, "ab" * 32)
    with pytest.raises(DataError, match="is no name of a part"):
        decode(changed(parts=(part,)), "bars/x")
