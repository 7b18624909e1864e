"""How does Binance.US change an order? By another one in its place: one request, two halves, and what came of each.

It is asked to cancel first, and to place nothing if that can not be; and to cancel only while not a lot has filled,
since nobody knows in advance how much of an order that is filling will be left.
"""

import msgspec

from njord.core.contracts import BrokerOrderReq
from njord.core.instrument import Instrument
from njord.core.types import OrderReason
from njord.venues.binance_dialect import Params, Unreadable, WireOrder, order_params, read
from njord.venues.binance_errors import Meaning, Verdict, judge
from njord.venues.binance_outbox import Outcome
from njord.venues.broker_wire import Answer

PATH = "order/cancelReplace"
_DONE, _FAILED, _NOT_TRIED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"


class WireHalves(msgspec.Struct, frozen=True, rename="camel"):
    """How each half went, and what it would have been answered alone."""

    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw = msgspec.Raw(b"null")
    new_order_response: msgspec.Raw = msgspec.Raw(b"null")


class _Failed(msgspec.Struct, frozen=True):
    data: WireHalves


class Replacement(msgspec.Struct, frozen=True):
    """What an answer says of an order that was sent, and of the one whose place it was to take.

    Attributes:
        verdict: On the new order.
        canceled: The old one, where it was canceled.
        placed: The new one, where it was placed.
        is_untried: The old one could not be canceled, so nothing was done.
    """

    verdict: Verdict
    canceled: WireOrder | None = None
    placed: WireOrder | None = None
    is_untried: bool = False


def replace_params(replaced_id: str, req: BrokerOrderReq, instrument: Instrument, type_: str) -> Params:
    """Return the parameters of POST order/cancelReplace: `req` takes the place of the order of the id."""
    return (
        *order_params(req, instrument, type_),
        ("cancelReplaceMode", "STOP_ON_FAILURE"),
        ("cancelOrigClientOrderId", replaced_id),
        ("cancelRestrictions", "ONLY_NEW"),
    )


def read_placement(outcome: Outcome) -> Replacement:
    """Return what came of an order that was placed alone."""
    verdict = judge(outcome)
    if verdict.meaning is not Meaning.DONE or not isinstance(outcome, Answer):
        return Replacement(verdict)
    try:
        return Replacement(verdict, placed=read(outcome.body, WireOrder))
    except Unreadable as error:
        return Replacement(Verdict(meaning=Meaning.UNKNOWN, evidence=str(error)))


def read_replacement(outcome: Outcome) -> Replacement:
    """Return what came of a replacement; what can not be read leaves the new order UNKNOWN."""
    verdict = judge(outcome)
    if not isinstance(outcome, Answer):
        return Replacement(verdict)
    try:
        halves = _halves(outcome, verdict)
        return Replacement(verdict) if halves is None else _read(halves, verdict)
    except Unreadable as error:
        return Replacement(Verdict(meaning=Meaning.UNKNOWN, evidence=str(error)))


# The halves stand in the answer, or, where not both were done, in an error's data; other errors did neither.
def _halves(answer: Answer, verdict: Verdict) -> WireHalves | None:
    if verdict.meaning is Meaning.DONE:
        return read(answer.body, WireHalves)
    if verdict.meaning is not Meaning.HALVES:
        return None
    return read(answer.body, _Failed).data


def _read(halves: WireHalves, verdict: Verdict) -> Replacement:
    canceled = read(halves.cancel_response, WireOrder) if halves.cancel_result == _DONE else None
    if halves.new_order_result == _DONE and verdict.meaning is Meaning.DONE:
        return Replacement(verdict, canceled, read(halves.new_order_response, WireOrder))
    if halves.new_order_result == _NOT_TRIED:
        refused = Verdict(
            meaning=Meaning.REFUSED, reason=OrderReason.VENUE_REFUSED, evidence=verdict.evidence
        )
        return Replacement(refused, canceled, is_untried=canceled is None)
    if halves.new_order_result != _FAILED:
        raise Unreadable(f"no result of a half: {halves.new_order_result[:30]!a}")
    alone = Answer(status=400, headers={}, body=bytes(halves.new_order_response))
    return Replacement(judge(alone), canceled)
