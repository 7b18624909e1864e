"""What does a tap say of itself? One line of JSON at a time, from its process to whoever supervises it."""

import msgspec


class TapState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a session is published.

    Attributes:
        seq: Everything up to this message of the journal is published.
        lag: Messages of the journal behind it, about.
        is_connected: Redis took what was sent last.
        error: Why it did not, without any secret.
        note: Why no market data are published, where they were asked for.
        n_messages: Appended to streams by this process.
        n_entries: In so many frames.
        n_rows: Market data published.
        n_restarts: Tap processes that ended by themselves; the supervisor counts them.
    """

    seq: int = 0
    lag: int = 0
    is_connected: bool = False
    error: str = ""
    note: str = ""
    n_messages: int = 0
    n_entries: int = 0
    n_rows: int = 0
    n_restarts: int = 0


encode_state = msgspec.json.encode
decode_state = msgspec.json.Decoder(TapState).decode
