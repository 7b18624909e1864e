"""The simulated exchange, on bars. It holds its own balances and orders: the truth that our books are checked with.

What it assumes, and every report repeats: an order is first seen by the next bar that opens after it was sent. A market
order fills at that bar's open, moved by the slippage to the next worse tick. A limit order fills at the open if the
bar opens at its limit or better, otherwise at its limit as soon as the bar touches it, in full. A limit order that
its first bar's open makes marketable takes (slippage applies, never beyond the limit, taker fee); one that rested
makes (no slippage, maker fee). Earlier orders come first, but inside the bar, of two on one side, the one nearer to
the open, since the price had to pass it. On a bar whose high and low contradict its open or close only the open
is believed. What costs more than is free at its fill is canceled, and so is a reduce-only order that would not reduce.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from njord.core.contracts import (
    BalanceSnapshot,
    Bar,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReject,
    BrokerReply,
)
from njord.core.errors import ConfigError, VenueRejected
from njord.core.instrument import Instrument
from njord.core.types import BUY, LIMIT, MARKET, InstrumentKind, OrderReason, OrderStatus, TimeInForce
from njord.core.units import EXACT, ZERO
from njord.kernels.matching import AT_OPEN, INSIDE, limit_fill, worse_ticks
from njord.venues.fees import FeeModel

Report = BrokerFill | BrokerOrderUpdate


class _Resting(msgspec.Struct, kw_only=True, gc=False):
    req: BrokerOrderReq
    venue_order_id: str
    sign: int
    is_resting: bool = False  # Has seen a bar since it was placed.


class SimulatedVenue:
    """One account at a simulated exchange.

    Args:
        instruments: What it trades, with the filters it enforces.
        fees: What it charges.
        slippage_bps: Added against every order that takes.
        cash: Opening balance of `report_asset`.
        report_asset: The quote asset of all instruments.

    Raises:
        ConfigError: The slippage is not a number >= 0.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        fees: FeeModel,
        slippage_bps: Decimal,
        cash: Decimal,
        report_asset: str,
    ) -> None:
        self._instruments = tuple(instruments)
        self._fees = fees
        if not slippage_bps.is_finite() or slippage_bps < 0:
            raise ConfigError(f"slippage_bps must be >= 0, was {slippage_bps}")
        numerator, denominator = slippage_bps.as_integer_ratio()
        self._slippage = (numerator, denominator * 10_000)
        self.cash = cash
        self._report_asset = report_asset
        self._held = [ZERO] * len(instruments)
        self._last_ticks = [0] * len(instruments)
        self._book: list[dict[str, _Resting]] = [{} for _ in instruments]
        self._seen: dict[
            str, BrokerOrderUpdate | _Resting
        ] = {}  # Every id ever placed: how it ended, or the order.
        self._fills: list[list[BrokerFill]] = [[] for _ in instruments]
        self._outbox: list[Report] = []
        self._n_orders = 0
        self._n_trades = 0
        self._now_ns = 0
        self.n_working = 0
        self.slippage_paid = ZERO  # In quote: what taking cost beyond the unslipped price.

    # --- IBroker ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Accept or reject one order; it can fill from the next bar on."""
        refused = self._filter(req)
        if refused is not None:
            return BrokerReject(
                client_order_id=req.client_order_id, reason=refused, detail="", ts_venue_ns=req.ts_ns
            )
        self._n_orders += 1
        order = _Resting(req=req, venue_order_id=str(self._n_orders), sign=req.side.sign)
        self._book[req.instrument][req.client_order_id] = order
        self.n_working += 1
        self._seen[req.client_order_id] = order
        return BrokerOrderAck(
            client_order_id=req.client_order_id, venue_order_id=order.venue_order_id, ts_venue_ns=req.ts_ns
        )

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Cancel a working order at once; its update waits in the outbox."""
        for book in self._book:
            order = book.get(req.client_order_id)
            if order is not None:
                self._end(order, OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, req.ts_ns)
                return BrokerOrderAck(
                    client_order_id=req.client_order_id,
                    venue_order_id=order.venue_order_id,
                    ts_venue_ns=req.ts_ns,
                )
        return BrokerReject(
            client_order_id=req.client_order_id,
            reason=OrderReason.NONE,
            detail="no such working order",
            ts_venue_ns=req.ts_ns,
        )

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return the last state of one order, None if it was never placed."""
        seen = self._seen.get(client_order_id)
        return _accepted(seen) if isinstance(seen, _Resting) else seen

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Return the fills of `symbol` after a trade id ("" = all), oldest first."""
        fills = self._fills[self._index(symbol)]
        after = int(after_trade_id or 0)
        return [fill for fill in fills if int(fill.venue_trade_id) > after]

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Return all working orders, of one symbol or of all."""
        books = self._book if symbol is None else [self._book[self._index(symbol)]]
        return [_accepted(order) for book in books for order in book.values()]

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds."""
        held = {self._report_asset: self.cash}
        for instrument, qty in zip(self._instruments, self._held, strict=True):
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
        return self._instruments

    # --- the market ---

    def held_qty(self, instrument: int) -> Decimal:
        """Return the signed holding in base: the truth."""
        return self._held[instrument]

    def on_bar(self, bar: Bar) -> list[Report]:
        """Let a bar meet the working orders; return fills and ended orders in the order in which they happened."""
        index = bar.instrument
        self._now_ns = bar.ts_ns
        book = self._book[index]
        if book:
            self._match(bar, list(book.values()))
        self._last_ticks[index] = bar.close
        return self.drain()

    def observe(self, bar: Bar) -> None:
        """Take over a bar's close while no order is working: `on_bar` without the matching."""
        self._now_ns = bar.ts_ns
        self._last_ticks[bar.instrument] = bar.close

    def expire_all(self, ts_ns: int) -> list[Report]:
        """End every working order because the data has ended."""
        for book in self._book:
            for order in list(book.values()):
                self._end(order, OrderStatus.EXPIRED, OrderReason.END_OF_DATA, ts_ns)
        return self.drain()

    def drain(self) -> list[Report]:
        """Return what happened since the last call."""
        reports, self._outbox = self._outbox, []
        return reports

    # First everything that the open decides, oldest first; then what the bar touched later.
    def _match(self, bar: Bar, orders: list[_Resting]) -> None:
        is_consistent = bar.low <= min(bar.open, bar.close) and bar.high >= max(bar.open, bar.close)
        high, low = (bar.high, bar.low) if is_consistent else (bar.open, bar.open)
        later: list[tuple[_Resting, int]] = []
        for order in orders:
            req = order.req
            if req.ts_ns > bar.ts_open_ns:
                continue  # Sent while this bar was under way (by a timer): its open is past already.
            if req.type is MARKET:
                slipped = worse_ticks(bar.open, order.sign, *self._slippage)
                self._take(order, bar.open, slipped, bar.ts_open_ns)
                continue
            phase, price = limit_fill(order.sign, req.limit_price_ticks, bar.open, high, low)
            if phase == AT_OPEN:
                if order.is_resting:
                    self._execute(order, price, True, bar.ts_open_ns)
                    continue
                slipped = worse_ticks(price, order.sign, *self._slippage)
                limit = req.limit_price_ticks
                worst = min(slipped, limit) if order.sign > 0 else max(slipped, limit)
                self._take(order, price, worst, bar.ts_open_ns)
            elif req.tif is TimeInForce.IOC:
                self._end(order, OrderStatus.CANCELED, OrderReason.IOC_REMAINDER, bar.ts_open_ns)
            elif phase == INSIDE:
                later.append((order, price))
            else:
                order.is_resting = True
        for order, price in _as_reached(later) if len(later) > 1 else later:
            self._execute(order, price, True, bar.ts_ns)

    def _take(self, order: _Resting, seen_ticks: int, paid_ticks: int, ts_venue_ns: int) -> None:
        if self._execute(order, paid_ticks, False, ts_venue_ns):
            lost = self._instruments[order.req.instrument].notional(
                abs(paid_ticks - seen_ticks), order.req.qty_lots
            )
            self.slippage_paid = EXACT.add(self.slippage_paid, lost)

    # Returns whether the order was filled; if not, it was canceled.
    def _execute(self, order: _Resting, price_ticks: int, is_maker: bool, ts_venue_ns: int) -> bool:
        req = order.req
        index = req.instrument
        instrument = self._instruments[index]
        notional = instrument.notional(price_ticks, req.qty_lots)
        fee, fee_asset = self._fees.charge(instrument, notional, is_maker)
        qty = instrument.qty(req.qty_lots)
        signed_qty = qty if req.side is BUY else qty.copy_negate()
        cash_after = EXACT.subtract(
            self.cash, EXACT.add(notional if req.side is BUY else notional.copy_negate(), fee)
        )
        held_after = EXACT.add(self._held[index], signed_qty)
        refused = self._objection(req, cash_after, held_after, price_ticks)
        if refused is not None:
            self._end(order, OrderStatus.CANCELED, refused, ts_venue_ns)
            return False
        self.cash, self._held[index] = cash_after, held_after
        self._n_trades += 1
        fill = BrokerFill(
            client_order_id=req.client_order_id,
            venue_trade_id=str(self._n_trades),
            price_ticks=price_ticks,
            qty_lots=req.qty_lots,
            fee=fee,
            fee_asset=fee_asset,
            is_maker=is_maker,
            ts_venue_ns=ts_venue_ns,
        )
        self._fills[index].append(fill)
        self._outbox.append(fill)
        self._end(order, OrderStatus.FILLED, OrderReason.NONE, ts_venue_ns, req.qty_lots)
        return True

    # Shrinking a position is always funded. Growing one needs cash on spot, and 1x backing where shorts are open:
    # a short's proceeds are in the cash, and its worth once more must be there to buy it back.
    def _objection(
        self, req: BrokerOrderReq, cash_after: Decimal, held_after: Decimal, price_ticks: int
    ) -> OrderReason | None:
        index = req.instrument
        held = self._held[index]
        is_same_side = not held_after or held_after.is_signed() is held.is_signed()
        if is_same_side and held_after.copy_abs() <= held.copy_abs():
            return None
        if req.reduce_only:
            return OrderReason.REDUCE_ONLY
        if held_after < 0 and self._instruments[index].kind is InstrumentKind.SPOT:
            return OrderReason.INSUFFICIENT_FUNDS
        backing = cash_after
        for other, instrument in enumerate(self._instruments):
            qty = held_after if other == index else self._held[other]
            if qty < 0:
                ticks = price_ticks if other == index else self._last_ticks[other]
                backing = EXACT.add(backing, EXACT.multiply(qty, instrument.price(2 * ticks)))
        return None if backing >= 0 else OrderReason.INSUFFICIENT_FUNDS

    def _filter(self, req: BrokerOrderReq) -> OrderReason | None:
        instrument = self._instruments[req.instrument]
        if req.client_order_id in self._seen:
            return OrderReason.DUPLICATE_ID
        if not instrument.min_qty_lots <= req.qty_lots <= instrument.max_qty_lots:
            return OrderReason.FILTER_QTY
        if (req.type is LIMIT) is not (req.limit_price_ticks > 0):
            return OrderReason.FILTER_PRICE
        ticks = req.limit_price_ticks or self._last_ticks[req.instrument]
        if instrument.min_notional and instrument.notional(ticks, req.qty_lots) < instrument.min_notional:
            return OrderReason.FILTER_NOTIONAL
        return None

    def _end(
        self,
        order: _Resting,
        status: OrderStatus,
        reason: OrderReason,
        ts_venue_ns: int,
        filled_lots: int = 0,
    ) -> None:
        del self._book[order.req.instrument][order.req.client_order_id]
        self.n_working -= 1
        update = _update(order, status, reason, ts_venue_ns, filled_lots)
        self._seen[order.req.client_order_id] = update
        self._outbox.append(update)

    def _index(self, symbol: str) -> int:
        for index, instrument in enumerate(self._instruments):
            if instrument.symbol == symbol:
                return index
        raise VenueRejected(f"{symbol} is not traded here")


def _accepted(order: _Resting) -> BrokerOrderUpdate:
    return _update(order, OrderStatus.ACCEPTED, OrderReason.NONE, order.req.ts_ns, 0)


def _update(
    order: _Resting, status: OrderStatus, reason: OrderReason, ts_venue_ns: int, filled_lots: int
) -> BrokerOrderUpdate:
    req = order.req
    return BrokerOrderUpdate(
        client_order_id=req.client_order_id,
        venue_order_id=order.venue_order_id,
        symbol=req.symbol,
        side=req.side,
        type=req.type,
        status=status,
        reason=reason,
        qty_lots=req.qty_lots,
        filled_lots=filled_lots,
        limit_price_ticks=req.limit_price_ticks,
        ts_venue_ns=ts_venue_ns,
    )


# Oldest first, as far as the bar leaves that open: a limit further from the open can not be reached before a nearer
# one of the same side, while between a buy and a sell the bar does not say. Sorting is stable.
def _as_reached(touched: list[tuple[_Resting, int]]) -> Iterator[tuple[_Resting, int]]:
    by_side = {
        sign: iter(
            sorted((each for each in touched if each[0].sign == sign), key=lambda each: -sign * each[1])
        )
        for sign in (1, -1)
    }
    for order, _ in touched:
        yield next(by_side[order.sign])
