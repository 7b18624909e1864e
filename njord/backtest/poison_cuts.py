"""Where is the future cut off? A market and a number of cuts in; moments at and between its events out, by a seed."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from njord.backtest.market import Market

_MOST_SHARE = 0.2  # Of the events: how deep a cut of the everyday check lies at most.
# Of the events: how many the everyday check may replay in all. An event costs more there than in the run, and every fill is
# held against its data besides: this keeps the whole below a quarter of the run's own time, and the same run, counted
# in events, always makes the same cuts.
_BUDGET_SHARE = 1 / 7


class Cut(msgspec.Struct, frozen=True):
    """One moment; `n_events` lie before it or at it. `number` tells its noise from that of the others."""

    number: int
    n_events: int
    ts_ns: int
    is_short: bool


def whole_run(market: Market, n_cuts: int, seed: int, warm_up: int) -> list[Cut]:
    """Return `n_cuts` cuts anywhere after the warm-up's events, where the data are long enough; earlier ones first."""
    first = min(warm_up, market.n_events - 1)
    random = np.random.default_rng([seed, market.n_events])
    positions = [int(random.integers(first, market.n_events)) + 1 for _ in range(n_cuts)]
    return _located(market, positions, seed, lambda number: number % 2 == 1)


def everyday(market: Market, n_cuts: int, seed: int, warm_up: int) -> list[Cut]:
    """Return at most `n_cuts` cuts within the first fifth of the events, which replay a seventh of them in all at most.

    The depth of each is drawn from what is left of that; none lies within the warm-up, where nothing is decided.
    """
    most, left = int(market.n_events * _MOST_SHARE), int(market.n_events * _BUDGET_SHARE)
    random = np.random.default_rng([seed, market.n_events])
    positions: list[int] = []
    n_fitting = min(n_cuts, left // (warm_up + 1)) if most > warm_up else 0
    for n_after in reversed(range(n_fitting)):
        room = left - n_after * (warm_up + 1)  # For this one, so that the shallowest of those to come fit.
        deepest = max(min(most, room, 2 * left // (n_after + 1)), warm_up + 1)
        positions.append(int(random.integers(warm_up, deepest)) + 1)
        left -= positions[-1]
    return _located(market, positions, seed, lambda number: True)


# Every second cut lies between two events: inside a bar, where timers fire.
def _located(
    market: Market, positions: Sequence[int], seed: int, is_short: Callable[[int], bool]
) -> list[Cut]:
    random = np.random.default_rng([seed, market.n_events, 1])
    shares = random.random(len(positions))
    wanted = sorted(set(positions))
    times = _times(market, [each for position in wanted for each in (position - 1, position)])
    cuts = []
    for number, position in enumerate(wanted):
        ts_ns = times[position - 1]
        if number % 2 and position in times:
            ts_ns += int((times[position] - ts_ns) * shares[number])
        cuts.append(Cut(number=number, n_events=position, ts_ns=ts_ns, is_short=is_short(number)))
    return cuts


# When the events of these numbers became known; a number beyond the last has no time.
def _times(market: Market, numbers: Sequence[int]) -> dict[int, int]:
    times: dict[int, int] = {}
    wanted = sorted(set(numbers))
    n_before = at = 0
    for block in market.blocks():
        n_here = len(block.messages)
        while at < len(wanted) and wanted[at] < n_before + n_here:
            times[wanted[at]] = block.messages[wanted[at] - n_before].ts_ns
            at += 1
        n_before += n_here
        if at == len(wanted):
            break
    return times
