"""Which order is meant? A journal comes in and what someone typed; the subject of a story, or the nearest ids, go out.

Client order ids, intent ids and venue trade ids are taken as they are or by a prefix that only one has; the report's
number of an order as `order 7`; `last` is the last order. The journal's own lines are read, nothing is run again.
"""

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from njord.core.codec import decode
from njord.core.contracts import (
    VENUE,
    AmendIntent,
    CancelIntent,
    FillEvent,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
)
from njord.core.errors import ConfigError
from njord.storage.journal_reader import read_blocks

_ORDER_NO = re.compile(r"(?:order\s*|#)([0-9]{1,18})")
_FILL = re.compile(r"(?:fill|trade)\s*(\S+)")
_NUMBER = re.compile(r"[0-9]{1,18}")
_NEAREST_MAX = 3
_COMPARED_MAX = 10_000  # Ids that are compared letter by letter; of more the neighbors by name are nearest.
_SHOWN_MAX = 4


class Kind(StrEnum):
    """What a story is about."""

    ORDER = "order"
    REFUSAL = "refusal"
    CANCEL = "cancel"  # Or an amendment: of an order that nobody knows.
    LIQUIDATION = "liquidation"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose story is asked for, and where in the journal it stands.

    Attributes:
        first_seq: Of the intent, or of the liquidation's fill.
        last_seq: Of the last message about it.
        group_id: Of the orders it is linked to; empty if it stands alone.
        after_client_order_id: The entry that it waited for.
    """

    kind: Kind
    strategy_id: str
    instrument: int
    first_seq: int
    last_seq: int
    intent_id: str = ""
    client_order_id: str = ""
    order_no: int = 0
    group_id: str = ""
    after_client_order_id: str = ""


class Found(msgspec.Struct, frozen=True):
    """A subject, and what of it was asked for where that is not the order itself: `the fill 12 of it`."""

    subject: Subject
    asked_for: str = ""


class _Wish(msgspec.Struct):
    seq: int
    strategy_id: str
    instrument: int
    client_order_id: str = ""  # Of what is to be canceled or amended.
    what: str = ""
    last_seq: int = 0


class _Order(msgspec.Struct):
    event: OrderEvent
    order_no: int
    last_seq: int


class JournalIndex:
    """Every intent, order and trade of a journal by its ids.

    Args:
        journal: Its folder.

    Raises:
        JournalError: There is none.
        JournalCorrupt: A closed block does not match its hash.
    """

    def __init__(self, journal: Path) -> None:
        self._wishes: dict[str, _Wish] = {}
        self._orders: dict[str, _Order] = {}
        self._sent: dict[str, str] = {}  # Intent id -> client order id.
        self._trades: dict[
            str, list[tuple[str, int]]
        ] = {}  # Trade id -> client order id or "", where it stands.
        self._liquidations: dict[int, tuple[int, FillEvent]] = {}  # By seq: order number, fill.
        self._by_number: dict[
            int, tuple[str, int]
        ] = {}  # Client order id, or "" and where the liquidation stands.
        self.last_seq = 0
        for block in read_blocks(journal):
            for line in block.lines:
                self._note(line.seq, line.message)
            self.last_seq = max(self.last_seq, block.last)

    def _note(self, seq: int, text: bytes) -> None:
        message = decode(text)
        if isinstance(message, OrderIntent):
            self._wishes[message.intent_id] = _Wish(seq, message.strategy_id, message.instrument)
        elif isinstance(message, (CancelIntent, AmendIntent)):
            what = "cancel" if isinstance(message, CancelIntent) else "amendment"
            wish = _Wish(seq, message.strategy_id, message.instrument, message.client_order_id, what)
            self._wishes[message.intent_id] = wish
        elif isinstance(message, RiskDecision):
            if message.intent_id in self._wishes:
                self._wishes[message.intent_id].last_seq = seq
        elif isinstance(message, OrderEvent):
            number = len(self._by_number) + 1
            self._orders[message.client_order_id] = _Order(message, number, seq)
            self._by_number[number] = (message.client_order_id, seq)
            self._sent[message.intent_id] = message.client_order_id
        elif isinstance(message, OrderUpdate):
            self._touch(message.client_order_id, seq)
        elif isinstance(message, FillEvent):
            self._fill(seq, message)

    def _fill(self, seq: int, fill: FillEvent) -> None:
        if fill.strategy_id == VENUE:
            number = len(self._by_number) + 1
            self._liquidations[seq] = (number, fill)
            self._by_number[number] = ("", seq)
            self._trades.setdefault(fill.venue_trade_id, []).append(("", seq))
            return
        self._touch(fill.client_order_id, seq)
        self._trades.setdefault(fill.venue_trade_id, []).append((fill.client_order_id, seq))

    def _touch(self, client_order_id: str, seq: int) -> None:
        order = self._orders.get(client_order_id)
        if order is not None:
            order.last_seq = seq

    # --- asking ---

    def find(self, wanted: str) -> Found:
        """Return what `wanted` names.

        Raises:
            ConfigError: Nothing, or several; the nearest are named.
        """
        text = wanted.strip()
        found = list(self._candidates(text)) or list(self._by_prefix(text))
        subjects = {(each.subject.first_seq, each.subject.kind): each for each in found}
        if len(subjects) == 1:
            return found[0]
        if not subjects:
            near = self._nearest(text)
            raise ConfigError(
                f"nothing in this run is called {wanted!r}",
                f"the nearest: {', '.join(near)}" if near else "it has no order and no intent",
            )
        names = [_said(each) for each in subjects.values()]
        more = f" and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else ""
        raise ConfigError(
            f"{wanted!r} can be {' or '.join(names[:_SHOWN_MAX])}{more}", "say more of its id, or `order N`"
        )

    def _candidates(self, text: str) -> Iterator[Found]:
        if text == "last":
            if self._by_number:
                yield self._numbered(len(self._by_number))
            elif self._wishes:
                yield from self._of_wish(next(reversed(self._wishes)))
            return
        numbered = _ORDER_NO.fullmatch(text)
        if numbered is not None:
            if int(numbered[1]) in self._by_number:
                yield self._numbered(int(numbered[1]))
            return
        fill = _FILL.fullmatch(text)
        if fill is not None:
            yield from self._of_trade(fill[1])
        if text in self._orders:
            yield Found(self._of_order(text))
        yield from self._of_wish(text)
        yield from self._of_trade(text)
        if _NUMBER.fullmatch(text) and int(text) in self._by_number:
            yield self._numbered(int(text))

    def _numbered(self, number: int) -> Found:
        client_order_id, seq = self._by_number[number]
        return Found(self._of_order(client_order_id) if client_order_id else self._liquidation(seq))

    def _of_trade(self, trade_id: str) -> Iterator[Found]:
        for client_order_id, seq in self._trades.get(trade_id, ()):
            if not client_order_id:
                yield Found(self._liquidation(seq))
            elif client_order_id in self._orders:
                yield Found(self._of_order(client_order_id), f"the fill {trade_id} of it")

    def _of_wish(self, intent_id: str) -> Iterator[Found]:
        wish = self._wishes.get(intent_id)
        if wish is None:
            return
        if wish.what and wish.client_order_id in self._orders:
            yield Found(self._of_order(wish.client_order_id), f"the {wish.what} {intent_id} of it")
            return
        if intent_id in self._sent:
            yield Found(self._of_order(self._sent[intent_id]))
            return
        yield Found(
            Subject(
                kind=Kind.CANCEL if wish.what else Kind.REFUSAL,
                strategy_id=wish.strategy_id,
                instrument=wish.instrument,
                first_seq=wish.seq,
                last_seq=max(wish.seq, wish.last_seq),
                intent_id=intent_id,
                client_order_id=wish.client_order_id,
            )
        )

    def _by_prefix(self, text: str) -> Iterator[Found]:
        if not text:
            return
        for client_order_id in self._orders:
            if client_order_id.startswith(text):
                yield Found(self._of_order(client_order_id))
        for intent_id in self._wishes:
            if intent_id.startswith(text):
                yield from self._of_wish(intent_id)

    def _of_order(self, client_order_id: str) -> Subject:
        order = self._orders[client_order_id]
        event = order.event
        wish = self._wishes.get(event.intent_id)
        return Subject(
            kind=Kind.ORDER,
            strategy_id=event.strategy_id,
            instrument=event.instrument,
            first_seq=wish.seq if wish is not None else order.last_seq,
            last_seq=order.last_seq,
            intent_id=event.intent_id,
            client_order_id=client_order_id,
            order_no=order.order_no,
            group_id=event.group_id,
            after_client_order_id=event.after_client_order_id,
        )

    def _liquidation(self, seq: int) -> Subject:
        number, fill = self._liquidations[seq]
        return Subject(
            kind=Kind.LIQUIDATION,
            strategy_id=VENUE,
            instrument=fill.instrument,
            first_seq=seq,
            last_seq=seq,
            client_order_id=fill.client_order_id,
            order_no=number,
        )

    def _nearest(self, text: str) -> list[str]:
        if _ORDER_NO.fullmatch(text):
            return [f"order {len(self._by_number)}"] if self._by_number else []
        known = [*self._orders, *self._wishes, *self._trades]
        if len(known) <= _COMPARED_MAX:
            return difflib.get_close_matches(text, known, n=_NEAREST_MAX, cutoff=0.0)
        known.sort()
        first = max(0, min(bisect_left(known, text) - 1, len(known) - _NEAREST_MAX))
        return known[first : first + _NEAREST_MAX]


def _said(found: Found) -> str:
    subject = found.subject
    name = subject.intent_id or f"order {subject.order_no}"
    return f"{name} ({found.asked_for.removesuffix(' of it')})" if found.asked_for else name
