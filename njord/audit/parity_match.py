"""Which decision of a session is which decision of a backtest? Both in order in, pairs and those left alone out.

The same decision is equal in everything: strategy, instrument, side, type, quantity, prices, flags and time. It is
found first. Of what is left, two of one strategy that want the same of the same instrument are taken for one decision
that was made at another time or in another size, if they lie close together: in order, each with the nearest.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from njord.audit.parity_witness import Decision


class Pair(msgspec.Struct, frozen=True):
    """A decision as both sides made it; None where a side did not."""

    session: Decision | None
    backtest: Decision | None

    @property
    def either(self) -> Decision:
        """The session's; the backtest's where the session has none."""
        decision = self.session or self.backtest
        assert decision is not None
        return decision

    @property
    def is_both(self) -> bool:
        """Whether both made it, alike or not."""
        return self.session is not None and self.backtest is not None

    @property
    def is_same(self) -> bool:
        """Whether both made it, and made it alike."""
        session, backtest = self.session, self.backtest
        return session is not None and backtest is not None and session.all_of_it == backtest.all_of_it


def pair_up(session: Sequence[Decision], backtest: Sequence[Decision], window_ns: int) -> list[Pair]:
    """Return every decision once, in the order of time.

    Args:
        session: What the session decided, in order.
        backtest: What the backtest decided, in order.
        window_ns: How far apart two may lie that count as one.
    """
    waiting: dict[tuple[object, ...], deque[Decision]] = {}
    for decision in backtest:
        waiting.setdefault(decision.all_of_it, deque()).append(decision)
    pairs: list[Pair] = []
    left: dict[tuple[str, int, str], tuple[list[Decision], list[Decision]]] = {}
    for decision in session:
        same = waiting.get(decision.all_of_it)
        if same:
            pairs.append(Pair(decision, same.popleft()))
        else:
            left.setdefault(decision.kind, ([], []))[0].append(decision)
    for alike in waiting.values():
        for decision in alike:
            left.setdefault(decision.kind, ([], []))[1].append(decision)
    for ours, theirs in left.values():
        pairs += _nearest(ours, sorted(theirs, key=lambda decision: decision.ts_ns), window_ns)
    return sorted(pairs, key=lambda pair: pair.either.ts_ns)


# Both sides in order of time. Where the next one lies nearer, the first one stays alone.
def _nearest(ours: Sequence[Decision], theirs: Sequence[Decision], window_ns: int) -> list[Pair]:
    pairs: list[Pair] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        our_ns, their_ns = ours[i].ts_ns, theirs[j].ts_ns
        apart_ns = abs(our_ns - their_ns)
        has_nearer = _is_next_within(ours, i, their_ns, apart_ns) or _is_next_within(
            theirs, j, our_ns, apart_ns
        )
        if apart_ns <= window_ns and not has_nearer:
            pairs.append(Pair(ours[i], theirs[j]))
            i, j = i + 1, j + 1
        elif our_ns <= their_ns:
            pairs.append(Pair(ours[i], None))
            i += 1
        else:
            pairs.append(Pair(None, theirs[j]))
            j += 1
    pairs += [Pair(decision, None) for decision in ours[i:]]
    pairs += [Pair(None, decision) for decision in theirs[j:]]
    return pairs


def _is_next_within(decisions: Sequence[Decision], at: int, ts_ns: int, apart_ns: int) -> bool:
    return at + 1 < len(decisions) and abs(decisions[at + 1].ts_ns - ts_ns) < apart_ns
