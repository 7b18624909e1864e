"""Does a run see the future? A finished run in; random cuts, and what it decided before them by what came after, out.

For each cut the run is made again on a market whose every row after the cut is noise. Whatever the engine says until
the cut must be what it said in the run, byte for byte. What differs read the future; the first such message is named,
and if a precomputed feature changed with it, that feature. Fills are held against the data that filled them besides.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from njord.backtest.market import Market
from njord.backtest.poison_cuts import Cut, everyday, whole_run
from njord.backtest.poison_features import ChangedFeature, RunFeatures
from njord.backtest.poison_fills import AcausalFill, audit_fills
from njord.backtest.poison_market import PoisonedMarket
from njord.backtest.poison_tape import CutReached, CutTape, Differs
from njord.backtest.rerun import strategies_of
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.utc import at
from njord.backtest.wake_check import check_wakes
from njord.core.contracts import (
    Bar,
    BookEvent,
    FillEvent,
    FundingEvent,
    Message,
    OrderUpdate,
    TimerFired,
    TradeEvent,
)

Progress = Callable[[int, int], None]  # Events replayed, events to replay.
_FROM_VENUE = (FillEvent, OrderUpdate, FundingEvent)
_CALLBACKS: dict[type[Message], str] = {
    Bar: "on_bar",
    TradeEvent: "on_trade",
    BookEvent: "on_book",
    TimerFired: "on_timer",
    FillEvent: "on_fill",
    OrderUpdate: "on_order",
}


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that a run said otherwise because what came after the cut was otherwise.

    Attributes:
        cut_ns: Nothing until then was changed.
        seq: Place in the run's journal.
        ts_ns: When it was said.
        strategy_id: Whose it is; empty where it is nobody's.
        kind: Of the message.
        expected: The message in the run; empty where it said none.
        derived: The message when only the future was another; empty where none came.
        read: What was read: a feature and its row, or the callback.
    """

    cut_ns: int
    seq: int
    ts_ns: int
    strategy_id: str
    kind: str
    expected: str
    derived: str
    read: str


class PoisonVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the cuts have shown.

    Attributes:
        seed: What cuts and noise were drawn from.
        n_cuts_asked: How many cuts were wanted.
        n_cuts: How many were made.
        n_events: Events of the run.
        n_events_covered: Events before the last cut.
        n_events_replayed: Events that the cuts took together.
        n_decisions: Decisions that were compared, those of every cut counted; none means that nothing was shown.
        n_fills: Fills of the run that were held against the data that filled them.
        leaks: One for each cut that found one.
        acausal_fills: Fills by data that began before their order could have been there.
        notes: Why there were fewer cuts.
    """

    seed: int
    n_cuts_asked: int
    n_cuts: int
    n_events: int
    n_events_covered: int
    n_events_replayed: int
    n_decisions: int
    n_fills: int
    leaks: list[Leak]
    acausal_fills: list[AcausalFill]
    notes: list[str]

    @property
    def passed(self) -> bool:
        """Whether no cut and no fill has shown the future."""
        return not self.leaks and not self.acausal_fills


def check(prepared: Prepared, market: Market, folder: Path, n_cuts: int, seed: int) -> PoisonVerdict:
    """Return the verdict of a few cheap cuts, which replay a seventh of the run's events at most.

    Args:
        prepared: The run.
        market: What it ran on.
        folder: Where its journal lies, finished.
        n_cuts: How many are wanted, within the first fifth of the events.
        seed: What they are drawn from.

    Raises:
        Overslept: The run differs because a strategy's `wakes` is not true: all cuts call every bar.
    """
    warm_up = _warm_up_events(prepared, market)
    cuts = everyday(market, n_cuts, seed, warm_up)
    return _examine(prepared, market, folder, n_cuts, cuts, seed, lambda done, total: None, is_everyday=True)


def examine(
    prepared: Prepared,
    market: Market,
    folder: Path,
    n_cuts: int,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> PoisonVerdict:
    """Return the verdict of cuts anywhere in the run; arguments as in `check`."""
    cuts = whole_run(market, n_cuts, seed, _warm_up_events(prepared, market))
    return _examine(prepared, market, folder, n_cuts, cuts, seed, progress)


# Before the longest warm-up has ended nothing is decided: a cut there would show nothing.
def _warm_up_events(prepared: Prepared, market: Market) -> int:
    longest = max((strategy.warm_up() for _, _, strategy in strategies_of(prepared)), default=0)
    return longest * len(market.instruments)


def _examine(
    prepared: Prepared,
    market: Market,
    folder: Path,
    n_asked: int,
    cuts: list[Cut],
    seed: int,
    progress: Progress,
    is_everyday: bool = False,
) -> PoisonVerdict:
    leaks: list[Leak] = []
    n_done = n_decisions = 0
    n_total = sum(cut.n_events for cut in cuts)
    features = RunFeatures(prepared, market) if cuts else None
    for cut in cuts:
        poisoned = PoisonedMarket(market, cut.ts_ns, (seed, cut.number), cut.is_short)
        tape = CutTape(folder / "journal", cut.ts_ns)
        difference: Differs | None = None
        try:
            simulate(prepared, poisoned, tape)
        except CutReached:
            pass
        except Differs as found:
            difference = found
        finally:
            tape.close()
        if difference is not None:
            check_wakes(prepared, market, folder, cut.ts_ns)
        changed = features.first_changed(poisoned, difference) if features is not None else None
        if difference is not None:
            leaks.append(_leak(cut, difference, changed))
        elif changed is not None:
            leaks.append(_silent_leak(cut, changed))
        n_done += cut.n_events
        n_decisions += tape.n_decisions
        progress(n_done, n_total)
    n_fills, acausal = audit_fills(folder, market, prepared.config.backtest.entry_latency_ns)
    return PoisonVerdict(
        seed=seed,
        n_cuts_asked=n_asked,
        n_cuts=len(cuts),
        n_events=market.n_events,
        n_events_covered=max((cut.n_events for cut in cuts), default=0),
        n_events_replayed=n_done,
        n_decisions=n_decisions,
        n_fills=n_fills,
        leaks=leaks,
        acausal_fills=acausal,
        notes=_notes(n_asked, len(cuts), market.n_events, is_everyday),
    )


def _notes(n_asked: int, n_cuts: int, n_events: int, is_everyday: bool) -> list[str]:
    if n_cuts >= n_asked:
        return []
    if not is_everyday:
        return [f"{n_cuts} of {n_asked} cuts: the others fell on the same of the run's {n_events} events"]
    return [
        f"{n_cuts} of {n_asked} cuts: a run of {n_events} events leaves no room for more between the warm-up and "
        "the share of it that may be replayed; more with: njord poison"
    ]


# --- what a leak has read ---


def _leak(cut: Cut, difference: Differs, changed: ChangedFeature | None) -> Leak:
    message = difference.message
    strategy_id = getattr(message, "strategy_id", "")
    return Leak(
        cut_ns=cut.ts_ns,
        seq=difference.seq,
        ts_ns=message.ts_ns,
        strategy_id=strategy_id,
        kind=type(message).__name__,
        expected=difference.expected,
        derived=difference.derived,
        read=_said(changed, cut) if changed else _place(difference, strategy_id),
    )


# No decision came of it before this cut; at another moment one will.
def _silent_leak(cut: Cut, changed: ChangedFeature) -> Leak:
    return Leak(
        cut_ns=cut.ts_ns,
        seq=0,
        ts_ns=changed.ts_ns,
        strategy_id=changed.strategy_id,
        kind="precompute",
        expected="",
        derived="",
        read=_said(changed, cut),
    )


def _said(changed: ChangedFeature, cut: Cut) -> str:
    return (
        f"feature {changed.name!r} at {at(changed.ts_ns)} changed from {changed.before:.10g} to {changed.after:.10g} "
        f"when only bars after {at(cut.ts_ns)} changed"
    )


def _place(difference: Differs, strategy_id: str) -> str:
    if isinstance(difference.message, _FROM_VENUE):
        return f"the venue: its {type(difference.message).__name__} depends on what had not happened yet"
    callback = _CALLBACKS.get(type(difference.cause), "the host")
    owner = f"{callback} of {strategy_id}" if strategy_id else callback
    return f"{owner} at {at(difference.cause.ts_ns)}: it knows what comes later, though not by a feature"
