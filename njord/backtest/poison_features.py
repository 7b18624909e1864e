"""Which precomputed feature has read the future? A run's strategies and a poisoned market in; the first changed row out."""

from collections.abc import Iterator

import msgspec
import numpy as np

from njord.backtest.market import Market
from njord.backtest.poison_market import PoisonedMarket
from njord.backtest.poison_tape import Differs
from njord.backtest.rerun import strategies_of
from njord.backtest.simulation import Prepared
from njord.strategies.base import Strategy
from njord.strategies.features import BarColumns, FloatArray
from njord.strategies.hosted import HostedStrategy

# Of the largest known value: what a transform over the whole array may lose to rounding without having read anything.
_ROUNDING = 1e-9
_Owner = tuple[str, int]


class ChangedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was known at the cut and became another when only later bars changed."""

    strategy_id: str
    name: str
    ts_ns: int
    before: float
    after: float


class RunFeatures:
    """The features of a run, computed once from the real market.

    Args:
        prepared: The run.
        market: What it ran on.
    """

    def __init__(self, prepared: Prepared, market: Market) -> None:
        self._prepared = prepared
        self._real: dict[_Owner, tuple[BarColumns, dict[str, FloatArray]]] = {}
        for owner, strategy in _computing(prepared):
            columns = market.columns(owner[1])
            if columns is not None:
                self._real[owner] = columns, HostedStrategy(owner[0], strategy, owner[1]).precompute(columns)

    def first_changed(self, poisoned: PoisonedMarket, difference: Differs | None) -> ChangedFeature | None:
        """Return the earliest row of a feature that changed though it was known at the cut; None if none did.

        Args:
            poisoned: The market whose future is another.
            difference: What the run said otherwise on it: only its strategy's features are looked at.
        """
        whose = getattr(difference.message, "strategy_id", "") if difference is not None else ""
        for owner, strategy in _computing(self._prepared):
            if owner not in self._real or whose not in ("", owner[0]):
                continue
            columns, real = self._real[owner]
            others = poisoned.columns(owner[1])
            if others is None:
                continue
            n_known = int(np.searchsorted(columns.ts_ns, poisoned.cut_ns, side="right"))
            other = HostedStrategy(owner[0], strategy, owner[1]).precompute(others)
            found = _first_changed(real, other, n_known)
            if found is not None:
                row, name = found
                return ChangedFeature(
                    strategy_id=owner[0],
                    name=name,
                    ts_ns=int(columns.ts_ns[row]),
                    before=float(real[name][row]),
                    after=float(other[name][row]),
                )
        return None


# Row and name of the earliest known value that is not what it was; names in their order where rows are equal.
def _first_changed(
    real: dict[str, FloatArray], other: dict[str, FloatArray], n_known: int
) -> tuple[int, str] | None:
    found: tuple[int, str] | None = None
    for name in sorted(real.keys() & other.keys()):
        before, after = real[name][:n_known], other[name][:n_known]
        finite = np.abs(before[np.isfinite(before)])
        rounding = _ROUNDING * float(finite.max(initial=0.0))
        is_same = (before == after) | (np.isnan(before) & np.isnan(after))
        rows = np.flatnonzero(~is_same & ~(np.abs(before - after) <= rounding))
        if rows.size and (found is None or rows[0] < found[0]):
            found = int(rows[0]), name
    return found


def _computing(prepared: Prepared) -> Iterator[tuple[_Owner, Strategy]]:
    for name, index, strategy in strategies_of(prepared):
        if type(strategy).precompute is not Strategy.precompute:
            yield (name, index), strategy
