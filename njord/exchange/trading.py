"""What happens to the accounts' orders? Placement, cancels, fills and halts, in the order in which they happen.

Tickets go in, orders and events come out. Everybody who keeps something of what happened (user streams, the truth ledger)
listens to the same events. Times that are shown are the host's plus the clock offset.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import count

from njord.core.contracts import BrokerFill, BrokerOrderUpdate, BrokerReport
from njord.core.errors import ConfigError
from njord.core.types import OrderReason
from njord.core.units import EXACT, ZERO, ratio
from njord.exchange import errors
from njord.exchange.account_venue import AccountVenue, lock_name
from njord.exchange.market import PublicMarket
from njord.exchange.options import AccountSpec, ExchangeOptions, is_key
from njord.exchange.orders import (
    Balanced,
    Event,
    Execution,
    Happened,
    Order,
    Status,
    Ticket,
    Trade,
    Transferred,
)
from njord.exchange.rules import BREAK, TRADING, Rules, SymbolRules
from njord.exchange.wallet import Wallet

_ENDS = {
    OrderReason.CANCEL_REQUESTED: (Status.CANCELED, Execution.CANCELED),
    OrderReason.SELF_TRADE: (Status.EXPIRED_IN_MATCH, Execution.EXPIRED),
}
_EXPIRED = (Status.EXPIRED, Execution.EXPIRED)
_NEVER_PLACED = {
    OrderReason.POST_ONLY_WOULD_TAKE: errors.would_take,
    OrderReason.INSUFFICIENT_FUNDS: errors.insufficient_balance,
}
_REJECT_REASONS = {
    errors.would_take().message: "WOULD_MATCH_IMMEDIATELY",
    errors.insufficient_balance().message: "INSUFFICIENT_BALANCES",
}


class Account:
    """One account: its access, its money, its orders.

    Args:
        spec: Name, key and opening balances.
        uid: The exchange's number for it.
        venue: Its orders in the market.
        wallet: Its money.

    Attributes:
        orders: All it ever had, by number.
        open_orders: Those that can fill, by number.
        trades: All fills, in order.
        trades_of: The same by symbol, their ids rising.
        transfers: Deposits and withdrawals.
        may_read: Whether its key is good.
        may_trade: Whether its key may place and cancel.
        changed_ns: When its balances last changed, by the host's clock.
        updated_ns: The same by the exchange's clock of then.
    """

    def __init__(self, spec: AccountSpec, uid: int, venue: AccountVenue, wallet: Wallet) -> None:
        self.spec = spec
        self.uid = uid
        self.venue = venue
        self.wallet = wallet
        self.orders: dict[int, Order] = {}
        self.open_orders: dict[int, Order] = {}
        self.trades: list[Trade] = []
        self.trades_of: dict[str, list[Trade]] = {}
        self.transfers: list[Transferred] = []
        self.may_read = True
        self.may_trade = True
        self.changed_ns = self.updated_ns = 0
        self.by_client: dict[str, Order] = {}  # The latest of each id.
        self.by_reference: dict[str, Order] = {}

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name


class Trading:
    """All accounts and what happens to their orders.

    Args:
        market: What orders meet.
        specs: The accounts.
        options: The exchange's rules.
        begin_ns: When it opens.

    Attributes:
        accounts: By name.
        rules: Filters and status by symbol.
        listeners: Are told of every event right after it, in order.
        clock_offset_ns: What the exchange's clock is ahead of the host's.

    Raises:
        ConfigError: Two accounts share a name or a key, or a balance is negative.
    """

    def __init__(
        self, market: PublicMarket, specs: Sequence[AccountSpec], options: ExchangeOptions, begin_ns: int
    ) -> None:
        _check(specs)
        self.market = market
        self.options = options
        self.rules = Rules(market.instruments)
        self.clock_offset_ns = 0
        self.listeners: list[Callable[[Account, Event], None]] = []
        self.accounts = {spec.name: self._opened(spec, uid) for uid, spec in enumerate(specs, 1)}
        self._by_key = {account.spec.key: account for account in self.accounts.values()}
        self._order_ids = count(1)
        self._trade_ids = [count(1) for _ in market.instruments]
        self._own_ids = count(1)
        self._cancel_ids: dict[str, str] = {}
        for account in self.accounts.values():
            account.changed_ns = account.updated_ns = begin_ns

    def _opened(self, spec: AccountSpec, uid: int) -> Account:
        wallet = Wallet(spec.balances)
        return Account(spec, uid, AccountVenue(self.market, self.options, wallet, self._price_of), wallet)

    def account_of(self, key: str) -> Account | None:
        """Return whose key it is."""
        return self._by_key.get(key)

    def shown_ns(self, now_ns: int) -> int:
        """Return what the exchange's clock shows."""
        return now_ns + self.clock_offset_ns

    def new_id(self) -> str:
        """Return a client id of the exchange's own, for an order or a cancel that brings none."""
        return f"venue-{next(self._own_ids)}"

    # What an asset is worth by the last price of its symbol; None if it is not listed, or was never traded.
    def _price_of(self, asset: str, quote: str) -> Decimal | None:
        for rules in self.rules:
            if (rules.instrument.base, rules.instrument.quote) == (asset, quote):
                ticks = self.market.last_price_ticks(rules.index)
                return rules.instrument.price(ticks) if ticks else None
        return None

    # --- orders ---

    def enter(self, account: Account, ticket: Ticket, now_ns: int) -> Order:
        """Place an order, and let happen what that makes happen at once.

        Raises:
            ApiError: It is refused; nothing has changed.
        """
        self.check(account, ticket)
        order_id = next(self._order_ids)
        shown_ns = self.shown_ns(now_ns)
        order = Order(
            order_id=order_id,
            account=account.name,
            ticket=ticket,
            placed_ns=shown_ns,
            updated_ns=shown_ns,
            working_ns=shown_ns,
            reference=str(order_id),
            is_working=not ticket.trigger_ticks,
            trades=[],
        )
        refusal, caused = self._try(account, order, now_ns)
        if refusal is not None:
            account.wallet.release(order.reference)
            self._hear(account, caused)
            self._reject(account, order, refusal)
            raise refusal
        account.orders[order_id] = account.open_orders[order_id] = order
        account.by_client[ticket.client_id] = account.by_reference[order.reference] = order
        self._say(account, Happened(what=Execution.NEW, order=order, ts_ns=shown_ns))
        self._balanced(account, (_paid_in(ticket),), shown_ns)
        self._hear(account, caused)
        return order

    # Lets an order in, and says why it was refused and what else that made happen.
    def _try(
        self, account: Account, order: Order, now_ns: int
    ) -> tuple[errors.ApiError | None, list[BrokerReport]]:
        if not self._locks(account, order.ticket, order.reference):
            return errors.insufficient_balance(), []
        caused = account.venue.submit(order, now_ns)
        return _refusal(order, caused), caused

    def _reject(self, account: Account, order: Order, refusal: errors.ApiError) -> None:
        if self.options.tells_rejections:
            order.status, order.is_working, order.ended_ns = Status.REJECTED, False, order.placed_ns
            reason = _REJECT_REASONS[refusal.message]
            what, ts_ns = Execution.REJECTED, order.placed_ns
            self._say(account, Happened(what=what, order=order, ts_ns=ts_ns, reject_reason=reason))

    def check(self, account: Account, ticket: Ticket) -> None:
        """Refuse an order that may not be placed now, whatever its account holds.

        Raises:
            ApiError: Why.
        """
        rules = ticket.rules
        if not rules.is_trading:
            raise errors.market_closed()
        known = account.by_client.get(ticket.client_id)
        if known is not None and known.is_open:
            raise errors.duplicate_order()
        self.check_room(account, rules)
        last = self.market.last_price_ticks(rules.index)
        rises = (ticket.side == "BUY") is ticket.type.startswith("STOP_LOSS")
        if ticket.trigger_ticks and last:
            is_past = last >= ticket.trigger_ticks if rises else last <= ticket.trigger_ticks
            if is_past:
                raise errors.would_trigger()

    def check_room(self, account: Account, rules: SymbolRules) -> None:
        """Refuse an order more than an account may have open in a symbol.

        Raises:
            ApiError: MAX_NUM_ORDERS.
        """
        n_open = sum(1 for each in account.open_orders.values() if each.ticket.rules is rules)
        if n_open >= rules.most_open(self.options):
            raise errors.filter_failure("MAX_NUM_ORDERS")

    # A sale locks what is sold, a limit buy what it may cost; a buy at market pays as it fills.
    def _locks(self, account: Account, ticket: Ticket, name: str) -> bool:
        instrument = ticket.rules.instrument
        qty = instrument.qty(ticket.qty_lots)
        if ticket.side == "SELL":
            return account.wallet.lock(name, instrument.base, qty, Decimal(1))
        if not ticket.limit_ticks:
            return True
        return account.wallet.lock(name, instrument.quote, qty, instrument.price(ticket.limit_ticks))

    def withdraw(self, account: Account, order: Order, now_ns: int, cancel_id: str) -> None:
        """Cancel an open order.

        Raises:
            ApiError: It is not open any more.
        """
        if not order.is_open:
            raise errors.unknown_order()
        if order.reference not in account.by_reference:  # Out of the market, while its symbol is halted.
            self._end(account, order, Status.CANCELED, Execution.CANCELED, self.shown_ns(now_ns), cancel_id)
            return
        self._cancel_ids[order.reference] = cancel_id
        self._hear(account, account.venue.withdraw(order, now_ns))
        self._cancel_ids.clear()

    def expire(self, account: Account, order: Order, now_ns: int) -> None:
        """End an open order as EXPIRED, by the venue's own will."""
        self._take_out(account, order, now_ns)
        self._end(account, order, *_EXPIRED, self.shown_ns(now_ns), "")

    # --- the market's time ---

    def advance(self, now_ns: int) -> None:
        """Let the accounts' orders meet the market up to a time."""
        for account in self.accounts.values():
            venue = account.venue
            while True:
                venue.advance(now_ns)
                reports = venue.drain()
                if not reports:
                    break
                self._hear(account, reports)

    def halt(self, symbol: str, now_ns: int) -> None:
        """Stop a symbol: no orders are taken, and those that rest are kept out of the market."""
        rules = self.rules.of(symbol)
        rules.status = BREAK
        for account, order in self._open_in(rules):
            self._take_out(account, order, now_ns)

    def resume(self, symbol: str, now_ns: int) -> None:
        """Let a symbol trade again; resting orders come back in their old order, behind the queues of now."""
        rules = self.rules.of(symbol)
        if rules.is_trading:
            return
        rules.status = TRADING
        for account, order in self._open_in(rules):
            name, _, n_halts = order.reference.partition(".")
            order.reference = f"{name}.{int(n_halts or 0) + 1}"
            account.by_reference[order.reference] = order
            self._hear(account, account.venue.submit(order, now_ns))

    def _open_in(self, rules: SymbolRules) -> Iterable[tuple[Account, Order]]:
        for account in self.accounts.values():
            for order in tuple(account.open_orders.values()):
                if order.ticket.rules is rules:
                    yield account, order

    def _take_out(self, account: Account, order: Order, now_ns: int) -> None:
        if account.by_reference.pop(order.reference, None) is not None:
            account.venue.withdraw(order, now_ns)

    # --- what the market says ---

    def _hear(self, account: Account, reports: Iterable[BrokerReport]) -> None:
        for report in reports:
            if isinstance(report, BrokerFill):
                self._filled(account, report)
            elif isinstance(report, BrokerOrderUpdate):
                self._updated(account, report)

    def _filled(self, account: Account, fill: BrokerFill) -> None:
        order = account.by_reference[fill.client_order_id]
        ticket, shown_ns = order.ticket, self.shown_ns(fill.ts_venue_ns)
        instrument = ticket.rules.instrument
        trade = Trade(
            trade_id=next(self._trade_ids[ticket.rules.index]),
            order=order,
            price_ticks=fill.price_ticks,
            qty_lots=fill.qty_lots,
            quote_qty=instrument.notional(fill.price_ticks, fill.qty_lots),
            commission=fill.fee,
            commission_asset=fill.fee_asset,
            is_maker=fill.is_maker,
            ts_ns=shown_ns,
        )
        order.trades.append(trade)
        account.trades.append(trade)
        account.trades_of.setdefault(ticket.rules.symbol, []).append(trade)
        order.executed_lots += fill.qty_lots
        order.quote_filled = EXACT.add(order.quote_filled, trade.quote_qty)
        order.updated_ns = shown_ns
        order.status = Status.PARTIALLY_FILLED if order.left_lots else Status.FILLED
        if not order.left_lots:
            self._forget(account, order, shown_ns)
        self._say(account, Happened(what=Execution.TRADE, order=order, ts_ns=shown_ns, trade=trade))
        assets = dict.fromkeys((instrument.base, instrument.quote, fill.fee_asset))
        self._balanced(account, tuple(assets), shown_ns)

    def _updated(self, account: Account, update: BrokerOrderUpdate) -> None:
        order = account.by_reference.get(update.client_order_id)
        if order is None:  # It was filled, refused, or taken out for a halt.
            return
        shown_ns = self.shown_ns(update.ts_venue_ns)
        if update.reason is OrderReason.TRIGGERED:
            order.is_working, order.working_ns, order.updated_ns = True, shown_ns, shown_ns
            self._say(account, Happened(what=Execution.NEW, order=order, ts_ns=shown_ns))
            return
        status, what = _ENDS.get(update.reason, _EXPIRED)
        self._end(account, order, status, what, shown_ns, self._cancel_ids.get(order.reference, ""))

    def _end(
        self, account: Account, order: Order, status: Status, what: Execution, shown_ns: int, cancel_id: str
    ) -> None:
        order.status, order.updated_ns = status, shown_ns
        self._forget(account, order, shown_ns)
        self._say(account, Happened(what=what, order=order, ts_ns=shown_ns, cancel_id=cancel_id))
        self._balanced(account, (_paid_in(order.ticket),), shown_ns)

    def _forget(self, account: Account, order: Order, shown_ns: int) -> None:
        order.ended_ns, order.is_working = shown_ns, False
        account.wallet.release(lock_name(order.reference))
        account.open_orders.pop(order.order_id, None)
        account.by_reference.pop(order.reference, None)

    # --- money from outside ---

    def transfer(self, account: Account, asset: str, amount: Decimal, now_ns: int) -> None:
        """Add to an account, or take from it.

        Raises:
            ApiError: Less is free than is to be taken.
        """
        if not account.wallet.move(asset, amount):
            raise errors.insufficient_balance()
        transferred = Transferred(asset, amount, self.shown_ns(now_ns))
        account.transfers.append(transferred)
        self._say(account, transferred)
        self._balanced(account, (asset,), transferred.ts_ns)

    def _balanced(self, account: Account, assets: tuple[str, ...], shown_ns: int) -> None:
        # A fill has the market's time, which may lie before that of an order that was placed since.
        account.changed_ns = max(account.changed_ns, shown_ns - self.clock_offset_ns)
        account.updated_ns = self.shown_ns(account.changed_ns)
        self._say(account, Balanced(assets, shown_ns))

    def _say(self, account: Account, event: Event) -> None:
        for listener in self.listeners:
            listener(account, event)


def lots_for_quote(market: PublicMarket, rules: SymbolRules, side: str, quote_qty: Decimal) -> int:
    """Return how many lots an amount of quote buys or sells by the book of now, down to the step of quantities."""
    view = market.book(rules.index)
    instrument, left, lots = rules.instrument, quote_qty, 0
    levels = view.asks if side == "BUY" else view.bids
    last = market.last_price_ticks(rules.index)
    for price_ticks, level_lots in levels or (((last, 2**62),) if last else ()):
        affordable = int(EXACT.divide_int(left, instrument.notional(price_ticks, 1)))
        taken = min(level_lots, affordable)
        lots += taken
        left = EXACT.subtract(left, instrument.notional(price_ticks, taken))
        if taken < level_lots:
            break
    step = int(ratio(rules.lot, instrument.lot_size))
    return lots - lots % step


def _paid_in(ticket: Ticket) -> str:
    instrument = ticket.rules.instrument
    return instrument.base if ticket.side == "SELL" else instrument.quote


def _refusal(order: Order, reports: Iterable[BrokerReport]) -> errors.ApiError | None:
    for report in reports:
        if not isinstance(report, BrokerOrderUpdate) or report.client_order_id != order.reference:
            continue
        refuse = None if report.filled_lots else _NEVER_PLACED.get(report.reason)
        if refuse is not None:
            return refuse()
    return None


def _check(specs: Sequence[AccountSpec]) -> None:
    for what, values in (("name", [s.name for s in specs]), ("key", [s.key for s in specs])):
        if len(set(values)) < len(values):
            raise ConfigError(f"each account must have a {what} of its own")
    for spec in specs:
        if not is_key(spec.key):
            raise ConfigError(f"the key of account {spec.name} must be 4 or more letters and digits")
        for asset, amount in spec.balances.items():
            if not amount.is_finite() or amount < ZERO:
                raise ConfigError(f"the balance of {asset} of account {spec.name} must be >= 0, was {amount}")
