"""What really happened? The ledger that checkers read: every balance, order, trade and transfer, and who asked for what.

It is read off the accounts themselves, so that it can not differ from them; only requests are kept here. What is written
to it as it happens goes line by line to `sink` as well, if there is one.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from njord.core.units import plain
from njord.exchange.orders import Event, Execution, Happened, Order, Trade, Transferred
from njord.exchange.trading import Account, Trading

MAX_REQUESTS: Final = 100_000  # Kept of each account; the sink has them all.
Json = dict[str, Any]


class Truth:
    """The truth ledger of an exchange.

    Args:
        trading: Whose.

    Attributes:
        sink: Is given every order's end, trade, transfer and request as a line of JSON, as it happens.
    """

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._requests: dict[str, deque[Json]] = {
            name: deque(maxlen=MAX_REQUESTS) for name in trading.accounts
        }
        self.sink: Callable[[bytes], object] | None = None
        trading.listeners.append(self._hear)

    def data(self, now_ns: int) -> Json:
        """Return the ledger as plain data; numbers as texts, times of the exchange's clock."""
        return {
            "now_ns": now_ns,
            "accounts": {name: self._account(each) for name, each in self._trading.accounts.items()},
        }

    def asked(
        self, account: Account, ts_ns: int, method: str, path: str, client_id: str, status: int, code: int
    ) -> None:
        """Keep a request and how it was answered; code 0 = it was done."""
        line = {
            "ts_ns": ts_ns,
            "method": method,
            "path": path,
            "client_order_id": client_id,
            "status": status,
            "code": code,
        }
        self._requests[account.name].append(line)
        self._write("request", account, line)

    def _account(self, account: Account) -> Json:
        wallet = account.wallet
        return {
            "balances": {
                asset: {"free": plain(wallet.free(asset)), "locked": plain(wallet.locked(asset))}
                for asset in wallet.assets()
            },
            "orders": [_order(order) for order in account.orders.values()],
            "trades": [_trade(trade) for trade in account.trades],
            "transfers": [_transfer(each) for each in account.transfers],
            "requests": list(self._requests[account.name]),
        }

    def _hear(self, account: Account, event: Event) -> None:
        if self.sink is None:
            return
        if isinstance(event, Transferred):
            self._write("transfer", account, _transfer(event))
        elif isinstance(event, Happened):
            if event.trade is not None:
                self._write("trade", account, _trade(event.trade))
            if event.what is Execution.NEW or not event.order.is_open:
                self._write("order", account, _order(event.order))

    def _write(self, kind: str, account: Account, line: Json) -> None:
        if self.sink is not None:
            self.sink(msgspec.json.encode({"what": kind, "account": account.name, **line}) + b"\n")


def _order(order: Order) -> Json:
    ticket = order.ticket
    instrument = ticket.rules.instrument
    return {
        "client_order_id": ticket.client_id,
        "order_id": order.order_id,
        "symbol": ticket.rules.symbol,
        "side": ticket.side,
        "type": ticket.type,
        "time_in_force": ticket.tif,
        "price": plain(instrument.price(ticket.limit_ticks)),
        "orig_qty": plain(instrument.qty(ticket.qty_lots)),
        "executed_qty": plain(instrument.qty(order.executed_lots)),
        "status": order.status.value,
        "placed_ns": order.placed_ns,
        "ended_ns": order.ended_ns,
    }


def _trade(trade: Trade) -> Json:
    ticket = trade.order.ticket
    instrument = ticket.rules.instrument
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.order.order_id,
        "client_order_id": ticket.client_id,
        "symbol": ticket.rules.symbol,
        "side": ticket.side,
        "price": plain(instrument.price(trade.price_ticks)),
        "qty": plain(instrument.qty(trade.qty_lots)),
        "quote_qty": plain(trade.quote_qty),
        "commission": plain(trade.commission),
        "commission_asset": trade.commission_asset,
        "is_maker": trade.is_maker,
        "ts_ns": trade.ts_ns,
    }


def _transfer(transferred: Transferred) -> Json:
    return {
        "asset": transferred.asset,
        "amount": plain(transferred.amount),
        "ts_ns": transferred.ts_ns,
    }
