"""Every message survives bytes, and nothing else does."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.codec import decode, encode
from njord.core.contracts import SCHEMA_VERSION, AnyMessage, Message
from njord.core.errors import CodecError
from tests.property.strategies import messages_of

KINDS: tuple[type[Message], ...] = get_args(AnyMessage)
ANY = st.one_of([messages_of(kind) for kind in KINDS])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_message_survives_bytes(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages_of(kind))
    encoded = encode(message)
    decoded = decode(encoded)
    assert decoded == message
    assert type(decoded) is kind
    assert encode(decoded) == encoded


@given(ANY, st.data())
def test_a_message_cut_short_is_refused(message: Message, data: st.DataObject) -> None:
    encoded = encode(message)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(CodecError):
        decode(encoded[:cut])


@given(st.binary(max_size=60))
def test_noise_is_refused_by_name_and_never_by_another_error(noise: bytes) -> None:
    with pytest.raises(CodecError):
        decode(noise)


@given(ANY, st.data())
def test_one_flipped_byte_is_refused_or_read_as_a_message(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        decoded: object = decode(bytes(encoded))
    except CodecError:
        return
    assert isinstance(decoded, Message)


@given(ANY)
def test_a_field_that_this_version_does_not_know_is_refused(message: Message) -> None:
    fields = msgspec.json.decode(encode(message))
    with pytest.raises(CodecError, match=f"not a {type(message).__name__} of schema"):
        decode(msgspec.json.encode({**fields, "invented": 1}))


@given(ANY, st.integers(SCHEMA_VERSION + 1, 10**6))
def test_a_newer_schema_is_refused_by_its_name_whatever_it_holds(message: Message, schema: int) -> None:
    fields: dict[str, Any] = msgspec.json.decode(encode(message))
    with pytest.raises(
        CodecError, match=f"{type(message).__name__} has schema {schema}, this version reads 1"
    ):
        decode(msgspec.json.encode({**fields, "schema": schema, "invented": 1}))
    with pytest.raises(CodecError, match=f"has schema {schema}"):
        decode(msgspec.json.encode({**fields, "schema": schema}))


@given(ANY, st.data())
def test_a_field_of_another_type_is_refused(message: Message, data: st.DataObject) -> None:
    fields: dict[str, Any] = msgspec.json.decode(encode(message))
    name = data.draw(st.sampled_from(sorted(set(fields) - {"kind"})))
    with pytest.raises(CodecError):
        decode(msgspec.json.encode({**fields, name: {"not": "this"}}))
