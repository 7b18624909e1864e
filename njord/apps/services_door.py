"""May a service's answer into the engine's order? Encoded answers in; messages out, or why they are refused.

An answer holds only what its stages can cause. An approved order is taken from the gate alone and only out of a sealed
envelope, once. Whatever else somebody writes into the stream of answers is no answer.
"""

from njord.adapters.seal import Sealed, SealKey, SealRefused, open_seal
from njord.apps.services_words import CAUSES, ORDERS, Answer
from njord.core.codec import decode
from njord.core.contracts import Message
from njord.core.errors import CodecError, NjordError


class AnswerRefused(NjordError):
    """An answer does not come from our service; `reason` is one word."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Door:
    """Opens answers, in the order of the messages that they answer.

    Args:
        key: What orders are sealed with.
        run: What they are sealed for.
    """

    def __init__(self, key: SealKey, run: str) -> None:
        self._key = key
        self._run = run
        self._last_decision_seq = 0

    def open(self, answer: Answer, stages: tuple[str, ...], now_ns: int) -> list[list[Message]]:
        """Return what each of the `stages` has caused.

        Raises:
            AnswerRefused: It is not what they can cause, or an order's seal does not open. Nothing has happened then.
        """
        if len(answer.stages) != len(stages):
            raise AnswerRefused(
                "malformed", f"{len(answer.stages)} stages, {answer.service} has {len(stages)}"
            )
        last = self._last_decision_seq
        caused: list[list[Message]] = []
        for stage, written in zip(stages, answer.stages, strict=True):
            messages = []
            for each in written:
                if isinstance(each, Sealed):
                    messages.append(self._order(stage, each, now_ns, last))
                    last = each.decision_seq
                else:
                    messages.append(_plain(stage, each))
            caused.append(messages)
        self._last_decision_seq = last
        return caused

    def _order(self, stage: str, sealed: Sealed, now_ns: int, last_decision_seq: int) -> Message:
        if stage != "gate":
            raise AnswerRefused("not_the_gate", f"{stage} sends an order")
        try:
            payload = open_seal(
                self._key, sealed, now_ns=now_ns, run_id=self._run, last_decision_seq=last_decision_seq
            )
        except SealRefused as refused:
            raise AnswerRefused(refused.reason.value, str(refused)) from None
        message = _decoded(payload)
        if type(message) not in ORDERS:
            raise AnswerRefused("malformed", f"a {type(message).__name__} is sealed")
        return message


def _plain(stage: str, written: bytes) -> Message:
    message = _decoded(written)
    kind = type(message)
    if kind in ORDERS:
        raise AnswerRefused("unsealed", f"{kind.__name__} without a seal from {stage}")
    if kind not in CAUSES[stage]:
        raise AnswerRefused("malformed", f"{kind.__name__} from {stage}")
    return message


def _decoded(written: bytes) -> Message:
    try:
        return decode(written)
    except CodecError as error:
        raise AnswerRefused("malformed", f"{error}"[:200]) from None
