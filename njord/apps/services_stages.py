"""What do a service's own stages cause? Every message of the run in, in order; its answer out, encoded and sealed.

A service holds a whole system and drives its own stages of it. What other stages read it still follows: the prices
that the gate keeps, and the open orders that the order manager does.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from njord.adapters.seal import Sealed, SealKey, seal
from njord.apps.services_words import MARKET, ORDER_LIFE, RISK, STAGES, Answer, check_placed, encode_reply
from njord.core.codec import encode
from njord.core.component import Component, Handler
from njord.core.contracts import AmendEvent, CancelEvent, Message, OrderEvent
from njord.core.errors import InvariantError
from njord.risk.gate import APPROVAL_TTL_NS
from njord.system import System

ANSWERS_KEPT = 1024  # More than the sequencer ever waits for at a time.

Handlers = dict[type[Message], Handler]


class StageTables:
    """Which handlers one service calls for a message, in stage order.

    Args:
        service: Its name.
        stages: Of the whole system.
        followers: By stage that is not its own: what it lets it hear all the same. None of that may cause anything.
            By default the gate hears the market and the order manager of orders, because others read what they keep.

    Attributes:
        names: Of the service's own stages.
        asked: The messages that one of them consumes.
    """

    def __init__(
        self,
        service: str,
        stages: Mapping[str, Component],
        followers: Mapping[str, Handlers] | None = None,
    ) -> None:
        check_placed(stages)
        self.names = tuple(name for name in stages if name in STAGES[service])
        if followers is None:
            followers = {"oms": order_handlers(stages["oms"]), "gate": market_handlers(stages["gate"])}
        self._tables = [
            (name in self.names, dict(stage.handlers()) if name in self.names else followers.get(name, {}))
            for name, stage in stages.items()
        ]
        self.asked = frozenset(kind for is_own, table in self._tables if is_own for kind in table)

    def caused_by(self, message: Message) -> list[Sequence[Message]]:
        """Let the stages have a message; return what each of the own ones has caused."""
        kind = type(message)
        caused: list[Sequence[Message]] = []
        for is_own, table in self._tables:
            handle = table.get(kind)
            answer = handle(message) if handle is not None else None
            if is_own:
                caused.append(answer or ())
        return caused


def market_handlers(gate: Component) -> Handlers:
    """Return what the gate does with the market: it keeps the last prices, and causes nothing."""
    return {kind: handle for kind, handle in gate.handlers().items() if kind in MARKET}


def order_handlers(oms: Component) -> Handlers:
    """Return what the order manager does with orders: it keeps the open ones, and causes nothing."""
    return {kind: handle for kind, handle in oms.handlers().items() if kind in ORDER_LIFE}


class StageService:
    """The stages of one service, and how far they are.

    Args:
        name: Of the service.
        system: A fresh one; nothing else may drive it.
        run: What orders are sealed for.
        key: Seals orders; the risk service alone has one.

    Attributes:
        applied: The number of the last message.
    """

    def __init__(self, name: str, system: System, run: str, key: SealKey | None = None) -> None:
        if (key is not None) is not (name == RISK):
            raise InvariantError("the risk service, and no other, seals orders")
        self.name = name
        self.applied = 0
        self._run = run
        self._key = key
        self._tables = StageTables(name, system.stages)
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=ANSWERS_KEPT)

    def apply(self, seq: int, message: Message) -> bytes | None:
        """Let the stages have a message; return the answer, None if they are not asked or know it already.

        Raises:
            InvariantError: A message before it is missing.
        """
        if seq <= self.applied:
            return None
        if seq != self.applied + 1:
            raise InvariantError(f"{self.name} has applied message {self.applied}, and is given {seq}")
        caused = self._tables.caused_by(message)
        self.applied = seq
        if type(message) not in self._tables.asked:
            return None
        written = tuple(tuple(self._written(each) for each in stage) for stage in caused)
        answer = encode_reply(Answer(seq, self.name, written))
        self._kept.append((seq, answer))
        return answer

    def again(self, from_seq: int) -> list[bytes]:
        """Return the answers from a number on once more."""
        return [answer for seq, answer in self._kept if seq >= from_seq]

    def _written(self, message: Message) -> bytes | Sealed:
        if self._key is None or not isinstance(message, (OrderEvent, CancelEvent, AmendEvent)):
            return encode(message)
        return seal(
            self._key,
            encode(message),
            run_id=self._run,
            decision_seq=message.decision_seq,
            expires_ns=message.expires_ns
            if isinstance(message, OrderEvent)
            else message.ts_ns + APPROVAL_TTL_NS,
        )
