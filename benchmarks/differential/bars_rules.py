"""By which rules do njord and backtesting.py differ on bars, and did both sides do exactly what theirs says?

Only linked exits can differ, a stop and a take-profit of which the first cancels the other: a bar does not say in which
order it saw its prices. Each side's rule is written out here a second time: njord's from docs/simulator-assumptions.md, that
of backtesting.py from the source of its version 0.6.6.
"""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.differential.plan import EPISODE, EXIT_UNTIL, WARM_UP, Enter, Leave, Plan, PlanBar, episode_of

OPEN_FIRST = (
    "the open was beyond the take-profit: ours fills there, theirs takes the stop that the bar reached later"
)
STOP_AT_ONCE = (
    "the stop that came with an entry inside the bar must have been reached after it: ours fills in that bar"
)
TARGET_AT_ONCE = (
    "a stop entry's take-profit was inside its bar: theirs fills in that bar, ours from the next one on"
)
ENTERED_AT_OPEN = (
    "a gap filled a limit or stop entry at the open: ours lets its exits act in that bar, theirs does not"
)


class Market(NamedTuple):
    """The bars of one file in whole ticks."""

    symbol: str
    tick: str
    ts_close_ns: list[int]
    bars: list[PlanBar]
    may_short: bool


class Trade(NamedTuple):
    """One unit in and out; bars by number from 0, prices in ticks, -1 and 0 while it is open."""

    entry_bar: int
    exit_bar: int
    sign: int
    entry_price: int
    exit_price: int


class Exits(NamedTuple):
    """Two linked exits: the position's direction, both prices, and the bar from which they work."""

    sign: int
    limit: int
    stop: int
    entry_kind: str  # Of the order that they came with; empty if they were sent once it had filled.
    first_bar: int


def linked_exits(market: Market, trades: Sequence[Trade]) -> dict[int, Exits]:
    """Return the linked exits that the plan sends, by episode, if it trades as `trades` say."""
    held: dict[int, int] = {}
    entered = {trade.entry_bar: trade for trade in trades}
    for trade in trades:
        until = trade.exit_bar if trade.exit_bar >= 0 else len(market.bars)
        held |= dict.fromkeys(range(trade.entry_bar, until), trade.sign)
    plan = Plan(market.may_short)
    found: dict[int, Exits] = {}
    brackets: dict[int, Enter] = {}
    for number, bar in enumerate(market.bars):
        for action in plan.on_bar(bar, held.get(number, 0)):
            episode = episode_of(number)
            if isinstance(action, Enter) and action.stop:
                brackets[episode] = action
            elif isinstance(action, Leave) and action.kind == "either":
                found[episode] = Exits(-action.sign, action.limit, action.stop, "", number + 1)
        if number in entered and (enter := brackets.get(episode_of(number))) is not None:
            found[episode_of(number)] = Exits(enter.sign, enter.limit, enter.stop, enter.kind, number)
    return found


def acts(bar: PlanBar, exits: Exits, open_first: bool) -> int:
    """Return at which price one of two exits fills in a bar that they meet from its open on; 0 = none does.

    The stop counts first; with `open_first` not before what the open itself decides.
    """
    sign = exits.sign
    worst, best = (bar.low, bar.high) if sign > 0 else (bar.high, bar.low)
    if open_first and sign * (bar.open - exits.limit) >= 0:
        return bar.open
    if sign * (worst - exits.stop) <= 0:
        return sign * min(sign * bar.open, sign * exits.stop)
    if sign * (best - exits.limit) >= 0:
        return sign * max(sign * bar.open, sign * exits.limit)
    return 0


def left_ours(market: Market, exits: Exits, entry_price: int, last: int) -> tuple[int, int]:
    """Return the bar and price of the exit by njord's rules; after bar `last` the plan closes at market."""
    first, sign = exits.first_bar, exits.sign
    if exits.entry_kind not in ("", "market") and entry_price != market.bars[first].open:
        bar = market.bars[first]
        # Behind a limit entry the stop lies further on; behind a stop entry it lies back, and only the close is later.
        reached = bar.close if exits.entry_kind == "stop" else bar.low if sign > 0 else bar.high
        if sign * (reached - exits.stop) <= 0:
            return first, exits.stop
        first += 1
    return _first_exit(market, exits, first, last, open_first=True)


def left_theirs(market: Market, exits: Exits, last: int) -> tuple[int, int]:
    """Return the bar and price of the exit by the rules of backtesting.py (`_Broker._process_orders`)."""
    first, bar = exits.first_bar, market.bars[exits.first_bar]
    worst, best = (bar.low, bar.high) if exits.sign > 0 else (bar.high, bar.low)
    only_target = exits.sign * (best - exits.limit) >= 0 and exits.sign * (worst - exits.stop) > 0
    if exits.entry_kind == "limit" or (exits.entry_kind == "stop" and not only_target):
        first += 1
    return _first_exit(market, exits, first, last, open_first=False)


def _first_exit(market: Market, exits: Exits, first: int, last: int, *, open_first: bool) -> tuple[int, int]:
    for number in range(first, last + 1):
        if price := acts(market.bars[number], exits, open_first):
            return number, price
    return last + 2, market.bars[last + 2].open


def explain(market: Market, exits: Exits | None, ours: Trade, theirs: Trade) -> str:
    """Return the rule by which the exits of one entry differ, if both sides did what theirs says; else nothing."""
    if exits is None or ours[0] != theirs[0] or ours[2:4] != theirs[2:4]:
        return ""
    last = WARM_UP + episode_of(ours.entry_bar) * EPISODE + EXIT_UNTIL
    did = ((ours.exit_bar, ours.exit_price), (theirs.exit_bar, theirs.exit_price))
    if did != (left_ours(market, exits, ours.entry_price, last), left_theirs(market, exits, last)):
        return ""
    if ours.exit_bar == theirs.exit_bar:
        return OPEN_FIRST
    if theirs.exit_bar == ours.entry_bar:
        return TARGET_AT_ONCE
    return ENTERED_AT_OPEN if ours.entry_price == market.bars[ours.entry_bar].open else STOP_AT_ONCE
