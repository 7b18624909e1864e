"""One strategy object on one instrument, as the runner hosts it: its context, its indicators, and where it must be awake."""

import re
import traceback
from collections.abc import Callable

import numpy as np

from njord.core.errors import StrategyError
from njord.strategies.base import Proposals, Strategy
from njord.strategies.context import BarView, Context
from njord.strategies.features import BarColumns, BoolArray, FloatArray, checked_features
from njord.strategies.indicator_steps import Running, start

_WAKES_HINT = "return an array of bool, one per row of its features, or leave wakes() out"
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")


class HostedStrategy:
    """One strategy object on one instrument, with its context.

    Raises:
        StrategyError: Its warm-up is not a whole number of bars.
    """

    __slots__ = (
        "context",
        "failed_in",
        "indicators",
        "instrument",
        "is_suspended",
        "on_bar",
        "strategy",
        "strategy_id",
        "warm_up",
    )

    def __init__(self, strategy_id: str, strategy: Strategy, instrument: int) -> None:
        self.strategy_id = strategy_id
        self.strategy = strategy
        self.instrument = instrument
        self.warm_up = strategy.warm_up()
        if type(self.warm_up) is not int or self.warm_up < 0:
            raise StrategyError(
                f"warm_up() of {strategy_id} must be a whole number of bars >= 0, was {self.warm_up!r}"
            )
        strategy.get_ready()
        self.is_suspended = False
        self.on_bar: Callable[[Context, BarView], Proposals] = strategy.on_bar
        self.failed_in = "on_bar"  # Where an error that calling `on_bar` raises comes from.
        self.indicators: dict[str, Running] = {}
        self.context: Context

    def join(self, context: Context) -> None:
        """Take the context that it reads; its indicators begin there, bar by bar until blocks are told of.

        Raises:
            StrategyError: What `indicators` returned is none.
        """
        self.context = context
        try:
            self.indicators = {
                name: start(indicator, context.instrument)
                for name, indicator in self.strategy.indicators().items()
            }
        except Exception as error:
            raise StrategyError(
                f"indicators() of {self.strategy_id} must name indicators, {type(error).__name__}: {error}"
            ) from None
        if self.indicators:
            self.on_bar = self._step_and_call

    @property
    def sleeps(self) -> bool:
        """Whether it says where its `on_bar` has nothing to do."""
        return type(self.strategy).wakes is not Strategy.wakes and self.failed_in == "on_bar"

    def foresee(self, bars: BarColumns | None) -> None:
        """Compute the indicators of a block that begins now; None where its bars come one by one."""
        context, indicators = self.context, self.indicators
        if not indicators:
            return
        n_before, block = context._n_bars, context._block
        if block is not None:
            context._latest = {name: float(values[-1]) for name, values in block.items()}
        if bars is None:
            context._block, context._block_views = None, {}
            self._call_with(self._step_and_call)
            return
        pieces = {name: running.piece(bars) for name, running in indicators.items()}
        if n_before:
            latest = context._latest
            pieces = {name: np.append(latest[name], values) for name, values in pieces.items()}
        for values in pieces.values():
            values.flags.writeable = False
        context._block, context._block_from = pieces, max(0, n_before - 1)
        context._block_views = {name: memoryview(values.data) for name, values in pieces.items()}
        self._call_with(self.strategy.on_bar)

    def awake(self, n_rows: int) -> BoolArray:
        """Return the rows of the block under way, shape (n_rows,), at which `on_bar` must be called.

        Raises:
            StrategyError: `wakes` failed, or returned something else.
        """
        context = self.context
        first = max(0, context._n_bars - 1)
        n = n_rows + (context._n_bars > 0)
        features = {name: values[first : first + n] for name, values in (context._features or {}).items()}
        features |= context._block or {}
        try:
            told = self.strategy.wakes(features)
        except (Exception, SystemExit) as error:
            place = place_of(self.strategy, "wakes", error)
            raise StrategyError(f"{place}: {type(error).__name__}: {said(error)}", _WAKES_HINT) from None
        _check_rows(told, n, self.strategy_id)
        rows: BoolArray = told[n - n_rows :].copy()
        first_warm = max(1, context._warm_from) - 1 - context._n_bars
        if 0 <= first_warm < n_rows:
            rows[first_warm] = True  # What was refused until then may be proposed now.
        return rows

    def _step_and_call(self, ctx: Context, bar: BarView) -> Proposals:
        ctx._latest = {name: running.step(bar.message) for name, running in self.indicators.items()}
        return self.strategy.on_bar(ctx, bar)

    # What a failed precompute has put in its place stays.
    def _call_with(self, on_bar: Callable[[Context, BarView], Proposals]) -> None:
        if self.failed_in == "on_bar":
            self.on_bar = on_bar

    def precompute(self, bars: BarColumns) -> dict[str, FloatArray]:
        """Return the strategy's features of all bars; none if it fails, and `on_bar` then raises what was raised.

        Before the first bar there is no moment at which a suspension could be told.
        """
        try:
            return checked_features(self.strategy.precompute(bars), len(bars))
        except (Exception, SystemExit) as error:
            failure = error

            def fail(ctx: Context, bar: BarView) -> Proposals:
                raise failure

            self.on_bar, self.failed_in = fail, "precompute"
            return {}


def _check_rows(said: object, n: int, strategy_id: str) -> None:
    if isinstance(said, np.ndarray):
        if said.dtype == np.bool_ and said.shape == (n,):
            return
        kind = f"{said.dtype} of shape {said.shape}"
    else:
        kind = type(said).__name__
    raise StrategyError(
        f"wakes() of {strategy_id} must return one bool per row, shape ({n},), was {kind}", _WAKES_HINT
    )


def said(error: BaseException) -> str:
    """Return what an error says, in one line and without addresses: they differ from run to run, a journal does not."""
    try:
        text = str(error)
    except Exception:
        return "an error that can not say itself"
    return _ADDRESS.sub("0x", " ".join(text.split()))


def place_of(strategy: Strategy, callback: str, error: BaseException) -> str:
    """Return file and line in the strategy's own file, not in what it called; the name only, nothing of the machine."""
    code = getattr(getattr(type(strategy), callback, None), "__code__", None)
    if code is None:
        return type(strategy).__name__
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    line = own[-1].lineno if own else code.co_firstlineno
    return f"{code.co_filename.rpartition('/')[2]}:{line}"
