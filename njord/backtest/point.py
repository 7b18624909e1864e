"""What is one point of a sweep? A strategy with one set of parameters on one window of a market in, one `Score` out.

Sweeps, walk-forwards and Monte Carlo runs are made of points. Everything here can be sent to another process: a
`PointSpec` is all that a worker needs to open the data and the strategy, and it holds no secret.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from njord.backtest.request import BacktestRequest, load_strategies
from njord.core.config import Config, RedisConfig
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument

N_BLOCKS = 16  # Sub-periods for combinatorially symmetric cross-validation.
Params = tuple[tuple[str, str], ...]  # Names and values as text, in the order of the sweep's axes.


class Window(msgspec.Struct, frozen=True):
    """A part of the data: what closes (ticks: happens) in [start_ns, end_ns); None = the data's own bound.

    The bars before it warm the strategy up, so many that the window's first bar is the one that its declared warm-up ends
    with. It trades, and is measured, only inside.
    """

    start_ns: int | None = None
    end_ns: int | None = None


WHOLE = Window()


class PointSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker needs to open what points are evaluated on; make it with `point_spec`.

    Attributes:
        request: One strategy; its `params` are those that all points share.
        config: What was configured, without what is secret.
        instruments: Configured instruments by symbol.
        n_blocks: Into how many equal runs of bars the returns are summed up.
    """

    request: BacktestRequest
    config: Config
    instruments: Mapping[str, Instrument]
    n_blocks: int = N_BLOCKS


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How a point did. Floats are finite, or NaN where they are not defined.

    Attributes:
        params: Names and values, in the order they were given.
        n_bars: Points of the equity curve: distinct closes in the window (ticks: seconds).
        final_equity: In the report asset.
        volatility: Of the returns per bar, annualized like the ratios.
        skew: Of the returns per bar.
        kurtosis: Likewise; 3 for a normal distribution.
        profit_factor: NaN without a losing round trip.
        exposure: Share of the bars with a position.
        fees: In the report asset.
        turnover: Traded notional over the capital.
        blocks: Of n_blocks runs of bars, block k from bar n * k // n_blocks on: how many returns, their sum, the sum of
            their squares. Returns end with ruin.
        engine: What ran it, "fast" or "ordered".
        error: Why there is no score, or why the strategy was suspended; empty if all is well.
    """

    params: Params
    n_bars: int = 0
    n_orders: int = 0
    n_fills: int = 0
    n_trips: int = 0
    final_equity: float = math.nan
    total_return: float = math.nan
    cagr: float = math.nan
    sharpe: float = math.nan
    sortino: float = math.nan
    volatility: float = math.nan
    skew: float = math.nan
    kurtosis: float = math.nan
    calmar: float = math.nan
    max_drawdown: float = math.nan
    win_rate: float = math.nan
    profit_factor: float = math.nan
    exposure: float = math.nan
    fees: float = math.nan
    turnover: float = math.nan
    blocks: tuple[tuple[int, float, float], ...] = ()
    engine: str = "ordered"
    error: str = ""


class Evaluator(Protocol):
    """Evaluates points on data that it holds open; the caller closes it."""

    @property
    def n_bars(self) -> int:
        """How many market events the data hold: bars of all instruments, or ticks."""

    @property
    def engine(self) -> str:
        """What runs the points, "fast" or "ordered"."""

    @property
    def why_ordered(self) -> str:
        """The rule or feature that the fast engine can not express; empty if it runs, or was not asked for."""

    def evaluate(
        self,
        points: Sequence[Params],
        window: Window = WHOLE,
        on_done: Callable[[int], None] = lambda n_done: None,
    ) -> list[Score]:
        """Return a score for every point, in order; they do not depend on how points are split over calls.

        Args:
            points: Parameters, beyond those that all points share.
            window: The part of the data.
            on_done: Told how many of `points` are done, from time to time.

        Raises:
            UserError: The data, the configuration or the window are not fit. What a strategy does wrong is a score with an
                error.
        """

    def forget(self) -> None:
        """Let go of what was made for the windows so far; call it while nothing is evaluated."""

    def close(self) -> None:
        """Let go of the data."""


def point_spec(
    request: BacktestRequest, config: Config, instruments: Mapping[str, Instrument], n_blocks: int = N_BLOCKS
) -> PointSpec:
    """Return what workers need: paths are absolute, and no secret is sent.

    Raises:
        UserError: The strategy does not load, or there are several.
    """
    found = load_strategies(request.strategies)
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} strategies are given, points are of one strategy", "name one strategy"
        )
    own_file = _own_file(request.strategies[0], found[0].reference, found[0].loaded.path)
    return PointSpec(
        request=replace(
            request,
            strategy=own_file,
            data=tuple(path.resolve() for path in request.paths),
        ),
        config=config.model_copy(update={"redis": RedisConfig()}),
        instruments=dict(instruments),
        n_blocks=n_blocks,
    )


# A name is the same everywhere; a path, or a file of the working directory, is made absolute. What was typed around
# it ([ID=] and [@SYMBOL]) stays.
def _own_file(typed: str, reference: str, path: Path) -> str:
    is_file = (
        reference.endswith(".py") or "/" in reference or Path(f"{reference}.py").resolve() == path.resolve()
    )
    return typed.replace(reference, str(path.resolve()), 1) if is_file else typed
