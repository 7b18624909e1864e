"""CompiledStrategy: decisions in one compiled function, the same in a sweep of thousands and with real money.

    class Cross(SignalStrategy):
        class Params(StrategyParams, frozen=True):
            fast: int = 10
            slow: int = 30
            weight: float = 1.0

        def warm_up(self) -> int:
            return self.params.slow

        def indicators(self) -> Mapping[str, Indicator]:
            return {"fast": Sma(self.params.fast), "slow": Sma(self.params.slow)}

        @decision
        def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
            return 1 if values[0] > values[1] else 0

`decide` names a level of exposure for every bar: 1 is long with the whole `weight` (or `qty`) of the parameters, 0 flat,
-1 short; with `levels = 4`, 2 is half of it. A level that was named before asks for nothing, and KEEP never does. The
function knows the bar and the position (`now`), its indicators in the order of their declaration (`values`), `numbers()`
as `params`, and `cells()` numbers of `state` that are its own. Numba compiles it, index errors included; it can not call
Python, and what it can not say (limit orders, exits, timers, several instruments) a plain `Strategy` says.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from njord.core.contracts import Target
from njord.core.errors import StrategyError
from njord.core.instrument import exact
from njord.core.units import EXACT, quantum, ratio, round_down
from njord.kernels.fused_tables import KEEP, LevelArray, Now, Run
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from njord.strategies.features import BoolArray, FloatArray, IntArray

__all__ = ["KEEP", "CompiledStrategy", "FloatArray", "Now", "SignalStrategy", "Values", "decision"]

_WEIGHT_STEP = quantum(9)
_NOTHING: Final = Now(0, 0, 0, 0, 0, 0, 0, 0)  # What a signal is told of bar and position.
_UNCOMPILED_ROWS: Final = (
    500_000  # Of more than these a compiler is loaded sooner than Python has decided them.
)
Values = tuple[float, ...]
Decide = Callable[[Now, Values, FloatArray, FloatArray], int]


class Machine(NamedTuple):
    """A strategy's compiled functions: those of `kernels/fused.py` with its own `decide` inside."""

    run: Callable[..., Run]
    ask: Callable[[IntArray, FloatArray, FloatArray, FloatArray], int]
    levels_of: Callable[[FloatArray, IntArray, FloatArray, FloatArray, LevelArray], bool]
    score_points: Callable[..., None]


def decision(function: Decide) -> Any:
    """Mark a strategy's function as the one to compile; `adapters/compiled.py` does it, where it is needed."""
    return staticmethod(function)


def compile_for(function: Any, *arguments: object) -> None:
    """Compile `function` for arguments like these without calling it; nothing where nothing is compiled."""
    import numba  # Half a second: only for who needs it.

    if hasattr(function, "compile"):
        function.compile(tuple(map(numba.typeof, arguments)))


class CompiledStrategy(Strategy):
    """Base of strategies whose decisions are one compiled function; see the module's text.

    Attributes:
        levels: Levels of exposure go from minus this to this.
        reasons: Why, by level, for `njord why`.
        is_signal: Whether `now` and `state` are kept from `decide`; see SignalStrategy.
        places_orders: Whether it is an OrderStrategy, which names no level.
        declared: Its indicators, in order.
        machine_of: Returns the compiled functions for a number of indicators; given to the class when it is loaded.
    """

    levels: ClassVar[int] = 1
    reasons: ClassVar[Mapping[int, str]] = {}
    is_signal: ClassVar[bool] = False
    places_orders: ClassVar[bool] = False
    decide: ClassVar[Decide]
    machine_of: ClassVar[Callable[[int], Machine]]

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        if type(self.levels) is not int or self.levels < 1:
            raise ValueError(f"levels must be a whole number >= 1, was {self.levels!r}")
        indicators = self.indicators()
        self._names, self.declared = tuple(indicators), tuple(indicators.values())
        self._values = np.zeros(len(self._names))
        self._which = np.arange(len(self._names))
        self._event = np.zeros(len(Now._fields), np.int64)
        self._cells, self._numbers = self.fresh_state(), self.fresh_numbers()
        self._asked = 0
        self._targets: dict[int, tuple[float | None, Decimal | None]] = {}

    @property
    def machine(self) -> Machine:
        """The compiled functions with this strategy's `decide` inside."""
        cls = type(self)
        if not hasattr(cls, "machine_of"):
            raise StrategyError(
                f"{cls.__name__} was imported and not loaded, so that nothing has compiled it",
                "load it with njord.adapters.plugins.load_strategy",
            )
        return cls.machine_of(len(self._names))

    def get_ready(self) -> None:
        """Compile what `on_bar` calls, or take it from the disk: a live bar does not wait for a compiler."""
        compile_for(self.machine.ask, self._event, self._values, self._cells, self._numbers)

    def numbers(self) -> Sequence[float]:
        """Return what `decide` sees as `params`, in order."""
        return ()

    def cells(self) -> int:
        """Return how many numbers `decide` keeps in `state`; all are 0 at first."""
        return 0

    def fresh_state(self) -> FloatArray:
        """Return the state before the first bar."""
        return np.zeros(self.cells())

    def fresh_numbers(self) -> FloatArray:
        """Return `numbers` as `decide` sees them."""
        return np.array(self.numbers(), dtype=np.float64)

    def target(self, level: int) -> tuple[float | None, Decimal | None]:
        """Return the (weight, quantity) that a level stands for, one of both, by the parameters of these names.

        A part of the weight has nine decimals, rounded toward zero.
        """
        qty: Decimal | None = getattr(self.params, "qty", None)
        if level and qty is not None:
            return None, ratio(EXACT.multiply(qty, level), Decimal(self.levels))
        weight = exact(getattr(self.params, "weight", 1))
        if abs(level) != self.levels:
            weight = round_down(ratio(EXACT.multiply(weight, abs(level)), Decimal(self.levels)), _WEIGHT_STEP)
        return float(weight if level >= 0 else weight.copy_negate()), None

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Ask `decide`; propose a target when it names another level than before.

        Raises:
            ValueError: It named a level beyond `levels`.
        """
        self._read(ctx, bar)
        level = self._decided()
        if level == self._asked or level == KEEP or not ctx.is_warm:
            return None
        if abs(level) > self.levels:
            raise ValueError(f"decide named level {level}, the levels are {-self.levels} to {self.levels}")
        self._asked = level
        asked = self._targets.get(level)
        if asked is None:
            asked = self._targets[level] = self.target(level)
        weight, qty = asked
        features = tuple(zip(self._names, self._values.tolist(), strict=True))
        return Target(weight=weight, qty=qty, reason=self.reasons.get(level, ""), features=features)

    # What `decide` says to what was read.
    def _decided(self) -> int:
        return int(self.machine.ask(self._event, self._values, self._cells, self._numbers))

    # Takes over the indicators and, where the strategy may see them, the bar and the position.
    def _read(self, ctx: Context, bar: BarView) -> None:
        for at, name in enumerate(self._names):
            self._values[at] = ctx.feature(name)
        if self.is_signal:
            return
        message, lots = bar.message, bar.instrument.lots(ctx.own_qty)
        prices = (message.open, message.high, message.low, message.close)
        self._event[:] = (ctx.n_bars, message.ts_ns, *prices, message.volume_lots, lots)


class SignalStrategy(CompiledStrategy):
    """A compiled strategy that looks at its indicators and parameters alone: whole columns are decided at once.

    `decide` is given nothing else: `now` is all zeros, `state` is empty. A sweep walks only where the level changes, and
    a backtest sleeps in between. One that only compares is asked in Python where that is sooner than a compiler is loaded.

    Attributes:
        is_plain_of: Returns whether `decide` only compares so many values and parameters; given to the class when it is
            loaded.
    """

    is_signal: ClassVar[bool] = True
    is_plain_of: ClassVar[Callable[[int, int], bool]]

    @cached_property
    def only_compares(self) -> bool:
        """Whether Python says the same as compiled code, see `adapters/plain_decision.py`."""
        cls = type(self)
        return hasattr(cls, "is_plain_of") and cls.is_plain_of(len(self._names), self._numbers.size)

    def get_ready(self) -> None:
        """Compile what `on_bar` calls, if it calls that."""
        if not self.only_compares:
            super().get_ready()

    def fresh_state(self) -> FloatArray:
        """Return nothing: a signal remembers nothing."""
        return np.zeros(0)

    def wakes(self, features: Mapping[str, FloatArray]) -> BoolArray:
        """Return where the level is another one than a row before."""
        n_rows = len(features[self._names[0]])
        levels = np.empty(n_rows, np.int8)
        if self.only_compares and n_rows <= _UNCOMPILED_ROWS:
            rows = zip(*(features[name].tolist() for name in self._names), strict=True)
            levels = np.fromiter(map(self._plainly, rows), np.int64, n_rows)
        else:
            columns = np.array([features[name] for name in self._names])
            if not self.machine.levels_of(columns, self._which, self._cells, self._numbers, levels):
                return np.ones(n_rows, np.bool_)  # Some level is none: whoever meets it says so.
        wakes = np.ones(n_rows, np.bool_)
        np.not_equal(levels[1:], levels[:-1], out=wakes[1:])
        return wakes

    def _decided(self) -> int:
        return self._plainly(tuple(self._values.tolist())) if self.only_compares else super()._decided()

    def _plainly(self, values: Values) -> int:
        return type(self).decide(_NOTHING, values, self._cells, self._numbers)
