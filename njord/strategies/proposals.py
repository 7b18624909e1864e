"""What is an answer of a strategy worth? What a callback returned comes in; checked proposals with true ids go out.

A proposal becomes what the journal will give back: `side="buy"` is Side.BUY, a list a tuple, and what no message can
say is an error of the strategy that said it. Orders of one list refer to each other by names of their own; here these
become ids.
"""

from collections.abc import Iterable
from decimal import Decimal
from math import isfinite

from njord.core.codec import decode, encode
from njord.core.contracts import AmendIntent, CancelIntent, OrderIntent, Target, TimerSet

CheckedProposal = Target | OrderIntent | CancelIntent | AmendIntent | TimerSet
_KINDS = (Target, OrderIntent, CancelIntent, AmendIntent, TimerSet)


def checked(proposal: object, ts_ns: int) -> CheckedProposal:
    """Return the proposal as the journal will give it back.

    Raises:
        Exception: It is none, or no message can say it; the text tells why.
    """
    if type(proposal) is Target and is_plain(proposal):
        return proposal
    if not isinstance(proposal, _KINDS):
        raise TypeError(
            "a callback returns Target, OrderIntent, CancelIntent, AmendIntent or TimerSet, or a list of them, "
            f"was {type(proposal).__name__}"
        )
    if isinstance(proposal, Target):
        for name in ("weight", "qty"):
            size = getattr(proposal, name)
            if size is not None and not isfinite(size):
                raise ValueError(f"{name} of a Target must be finite, was {size}")
    plain = decode(encode(proposal))
    assert isinstance(plain, _KINDS)
    if isinstance(plain, TimerSet) and plain.due_ns <= ts_ns:
        raise ValueError(f"a timer must be due after now ({ts_ns}), was due at {plain.due_ns}")
    return plain


def is_plain(target: Target) -> bool:
    """Say whether a target is of exactly the declared types, as most are: it needs no trip through the codec."""
    weight, qty = target.weight, target.qty
    features: tuple[object, ...] = target.features
    if not (
        (weight is None or (type(weight) is float and isfinite(weight)))
        and (qty is None or (type(qty) is Decimal and qty.is_finite()))
        and type(target.reason) is str
        and target.reason.isascii()
        and type(features) is tuple
    ):
        return False
    for pair in features:
        if type(pair) is not tuple or len(pair) != 2:
            return False
        name, value = pair
        if type(name) is not str or type(value) is not float or not name.isascii() or not isfinite(value):
            return False
    return True


def check_names(proposals: Iterable[CheckedProposal]) -> None:
    """Check the names by which the orders of one list refer to each other.

    Raises:
        ValueError: Two orders have one name, or one waits for a name that no order before it in the list has.
    """
    names: set[str] = set()
    for intent in proposals:
        if not isinstance(intent, OrderIntent):
            continue
        if intent.after_intent_id and intent.after_intent_id not in names:
            known = ", ".join(sorted(names)) or "none"
            raise ValueError(
                f"after_intent_id {intent.after_intent_id!r} must be the intent_id of an order before it in the "
                f"same list; named so far: {known}"
            )
        if intent.intent_id and intent.intent_id in names:
            raise ValueError(
                f"two orders of one list are called {intent.intent_id!r}; give each an intent_id of its own"
            )
        if intent.intent_id:
            names.add(intent.intent_id)


class Names:
    """From the names of one list to ids."""

    def __init__(self) -> None:
        self._intents: dict[str, str] = {}
        self._groups: dict[str, str] = {}

    def ids_of(self, intent: OrderIntent, intent_id: str) -> dict[str, str]:
        """Return the id fields of an intent that is to be called `intent_id`; a group is called by its first member."""
        if intent.intent_id:
            self._intents[intent.intent_id] = intent_id
        after, group = intent.after_intent_id, intent.group_id
        return {
            "intent_id": intent_id,
            "after_intent_id": self._intents[after] if after else "",
            "group_id": self._groups.setdefault(group, intent_id) if group else "",
        }
