"""How do our orders fare on an instrument's trades and book? Rows of its venue in, our orders' happenings out.

The thin Python side of `kernels/exchange.py`, which holds the rules: it draws rows block by block, grows what is full,
and turns numbers into structs. Times are the venue's own. No money, no links between orders, no expiry: those are the
venue's (`venues/simulated.py`).
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np

from njord.core.errors import ConfigError, DataError, InvariantError
from njord.core.types import OrderReason, TimeInForce
from njord.kernels import exchange, exchange_orders
from njord.kernels.book import ASK, BID, PRICE_MAX, IntArray, best
from njord.kernels.exchange_orders import HAS_BOOK, LAST, N_ORDERS, N_OUT, NOW, ROW
from njord.kernels.exchange_queue import PROBABILITY, RISK_AVERSE
from njord.kernels.exchange_rows import ROW_BID, ROW_BUY, ROW_CLEAR, ROW_SIZE

QUEUE_MODELS = {"risk_averse": RISK_AVERSE, "probability": PROBABILITY}
UNKNOWN_ORDER = -1
_TIF = {
    TimeInForce.GTC: exchange_orders.GTC,
    TimeInForce.GTD: exchange_orders.GTC,  # Its expiry is the venue's to keep.
    TimeInForce.IOC: exchange_orders.IOC,
    TimeInForce.FOK: exchange_orders.FOK,
}
_REASON = {
    exchange_orders.NO_REASON: OrderReason.NONE,
    exchange_orders.WOULD_TAKE: OrderReason.POST_ONLY_WOULD_TAKE,
    exchange_orders.REMAINDER: OrderReason.IOC_REMAINDER,
    exchange_orders.UNFILLED: OrderReason.FOK_UNFILLED,
    exchange_orders.NO_LIQUIDITY: OrderReason.NO_LIQUIDITY,
}


class MarketRows(NamedTuple):
    """Consecutive rows of one instrument: int64 arrays of one length.

    Attributes:
        kind: 1 bid and 2 ask set a level to a quantity (0 removes it), 3 and 4 are trades of a buying and a selling
            aggressor, 5 empties the book because the levels of a snapshot follow.
        ts_ns: Venue time, never falling.
        price_ticks: >= 1; of no meaning where the book is emptied.
        qty_lots: >= 0; of a trade >= 1.
    """

    kind: IntArray
    ts_ns: IntArray
    price_ticks: IntArray
    qty_lots: IntArray


class What(IntEnum):
    """What can happen to an order."""

    FILLED = exchange_orders.FILLED
    TRIGGERED = exchange_orders.TRIGGERED
    ENDED = (
        exchange_orders.ENDED
    )  # By the market's rules, with lots left; a complete fill has no event besides.


FILLED, TRIGGERED, ENDED = What.FILLED, What.TRIGGERED, What.ENDED


class TickOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order as it arrives; with a trigger or a trail it waits first.

    Attributes:
        number: > 0, of no other working order.
        sign: +1 buy, -1 sell.
        remaining_lots: > 0.
        limit_ticks: 0 for a market order.
        trigger_ticks: 0 for none; a trailing stop may start without one.
        is_take_profit: What kind of trigger it is.
        trail_ticks: Distance of a trailing stop's trigger, 0 for others.
        post_only: Ends if it would take when it arrives, or when it is triggered.
        tif: From its arrival or its trigger on.
    """

    number: int
    sign: int
    remaining_lots: int
    limit_ticks: int = 0
    trigger_ticks: int = 0
    is_take_profit: bool = False
    trail_ticks: int = 0
    post_only: bool = False
    tif: TimeInForce = TimeInForce.GTC


class Happening(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to one order.

    Attributes:
        what: FILLED, TRIGGERED or ENDED.
        number: Whose.
        ts_ns: Venue time.
        price_ticks: Of the fill, or of the trade that triggered; 0 if it ended.
        qty_lots: Filled; what is left, if it was triggered or ended.
        is_maker: Whether the fill made.
        reason: Why it ended.
        queue_at_arrival: Of a maker's fill: lots ahead when the order came to rest; -1 unknown.
        queue_at_fill: Of a maker's fill: the model's lots ahead just before it; -1 unknown.
    """

    what: What
    number: int
    ts_ns: int
    price_ticks: int
    qty_lots: int
    is_maker: bool
    reason: OrderReason
    queue_at_arrival: int
    queue_at_fill: int


class TickMarket:
    """One instrument's exchange on ticks.

    Args:
        rows: Its market, drawn as time goes on.
        queue_model: A key of QUEUE_MODELS.
        partial_fills: Whether trades and levels fill no more than they have.

    Raises:
        ConfigError: There is no such queue model.
        DataError: A row is impossible, when it is drawn.
    """

    def __init__(self, rows: Iterator[MarketRows], *, queue_model: str, partial_fills: bool) -> None:
        if queue_model not in QUEUE_MODELS:
            raise ConfigError(
                f"queue_model must be one of {', '.join(QUEUE_MODELS)}, was {queue_model!r}",
                "change backtest.queue_model",
            )
        self._rows = rows
        self._block = np.zeros((ROW_SIZE, 0), np.int64)
        self._state = exchange_orders.new_exchange(QUEUE_MODELS[queue_model], partial_fills)
        self._pending: list[Happening] = []
        self._last_row_ns = 0

    @property
    def now_ns(self) -> int:
        """Venue time that it has come to."""
        return int(self._state.head[NOW])

    @property
    def last_ticks(self) -> int:
        """The last trade's price; 0 before the first."""
        return int(self._state.head[LAST])

    @property
    def best_bid_ticks(self) -> int:
        """The highest bid; 0 if there is none."""
        return int(best(self._state.book, BID)[0])

    @property
    def best_ask_ticks(self) -> int:
        """The lowest ask; 0 if there is none."""
        return int(best(self._state.book, ASK)[0])

    @property
    def has_book(self) -> bool:
        """Whether a level was ever seen: until then trades alone decide."""
        return bool(self._state.head[HAS_BOOK])

    @property
    def n_orders(self) -> int:
        """How many orders work here."""
        return int(self._state.head[N_ORDERS])

    def add(self, order: TickOrder) -> list[Happening]:
        """Let an order arrive now; return what that made happen to it."""
        tif = _TIF[order.tif]
        while True:
            said = exchange.add(
                self._state,
                order.number,
                order.sign,
                order.remaining_lots,
                order.limit_ticks,
                order.trigger_ticks,
                int(order.is_take_profit),
                order.trail_ticks,
                int(order.post_only),
                tif,
            )
            if said == exchange_orders.DONE:
                return self._happenings()
            self._state = exchange_orders.grown(self._state, said)

    def withdraw(self, number: int) -> int:
        """Take an order out; return the lots that were left, -1 if it does not work here."""
        return int(exchange.cancel(self._state, number))

    def shrink(self, number: int, lots: int) -> int:
        """Take lots off an order, which keeps its place; return what is left (0: gone), -1 if it does not work here."""
        return int(exchange.shrink(self._state, number, lots))

    def amend(
        self, number: int, remaining_lots: int = 0, limit_ticks: int = 0, trigger_ticks: int = 0
    ) -> bool:
        """Change a working order; 0 leaves a value as it is. What that makes happen is in the next `advance`.

        Fewer lots keep the place in the queue; with more lots or another price the order arrives anew, and may take.

        Returns:
            False if nothing has changed: the order does not work here, is of a kind without that price (or past its
            trigger), or is post-only and would take.
        """
        while True:
            said = exchange.amend(self._state, number, remaining_lots, limit_ticks, trigger_ticks)
            if said != exchange_orders.OUT_FULL:
                self._pending += self._happenings()
                return bool(said == exchange_orders.DONE)
            self._state = exchange_orders.grown(self._state, said)

    def advance(self, until_ns: int) -> list[Happening]:
        """Run the market's rows up to `until_ns`, or to the first that makes something happen.

        Returns:
            What happened, in order; now_ns is that row's time. Empty if nothing did: now_ns is `until_ns`.
        """
        if self._pending:
            pending, self._pending = self._pending, []
            return pending
        while True:
            said = exchange.advance(self._state, self._block, until_ns)
            if said == exchange.HAPPENED:
                return self._happenings()
            if said == exchange_orders.DONE or (said == exchange.ROWS_USED and not self._draw()):
                self._state.head[NOW] = max(self._state.head[NOW], until_ns)
                return []
            if said != exchange.ROWS_USED:
                self._state = exchange_orders.grown(self._state, said)

    # Whether there was another block; an empty one is one.
    def _draw(self) -> bool:
        block = next(self._rows, None)
        if block is None:
            return False
        _refuse_impossible(block, self._last_row_ns)
        if len(block.ts_ns):
            self._last_row_ns = int(block.ts_ns[-1])
        self._block = np.stack(block)
        self._state.head[ROW] = 0
        return True

    def _happenings(self) -> list[Happening]:
        n = int(self._state.head[N_OUT])
        if n == 0:
            return []
        return [
            Happening(What(what), number, ts_ns, price, lots, bool(made), _REASON[reason], then, now)
            for what, number, ts_ns, price, lots, made, reason, then, now in self._state.out[:n].tolist()
        ]


def _refuse_impossible(rows: MarketRows, last_ns: int) -> None:
    kind, ts_ns, price, lots = rows
    if not len(kind) == len(ts_ns) == len(price) == len(lots):
        raise InvariantError("the columns of market rows must be of one length")
    if not len(kind):
        return
    is_trade = (kind >= ROW_BUY) & (kind < ROW_CLEAR)
    is_possible = (kind == ROW_CLEAR) | (
        (kind >= ROW_BID) & (kind < ROW_CLEAR) & (price >= 1) & (price <= PRICE_MAX) & (lots >= is_trade)
    )
    is_possible[1:] &= ts_ns[1:] >= ts_ns[:-1]
    is_possible[0] &= ts_ns[0] >= last_ns
    if not is_possible.all():
        at = int(np.argmin(is_possible))
        seen = ", ".join(str(int(column[at])) for column in rows)
        raise DataError(
            f"row {at} of a block of market rows must be a level or trade with a price, not before the row before it; "
            f"was (kind, ts_ns, price, lots) = ({seen})",
            "run `njord data check` on its dataset",
        )
