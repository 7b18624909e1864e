"""The simulated exchange. It holds its own balances and orders: the truth that our books are checked with.

An instrument lives on bars, or on ticks (`add_market`: trades, or trades and a book; see `tick_side.py`). What it
assumes on bars, and every report repeats:

Who is seen when. An order is first seen by the next bar that opens after it was sent (with latency: whole bars of it
later). Earlier orders come first, but inside the bar, of those on one side of the open, the one nearer to it, since the
price had to pass it. On a bar whose high and low contradict its open or close only the open is believed.

Prices. A market order fills at that bar's open, moved by the slippage to the next worse tick. A limit order fills at the
open if the bar opens at its limit or better, otherwise at its limit as soon as the bar touches it. A limit order that
its first bar's open makes marketable takes (slippage applies, never beyond the limit, taker fee; a post-only one is
canceled); one that rested makes (no slippage, maker fee).

Triggers. A stop or take-profit that the open has passed acts at the open, one that the bar reaches later at its trigger:
as a market order moved by the slippage, as a limit order at its limit or better, by what the bar still allows: a price
further on the same side, or one between the trigger and the close. A stop counts before a profit on the other side of
the open. A trailing stop follows the open, and the bar's best price only for later bars.

Links. An order that waits for its entry is seen from the open on if the entry filled there. If the entry filled inside
the bar, only its stops may act, by prices that must have come after: further on the same side, or as far as the close.

Volume. With `max_volume_share` our orders together trade no more than that part of a bar's volume; the rest of an order
waits for the next bar, or ends if it must fill at once.

Ends. What expires inside a bar may fill at its open only. What costs more than is free at its fill is canceled, and so is
a reduce-only order that would not reduce, and, of two limit orders of ours that cross, the newer (`self_trade`). An order
and the exits that wait for it do not count as crossing.

Perpetual accounts. Funding is paid at its time on the last known price (inside a bar: its open), by who held the position
then. A position is liquidated, whole and with a fee, at the price at which equity meets the maintenance margin, at the
open if that is beyond; its orders are canceled first. Nobody insures: what a gap takes beyond the margin is owed.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from njord.core.contracts import (
    BalanceSnapshot,
    Bar,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReply,
    BrokerReport,
)
from njord.core.errors import VenueRejected
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus
from njord.core.units import EXACT, FOREVER_NS, ZERO
from njord.venues.bar_market import BarMarket
from njord.venues.desk import Desk
from njord.venues.fees import FeeModel
from njord.venues.requests import Requests, reply
from njord.venues.terms import VenueTerms
from njord.venues.working import Working, told

if TYPE_CHECKING:  # Ticks are compiled; who runs bars alone does not wait for the compiler to load.
    from njord.venues.tick_market import TickMarket
    from njord.venues.tick_side import TickSide

Report = BrokerReport


class SimulatedVenue(Desk):
    """One account at a simulated exchange.

    Args:
        instruments: What it trades, with the filters it enforces.
        fees: What it charges.
        terms: What it assumes of fills, the way there and the account.
        cash: Opening balance of `report_asset`.
        report_asset: The quote asset of all instruments.
        keeps_history: Whether it will be asked for fills, or for orders that have ended: a run that records its own need
            not keep the venue's too.

    Attributes:
        n_working: How many orders are open.
        queue_ahead: Lots ahead at arrival, by client order id: of orders that made on a book.
        needs_bars: Whether `on_bar` must be called even if none is: funding or liquidation could touch a contract.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        fees: FeeModel,
        terms: VenueTerms,
        cash: Decimal,
        report_asset: str,
        *,
        keeps_history: bool = True,
    ) -> None:
        super().__init__(instruments, fees, terms, cash, keeps_history)
        self._report_asset = report_asset
        self._requests = Requests(self)
        self._bars = BarMarket(self)
        self._ticks: TickSide | None = None
        self._interval_ns = [0] * len(instruments)
        self._on_their_way: list[tuple[int, BrokerCancelReq | BrokerAmendReq]] = []
        self._now_ns = 0

    # --- IBroker ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Accept or reject one order; on bars it can fill from the next one on, on ticks from its arrival on."""
        if self._ticks is not None and self._ticks.trades(req.instrument):
            self._now_ns = max(self._now_ns, req.ts_ns)
            return self._ticks.place(req)
        return reply(req.client_order_id, self._requests.place(req, req.ts_ns), req.ts_ns)

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Cancel a working order; its update waits in the outbox, or comes when the request has arrived."""
        return self._change(req)

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        """Change a working order; its update says what holds."""
        return self._change(req)

    def _change(self, req: BrokerCancelReq | BrokerAmendReq) -> BrokerReply:
        name = req.client_order_id
        if self._ticks is not None and self._ticks.knows(name):
            self._now_ns = max(self._now_ns, req.ts_ns)
            return self._ticks.change(req)
        order = self.orders.working.get(name)
        if order is not None:
            interval_ns = self._interval_ns[order.req.instrument]
            waited_ns = self._bars.waited_ns(interval_ns) if interval_ns else 0
            if waited_ns:
                self._on_their_way.append((req.ts_ns + waited_ns, req))
                return BrokerPending(client_order_id=name)
        return self._requests.change(req, req.ts_ns)

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return the last state of one order, None if it was never placed.

        Raises:
            VenueRejected: It has ended, and history is not kept.
        """
        order = self.orders.working.get(client_order_id)
        return _state(order) if order is not None else self.orders.ended(client_order_id)

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Return the fills of `symbol` after a trade id ("" = all), oldest first.

        Raises:
            VenueRejected: The symbol is not traded here, or fills are not kept.
        """
        index = self._index(symbol)
        if not self.fills:
            raise VenueRejected("this venue keeps no history")
        fills = self.fills[index]
        after = int(after_trade_id or 0)
        return [fill for fill in fills if int(fill.venue_trade_id) > after]

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Return all working orders, of one symbol or of all."""
        books = self.book if symbol is None else [self.book[self._index(symbol)]]
        return [_state(order) for book in books for order in book.values()]

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds."""
        held = {self._report_asset: self.cash}
        for instrument, qty in zip(self.instruments, self.account.held, strict=True):
            held[instrument.base] = EXACT.add(held.get(instrument.base, ZERO), qty)
        return [
            BalanceSnapshot(asset=asset, free=free, locked=ZERO, ts_venue_ns=self._now_ns)
            for asset, free in held.items()
        ]

    def server_time(self) -> int:
        """Return the time of the last event."""
        return self._now_ns

    def exchange_rules(self) -> Sequence[Instrument]:
        """Return the instruments."""
        return self.instruments

    # --- the truth ---

    @property
    def cash(self) -> Decimal:
        """The balance of the report asset."""
        return self.account.cash

    def held_qty(self, instrument: int) -> Decimal:
        """Return the signed holding in base."""
        return self.account.held[instrument]

    @property
    def told_cash(self) -> Decimal:
        """The balance by the reports that have been taken: what our books should say."""
        return (
            self.cash if self._ticks is None else EXACT.subtract(self.cash, self._ticks.words.untold_cash())
        )

    def told_qty(self, instrument: int) -> Decimal:
        """Return the signed holding in base by the reports that have been taken."""
        held = self.account.held[instrument]
        return held if self._ticks is None else EXACT.subtract(held, self._ticks.words.untold_qty(instrument))

    def told(self) -> tuple[Decimal, Sequence[Decimal]]:
        """Return `told_cash`, and `told_qty` of every instrument."""
        account = self.account
        if self._ticks is None:
            return account.cash, account.held
        return self.told_cash, [self.told_qty(index) for index in range(len(account.held))]

    # --- the market: bars ---

    def on_bar(self, bar: Bar) -> list[Report]:
        """Let a bar meet the working orders; return fills and ended orders in the order in which they happened."""
        index = bar.instrument
        self._now_ns = bar.ts_ns
        if self._on_their_way:
            self._arrive(bar.ts_open_ns)
        if self.needs_bars:
            self.pay_funding(index, bar.ts_open_ns, self.marks[index] or bar.open)
        book = self.book[index]
        if book or self.needs_bars:
            self._bars.match(bar, list(book.values()))
        self.marks[index] = bar.close
        self._interval_ns[index] = bar.ts_ns - bar.ts_open_ns
        if self._ticks is not None:
            self._ticks.words.caught_up()
            return self.drain()
        reports, self.outbox = self.outbox, []
        return reports

    def observe(self, bar: Bar) -> None:
        """Take over a bar's close while nothing could happen: `on_bar` without the matching."""
        self._now_ns = bar.ts_ns
        self.marks[bar.instrument] = bar.close
        self._interval_ns[bar.instrument] = bar.ts_ns - bar.ts_open_ns

    # Cancels and amendments that took whole bars to come here.
    def _arrive(self, until_ns: int) -> None:
        waiting = self._on_their_way
        self._on_their_way = [pair for pair in waiting if pair[0] > until_ns]
        for due_ns, req in waiting:
            if due_ns <= until_ns:
                self._requests.change(req, due_ns)

    # --- the market: ticks ---

    def add_market(self, instrument: int, market: "TickMarket") -> None:
        """Let an instrument live on ticks from now on."""
        if self._ticks is None:
            from njord.venues.tick_side import TickSide

            self._ticks = TickSide(self, self._requests)
        self._ticks.add(instrument, market)

    def advance(self, until_ns: int) -> None:
        """Run ticks, arrivals and expiries up to a time; stop right after the first event that made a report."""
        if self._ticks is not None:
            self._now_ns = self._ticks.advance(until_ns)
        else:
            self._now_ns = max(self._now_ns, until_ns)

    @property
    def next_report_ns(self) -> int:
        """When the earliest report that was not taken becomes known; 2**63 - 1 if there is none."""
        return FOREVER_NS if self._ticks is None else self._ticks.words.next_ns

    def take(self, until_ns: int) -> list[Report]:
        """Return the reports known until a time, in the order in which they became known."""
        reports = self._ticks.words.take(until_ns) if self._ticks is not None else []
        return reports + self._emptied()

    def drain(self) -> list[Report]:
        """Return what has become known since the last call."""
        if self._ticks is not None:
            return self.take(self._now_ns)
        return self._emptied()

    def _emptied(self) -> list[Report]:
        reports, self.outbox = self.outbox, []
        return reports

    def expire_all(self, ts_ns: int) -> list[Report]:
        """End every working order because the data has ended; return all that was not taken yet."""
        reports = self._ticks.finish(ts_ns) if self._ticks is not None else []
        for book in self.book:
            for order in list(book.values()):
                if order.is_open:
                    self.end(order, OrderStatus.EXPIRED, OrderReason.END_OF_DATA, ts_ns)
        return reports + self._emptied()

    def _index(self, symbol: str) -> int:
        for index, instrument in enumerate(self.instruments):
            if instrument.symbol == symbol:
                return index
        raise VenueRejected(f"{symbol} is not traded here")


def _state(order: Working) -> BrokerOrderUpdate:
    return told(order, order.status, OrderReason.NONE, order.req.ts_ns)
