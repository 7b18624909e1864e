"""Is the declared warm-up long enough? A run in; whether its decisions depend on how much history came before, out.

Each strategy is run alone from three starts, so that one, two and five times its warm-up precede the moment S, before
which its proposals are refused as WARM_UP. From S on all three must want the same. A strategy that speaks only when it
changes its mind has said nothing yet at S: it is held to its word from the first moment at which all three have spoken.
"""

import math
from collections.abc import Iterator, Sequence

import msgspec

from njord.backtest.agreement import first_disagreement
from njord.backtest.listening import Heard, listening, silent
from njord.backtest.market import Market
from njord.backtest.market_slice import MarketSlice
from njord.backtest.rerun import strategies_of, with_classes
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.utc import at
from njord.core.contracts import Bar, Message
from njord.strategies.base import Strategy

MULTIPLES = (1, 2, 5)
LENGTHS_WITHOUT = (1, 50, 250)  # Bars of history where no warm-up is declared: then none may matter.
BARS_AFTER = (300, 100)  # After S: as many as wanted, and as few as still say something.
EVERYDAY_SHARE = 0.25  # Of the events, that the check within a backtest may replay.


class StrategyWarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's verdict.

    Attributes:
        strategy_id: Whose.
        warm_up_bars: What it declares.
        history_bars: How many bars preceded S in each run; empty where nothing was run.
        start_ns: S; 0 where nothing was run.
        n_compared: Decisions that were compared; 0 = not all runs have decided anything after S.
        difference: The first decision that depends on the history, with its numbers; empty if there is none.
        skipped: Why nothing was run.
    """

    strategy_id: str
    warm_up_bars: int
    history_bars: tuple[int, ...] = ()
    start_ns: int = 0
    n_compared: int = 0
    difference: str = ""
    skipped: str = ""


class WarmUpVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs from several starts have shown."""

    strategies: list[StrategyWarmUp]
    n_events_replayed: int

    @property
    def passed(self) -> bool:
        """Whether no decision was found to depend on the history."""
        return not any(each.difference for each in self.strategies)


class _Plan(msgspec.Struct, frozen=True):
    lengths: tuple[int, ...]
    starts_ns: tuple[int, ...]  # By length; what became known until then is left out.
    start_ns: int
    end_ns: int
    n_events: int


def check_warm_up(prepared: Prepared, market: Market, most_share: float = EVERYDAY_SHARE) -> WarmUpVerdict:
    """Return whether the strategies of a run declare enough warm-up.

    Args:
        prepared: The run.
        market: What it ran on; strategies on ticks alone have no bars to warm up on.
        most_share: Of the run's events, that may be replayed for all strategies together.
    """
    left = market.n_events * most_share
    verdicts: list[StrategyWarmUp] = []
    n_replayed = 0
    for strategy_id, warm_up, instruments in _declared(prepared):
        verdict = StrategyWarmUp(strategy_id=strategy_id, warm_up_bars=warm_up)
        plan = _plan(market, instruments, warm_up, left - n_replayed)
        if isinstance(plan, str):
            verdicts.append(msgspec.structs.replace(verdict, skipped=plan))
            continue
        n_replayed += plan.n_events
        verdicts.append(_compared(verdict, plan, prepared, market))
    return WarmUpVerdict(strategies=verdicts, n_events_replayed=n_replayed)


def _compared(verdict: StrategyWarmUp, plan: _Plan, prepared: Prepared, market: Market) -> StrategyWarmUp:
    runs = [
        _listen(prepared, market, verdict.strategy_id, plan, length, from_ns)
        for length, from_ns in zip(plan.lengths, plan.starts_ns, strict=True)
    ]
    n_compared, difference = 0, ""
    for length, other in zip(plan.lengths[1:], runs[1:], strict=True):
        n_same, found = first_disagreement(runs[0], other, plan.start_ns)
        n_compared += n_same
        if found is not None and not difference:
            difference = (
                f"at {at(found.ts_ns)} it wants {found.first} with {plan.lengths[0]} bars of history before "
                f"{at(plan.start_ns)}, and {found.second} with {length}"
            )
    return msgspec.structs.replace(
        verdict,
        history_bars=plan.lengths,
        start_ns=plan.start_ns,
        n_compared=n_compared,
        difference=difference,
    )


# Id, longest warm-up and instruments of every strategy.
def _declared(prepared: Prepared) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    every = list(strategies_of(prepared))
    for strategy_id in dict.fromkeys(name for name, _, _ in every):
        own = [(index, strategy.warm_up()) for name, index, strategy in every if name == strategy_id]
        yield strategy_id, max(warm_up for _, warm_up in own), tuple(index for index, _ in own)


class _EveryBar:
    """Keeps nothing, and counts no rows: a strategy that sleeps is woken at every bar here."""

    def append(self, message: Message) -> None:
        """Do nothing."""


def _listen(
    prepared: Prepared, market: Market, strategy_id: str, plan: _Plan, length: int, from_ns: int
) -> list[Heard]:
    heard: list[Heard] = []

    def make(name: str, cls: type[Strategy]) -> type[Strategy]:
        return listening(cls, plan.start_ns, length, heard) if name == strategy_id else silent(cls)

    simulate(with_classes(prepared, make), MarketSlice(market, from_ns, plan.end_ns), _EveryBar())
    return heard


# Which bars to run on, or why none: S is the last bar of the longest history, as early as it can be.
def _plan(market: Market, instruments: Sequence[int], warm_up: int, n_events_max: float) -> _Plan | str:
    on_bars = tuple(index for index in instruments if not market.has_ticks(index))
    if not on_bars:
        return "it trades on ticks, where no bars warm it up"
    lengths = tuple(warm_up * times for times in MULTIPLES) if warm_up else LENGTHS_WITHOUT
    n_instruments = len(market.instruments)
    while len(lengths) > 1:
        room = n_events_max / n_instruments - sum(lengths)
        n_after = int(min(BARS_AFTER[0], room // len(lengths)))
        if n_after >= BARS_AFTER[1]:
            times_ns = _bar_times(market, on_bars, lengths[-1] + n_after)
            if len(times_ns) >= lengths[-1] + BARS_AFTER[1]:
                return _planned(times_ns, lengths, n_instruments)
        lengths = lengths[:-1]
    more = "" if math.isinf(n_events_max) else "; more with: njord poison"
    return f"a run of {market.n_events} events is too short to try its warm-up of {warm_up} bars twice{more}"


def _planned(times_ns: list[int], lengths: tuple[int, ...], n_instruments: int) -> _Plan:
    at_start = lengths[-1] - 1  # The bar that closes at S.
    n_after = len(times_ns) - lengths[-1]
    starts_ns = tuple(
        times_ns[at_start - length] if length <= at_start else times_ns[0] - 1 for length in lengths
    )
    return _Plan(
        lengths=lengths,
        starts_ns=starts_ns,
        start_ns=times_ns[at_start],
        end_ns=times_ns[-1],
        n_events=(sum(lengths) + n_after * len(lengths)) * n_instruments,
    )


# The times by which each of these instruments has had one more bar, at most `n` of them.
def _bar_times(market: Market, instruments: Sequence[int], n: int) -> list[int]:
    counts = dict.fromkeys(instruments, 0)
    times_ns: list[int] = []
    for block in market.blocks():
        for message in block.messages:
            if not isinstance(message, Bar) or message.instrument not in counts:
                continue
            counts[message.instrument] += 1
            if min(counts.values()) > len(times_ns):
                times_ns.append(message.ts_ns)
                if len(times_ns) == n:
                    return times_ns
    return times_ns
