"""A market maker twice on the tick exchange: compiled together with it, and in Python through `TickMarket`.

Both join the best bid and the best ask that they have heard of with one post-only order a side, at each step, and cancel
what is no longer there; every order takes the latency to the exchange, and every answer the same way back. It is the maker
of the peer's script, so that trades, position, balance and fees can be compared to the last lot.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from benchmarks.ticks_capture import LOTS_PER_UNIT, TICKS_PER_UNIT, Recorded
from njord.kernels._jit import bare_kernel
from njord.kernels.book import ASK, BID, IntArray, best
from njord.kernels.exchange import HAPPENED, ROWS_USED, add, advance, cancel
from njord.kernels.exchange_orders import DONE, GTC, N_OUT, NOW, OF, TS_NS, Exchange, new_exchange
from njord.kernels.exchange_queue import PROBABILITY
from njord.venues import tick_market
from njord.venues.tick_market import Happening, MarketRows, TickMarket, TickOrder

LATENCY_NS = 10_000_000
QUANTITY, POSITION_MAX = 2_000, 100_000  # Lots: 0.02 and 1 ETH.
FEE = 0.001
NEVER = 2**63 - 1
BLOCK_ROWS = 2**16

_RING = 1024  # Requests or answers on their way, at most.
_ORDERS = 64  # Orders that the maker knows of, at most.
_NEW, _CANCEL = 0, 1  # Requests.
_ACCEPTED, _GONE, _FILLED = 0, 1, 2  # Answers.
_PENDING, _RESTING, _CANCELING = 0, 1, 2  # An order as the maker sees it.

# What the compiled maker counts.
_STEPS, _TRADES, _POSITION, _CASH, _VALUE, _LAST_ID, _N_OWN = range(7)
_HEAD, _TAIL = 7, 8  # Of the requests; of the answers two behind.
_COUNTS = 11


class Figures(NamedTuple):
    """What a run came to; money in quote."""

    steps: int
    trades: int
    position: float
    balance: float
    fee: float


class _Maker(NamedTuple):
    counts: IntArray  # (_COUNTS,)
    own: IntArray  # (4, _ORDERS): id, side, price, state
    requests: IntArray  # (5, _RING): when, what, id, side, price
    answers: IntArray  # (3, _RING): when, what, id


def figures(steps: int, trades: int, position: int, cash: int, value: int) -> Figures:
    """Return what whole ticks and lots are in money, rounded as the peer prints it."""
    unit = TICKS_PER_UNIT * LOTS_PER_UNIT
    return Figures(
        steps,
        trades,
        round(position / LOTS_PER_UNIT, 5),
        round(cash / unit, 4),
        round(value / unit * FEE, 4),
    )


# --- compiled -----------------------------------------------------------------------------------------------------


def run_compiled(recorded: Recorded, step_ns: int, with_orders: bool = True) -> Figures:
    """Run the compiled maker over the recording.

    Args:
        recorded: The market.
        step_ns: How often it looks.
        with_orders: False: the exchange and the book at home run, and nobody trades.
    """
    x, home = (new_exchange(PROBABILITY, False, room=2**14, n_orders=_ORDERS, n_out=2**14) for _ in range(2))
    maker = _Maker(*(np.zeros(shape, np.int64) for shape in (_COUNTS, (4, _ORDERS), (5, _RING), (3, _RING))))
    if not _run(x, recorded.at_exchange, home, recorded.at_home, maker, step_ns, with_orders):
        raise SystemExit("the exchange asks for more room than the benchmark gives it")
    counts = maker.counts.tolist()
    return figures(*counts[: _VALUE + 1])


@bare_kernel
def _run(
    x: Exchange,
    rows: IntArray,
    home: Exchange,
    home_rows: IntArray,
    maker: _Maker,
    step_ns: int,
    with_orders: bool,
) -> bool:
    last = max(rows[1, -1], home_rows[1, -1])
    now = min(rows[1, 0], home_rows[1, 0])
    while now <= last:
        now += step_ns
        maker.counts[_STEPS] += 1
        if not _exchange_until(x, rows, maker, now):
            return False
        said = advance(home, home_rows, now)  # What a listener knows is an exchange where nobody trades.
        if said != DONE and said != ROWS_USED:
            return False
        _hear(maker, now)
        if with_orders:
            _decide(home.book, maker, now + LATENCY_NS)
    return True


# The exchange up to now: its market first, then the requests of the same time.
@bare_kernel
def _exchange_until(x: Exchange, rows: IntArray, maker: _Maker, now: int) -> bool:
    requests = maker.requests
    while True:
        slot = maker.counts[_HEAD] & (_RING - 1)
        due = requests[0, slot] if maker.counts[_HEAD] != maker.counts[_TAIL] else NEVER
        said = HAPPENED
        while said == HAPPENED:
            said = advance(x, rows, min(due, now))
            for out in range(x.head[N_OUT]):
                _answer(maker, x.out[out, TS_NS] + LATENCY_NS, _FILLED, x.out[out, OF])
        if said != DONE and said != ROWS_USED:
            return False
        if due > now:
            return True
        maker.counts[_HEAD] += 1
        x.head[NOW] = due
        order_id = requests[2, slot]
        if requests[1, slot] == _CANCEL:
            if cancel(x, order_id) > 0:
                _answer(maker, due + LATENCY_NS, _GONE, order_id)
        elif add(x, order_id, requests[3, slot], QUANTITY, requests[4, slot], 0, 0, 0, 1, GTC) != DONE:
            return False
        else:
            _answer(maker, due + LATENCY_NS, _GONE if x.head[N_OUT] else _ACCEPTED, order_id)


@bare_kernel
def _answer(maker: _Maker, ts_ns: int, what: int, order_id: int) -> None:
    slot = maker.counts[_TAIL + 2] & (_RING - 1)
    maker.answers[0, slot] = ts_ns
    maker.answers[1, slot] = what
    maker.answers[2, slot] = order_id
    maker.counts[_TAIL + 2] += 1


@bare_kernel
def _request(maker: _Maker, ts_ns: int, what: int, order_id: int, sign: int, price: int) -> None:
    slot = maker.counts[_TAIL] & (_RING - 1)
    maker.requests[0, slot] = ts_ns
    maker.requests[1, slot] = what
    maker.requests[2, slot] = order_id
    maker.requests[3, slot] = sign
    maker.requests[4, slot] = price
    maker.counts[_TAIL] += 1


@bare_kernel
def _hear(maker: _Maker, now: int) -> None:
    counts, own = maker.counts, maker.own
    while counts[_HEAD + 2] != counts[_TAIL + 2] and maker.answers[0, counts[_HEAD + 2] & (_RING - 1)] <= now:
        slot = counts[_HEAD + 2] & (_RING - 1)
        counts[_HEAD + 2] += 1
        what = maker.answers[1, slot]
        for at in range(counts[_N_OWN]):
            if own[0, at] != maker.answers[2, slot]:
                continue
            if what == _ACCEPTED:
                own[3, at] = max(own[3, at], _RESTING)
                break
            if what == _FILLED:
                counts[_POSITION] += own[1, at] * QUANTITY
                counts[_CASH] -= own[1, at] * QUANTITY * own[2, at]
                counts[_VALUE] += QUANTITY * own[2, at]
                counts[_TRADES] += 1
            counts[_N_OWN] -= 1
            for field in range(4):
                own[field, at] = own[field, counts[_N_OWN]]
            break


@bare_kernel
def _decide(home: IntArray, maker: _Maker, arrives_ns: int) -> None:
    counts, own = maker.counts, maker.own
    bid, ask = best(home, BID)[0], best(home, ASK)[0]
    if bid == 0 or ask == 0:
        return
    buys, sells = counts[_POSITION] < POSITION_MAX, counts[_POSITION] > -POSITION_MAX
    for at in range(counts[_N_OWN]):
        if own[1, at] > 0 and own[2, at] == bid:
            buys = False
        elif own[1, at] < 0 and own[2, at] == ask:
            sells = False
        elif own[3, at] == _RESTING:
            own[3, at] = _CANCELING
            _request(maker, arrives_ns, _CANCEL, own[0, at], 0, 0)
    for sign, wanted, price in ((1, buys, bid), (-1, sells, ask)):
        if wanted:
            counts[_LAST_ID] += 1
            at = counts[_N_OWN]
            own[0, at] = counts[_LAST_ID]
            own[1, at] = sign
            own[2, at] = price
            own[3, at] = _PENDING
            counts[_N_OWN] = at + 1
            _request(maker, arrives_ns, _NEW, counts[_LAST_ID], sign, price)


# --- in Python ----------------------------------------------------------------------------------------------------


def run_python(recorded: Recorded, step_ns: int) -> Figures:
    """Run the same maker in Python over two tick markets: the exchange, and what a listener hears of it."""
    maker = _PythonMaker(recorded)
    rows, home_rows = recorded
    now, last = int(min(rows[1, 0], home_rows[1, 0])), int(max(rows[1, -1], home_rows[1, -1]))
    steps = 0
    while now <= last:
        now += step_ns
        steps += 1
        maker.step(now)
    return figures(steps, maker.trades, maker.position, maker.cash, maker.value)


class _PythonMaker:
    def __init__(self, recorded: Recorded) -> None:
        self._exchange = _market(recorded.at_exchange)
        self._home = _market(recorded.at_home)
        self._own: dict[int, list[int]] = {}  # By id: side, price, state.
        self._requests: deque[tuple[int, TickOrder | int]] = deque()  # An order, or the id to cancel.
        self._answers: deque[tuple[int, int, int]] = deque()
        self._last_id = 0
        self.trades = self.position = self.cash = self.value = 0

    def step(self, now: int) -> None:
        """Let the exchange and the listener come to this time, and the maker decide."""
        while self._requests and self._requests[0][0] <= now:
            due, request = self._requests.popleft()
            self._fills(due)
            if isinstance(request, TickOrder):
                what = _GONE if self._exchange.add(request) else _ACCEPTED
                self._answers.append((due + LATENCY_NS, what, request.number))
            elif self._exchange.withdraw(request) > 0:
                self._answers.append((due + LATENCY_NS, _GONE, request))
        self._fills(now)
        self._home.advance(now)
        self._hear(now)
        self._decide(now + LATENCY_NS)

    def _fills(self, until_ns: int) -> None:
        happenings: list[Happening] = self._exchange.advance(until_ns)
        while happenings:
            for each in happenings:
                if each.what is tick_market.FILLED:
                    self._answers.append((each.ts_ns + LATENCY_NS, _FILLED, each.number))
            happenings = self._exchange.advance(until_ns)

    def _hear(self, now: int) -> None:
        while self._answers and self._answers[0][0] <= now:
            _, what, order_id = self._answers.popleft()
            if what == _ACCEPTED:
                if order_id in self._own:
                    self._own[order_id][2] = max(self._own[order_id][2], _RESTING)
                continue
            sign, price, _ = self._own.pop(order_id)
            if what == _FILLED:
                self.position += sign * QUANTITY
                self.cash -= sign * QUANTITY * price
                self.value += QUANTITY * price
                self.trades += 1

    def _decide(self, arrives_ns: int) -> None:
        bid, ask = self._home.best_bid_ticks, self._home.best_ask_ticks
        if bid == 0 or ask == 0:
            return
        wanted = {1: self.position < POSITION_MAX, -1: self.position > -POSITION_MAX}
        for order_id, own in self._own.items():
            sign, price, state = own
            if price == (bid if sign > 0 else ask):
                wanted[sign] = False
            elif state == _RESTING:
                own[2] = _CANCELING
                self._requests.append((arrives_ns, order_id))
        for sign, price in ((1, bid), (-1, ask)):
            if wanted[sign]:
                self._last_id += 1
                self._own[self._last_id] = [sign, price, _PENDING]
                order = TickOrder(
                    number=self._last_id,
                    sign=sign,
                    remaining_lots=QUANTITY,
                    limit_ticks=price,
                    post_only=True,
                )
                self._requests.append((arrives_ns, order))


def _market(rows: IntArray) -> TickMarket:
    blocks = (MarketRows(*rows[:, at : at + BLOCK_ROWS]) for at in range(0, rows.shape[1], BLOCK_ROWS))
    return TickMarket(blocks, queue_model="probability", partial_fills=False)
