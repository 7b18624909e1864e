"""A seeded, synthetic market: minute bars that look like one and are none. For demos, tests and benchmarks.

The log price follows a random walk whose volatility switches between calm and wild (a two-state Markov chain), with
a slow pull back to the start. Each bar is the open, high, low and close of a few steps of that walk, so that high
and low are prices the walk really passed. Everything is drawn from the generator that is handed in.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from njord.core.units import NS_PER_MINUTE

STEPS_PER_BAR = 6
_BATCH_BARS = 65_536


class SyntheticMarket(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a synthetic market.

    Attributes:
        start_price: In ticks.
        calm: Standard deviation of the log return of one bar in the calm state, a fraction.
        wild: The same in the wild state.
        switch: Chance per bar to change state.
        pull: Share of the distance to the start (in logs) that is taken back per bar.
        interval_ns: Length of a bar.
        start_ns: Opening of the first bar, epoch ns.
    """

    start_price: int = 600_000
    calm: float = 0.0006
    wild: float = 0.0020
    switch: float = 0.004
    pull: float = 0.0001
    interval_ns: int = NS_PER_MINUTE
    start_ns: int = 1_704_067_200_000_000_000  # 2024-01-01 UTC.


class SyntheticBars(msgspec.Struct, frozen=True):
    """Columns of bars: epoch ns, prices in ticks, volume in hundredths of a lot-free unit."""

    ts_open_ns: NDArray[np.int64]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    volume: NDArray[np.int64]


def synthetic_bars(market: SyntheticMarket, n_bars: int, rng: Generator) -> Iterator[SyntheticBars]:
    """Yield `n_bars` bars in batches; the same generator state gives the same bars."""
    level, is_wild, previous = 0.0, False, market.start_price
    for first in range(0, n_bars, _BATCH_BARS):
        n = min(_BATCH_BARS, n_bars - first)
        switches = np.cumsum(rng.random(n) < market.switch) % 2 == 1
        wild = switches ^ is_wild
        is_wild = bool(wild[-1])
        deviation = np.where(wild, market.wild, market.calm) / np.sqrt(STEPS_PER_BAR)
        steps = rng.standard_normal((n, STEPS_PER_BAR)) * deviation[:, None]
        path, level = _walk(steps, level, market.pull)
        ticks = np.maximum(1, np.rint(market.start_price * np.exp(path))).astype(np.int64)
        close = ticks[:, -1]
        open_ = np.concatenate(([previous], close[:-1]))
        previous = int(close[-1])
        activity = np.abs(steps).sum(axis=1) / market.calm
        volume = np.rint(100 * activity * rng.lognormal(0.0, 0.5, n)).astype(np.int64)
        yield SyntheticBars(
            market.start_ns + (first + np.arange(n, dtype=np.int64)) * market.interval_ns,
            open_,
            np.maximum(open_, ticks.max(axis=1)),
            np.minimum(open_, ticks.min(axis=1)),
            close,
            volume,
        )


def _walk(steps: NDArray[np.float64], level: float, pull: float) -> tuple[NDArray[np.float64], float]:
    moves = steps.sum(axis=1)
    opens = np.empty(len(moves))
    for index, move in enumerate(moves.tolist()):
        opens[index] = level
        level = level * (1 - pull) + move
    return opens[:, None] + np.cumsum(steps, axis=1), level
