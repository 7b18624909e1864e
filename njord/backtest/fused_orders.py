"""One run of a compiled strategy that places orders: its tables filled by the loop, and its orders booked again.

The loop is `kernels/fused_orders.py`. It can not know how many orders a strategy will place, so that tables that turn out
too short are made longer, and the run begins again.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np

from njord.backtest.fused_books import Books, Filled, Left, Sent
from njord.backtest.fused_terms import NotFused, warm_bars
from njord.backtest.recorder import Recorder
from njord.backtest.simulation import Prepared
from njord.core.contracts import OrderEvent
from njord.core.units import BPS, EXACT
from njord.kernels import fused_book as row_of
from njord.kernels import fused_tables as table
from njord.kernels.fused_book import BOOK_ROWS, BOOK_SIZE, PLACED_SIZE, Desk
from njord.kernels.fused_gate import BOTH, MAKER, NOBODY, TAKER, OrderTerms
from njord.kernels.fused_orders import OrdersRun
from njord.kernels.fused_tables import NO_ROOM, ORDER_SIZE, Bars, Terms
from njord.kernels.order_slots import fresh_slots
from njord.kernels.wide import DIVISOR_MAX
from njord.risk.profile import build_rules
from njord.strategies.compiled_orders import OrderStrategy
from njord.strategies.features import FloatArray, IntArray
from njord.system import System

_ROOM = 4096  # Orders, to begin with.
_SELF_TRADES = {
    "none": NOBODY,
    "expire_taker": TAKER,
    "expire_maker": MAKER,
    "expire_both": BOTH,
}
_RULES = frozenset(
    {
        "kill_switch",
        "well_formed",
        "duplicate_intent",
        "instrument_filters",
        "market_price",
        "price_collar",
    }
    | {
        "order_links",
        "reduce_only",
        "open_orders",
        "order_rate",
        "daily_loss",
        "max_order_notional",
    }
    | {"max_position", "max_gross", "affordable"}
)  # Those that the loop asks, and those that can not refuse what it says at a fresh close.


class Placed(msgspec.Struct, frozen=True):
    """What the loop left.

    Attributes:
        placed: Shape (n_orders, PLACED_SIZE), see `kernels/fused_book.py`.
        fills: Shape (n_fills, ORDER_SIZE), by the time of execution, so that `trip_sums` and `equity_of` read it.
    """

    run: OrdersRun
    placed: IntArray
    fills: IntArray


def order_terms(prepared: Prepared, base: Terms, highest_ticks: int) -> OrderTerms:
    """Return the terms of a run whose strategy places orders.

    Args:
        prepared: The run.
        base: What `fused_terms` says of it.
        highest_ticks: The highest price of all bars.

    Raises:
        NotFused: A rule has no meaning in the loop, or a number would leave its range.
    """
    spec, settings = prepared.spec, prepared.config.backtest
    rules = {rule.name: rule for rule in build_rules(spec.risk_profile, spec.risk_rules) if not rule.is_off}
    for name in rules:
        if name not in _RULES:
            raise NotFused(f"risk rule {name}")
    params: dict[str, Any] = {name: rule.params for name, rule in rules.items()}
    collar, open_ = params.get("price_collar"), params.get("open_orders")
    distance = Fraction(collar.max_distance_fraction) if collar is not None else Fraction(0)
    maker, bps = Fraction(EXACT.multiply(settings.maker_fee_bps, BPS)), Fraction(BPS)
    cost, buffer = (
        Fraction(spec.cost_bps) * bps,
        Fraction(params["affordable"].buffer_bps) * bps,
    )
    whole = math.lcm(cost.denominator, buffer.denominator)
    terms = OrderTerms(
        base=base,
        highest=highest_ticks * 2 + 1,
        max_open=open_.cap if open_ is not None else BOOK_ROWS,
        collar_numerator=distance.numerator,
        collar_denominator=distance.denominator,
        self_trade=_SELF_TRADES[settings.self_trade],
        maker_numerator=maker.numerator,
        maker_divisor=maker.denominator * base.fee_step,
        cost_numerator=int(cost * whole),
        buffer_numerator=int(buffer * whole),
        cost_denominator=whole,
    )
    small = (*terms[3:5], abs(terms.maker_numerator), *terms[8:])
    if max(small) >= 2**47 or terms.maker_divisor >= DIVISOR_MAX:
        raise NotFused("MONEY_RANGE: a rate or the price collar has too many digits")
    return terms


def place_all(
    strategy: OrderStrategy,
    bars: Bars,
    columns: FloatArray,
    which: IntArray,
    terms: OrderTerms,
    equity: IntArray,
    refusals: IntArray,
) -> Placed:
    """Run the strategy's loop over all bars.

    Args:
        strategy: Its function, indicators and numbers.
        bars: Shape (n,) each.
        columns: Shape (m, n): indicators.
        which: Shape (k,): those rows that are the strategy's.
        terms: Limits, costs and the account.
        equity: Shape (n,), filled: the account's worth at each close, in units.
        refusals: Shape (N_REFUSALS,), filled.
    """
    room = _ROOM
    while True:
        counts, touched = np.zeros(2, np.int64), np.zeros((BOOK_ROWS, 4), np.int64)
        book = np.zeros((BOOK_ROWS, BOOK_SIZE), np.int64)
        placed, fills = (
            np.zeros((room, PLACED_SIZE), np.int64),
            np.zeros((room, ORDER_SIZE), np.int64),
        )
        refusals[:] = 0
        run = strategy.order_machine.run(
            bars, columns, which, terms, warm_bars(strategy), strategy.fresh_state(), strategy.fresh_numbers(),
            Desk(fresh_slots(), book, touched, counts, placed, fills), equity, refusals,
        )  # fmt: skip
        if run.code != NO_ROOM:
            return Placed(run, placed[: run.n_orders], fills[: run.n_fills])
        room *= 8


class PlacedBooks(Books):
    """Books what a strategy placed: each order when it was sent, its fill and its end when they happened."""

    def __init__(
        self,
        prepared: Prepared,
        left: Left,
        ran: Placed,
        system: System,
        recorder: Recorder,
    ) -> None:
        super().__init__(prepared, left, system, recorder)
        self._placed: Sequence[Sequence[int]] = ran.placed.tolist()
        self._fills: Sequence[Sequence[int]] = ran.fills.tolist()
        self._last = len(left.columns) - 1
        ended = [at for at, order in enumerate(self._placed) if order[row_of.END] != table.END_OF_DATA]
        self._ended = sorted(ended, key=lambda at: self._placed[at][row_of.END_NUMBER])
        self._n_ended = 0
        self._n_sent = 0
        self._open: dict[int, OrderEvent] = {}  # By their place among those placed.

    def until(self, end: int) -> Iterator[int]:
        """Book what happened before row `end`; yield the rows of fills as they are booked."""
        placed, ended = self._placed, self._ended
        while True:
            has_end = self._n_ended < len(ended) and placed[ended[self._n_ended]][row_of.END_ROW] < end
            at = self._n_sent
            if at < len(placed) and placed[at][row_of.PLACED_ROW] < end:
                # A bar's fills come before what was sent at its close, and its cancels belong to the orders before.
                if (
                    not has_end
                    or placed[at][row_of.PLACED_ROW] < placed[ended[self._n_ended]][row_of.END_ROW]
                ):
                    self._send(placed[at])
                    continue
            elif not has_end:
                break
            at = ended[self._n_ended]
            self._n_ended += 1
            order, sent = placed[at], self._open.pop(at)
            row, is_inside, how = (
                order[row_of.END_ROW],
                bool(order[row_of.END_INSIDE]),
                order[row_of.END],
            )
            if how == table.FILLED:
                line = self._fills[order[row_of.FILL_ROW]]
                is_maker = bool(line[table.SENT_ROW])
                self.fill(sent, Filled(row, line[table.PAID_TICKS], is_inside, is_maker))
            self.end(sent, how, self.moment(row, is_inside))
            if how == table.FILLED:
                yield row

    def finish(self) -> None:
        """Let what still works expire; see `Books`."""
        for sent in self._open.values():
            self.end(sent, table.END_OF_DATA, self.moment(self._last, True))
        super().finish()

    def _send(self, order: Sequence[int]) -> None:
        sent = Sent(
            row=order[row_of.PLACED_ROW],
            sign=order[row_of.PLACED_SIGN],
            lots=order[row_of.PLACED_LOTS],
            intent=order[row_of.PLACED_INTENT],
            limit=order[row_of.PLACED_LIMIT],
            kind=order[row_of.PLACED_KIND],
            slot=str(order[row_of.PLACED_SLOT]),
        )
        self._open[self._n_sent] = self.send(sent)
        self._n_sent += 1
