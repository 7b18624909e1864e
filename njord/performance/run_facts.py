"""Run facts: which figures of a run can say something that a reader must know first? One struct, filled by whoever has them.

What the checks of honesty have shown is part of it.
"""

from decimal import Decimal

import msgspec


class PoisonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What replacing the future by noise has shown.

    Attributes:
        n_asked: Cuts that were wanted.
        n_run: Cuts that were made.
        n_decisions: Decisions that were compared.
        leaks: Decisions and fills that know what had not happened yet, in words.
    """

    n_asked: int
    n_run: int
    n_decisions: int
    leaks: tuple[str, ...] = ()


class WarmUpFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What more history before the start has shown.

    Attributes:
        n_compared: Decisions that were compared.
        difference: The first one that depends on it, in words; empty if none does.
        skipped: Why nothing was run; empty if something was.
    """

    n_compared: int
    difference: str = ""
    skipped: str = ""


class TrialFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What counting all trials of the idea has shown.

    Attributes:
        n_trials: Of the idea, the run itself counted.
        verdict: Of `performance.assessment`; empty if the run was not counted.
        because: Its reason, or why the run was not counted.
    """

    n_trials: int
    verdict: str
    because: str


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The figures that findings are made of; money in `asset`.

    Attributes:
        span_ns: Length of the run.
        unrealized_pnl: Of what is still held.
        fees: Paid, negative for rebates.
        trip_pnls: P&L of every closed round trip, after fees.
        n_orders: Orders that reached the gateway.
        n_never_filled: Of them, those that ended without a fill.
        n_failed: Of them, those that the venue refused or could not honor for want of funds.
        refusals: Reason -> count, of what was refused before the venue.
        grades: (dataset, grade, its reason) of all data.
        n_fills_in_gaps: Fills inside missing or flagged time.
        symbols: (name, P&L).
        strategies: (name, P&L).
        benchmark: (total return, max drawdown) of buy and hold; None without one.
        fee_multiple: Of `performance.turnover.BreakEven`; None if undefined.
        extra_slippage_bps: Likewise.
        under_water: Longest time below a peak as a share of the run.
        poison: None if it was not run.
        warm_up: None if it was not looked at.
        trial: None if nobody counts.
        suspended: The error that a strategy was suspended for; empty if none was.
    """

    asset: str
    span_ns: int
    net_profit: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    total_return: float
    max_drawdown: float | None
    trip_pnls: tuple[Decimal, ...]
    n_fills: int
    n_orders: int
    n_never_filled: int
    n_failed: int
    refusals: tuple[tuple[str, int], ...]
    grades: tuple[tuple[str, str, str], ...]
    n_fills_in_gaps: int
    symbols: tuple[tuple[str, Decimal], ...]
    strategies: tuple[tuple[str, Decimal], ...]
    benchmark: tuple[float, float | None] | None = None
    fee_multiple: float | None = None
    extra_slippage_bps: float | None = None
    under_water: float = 0.0
    n_liquidations: int = 0
    is_ruined: bool = False
    poison: PoisonFacts | None = None
    warm_up: WarmUpFacts | None = None
    trial: TrialFacts | None = None
    suspended: str = ""
