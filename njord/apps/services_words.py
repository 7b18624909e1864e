"""What do the sequencer and the services say to each other? Numbered messages one way, answers the other.

Every message of the engine is entry `seq`, the number it has in the journal. A service that is asked answers it once,
with what each of its stages has caused, in stage order. Approved orders travel sealed; nothing else can be an order.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from njord.adapters.seal import Sealed
from njord.core.component import Component
from njord.core.contracts import (
    AmendEvent,
    AmendIntent,
    Bar,
    BookEvent,
    CancelEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
    TickerEvent,
    TimerSet,
    TradeEvent,
)
from njord.core.errors import InvariantError

MD: Final = "md"
STRAT: Final = "strat"
RISK: Final = "risk"
PAPER: Final = "paper"  # Hosts the venue, the journal and the sequencer.

# Who drives which stages of `njord/system.py`.
STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    PAPER: ("oms", "flatten", "ledger"),
    RISK: ("gate",),
    STRAT: ("strategies", "rebalancer"),
}

# What a stage of another process may cause; anything else is no answer of ours.
CAUSES: Final[Mapping[str, frozenset[type[Message]]]] = {
    "gate": frozenset({RiskDecision}),
    "strategies": frozenset(
        {Target, OrderIntent, CancelIntent, AmendIntent, TimerSet, ProposalRefused, StrategySuspended}
    ),
    "rebalancer": frozenset({OrderIntent, CancelIntent, ProposalRefused}),
}

# The gate's approvals: they are sealed, and only where the gate has caused them.
ORDERS: Final[frozenset[type[Message]]] = frozenset({OrderEvent, CancelEvent, AmendEvent})

# What the gate takes the last prices from.
MARKET: Final[frozenset[type[Message]]] = frozenset({Bar, TradeEvent, BookEvent, TickerEvent})

# What changes an open order.
ORDER_LIFE: Final[frozenset[type[Message]]] = frozenset({OrderEvent, AmendEvent, OrderUpdate, FillEvent})


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the stream that all services read.

    Attributes:
        seq: The message's number in the journal; of a question, that of the last message before it.
        message: Encoded; empty for a question.
        again: A question: answer everything from this number on once more. 0 for a message.
    """

    seq: int
    message: bytes = b""
    again: int = 0


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="a", gc=False, forbid_unknown_fields=True):
    """What the stages of one service have caused by message `seq`, in stage order: encoded, orders sealed."""

    seq: int
    service: str
    stages: tuple[tuple[bytes | Sealed, ...], ...]


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="h", gc=False, forbid_unknown_fields=True):
    """A service is there; it has applied everything up to `applied`, and was told nothing of what was answered."""

    service: str
    applied: int


encode_reply = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Answer | Hello).decode


def check_placed(stages: Mapping[str, Component]) -> None:
    """Check that every stage of the system has its service.

    Raises:
        InvariantError: One has none.
    """
    placed = [name for names in STAGES.values() for name in names]
    for name in stages:
        if name not in placed:
            raise InvariantError(f"no service drives stage {name!r}; name it in STAGES")
