"""How did a point's equity go, bar by bar? Parameters and a window in; its score, and the window's equity, out.

A `Score` sums a point up and keeps no curve; a walk-forward chains the returns of few points, and needs them one by one.
The run is the one that the ordered evaluator scores: same preparation, same warm-up, same market, and the same score.
"""

import tempfile

import msgspec
import numpy as np
from msgspec.structs import replace

from njord.backtest.market import IntArray
from njord.backtest.market_open import MarketRequest
from njord.backtest.no_journal import NoJournal
from njord.backtest.ordered_points import score_of, texts_of, typed_point
from njord.backtest.point import WHOLE, Params, PointSpec, Score, Window
from njord.backtest.points_market import PointMarkets
from njord.backtest.request import check_callbacks, load_strategies
from njord.backtest.session import Prepared, prepare_on
from njord.backtest.simulation import simulate
from njord.core.errors import ConfigError, RunawayCascade, StrategyError
from njord.performance.returns import FloatArray


class PointCurve(msgspec.Struct, frozen=True):
    """One point on one window. Before its first bar the account holds its capital, flat.

    Attributes:
        score: As the ordered evaluator has it.
        ts_ns: Closes of the window, UTC epoch ns, strictly rising, shape (n_bars,).
        equity: At each of them, in the report asset, shape (n_bars,), finite.
    """

    score: Score
    ts_ns: IntArray
    equity: FloatArray


class PointCurves:
    """Runs single points for their equity, on data that it holds open; the caller closes it.

    Args:
        spec: What all points share.

    Attributes:
        times_ns: Every distinct close in the data, rising: the bars that windows are made of.

    Raises:
        UserError: The strategy does not load, or the data can not be used or are ticks, which have no bars to divide.
    """

    def __init__(self, spec: PointSpec) -> None:
        self._spec = spec
        self._found = load_strategies(spec.request.strategies)
        request = spec.request
        self._markets = PointMarkets(
            MarketRequest(
                data=request.paths, bars=request.bars, start_ns=request.start_ns, end_ns=request.end_ns
            ),
            spec.instruments,
        )
        self.times_ns: IntArray = self._closes()

    def prepared(self, params: Params, window: Window = WHOLE) -> Prepared:
        """Return the checked run of one point on a window, its warm-up before it.

        Raises:
            UserError: The strategy refuses the parameters, or the window holds nothing.
        """
        strategies = typed_point(self._spec, self._found, params, self._markets.instruments)
        warm_up = max(each.loaded.cls(each.params).warm_up() for each in strategies)
        market = self._markets.cut(window, warm_up)
        request = replace(self._spec.request, params=(*self._spec.request.params, *texts_of(params)))
        return prepare_on(request, self._spec.config, self._found, market, check_callbacks)

    def curve(self, params: Params, window: Window = WHOLE) -> PointCurve:
        """Return how a point did on a window, bar by bar.

        Raises:
            UserError: As `prepared` says, or the strategy sends orders without end.
        """
        prepared = self.prepared(params, window)
        times: list[IntArray] = []
        equities: list[FloatArray] = []
        with tempfile.TemporaryFile() as stage:
            try:
                outcome = simulate(prepared, prepared.market, NoJournal(), stage)
            except RunawayCascade as error:
                raise StrategyError(f"{error}, with {' '.join(texts_of(params))}") from None
            for ts_ns, equity, _ in outcome.equity.batches():
                first = 0 if window.start_ns is None else int(np.searchsorted(ts_ns, window.start_ns))
                times.append(ts_ns[first:])
                equities.append(equity[first:])
            score = score_of(params, prepared, outcome, window, self._spec.n_blocks)
        return PointCurve(score, np.concatenate(times), np.concatenate(equities))

    def close(self) -> None:
        """Let go of the data."""
        self._markets.close()

    def _closes(self) -> IntArray:
        market = self._markets.cut(WHOLE, 0)
        columns = [market.columns(index) for index in range(len(market.instruments))]
        closes = [each.ts_ns for each in columns if each is not None]
        if len(closes) < len(columns):
            self._markets.close()
            raise ConfigError(
                "folds are made of bars, and these data are ticks",
                "make bars of them with: njord data resample",
            )
        return np.unique(np.concatenate(closes))
