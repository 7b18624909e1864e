"""The venue's instruments that live on ticks: requests arrive after their latency, words come back after theirs.

In venue time, at one instant: what expires and what is paid first, then the market's rows, then the requests that
arrive. Requests of one account do not overtake each other, nor do the words on the way back; what one event caused is
known at one time. The market itself is `tick_market.py`: here its happenings become fills under the desk's rules.

What it assumes beyond that: a post-only order that would take is accepted, then canceled. Where trades alone are known
nobody can see the spread, so that takers pay the fixed slippage; on a book they pay the levels that they take. An order
counts as trading with another of ours if their prices cross and ours is not behind the market's own best. The mark is the
last trade; a position is liquidated at the first trade at which margin has run out. Several instruments
on ticks are run side by side from one call of `advance` to the next: an event on one meets the others as they are up to
one such step later, so that hosts step from message to message.
"""

import heapq
from collections import Counter, deque

import msgspec

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerOrderReq,
    BrokerPending,
    BrokerReply,
    BrokerReport,
)
from njord.core.types import OrderReason, OrderStatus
from njord.core.units import FOREVER_NS, ZERO
from njord.venues.desk import Desk
from njord.venues.latency import Latency
from njord.venues.margin_guard import WATCH, MarginGuard
from njord.venues.requests import Requests, reply
from njord.venues.slippage import Slippage
from njord.venues.tick_market import ENDED, FILLED, Happening, TickMarket, TickOrder
from njord.venues.words import Words
from njord.venues.working import FOK, GTD, Working, told, working

Request = BrokerOrderReq | BrokerCancelReq | BrokerAmendReq


class _Room(msgspec.Struct):
    """One instrument: its market, and what of our orders is in it."""

    index: int
    market: TickMarket
    orders: dict[int, Working]  # By their number in the market.
    lots: dict[int, int]  # What of each is in the market.
    pending: list[Happening] | None = None
    pending_ns: int = 0


class TickSide:
    """Runs the tick markets of a desk, and its requests and reports on their way.

    Args:
        desk: Whose orders.
        requests: What becomes of a request that has arrived.
    """

    def __init__(self, desk: Desk, requests: Requests) -> None:
        terms = desk.terms
        self._desk = desk
        self._requests = requests
        self._latency = Latency(terms)
        self._slippage = Slippage(terms)
        self._rooms: dict[int, _Room] = {}
        self._guard = MarginGuard(desk) if terms.account == "perpetual" else None
        self.words = Words(desk.account, self._latency)
        self._arrivals: deque[tuple[int, Request]] = deque()
        self._sent: dict[str, BrokerOrderReq] = {}  # Not there yet.
        self._expiries: list[tuple[int, int, Working]] = []
        self._n_requests: Counter[str] = Counter()
        self._last_arrival_ns = 0
        self._now_ns = 0

    def add(self, index: int, market: TickMarket) -> None:
        """Take in an instrument."""
        self._rooms[index] = _Room(index, market, {}, {})
        if self._guard is not None:
            self._guard.add(index, market)
        self._desk.floors[index] = self

    def trades(self, index: int) -> bool:
        """Say whether an instrument lives here."""
        return index in self._rooms

    def knows(self, client_order_id: str) -> bool:
        """Say whether an order is here, or on its way."""
        order = self._desk.orders.working.get(client_order_id)
        return client_order_id in self._sent or (order is not None and order.req.instrument in self._rooms)

    # --- requests ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Send an order; without latency the venue answers at once."""
        if not self._latency.is_zero:
            self._sent[req.client_order_id] = req
            return self._send(req)
        self._mark()
        outcome = self._requests.place(req, req.ts_ns)
        if isinstance(outcome, Working):
            self._enter(outcome, req.ts_ns)
        self._settle(req.ts_ns)
        return reply(req.client_order_id, outcome, req.ts_ns)

    def change(self, req: BrokerCancelReq | BrokerAmendReq) -> BrokerReply:
        """Send a cancel or an amendment."""
        if not self._latency.is_zero:
            return self._send(req)
        self._mark()
        answer = self._requests.change(req, req.ts_ns)
        self._settle(req.ts_ns)
        return answer

    def _send(self, req: Request) -> BrokerPending:
        name = req.client_order_id
        due_ns = req.ts_ns + self._latency.entry_ns(name, self._n_requests[name])
        self._n_requests[name] += 1
        self._last_arrival_ns = max(self._last_arrival_ns, due_ns)
        self._arrivals.append((self._last_arrival_ns, req))
        return BrokerPending(client_order_id=name)

    def _arrive(self, req: Request, ts_ns: int) -> None:
        self._mark()
        if not isinstance(req, BrokerOrderReq):
            self._requests.change(req, ts_ns)
            return
        del self._sent[req.client_order_id]
        outcome = self._requests.place(req, ts_ns)
        if isinstance(outcome, Working):
            self._desk.tell(outcome, OrderReason.NONE, ts_ns)
            self._enter(outcome, ts_ns)
        else:
            self._desk.outbox.append(told(working(req, ""), OrderStatus.REJECTED, outcome, ts_ns))

    # --- our orders in the market ---

    # Lets an order into its market as far as its links allow it to act.
    def _enter(self, order: Working, ts_ns: int) -> None:
        req = order.req
        if req.tif is GTD:
            heapq.heappush(self._expiries, (req.expire_ns, int(order.venue_order_id), order))
            if req.expire_ns <= ts_ns:
                return
        self._admit(order, ts_ns)

    def _admit(self, order: Working, ts_ns: int) -> None:
        lots = 0 if order.is_asleep else self._desk.allowed_lots(order)
        room = self._rooms[order.req.instrument]
        if not lots or self._is_self_trade(room, order, order.limit_ticks, ts_ns):
            return
        req, number = order.req, int(order.venue_order_id)
        if req.tif is FOK and order.is_triggered and lots < order.remaining_lots:
            self._desk.end(order, OrderStatus.CANCELED, OrderReason.FOK_UNFILLED, ts_ns)
            return
        room.orders[number], room.lots[number] = order, lots
        happened = room.market.add(
            TickOrder(
                number=number,
                sign=order.sign,
                remaining_lots=lots,
                limit_ticks=order.limit_ticks,
                trigger_ticks=0 if order.is_triggered else order.trigger_ticks,
                is_take_profit=order.is_take_profit,
                trail_ticks=0 if order.is_triggered else req.trail_ticks,
                post_only=req.post_only,
                tif=req.tif,
            )
        )
        self._handle(room, happened)

    def changed(self, order: Working) -> None:
        """Follow an order whose lots or links changed."""
        room = self._rooms[order.req.instrument]
        number = int(order.venue_order_id)
        if number not in room.orders:
            self._admit(order, max(room.market.now_ns, self._now_ns))
            return
        allowed, there = self._desk.allowed_lots(order), room.lots[number]
        if allowed > there:
            room.market.amend(number, remaining_lots=allowed)
        elif allowed < there:
            room.market.shrink(number, there - allowed)
        room.lots[number] = allowed
        if not allowed:
            del room.orders[number], room.lots[number]

    def amend(self, order: Working, qty_lots: int, limit_ticks: int, trigger_ticks: int) -> bool:
        """Change an order in its market; False if the market or another order of ours forbids it."""
        room = self._rooms[order.req.instrument]
        number = int(order.venue_order_id)
        if number not in room.orders:
            return True
        is_moved = limit_ticks != order.limit_ticks
        if is_moved and self._crossed(room, order, limit_ticks):
            return False
        before, order.qty_lots = order.qty_lots, qty_lots
        lots = self._desk.allowed_lots(order)
        order.qty_lots = before
        lots_changed, trigger_changed = lots != room.lots[number], trigger_ticks != order.trigger_ticks
        if not (is_moved or lots_changed or trigger_changed):
            return True
        is_amended = room.market.amend(
            number,
            lots if lots_changed else 0,
            limit_ticks if is_moved else 0,
            trigger_ticks if trigger_changed else 0,
        )
        if is_amended:
            room.lots[number] = lots
        return is_amended

    def ended(self, order: Working) -> None:
        """Take an order out of its market."""
        room = self._rooms[order.req.instrument]
        number = int(order.venue_order_id)
        if room.orders.pop(number, None) is not None:
            del room.lots[number]
            room.market.withdraw(number)

    # What the market says has happened becomes fills and ends.
    def _handle(self, room: _Room, happened: list[Happening]) -> None:
        if happened:
            self._mark()
        for each in happened:
            if each.number == WATCH and self._guard is not None:
                self._guard.woke(room.index)
            order = room.orders.get(each.number)
            if order is None:
                continue
            # Where an expiry has been first, the market itself is still at the moment before.
            ts_ns = max(each.ts_ns, self._now_ns)
            if each.what is FILLED:
                self._fill(room, order, each, ts_ns)
            elif each.what is ENDED:
                del room.orders[each.number], room.lots[each.number]
                self._desk.end(order, OrderStatus.CANCELED, each.reason, ts_ns)
            elif not order.is_triggered:
                order.is_triggered = True
                self._desk.tell(order, OrderReason.TRIGGERED, ts_ns)

    def _fill(self, room: _Room, order: Working, each: Happening, ts_ns: int) -> None:
        desk = self._desk
        room.lots[each.number] -= each.qty_lots
        if room.lots[each.number] <= 0:
            del room.orders[each.number], room.lots[each.number]
        # One row may fill two orders of a group: the market does not know that the first one shrinks the second.
        lots = min(each.qty_lots, desk.allowed_lots(order))
        if not lots:
            return
        if not desk.marks[room.index]:
            desk.marks[room.index] = each.price_ticks
        price = each.price_ticks
        if not each.is_maker and not room.market.has_book:
            price = self._slippage.fixed_ticks(price, order.sign)
            if order.limit_ticks:
                better = min if order.sign > 0 else max
                price = better(price, order.limit_ticks)
        if desk.execute(order, lots, price, each.is_maker, ts_ns):
            if price != each.price_ticks:
                desk.add_slippage(room.index, price - each.price_ticks, lots)
            if each.queue_at_arrival >= 0:
                desk.queue_ahead.setdefault(order.req.client_order_id, each.queue_at_arrival)

    # --- orders of ours that would trade with each other ---

    def _crossed(self, room: _Room, order: Working, limit_ticks: int) -> list[Working]:
        if self._desk.terms.self_trade == "none" or not order.is_triggered:
            return []
        sign, market = order.sign, room.market
        best = market.best_ask_ticks if sign > 0 else market.best_bid_ticks
        return [
            other
            for other in room.orders.values()
            if other.sign != sign
            and other.is_triggered
            and other.limit_ticks
            and (not limit_ticks or sign * (limit_ticks - other.limit_ticks) >= 0)
            and (not best or sign * (best - other.limit_ticks) >= 0)
            and not other.is_exit_or_entry_of(order)
        ]

    def _is_self_trade(self, room: _Room, order: Working, limit_ticks: int, ts_ns: int) -> bool:
        crossed = self._crossed(room, order, limit_ticks)
        if not crossed:
            return False
        policy = self._desk.terms.self_trade
        if policy != "expire_taker":
            for other in crossed:
                if other.is_open:
                    self._desk.end(other, OrderStatus.EXPIRED, OrderReason.SELF_TRADE, ts_ns)
        if policy != "expire_maker" and order.is_open:
            self._desk.end(order, OrderStatus.EXPIRED, OrderReason.SELF_TRADE, ts_ns)
        return not order.is_open

    # --- time ---

    def advance(self, until_ns: int) -> int:
        """Run to a time, or to the first event that made a report; return the time that was reached."""
        while True:
            inner_ns = self._next_inner_ns(until_ns)
            arrival_ns = self._arrivals[0][0] if self._arrivals else FOREVER_NS
            target_ns = min(until_ns, arrival_ns, inner_ns - 1)
            room = self._step(target_ns)
            if room is not None:
                self._now_ns, happened = max(self._now_ns, room.pending_ns), room.pending or []
                room.pending = None
                self._handle(room, happened)
            elif inner_ns <= min(until_ns, arrival_ns):
                self._now_ns = max(self._now_ns, inner_ns)
                self._do_inner(inner_ns)
            elif arrival_ns <= until_ns:
                ts_ns, req = self._arrivals.popleft()
                self._now_ns = max(self._now_ns, ts_ns)
                self._arrive(req, ts_ns)
            else:
                self._now_ns = max(self._now_ns, until_ns)
                if len(self._rooms) < len(self._desk.marks):
                    self._mark()  # A bar of another instrument may be next, and the account is one.
                return self._now_ns
            if self._settle(self._now_ns):
                return self._now_ns

    # Brings the desk's marks to the last trades.
    def _mark(self) -> None:
        marks = self._desk.marks
        for index, room in self._rooms.items():
            marks[index] = room.market.last_ticks or marks[index]

    # Runs the markets to a time or to their earliest happening, and returns the room in which it happened.
    def _step(self, until_ns: int) -> _Room | None:
        first: _Room | None = None
        for room in self._rooms.values():
            if room.pending is None:
                happened = room.market.advance(until_ns)
                if happened:
                    room.pending, room.pending_ns = happened, room.market.now_ns
            if room.pending is not None and room.pending_ns <= until_ns:
                if first is None or room.pending_ns < first.pending_ns:
                    first = room
                until_ns = first.pending_ns
        return first

    # The next time at which something happens by the clock alone: an expiry, or funding.
    def _next_inner_ns(self, until_ns: int) -> int:
        while self._expiries and not self._expiries[0][2].is_open:
            heapq.heappop(self._expiries)
        inner_ns = self._expiries[0][0] if self._expiries else FOREVER_NS
        if self._desk.account.n_contracts:
            payments = self._desk.terms.funding.between(self._desk.funded_until_ns(self._rooms), until_ns)
            inner_ns = min(inner_ns, next(payments, (FOREVER_NS, ZERO))[0])
        return inner_ns

    def _do_inner(self, ts_ns: int) -> None:
        while self._expiries and self._expiries[0][0] <= ts_ns:
            _, _, order = heapq.heappop(self._expiries)
            if order.is_open:
                self._desk.end(order, OrderStatus.EXPIRED, OrderReason.GTD_EXPIRED, ts_ns)
        if self._guard is not None:
            self._mark()
            for index in self._rooms:
                self._desk.pay_funding(index, ts_ns, self._desk.marks[index])

    # --- reports ---

    # Settles an event: margin, then the word on it goes on its way. Returns whether there was one.
    def _settle(self, ts_ns: int) -> bool:
        if self._guard is not None:
            self._mark()
            self._guard.check(ts_ns)
        if not self._desk.outbox:
            return False
        reports, self._desk.outbox = self._desk.outbox, []
        self.words.send(reports, ts_ns)
        return True

    def finish(self, ts_ns: int) -> list[BrokerReport]:
        """Return all words that are on their way, and end the orders that never arrived."""
        reports = self.words.take(FOREVER_NS)
        for req in self._sent.values():
            update = told(working(req, ""), OrderStatus.EXPIRED, OrderReason.END_OF_DATA, ts_ns)
            self._desk.orders.end_unseen(update)
            reports.append(update)
        self._sent.clear()
        self._arrivals.clear()
        return reports
