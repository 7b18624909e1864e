"""What data does a sweep search on, and where are they cut? The market in; its names, its hash, and the two windows out."""

from decimal import Decimal

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.ordered_points import texts_of, typed_point
from njord.backtest.point import Params, PointSpec, Window
from njord.backtest.request import Typed, check_callbacks
from njord.backtest.session import prepare_on
from njord.backtest.simulation import SAMPLE_NS, Prepared, has_ticks
from njord.backtest.trial import TrialSubject, subject_of
from njord.core.errors import ConfigError, DataError, StrategyError
from njord.core.instrument import Instrument
from njord.core.registry import canonical_params, parse_params
from njord.research.grid import Grid, spread

_TRIES_MAX = 20_000


class SweepData(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the data before anything is evaluated.

    Attributes:
        instruments: Of the market, in order.
        symbol: Their symbols, in words.
        data: Names of the datasets, in words.
        subject: What the trial ledger knows it by, and what decides besides the parameters.
        interval_ns: Between two points of an equity curve.
        ts_ns: Moments at which the data may be cut: closes of the first instrument, seconds of ticks.
        found: The strategy.
        shared: Its parameters that do not vary.
    """

    instruments: tuple[Instrument, ...]
    symbol: str
    data: str
    subject: TrialSubject
    interval_ns: int
    ts_ns: NDArray[np.int64]
    found: Typed
    shared: tuple[str, ...]

    def canonical(self, params: Params) -> str:
        """Return the canonical text of all parameters of a point."""
        loaded = self.found.loaded
        texts = (*self.shared, *(f"{name}={value}" for name, value in params))
        return canonical_params(parse_params(loaded.name, loaded.cls.Params, texts))

    def split(self, holdout: Decimal) -> tuple[Window, Window | None]:
        """Return what the search sees and the last part, a fraction `holdout`, that it never sees.

        Raises:
            ConfigError: Not in [0, 1), or one part would be empty.
        """
        if not 0 <= holdout < 1:
            raise ConfigError(f"--holdout must be in [0, 1), was {holdout}", "for example --holdout 0.3")
        if not holdout:
            return Window(), None
        n_inside = int(self.ts_ns.size * (1 - holdout))
        if not 0 < n_inside < self.ts_ns.size:
            raise ConfigError(
                f"--holdout {holdout} of {self.ts_ns.size} bars leaves a part empty", "use more data"
            )
        cut_ns = int(self.ts_ns[n_inside])
        return Window(end_ns=cut_ns), Window(start_ns=cut_ns)

    def block_ends_ns(self, window: Window, n_blocks: int, blocks: tuple[int, ...]) -> tuple[int, ...]:
        """Return where the first so many of a window's blocks end, without the end."""
        end = self.ts_ns.size if window.end_ns is None else int(np.searchsorted(self.ts_ns, window.end_ns))
        return tuple(int(self.ts_ns[end * k // n_blocks]) for k in blocks)


def sweep_data(spec: PointSpec, found: Typed, grid: Grid) -> SweepData:
    """Return what is known of the data.

    Raises:
        UserError: They can not be used, or the strategy refuses every combination.
    """
    request = spec.request
    wanted = MarketRequest(
        data=request.paths, bars=request.bars, start_ns=request.start_ns, end_ns=request.end_ns
    )
    with open_market(wanted, spec.instruments) as market:
        prepared = _prepared(spec, found, grid, market)
        columns = market.columns(0)
        if has_ticks(market) or columns is None:
            interval_ns = SAMPLE_NS
            ts_ns = np.arange(market.start_ns, market.end_ns, SAMPLE_NS, dtype=np.int64)
        else:
            interval_ns = min(source.interval_ns for source in market.sources)
            ts_ns = columns.ts_ns
        if ts_ns.size < spec.n_blocks:
            raise DataError(
                f"a sweep needs {spec.n_blocks} bars at the least, the data have {ts_ns.size}",
                "give more data",
            )
        return SweepData(
            instruments=market.instruments,
            symbol=" ".join(instrument.symbol for instrument in market.instruments),
            data=" ".join(dict.fromkeys(source.name for source in market.sources)),
            subject=subject_of(prepared),
            interval_ns=interval_ns,
            ts_ns=ts_ns,
            found=found,
            shared=request.params,
        )


# The first point that the strategy takes stands for all: they differ in nothing but their parameters.
def _prepared(spec: PointSpec, found: Typed, grid: Grid, market: RecordedMarket) -> Prepared:
    refusal: StrategyError | None = None
    for index in spread(grid.size, _TRIES_MAX):
        params = grid.at(index)
        try:
            typed_point(spec, (found,), params, market.instruments)
        except StrategyError as error:
            refusal = refusal or error
            continue
        request = replace(spec.request, params=(*spec.request.params, *texts_of(params)))
        return prepare_on(request, spec.config, (found,), market, check_callbacks)
    raise StrategyError(
        f"no combination was found that the strategy takes, out of {grid.size:,}: {refusal and refusal.problem}",
        "choose other ranges",
    )
