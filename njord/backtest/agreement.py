"""Do two runs of one strategy want the same? What each proposed comes in; the first moment at which they differ, out.

Compared is what is wanted, not how it was said: a target counts until the next one, so that repeating it is no
difference; orders, amendments and cancels count one by one. Each symbol is compared from the moment at which both runs
have spoken of it. Sizes may differ a little: they follow from the equity that the run has by then.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import msgspec

from njord.backtest.listening import Heard, spoken
from njord.core.contracts import AmendIntent, CancelIntent, OrderIntent, Proposal, Target

_WEIGHT_TOLERANCE = 1e-6  # A memory that fades, such as an exponential average's, never ends quite.
_SIZE_TOLERANCE = 0.05
_NOTHING = "nothing"
_Wish = tuple[object, ...]


class Disagreement(msgspec.Struct, frozen=True):
    """What each of two runs wanted at one moment, as text."""

    ts_ns: int
    first: str
    second: str


def first_disagreement(
    first: Sequence[Heard], second: Sequence[Heard], start_ns: int
) -> tuple[int, Disagreement | None]:
    """Return how many decisions agree before the first that does not, and that one; None if all agree.

    Args:
        first: What one run proposed from `start_ns` on, in order.
        second: The other.
        start_ns: From when on both could speak.
    """
    n_same = 0
    found: Disagreement | None = None
    for symbol in dict.fromkeys(each.symbol for each in first):
        mine, other = spoken(first, symbol), spoken(second, symbol)
        if not mine or not other:
            continue
        since_ns = max(start_ns, mine[0].ts_ns, other[0].ts_ns)
        for ts_ns, one, two in _side_by_side(mine, other, since_ns):
            if not _agree(one, two):
                if found is None or ts_ns < found.ts_ns:
                    found = Disagreement(ts_ns, _said(one), _said(two))
                break
            n_same += 1
    return n_same, found


# Moment and what both want: the target in force whenever either speaks of one, else what was proposed just then.
def _side_by_side(
    first: Sequence[Heard], second: Sequence[Heard], since_ns: int
) -> Iterator[tuple[int, Proposal | None, Proposal | None]]:
    held: list[Proposal | None] = [None, None]
    at: dict[int, tuple[list[Proposal], list[Proposal]]] = {}
    for which, run in enumerate((first, second)):
        for each in run:
            at.setdefault(each.ts_ns, ([], []))[which].append(each.proposal)
    for ts_ns in sorted(at):
        spoke = False
        for which, proposals in enumerate(at[ts_ns]):
            for proposal in proposals:
                if isinstance(proposal, Target):
                    held[which], spoke = proposal, True
        if ts_ns < since_ns:
            continue
        if spoke:
            yield ts_ns, held[0], held[1]
        ones, twos = ([each for each in said if not isinstance(each, Target)] for said in at[ts_ns])
        for one, two in zip_longest(ones, twos):
            yield ts_ns, one, two


def _agree(one: Proposal | None, two: Proposal | None) -> bool:
    if isinstance(one, Target) and isinstance(two, Target):
        return _near(one.weight, two.weight, _WEIGHT_TOLERANCE) and _near(one.qty, two.qty, _SIZE_TOLERANCE)
    if isinstance(one, OrderIntent) and isinstance(two, OrderIntent):
        return _terms(one) == _terms(two) and _near(one.qty_lots, two.qty_lots, _SIZE_TOLERANCE)
    if isinstance(one, AmendIntent) and isinstance(two, AmendIntent):
        prices = [(each.limit_price_ticks, each.trigger_price_ticks) for each in (one, two)]
        return prices[0] == prices[1] and _near(one.qty_lots, two.qty_lots, _SIZE_TOLERANCE)
    return isinstance(one, CancelIntent) and isinstance(
        two, CancelIntent
    )  # Ids count orders, and so the history.


def _terms(intent: OrderIntent) -> _Wish:
    return (
        intent.side,
        intent.type,
        intent.tif,
        intent.limit_price_ticks,
        intent.trigger_price_ticks,
        intent.trail_ticks,
        intent.reduce_only,
        intent.post_only,
    )


def _near(one: object, two: object, tolerance: float) -> bool:
    if one is None or two is None:
        return one is two
    return math.isclose(float(str(one)), float(str(two)), rel_tol=tolerance, abs_tol=1e-12)


def _said(proposal: Proposal | None) -> str:
    if proposal is None:
        return _NOTHING
    given = msgspec.structs.asdict(proposal)
    shown = {
        field.name: given[field.name]
        for field in msgspec.structs.fields(proposal)
        if field.name not in ("schema", "features") and given[field.name] != field.default
    }
    text = ", ".join(f"{name}={value}" for name, value in shown.items())
    features = ", ".join(f"{name} {value:.10g}" for name, value in given.get("features", ()))
    return f"{type(proposal).__name__}({text})" + (f" on {features}" if features else "")
