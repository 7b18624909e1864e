"""The rules that hold whatever the market is made of: what a fill costs, how orders are linked, how each one ends.

The markets (`bar_market.py`, `tick_side.py`) say that an order could fill; the desk books it or ends the order, passes
the fill on to the orders that are linked with it, and writes the reports in the order in which things happened.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from njord.core.contracts import (
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderReq,
    BrokerReport,
)
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL, InstrumentKind, OrderReason, OrderStatus
from njord.core.units import EXACT, FOREVER_NS, ZERO, round_down, round_up
from njord.venues.fees import FeeMeter, FeeModel
from njord.venues.kept import BriefOrders, KeptFills, KeptOrders
from njord.venues.links import Links
from njord.venues.margin import CashAccount, PerpetualAccount
from njord.venues.terms import VenueTerms
from njord.venues.working import Working, told, working

_FILLED, _CANCELED = OrderStatus.FILLED, OrderStatus.CANCELED
_NONE = OrderReason.NONE


class Floor(Protocol):
    """A market that keeps orders of its own, and must hear of what happens to them elsewhere."""

    def changed(self, order: Working) -> None:
        """Follow an order whose lots, prices or links changed."""

    def amend(self, order: Working, qty_lots: int, limit_ticks: int, trigger_ticks: int) -> bool:
        """Change an order; False if the market forbids it."""

    def ended(self, order: Working) -> None:
        """Forget an order."""


class Desk:
    """One account's orders, money and reports.

    Args:
        instruments: What is traded.
        fees: What a fill costs.
        terms: The account's kind, and what the venue does to it.
        cash: Opening balance.
        keeps_history: Whether anybody will ask for fills, or for orders that have ended.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        fees: FeeModel,
        terms: VenueTerms,
        cash: Decimal,
        keeps_history: bool = True,
    ) -> None:
        self.instruments = tuple(instruments)
        self.terms = terms
        self.marks = [0] * len(instruments)  # Last prices in ticks, 0 = unknown.
        account = PerpetualAccount if terms.account == "perpetual" else CashAccount
        self.account: PerpetualAccount | CashAccount = account(self.instruments, cash, self.marks, terms)
        self.book: list[dict[str, Working]] = [{} for _ in instruments]
        self.n_working = 0
        self.needs_bars = False
        self._slipped = [0] * len(
            instruments
        )  # Ticks x lots that taking cost beyond the price that was seen.
        self._slippage_paid = ZERO  # In quote, of what is not in there any more.
        self.queue_ahead: dict[str, int] = {}  # Lots ahead at arrival, where a market knows them.
        self.links = Links()
        self._meter = FeeMeter(fees)
        self.floors: dict[int, Floor] = {}
        kept = KeptOrders()
        self.orders = kept if keeps_history else BriefOrders()  # All that were ever placed.
        self.fills = [KeptFills(kept) for _ in instruments] if keeps_history else []
        self.outbox: list[BrokerReport] = []
        self._n_trades = 0
        self._n_orders = 0
        self._funded_until_ns = [0] * len(instruments)
        self._is_perpetual = [
            terms.account == "perpetual" and each.kind is not InstrumentKind.SPOT for each in instruments
        ]

    # --- orders ---

    def add(self, req: BrokerOrderReq) -> Working:
        """Take in an order that was admitted."""
        number = self._n_orders
        self._n_orders += 1
        order = working(req, str(self._n_orders))
        order.number = number
        self.book[req.instrument][req.client_order_id] = order
        self.orders.add(order)
        self.n_working += 1
        if not order.is_plain:
            self.links.add(req)
        return order

    def tell(self, order: Working, reason: OrderReason, ts_venue_ns: int) -> None:
        """Report an order that goes on working."""
        self.outbox.append(told(order, order.status, reason, ts_venue_ns))

    def end(self, order: Working, status: OrderStatus, reason: OrderReason, ts_venue_ns: int) -> None:
        """End an order, and those that waited for it in vain."""
        req = order.req
        order.is_open = False
        del self.book[req.instrument][req.client_order_id]
        self.n_working -= 1
        update = told(order, status, reason, ts_venue_ns)
        self.orders.end(order, update)
        self.outbox.append(update)
        if self.floors and req.instrument in self.floors:
            self.floors[req.instrument].ended(order)
        if self.links.is_used:
            self._release_exits(order, ts_venue_ns)

    def execute(self, order: Working, lots: int, price_ticks: int, is_maker: bool, ts_venue_ns: int) -> bool:
        """Fill `lots` of an order; False if the account does not allow it, and then the order has ended."""
        req = order.req
        index = req.instrument
        instrument = self.instruments[index]
        sign = order.sign
        cost = notional = instrument.notional(price_ticks, lots)
        signed_qty = qty = instrument.qty(lots)
        if sign < 0:
            signed_qty, cost = qty.copy_negate(), notional.copy_negate()
        fee, asset = self._meter.charge(instrument, notional, qty, sign, is_maker, ts_venue_ns)
        is_in_kind = asset != instrument.quote
        refused = self.account.trade(index, signed_qty, price_ticks, cost, fee, is_in_kind, req.reduce_only)
        if refused is not None:
            self.end(order, _CANCELED, refused, ts_venue_ns)
            return False
        if self._meter.has_tiers:
            self._meter.record(notional, ts_venue_ns)
        self._n_trades += 1
        fill = BrokerFill(
            client_order_id=req.client_order_id,
            venue_trade_id=str(self._n_trades),
            price_ticks=price_ticks,
            qty_lots=lots,
            fee=fee,
            fee_asset=asset,
            is_maker=is_maker,
            ts_venue_ns=ts_venue_ns,
        )
        if self.fills:
            self.fills[index].add(fill, order.number)
        self.outbox.append(fill)
        order.filled_lots += lots
        if self._is_perpetual[index]:
            self._moved(index, price_ticks, ts_venue_ns)
        if is_in_kind:
            self.links.lost_in_kind(req.client_order_id, fee, instrument)
        if order.filled_lots == order.qty_lots:
            self.end(order, _FILLED, _NONE, ts_venue_ns)
        if self.links.is_used:
            self._pass_on(order, lots, ts_venue_ns)
        return True

    def add_slippage(self, index: int, ticks: int, lots: int) -> None:
        """Count what taking cost beyond the price that was seen."""
        self._slipped[index] += abs(ticks) * lots

    @property
    def slippage_paid(self) -> Decimal:
        """What taking cost beyond the price that was seen, in quote."""
        total = self._slippage_paid
        for instrument, slipped in zip(self.instruments, self._slipped, strict=True):
            if slipped:
                total = EXACT.add(total, instrument.notional(slipped, 1))
        return total

    @slippage_paid.setter
    def slippage_paid(self, amount: Decimal) -> None:
        """Begin to count from `amount` on."""
        self._slippage_paid = amount
        self._slipped = [0] * len(self.instruments)

    # --- links ---

    def allowed_lots(self, order: Working) -> int:
        """Return what an order may fill now: an exit no more than its entry has brought and not yet given back."""
        entry_id = order.req.after_client_order_id
        if not entry_id:
            return order.remaining_lots
        left = self.links.left_to_close(order.req, order.filled_lots, self.filled_lots(entry_id))
        return max(0, min(order.remaining_lots, left))

    def filled_lots(self, client_order_id: str) -> int:
        """Return what an order has filled, 0 if it was never placed."""
        order = self.orders.working.get(client_order_id)
        return order.filled_lots if order is not None else self.orders.filled_lots(client_order_id) or 0

    def exits_of(self, order: Working) -> Iterator[Working]:
        """Yield the working exits of an entry, oldest first."""
        book = self.book[order.req.instrument]
        for name in self.links.exits(order.req.client_order_id):
            if name in book:
                yield book[name]

    # A fill shrinks the others of its group by as much, and wakes the order's own exits.
    def _pass_on(self, order: Working, lots: int, ts_ns: int) -> None:
        book = self.book[order.req.instrument]
        for name in self.links.filled(order, lots):
            sibling = book.get(name)
            if sibling is not None:
                self._shrink(sibling, sibling.qty_lots - lots, OrderReason.OCO_SIBLING, ts_ns)
        for waiting in tuple(self.exits_of(order)):
            if waiting.is_open:  # One that fills at once has ended the others of its group.
                waiting.is_asleep = False
                self.announce(waiting)

    # An entry that has ended leaves its exits with exactly what it filled.
    def _release_exits(self, entry: Working, ts_ns: int) -> None:
        for waiting in tuple(self.exits_of(entry)):
            if not waiting.is_open:
                continue
            reason = (
                OrderReason.OCO_SIBLING
                if self.links.filled_in(waiting.req.group_id)
                else OrderReason.ENTRY_ENDED
            )
            self._shrink(waiting, waiting.filled_lots + self.allowed_lots(waiting), reason, ts_ns)

    def _shrink(self, order: Working, qty_lots: int, reason: OrderReason, ts_ns: int) -> None:
        if qty_lots >= order.qty_lots:
            return
        if qty_lots <= 0 and not order.filled_lots:
            self.end(order, _CANCELED, reason, ts_ns)
            return
        order.qty_lots = max(qty_lots, order.filled_lots)
        if order.remaining_lots:
            self.announce(order)
        else:
            self.end(order, _FILLED, _NONE, ts_ns)

    def announce(self, order: Working) -> None:
        """Tell the market that keeps an order that something about it has changed."""
        if self.floors and order.req.instrument in self.floors:
            self.floors[order.req.instrument].changed(order)

    # --- what the venue does on its own ---

    def pay_funding(self, index: int, until_ns: int, mark_ticks: int) -> None:
        """Pay or charge a contract's funding due until a time, at one mark."""
        if not self._is_perpetual[index]:
            return
        after_ns, self._funded_until_ns[index] = self._funded_until_ns[index], until_ns
        instrument, qty = self.instruments[index], self.account.held[index]
        if not qty or until_ns <= after_ns:
            return
        for ts_ns, rate in self.terms.funding.between(after_ns, until_ns):
            worth = EXACT.multiply(qty, instrument.price(mark_ticks))
            raw = EXACT.multiply(worth, rate).copy_negate()
            rounded = round_down if raw > 0 else round_up
            amount = rounded(raw, instrument.fee_quantum)
            self.account.receive(amount)
            self.outbox.append(
                BrokerFunding(
                    instrument=index,
                    rate=rate,
                    mark_ticks=mark_ticks,
                    amount=amount,
                    asset=instrument.quote,
                    ts_venue_ns=ts_ns,
                )
            )

    def funded_until_ns(self, indices: Iterable[int]) -> int:
        """Return the time up to which all positions in some contracts are funded."""
        return min(
            (
                self._funded_until_ns[index]
                for index in indices
                if self._is_perpetual[index] and self.account.held[index]
            ),
            default=FOREVER_NS,
        )

    def liquidate(self, index: int, price_ticks: int, ts_venue_ns: int) -> None:
        """End all orders of an instrument and close its whole position."""
        for order in tuple(self.book[index].values()):
            if order.is_open:
                self.end(order, _CANCELED, OrderReason.LIQUIDATED, ts_venue_ns)
        instrument, held = self.instruments[index], self.account.held[index]
        lots = int(EXACT.divide_int(held.copy_abs(), instrument.lot_size))
        notional = instrument.notional(price_ticks, lots)
        cost = notional if held < 0 else notional.copy_negate()
        fee = instrument.fee(notional, self.terms.liquidation_fee_bps)
        self.account.trade(index, held.copy_negate(), price_ticks, cost, fee, False, True)
        self._n_trades += 1
        self._moved(index, price_ticks, ts_venue_ns)
        self.outbox.append(
            BrokerLiquidation(
                instrument=index,
                side=SELL if held > 0 else BUY,
                price_ticks=price_ticks,
                qty_lots=lots,
                fee=fee,
                fee_asset=instrument.quote,
                venue_trade_id=str(self._n_trades),
                ts_venue_ns=ts_venue_ns,
            )
        )

    # What came before a position was opened is not funded.
    def _moved(self, index: int, price_ticks: int, ts_ns: int) -> None:
        self._funded_until_ns[index] = max(self._funded_until_ns[index], ts_ns)
        self.needs_bars = self.account.n_contracts > 0
        if not self.marks[index]:
            self.marks[index] = price_ticks
