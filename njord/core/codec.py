"""Message <-> bytes. What this version does not know is refused, never guessed.

One JSON object a message, `kind` first. Every field is typed and unknown fields, kinds and enum values are errors.
`schema` names the major version; a newer one is refused by name, so that an old reader never misreads a new file.
"""

import msgspec

from njord.core.contracts import SCHEMA_VERSION, AnyMessage, Message
from njord.core.errors import CodecError, UserError

_encoder = msgspec.json.Encoder(decimal_format="string", order=None)
_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)


class _Head(msgspec.Struct):
    kind: str
    schema: int = SCHEMA_VERSION


_head_decoder = msgspec.json.Decoder(_Head)

# What bytes can be: no JSON, of another shape, an instrument that can not be, too deep, not UTF-8.
_REFUSALS = (msgspec.MsgspecError, UserError, RecursionError, UnicodeDecodeError)

encode_lines = _encoder.encode_lines  # Of many at once, each ended by a newline.
encode = _encoder.encode  # Callable[[Message], bytes]; a bare name keeps the hot path free of one call.


def decode(data: bytes | memoryview) -> AnyMessage:
    """Return the message that `data` holds.

    Raises:
        CodecError: not JSON, an unknown kind, field or value, or a newer schema than this version reads.
    """
    try:
        message = _decoder.decode(data)
    except _REFUSALS as error:
        raise CodecError(_explain(data, error)) from None
    if message.schema != SCHEMA_VERSION:
        raise CodecError(_version(type(message).__name__, message.schema))
    return message


def _explain(data: bytes | memoryview, error: Exception) -> str:
    # A newer writer's message usually fails on a field we do not know; its version says more than that field.
    try:
        head = _head_decoder.decode(data)
    except _REFUSALS:
        return f"not a message: {error}"
    if head.schema > SCHEMA_VERSION:
        return _version(head.kind, head.schema)
    return f"not a {head.kind} of schema {SCHEMA_VERSION}: {error}"


def _version(kind: str, schema: int) -> str:
    return (
        f"{kind} has schema {schema}, this version reads {SCHEMA_VERSION}; next: use the njord that wrote it"
    )


__all__ = ["CodecError", "Message", "decode", "encode", "encode_lines"]
