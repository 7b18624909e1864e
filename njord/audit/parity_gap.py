"""Where does the difference in profit come from? Paired decisions with their fills in, exact parts that add up out.

A side's profit is the sum over its fills of signed quantity x (last mark - price), minus fees, plus funding; it is
proven to be what its account has gained. Fills of one decision are taken piece by piece, in order, as far as both sides
filled. Of such a piece each side's price is

    price = mark when decided + what the mark moved until the fill + what the fill was away from the mark

The mark is the last price known at a time. With D the session's data, B the backtest's, t and u the times of decision
and fill at the venue, p the price (index s = session, b = backtest), the difference p_s - p_b is the sum of

    data            D(u_s) - B(u_s)                            the marks of the two data differ at the same time
    decision time   B(t_s) - B(t_b)                            it was decided at another time
    latency         (B(u_s) - B(t_s)) - (B(u_b) - B(t_b))      the market moved on another way to the fill
    price           (p_s - D(u_s)) - (p_b - B(u_b))            another price at the same mark

and counts against what was bought. Where the last marks differ, what is held is worth another sum, which is data too.
Quantity that only one side filled is valued at the last mark: missed fills. So are the fills of a decision that only
one side made, unless the data differ when it was made: then they are data. Fees and funding are compared as they are.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from njord.audit.parity_match import Pair
from njord.audit.parity_witness import Decision, Execution, Witness
from njord.core.errors import InvariantError
from njord.core.units import EXACT, ZERO

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A gap in profit, session minus backtest, taken apart; in the report asset, exact."""

    data: Decimal = ZERO
    decision_time: Decimal = ZERO
    latency: Decimal = ZERO
    price: Decimal = ZERO
    missed_fills: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The sum of all parts."""
        total = ZERO
        for name in self.__struct_fields__:
            total = _add(total, getattr(self, name))
        return total

    def plus(self, other: "Parts") -> "Parts":
        """Return the sums, part by part."""
        return Parts(
            **{name: _add(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__}
        )


class Share(msgspec.Struct, frozen=True):
    """What one decision has contributed to the gap."""

    pair: Pair
    parts: Parts


class Sides(NamedTuple):
    """Both sides, and whether they saw the same data."""

    session: Witness
    backtest: Witness
    has_same_data: bool


def shares(pairs: Sequence[Pair], sides: Sides) -> list[Share]:
    """Return what each decision contributes, those that contribute nothing left out; funding is no decision's.

    Raises:
        InvariantError: A side's fills do not add up to its account's profit.
    """
    for witness in sides[:2]:
        _prove(witness)
    found = [Share(pair, _of_pair(pair, sides)) for pair in pairs]
    return [share for share in found if any(msgspec.structs.astuple(share.parts))]


def gap(every: Sequence[Share], sides: Sides) -> Parts:
    """Return the whole gap, taken apart.

    Raises:
        InvariantError: The parts do not add up to the difference of the accounts' profits.
    """
    parts = Parts(funding=_subtract(_funding(sides.session), _funding(sides.backtest)))
    for share in every:
        parts = parts.plus(share.parts)
    between = _subtract(sides.session.profit, sides.backtest.profit)
    if parts.total != between:
        raise InvariantError(f"the accounts' profits differ by {between}, the parts add up to {parts.total}")
    return parts


# Two independent ways to one profit: the account that the engine kept, and the sum over its fills.
def _prove(witness: Witness) -> None:
    total = _funding(witness)
    for decision in witness.decisions:
        index = decision.instrument
        for fill in witness.fills.get(decision.intent_id, ()):
            gained = witness.instruments[index].notional(witness.marks[index] - fill.price_ticks, fill.lots)
            total = _add(total, _subtract(gained, _fee(witness, index, fill)))
    if total != witness.profit:
        raise InvariantError(f"an account has gained {witness.profit}, its fills add up to {total}")


def _funding(witness: Witness) -> Decimal:
    total = ZERO
    for event in witness.funding:
        total = _add(total, event.amount)
    return total


# A fee in kind is worth what that much of the asset is worth in the end: until then it is missing.
def _fee(witness: Witness, index: int, fill: Execution) -> Decimal:
    if not fill.fee_qty:
        return fill.fee
    return _multiply(fill.fee_qty, witness.instruments[index].price(witness.marks[index]))


def _fees(witness: Witness, index: int, fills: Sequence[Execution]) -> Decimal:
    total = ZERO
    for fill in fills:
        total = _add(total, _fee(witness, index, fill))
    return total


# Sums of ticks x lots: whole numbers, turned into money once.
class _Units(msgspec.Struct):
    data: int = 0
    decision_time: int = 0
    latency: int = 0
    price: int = 0
    missed_fills: int = 0


def _of_pair(pair: Pair, sides: Sides) -> Parts:
    ours, theirs = _fills(sides.session, pair.session), _fills(sides.backtest, pair.backtest)
    if pair.is_same and ours == theirs and sides.has_same_data:
        return Parts()
    index, units = pair.either.instrument, _Units()
    for lots, fill, other in pieces(ours, theirs):
        if fill is None or other is None:
            units.missed_fills += _missed(sides, index, lots, fill, other)
        elif pair.session is not None and pair.backtest is not None:
            _compare(units, sides, index, lots, (pair.session, fill), (pair.backtest, other))
    if (pair.session is None or pair.backtest is None) and _data_differ(sides, pair.either):
        units.data, units.missed_fills = units.missed_fills, 0
    worth = sides.session.instruments[index].notional
    return Parts(
        fees=_subtract(_fees(sides.backtest, index, theirs), _fees(sides.session, index, ours)),
        **{name: worth(getattr(units, name), 1) for name in units.__struct_fields__},
    )


def _fills(witness: Witness, decision: Decision | None) -> list[Execution]:
    return [] if decision is None else witness.fills.get(decision.intent_id, [])


def pieces(
    ours: Sequence[Execution], theirs: Sequence[Execution]
) -> Iterator[tuple[int, Execution | None, Execution | None]]:
    """Yield the fills of one decision piece by piece, in order: signed lots, and the fill of each side that has one."""
    i = j = 0
    rest, other_rest = (fills[0].lots if fills else 0 for fills in (ours, theirs))
    while rest and other_rest:
        lots = min(rest, other_rest, key=abs)
        yield lots, ours[i], theirs[j]
        rest, other_rest = rest - lots, other_rest - lots
        if not rest:
            i += 1
            rest = ours[i].lots if i < len(ours) else 0
        if not other_rest:
            j += 1
            other_rest = theirs[j].lots if j < len(theirs) else 0
    while rest:
        yield rest, ours[i], None
        i += 1
        rest = ours[i].lots if i < len(ours) else 0
    while other_rest:
        yield other_rest, None, theirs[j]
        j += 1
        other_rest = theirs[j].lots if j < len(theirs) else 0


def _missed(sides: Sides, index: int, lots: int, fill: Execution | None, other: Execution | None) -> int:
    if fill is not None:
        return lots * (sides.session.marks[index] - fill.price_ticks)
    if other is not None:
        return -lots * (sides.backtest.marks[index] - other.price_ticks)
    return 0


# The table of the module's docstring.
def _compare(
    units: _Units,
    sides: Sides,
    index: int,
    lots: int,
    ours: tuple[Decision, Execution],
    theirs: tuple[Decision, Execution],
) -> None:
    session, backtest = sides.session.prices[index].at, sides.backtest.prices[index].at
    decided, other_decided = backtest(ours[0].ts_ns), backtest(theirs[0].ts_ns)
    filled_ns, other_filled_ns = ours[1].ts_venue_ns, theirs[1].ts_venue_ns
    mark, other_mark = session(filled_ns), backtest(other_filled_ns)
    mark_there = backtest(filled_ns)  # The backtest's data at the session's time.
    at_end = sides.session.marks[index] - sides.backtest.marks[index]
    units.data += lots * (at_end - (mark - mark_there))
    units.decision_time -= lots * (decided - other_decided)
    units.latency -= lots * ((mark_there - decided) - (other_mark - other_decided))
    units.price -= lots * ((ours[1].price_ticks - mark) - (theirs[1].price_ticks - other_mark))


def _data_differ(sides: Sides, decision: Decision) -> bool:
    index, ts_ns = decision.instrument, decision.ts_ns
    session, backtest = sides.session.prices[index], sides.backtest.prices[index]
    return session.at(ts_ns) != backtest.at(ts_ns)
