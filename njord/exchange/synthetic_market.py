"""A seeded, endless market that looks like one and is none: books that breathe, and trades that take from them.

Per symbol a fair price walks, its volatility changing between calm and wild. A ladder of levels stands around it; ten times
a second it follows, some levels grow, shrink or are canceled, and a change of the book is published. In between orders
arrive at random moments and take from the best levels. The same seed makes the same market, whoever else is traded: each
symbol draws from its own generator.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import exp

import msgspec
import numpy as np
from numpy.random import Generator, default_rng

from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, NS_PER_MS
from njord.exchange.market import PublicMarket
from njord.exchange.market_tape import TRADE_BUY, TRADE_SELL, Row, TapeBlock, block_of, change_rows

STEP_NS = 100 * NS_PER_MS
START_PRICES = {"BTC": Decimal(60_000), "ETH": Decimal(2_500), "BNB": Decimal(550), "SOL": Decimal(150)}
OTHER_PRICE = Decimal(100)
_STEPS_PER_BLOCK = 50
_SWITCH = 0.002  # Chance per step to go from calm to wild or back.
_PULL = 1e-5  # Share of the distance to the start that is taken back per step.


class SyntheticTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the market is like; the same for all its symbols.

    Attributes:
        levels: Of each side.
        spacing: Between levels, a fraction of the price; a tick at least.
        level_quote: Typical value of a level, in quote.
        calm: Standard deviation of the log return of one step of 100 ms.
        wild: The same at times.
        orders_per_s: Orders that take, on average.
        changes_per_step: Levels besides the best ones that change, on average.
        first_id: Of trades and of changes.
    """

    levels: int = 50
    spacing: float = 2e-5
    level_quote: float = 4_000.0
    calm: float = 1e-5
    wild: float = 6e-5
    orders_per_s: float = 4.0
    changes_per_step: float = 4.0
    first_id: int = 1


DEFAULT_TERMS = SyntheticTerms()


class SyntheticMarket(PublicMarket):
    """A synthetic market of some symbols.

    Args:
        instruments: What is traded.
        seed: Of everything.
        begin_ns: When it begins; the whole book is there then.
        prices: First price by base asset, in quote; START_PRICES and OTHER_PRICE for others.
        terms: What it is like.

    Raises:
        ConfigError: A first price is below 1000 ticks: there is no room for a ladder.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        seed: int,
        begin_ns: int,
        prices: Mapping[str, Decimal] | None = None,
        terms: SyntheticTerms = DEFAULT_TERMS,
    ) -> None:
        known = {**START_PRICES, **(prices or {})}
        tapes = [
            _Ladder(
                _start_ticks(instrument, known.get(instrument.base, OTHER_PRICE)),
                _typical_lots(instrument, known.get(instrument.base, OTHER_PRICE), terms),
                terms,
                (seed, index),
                begin_ns,
            ).blocks
            for index, instrument in enumerate(instruments)
        ]
        super().__init__(instruments, tapes, begin_ns)


def _start_ticks(instrument: Instrument, price: Decimal) -> int:
    ticks = int(EXACT.divide_int(price, instrument.tick_size))
    if ticks < 1000:
        raise ConfigError(
            f"the first price of {instrument.symbol} must be at least 1000 ticks of {instrument.tick_size:f}, "
            f"was {price:f}",
            "choose a smaller tick or another price",
        )
    return ticks


def _typical_lots(instrument: Instrument, price: Decimal, terms: SyntheticTerms) -> float:
    return max(2.0, terms.level_quote / float(price) / float(instrument.lot_size))


class _Ladder:
    """One symbol; `blocks` begins anew each time."""

    def __init__(
        self,
        start_ticks: int,
        typical_lots: float,
        terms: SyntheticTerms,
        seed: tuple[int, int],
        begin_ns: int,
    ) -> None:
        self._start_ticks = start_ticks
        self._typical_lots = typical_lots
        self._terms = terms
        self._seed = seed
        self._begin_ns = begin_ns
        self._spacing = max(1, round(start_ticks * terms.spacing))

    def blocks(self) -> Iterator[TapeBlock]:
        """Yield the market, without end."""
        rng = default_rng(self._seed)
        pass_ = _Pass(self._start_ticks, self._typical_lots, self._spacing, self._terms, rng)
        yield block_of(pass_.opening(self._begin_ns))
        now_ns, level, is_wild = self._begin_ns, 0.0, False
        while True:
            rows: list[Row] = []
            switches = rng.random(_STEPS_PER_BLOCK) < _SWITCH
            steps = rng.standard_normal(_STEPS_PER_BLOCK)
            for step, switch in zip(steps.tolist(), switches.tolist(), strict=True):
                is_wild ^= switch
                deviation = self._terms.wild if is_wild else self._terms.calm
                level = level * (1 - _PULL) + step * deviation
                rows += pass_.step(now_ns, exp(level))
                now_ns += STEP_NS
            yield block_of(rows)


class _Pass:
    """The book of one pass, and the ids it has come to."""

    def __init__(
        self, start_ticks: int, typical_lots: float, spacing: int, terms: SyntheticTerms, rng: Generator
    ) -> None:
        self._start = start_ticks / spacing
        self._typical_lots = typical_lots
        self._spacing = spacing
        self._terms = terms
        self._rng = rng
        # By rung, not by price: a rung is `spacing` ticks.
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._update_id = terms.first_id - 1
        self._trade_id = terms.first_id - 1
        self._sizes: list[int] = []

    def opening(self, ts_ns: int) -> list[Row]:
        """Return the whole first book."""
        self._follow(round(self._start), {}, {})
        return self._change(ts_ns, self._bids, self._asks)

    def step(self, begin_ns: int, factor: float) -> list[Row]:
        """Return the trades of 100 ms, and the change that ends them."""
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        rows: list[Row] = []
        n_orders = int(self._rng.poisson(self._terms.orders_per_s * STEP_NS / 1e9))
        for at in sorted(self._rng.integers(1, STEP_NS // NS_PER_MS, n_orders).tolist()):
            rows += self._order(begin_ns + at * NS_PER_MS, bids, asks)
        self._breathe(bids, asks)
        self._follow(round(self._start * factor), bids, asks)
        return rows + self._change(begin_ns + STEP_NS, bids, asks)

    # One order takes from the best levels; mostly less than the first of them.
    def _order(self, ts_ns: int, bids: dict[int, int], asks: dict[int, int]) -> list[Row]:
        buys = bool(self._rng.random() < 0.5)
        wanted = max(1, round(self._size() * 0.6))
        side, changed = (self._asks, asks) if buys else (self._bids, bids)
        rows: list[Row] = []
        while wanted and len(side) > 1:
            rung = min(side) if buys else max(side)
            lots = min(wanted, side[rung])
            wanted -= lots
            side[rung] -= lots
            changed[rung] = side[rung]
            if not side[rung]:
                del side[rung]
            self._trade_id += 1
            kind = TRADE_BUY if buys else TRADE_SELL
            rows.append((kind, ts_ns, rung * self._spacing, lots, self._trade_id, self._trade_id, 1))
        return rows

    # Some levels change their size; a third of these are canceled.
    def _breathe(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        n_changes = int(self._rng.poisson(self._terms.changes_per_step))
        for depth in self._rng.integers(0, 2 * self._terms.levels, n_changes).tolist():
            is_bid, place = depth % 2 == 0, depth // 2
            side, changed = (self._bids, bids) if is_bid else (self._asks, asks)
            if place == 0 or not side:
                continue
            rung = max(side) - place if is_bid else min(side) + place
            if rung not in side:
                continue
            if self._rng.random() < 1 / 3:
                del side[rung]
                changed[rung] = 0
            else:
                changed[rung] = side[rung] = self._size()

    # Levels that the fair price has passed go, the best ones and those at the far end come.
    def _follow(self, fair: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        levels = self._terms.levels
        for side, changed, first, sign in ((self._bids, bids, fair - 1, -1), (self._asks, asks, fair + 1, 1)):
            for rung in [each for each in side if not 0 <= sign * (each - first) < levels]:
                del side[rung]
                changed[rung] = 0
            missing = [rung for rung in range(first, first + sign * levels, sign) if rung not in side]
            for rung in missing:
                # The best level always stands; holes further away fill in time.
                if rung > 0 and (rung == first or len(side) < levels // 2 or self._rng.random() < 0.2):
                    changed[rung] = side[rung] = self._size()

    def _change(self, ts_ns: int, bids: dict[int, int], asks: dict[int, int]) -> list[Row]:
        n_changes = max(1, len(bids) + len(asks))
        first_id, self._update_id = self._update_id + 1, self._update_id + n_changes
        return change_rows(ts_ns, first_id, self._update_id, self._priced(bids, -1), self._priced(asks, 1))

    # What goes comes first, so that a book never crosses in between.
    def _priced(self, rungs: Mapping[int, int], sign: int) -> list[tuple[int, int]]:
        order = sorted(rungs, key=lambda rung: (rungs[rung] > 0, sign * rung))
        return [(rung * self._spacing, rungs[rung]) for rung in order]

    def _size(self) -> int:
        if not self._sizes:
            drawn = self._typical_lots * np.exp(0.8 * self._rng.standard_normal(256))
            self._sizes = np.maximum(1, np.rint(drawn)).astype(np.int64).tolist()
        return self._sizes.pop()
