"""The read-only world that a strategy sees: bars, book, positions, cash, open orders, history. It has no verbs.

Floats are for signals; whatever ends in `_ticks`, `_lots` or is a Decimal is exact and fit for orders.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from njord.core.contracts import Bar
from njord.core.holdings import Holdings
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder
from njord.strategies.features import FloatArray
from njord.strategies.history import BlockHistory

if TYPE_CHECKING:
    from njord.strategies.book_view import BookView  # Its kernel is loaded where a book exists.


class BarView(msgspec.Struct, frozen=True, gc=False):
    """One finished bar as a strategy reads it; safe to keep."""

    message: Bar
    instrument: Instrument

    @property
    def symbol(self) -> str:
        """CCXT unified symbol."""
        return self.instrument.symbol

    @property
    def ts_ns(self) -> int:
        """When the bar closed, and so became known."""
        return self.message.ts_ns

    @property
    def ts_open_ns(self) -> int:
        """When the bar opened."""
        return self.message.ts_open_ns

    @property
    def open(self) -> float:
        """First price, for signals."""
        return self.instrument.price_float(self.message.open)

    @property
    def high(self) -> float:
        """Highest price, for signals."""
        return self.instrument.price_float(self.message.high)

    @property
    def low(self) -> float:
        """Lowest price, for signals."""
        return self.instrument.price_float(self.message.low)

    @property
    def close(self) -> float:
        """Last price, for signals."""
        return self.instrument.price_float(self.message.close)

    @property
    def volume(self) -> float:
        """Volume as the recording gives it."""
        return self.instrument.qty_float(self.message.volume_lots)

    @property
    def open_ticks(self) -> int:
        """First price, exact."""
        return self.message.open

    @property
    def high_ticks(self) -> int:
        """Highest price, exact."""
        return self.message.high

    @property
    def low_ticks(self) -> int:
        """Lowest price, exact."""
        return self.message.low

    @property
    def close_ticks(self) -> int:
        """Last price, exact."""
        return self.message.close


class World:
    """What all strategies of a run share; the runner keeps it up to date."""

    __slots__ = (
        "account",
        "books",
        "fees_in_kind",
        "held_lots",
        "holdings",
        "mark_ticks",
        "ts_ns",
        "working",
    )

    def __init__(self, holdings: Holdings, n_instruments: int) -> None:
        self.holdings = holdings
        self.account = holdings.account
        self.books: list[BookView | None] = [None] * n_instruments
        self.held_lots = self.holdings.lots
        self.fees_in_kind = self.holdings.fees_in_kind
        self.mark_ticks = [0] * n_instruments
        self.ts_ns = 0
        self.working = self.holdings.working


class Context:
    """The world as one strategy sees it, centered on one instrument.

    Args:
        world: The shared state.
        instruments: All instruments of the run.
        index: The instrument that `position`, `price` and `history` speak of.
        strategy_id: Whose open orders are shown.
        warm_up: How many bars `history` may reach back.
        warm_from: The first bar at which proposals are accepted, counted from 1; never before the warm-up ends.
    """

    __slots__ = (
        "_bars",
        "_block",
        "_block_from",
        "_block_views",
        "_features",
        "_history",
        "_index",
        "_instruments",
        "_latest",
        "_n_bars",
        "_strategy_id",
        "_warm_from",
        "_warm_up",
        "_world",
    )

    def __init__(
        self,
        world: World,
        instruments: Sequence[Instrument],
        index: int,
        strategy_id: str,
        warm_up: int,
        warm_from: int = 0,
    ) -> None:
        self._world = world
        self._instruments = instruments
        self._index = index
        self._strategy_id = strategy_id
        self._bars: deque[Bar] = deque(maxlen=warm_up)
        self._history: BlockHistory | None = None  # Where bars come in blocks; `_bars` is not asked then.
        self._features: dict[str, FloatArray] | None = None
        # Indicators of the block under way, whose first row is that number of the bars; else of the latest bar alone.
        self._block: dict[str, FloatArray] | None = None
        self._block_from = 0
        self._block_views: dict[str, memoryview[float]] = {}  # Indexing a view gives a float at once.
        self._latest: dict[str, float] = {}
        self._n_bars = 0
        self._warm_up = warm_up
        self._warm_from = max(warm_up, warm_from)

    @property
    def ts_ns(self) -> int:
        """Engine time of the event being handled."""
        return self._world.ts_ns

    @property
    def instrument(self) -> Instrument:
        """The instrument: its symbol, tick, lot and minima, and the exact way from numbers to lots and ticks."""
        return self._instruments[self._index]

    @property
    def n_bars(self) -> int:
        """How many bars of this instrument have been seen, the current one included."""
        return self._n_bars

    @property
    def warm_up(self) -> int:
        """The declared warm-up, in bars."""
        return self._warm_up

    @property
    def is_warm(self) -> bool:
        """Whether proposals are accepted: the declared warm-up has ended."""
        return self._n_bars >= self._warm_from

    @property
    def qty(self) -> Decimal:
        """The account's position in base, exact, negative when short; several strategies may share it."""
        return self._world.account.position(self._index).qty

    @property
    def own_qty(self) -> Decimal:
        """What this strategy's own fills have left of it in this instrument, exact, negative when short."""
        return self._world.holdings.qty((self._strategy_id, self._index), self.instrument)

    @property
    def position(self) -> float:
        """The account's position in base, for signals."""
        return float(self.qty)

    @property
    def price(self) -> float | None:
        """Last price, for signals; None before the first."""
        ticks = self._world.mark_ticks[self._index]
        return self.instrument.price_float(ticks) if ticks else None

    @property
    def book(self) -> "BookView | None":
        """The order book as it is now; None where the run has none, and before the first BookEvent."""
        return self._world.books[self._index]

    @property
    def cash(self) -> Decimal:
        """Balance of the report asset, exact."""
        account = self._world.account
        return account.balances()[account.report_asset]

    @property
    def equity(self) -> Decimal | None:
        """Cash plus positions at the last prices, exact; None while a price is missing."""
        return self._world.account.equity(self._world.mark_ticks)

    @property
    def open_orders(self) -> tuple[WorkingOrder, ...]:
        """This strategy's working orders in this instrument, oldest first, as copies."""
        return tuple(
            msgspec.structs.replace(order)
            for order in self._world.working
            if order.strategy_id == self._strategy_id and order.instrument == self._index
        )

    def history(self, n: int) -> list[BarView]:
        """Return the last `n` bars, oldest first, the current one included; fewer at the start.

        Raises:
            ValueError: `n` is negative, or reaches back further than the declared warm-up.
        """
        if not 0 <= n <= self._warm_up:
            raise ValueError(
                f"history reaches back {self._warm_up} bars, the declared warm-up; asked for {n}"
            )
        instrument = self.instrument
        if self._history is not None:
            return [BarView(bar, instrument) for bar in self._history.last(n, self._n_bars)]
        start = max(0, len(self._bars) - n)
        return [BarView(bar, instrument) for bar in islice(self._bars, start, None)]

    def feature(self, name: str) -> float:
        """Return the current bar's value of what `indicators` or `precompute` has named; nan where there is none yet.

        Raises:
            LookupError: There is no such feature, or no bar has been seen yet.
        """
        row = self._n_bars - 1
        if row >= 0 and name in self._block_views:
            return self._block_views[name][row - self._block_from]
        if self._block is None and name in self._latest:
            return self._latest[name]
        values = self._features.get(name) if self._features else None
        if values is None and name not in self._block_views:
            raise LookupError(self._no_feature(name))
        if row < 0 or values is None:
            raise LookupError(f"feature {name!r} has no value before the first bar")
        return float(values[row])

    def _no_feature(self, name: str) -> str:
        known = {**(self._features or {}), **(self._block or {}), **self._latest}
        if self._features is None and not known:
            return (
                f"there is no feature {name!r}: the strategy has no indicators() and no precompute(), or the "
                "instrument no bars"
            )
        said = ", ".join(sorted(known)) or "none"
        return f"there is no feature {name!r}; indicators() and precompute() gave: {said}"
