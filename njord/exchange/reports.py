"""How does the dialect write an order, a trade, a balance? Plain data for JSON: REST's shapes and the user stream's.

Numbers are texts with at least eight decimals; times are whole milliseconds.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from njord.exchange.market_text import decimal_text, to_ms
from njord.exchange.options import ExchangeOptions
from njord.exchange.orders import Execution, Happened, Order, Trade
from njord.exchange.trading import Account

Json = dict[str, Any]
_ZERO = "0.00000000"


def price(order: Order, ticks: int) -> str:
    """Return a price of an order's symbol."""
    return decimal_text(order.ticket.rules.instrument.price(ticks))


def qty(order: Order, lots: int) -> str:
    """Return a quantity of an order's symbol."""
    return decimal_text(order.ticket.rules.instrument.qty(lots))


# --- REST ---


def acknowledged(order: Order) -> Json:
    """Return the answer ACK."""
    return {**_names(order), "transactTime": to_ms(order.placed_ns)}


def placed(order: Order, options: ExchangeOptions, has_fills: bool) -> Json:
    """Return the answer RESULT, or FULL."""
    answer = {**acknowledged(order), **_state(order, options)}
    if order.is_working or not order.ticket.trigger_ticks or order.executed_lots:
        answer["workingTime"] = to_ms(order.working_ns)
    if has_fills:
        answer["fills"] = [
            {
                "price": price(order, trade.price_ticks),
                "qty": qty(order, trade.qty_lots),
                "commission": decimal_text(trade.commission),
                "commissionAsset": trade.commission_asset,
                "tradeId": trade.trade_id,
            }
            for trade in order.trades
        ]
    return answer


def canceled(order: Order, cancel_id: str, options: ExchangeOptions) -> Json:
    """Return the answer of a cancel: its own id, and the order's as the original one."""
    return {
        **_names(order),
        "transactTime": to_ms(order.updated_ns),
        **_state(order, options),
        "origClientOrderId": order.ticket.client_id,
        "clientOrderId": cancel_id,
    }


def queried(order: Order, options: ExchangeOptions) -> Json:
    """Return an order as queries and lists have it."""
    return {
        **_names(order),
        **_state(order, options),
        "stopPrice": price(order, order.ticket.trigger_ticks),
        "icebergQty": _ZERO,
        "time": to_ms(order.placed_ns),
        "updateTime": to_ms(order.updated_ns),
        "isWorking": order.is_working or (not order.is_open and bool(order.working_ns)),
        "workingTime": to_ms(order.working_ns),
    }


def _names(order: Order) -> Json:
    return {
        "symbol": order.ticket.rules.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.ticket.client_id,
    }


def _state(order: Order, options: ExchangeOptions) -> Json:
    ticket = order.ticket
    state = {
        "price": price(order, ticket.limit_ticks),
        "origQty": qty(order, ticket.qty_lots),
        "executedQty": qty(order, order.executed_lots),
        "origQuoteOrderQty": decimal_text(ticket.quote_qty),
        "cummulativeQuoteQty": decimal_text(order.quote_filled),
        "status": order.status.value,
        "timeInForce": ticket.tif,
        "type": ticket.type,
        "side": ticket.side,
        "selfTradePreventionMode": options.self_trade.upper(),
    }
    if ticket.trigger_ticks:
        state["stopPrice"] = price(order, ticket.trigger_ticks)
    return state


def traded(trade: Trade) -> Json:
    """Return a trade as myTrades has it."""
    order = trade.order
    return {
        "symbol": order.ticket.rules.symbol,
        "id": trade.trade_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": price(order, trade.price_ticks),
        "qty": qty(order, trade.qty_lots),
        "quoteQty": decimal_text(trade.quote_qty),
        "commission": decimal_text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": to_ms(trade.ts_ns),
        "isBuyer": order.ticket.side == "BUY",
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def account_state(account: Account, options: ExchangeOptions, omits_zero: bool) -> Json:
    """Return an account as GET account has it."""
    wallet = account.wallet
    assets = [asset for asset in wallet.assets() if wallet.total(asset) or not omits_zero]
    rates = {"maker": options.maker_bps, "taker": options.taker_bps}
    return {
        "makerCommission": int(options.maker_bps),
        "takerCommission": int(options.taker_bps),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {name: decimal_text(bps.scaleb(-4)) for name, bps in rates.items()},
        "canTrade": account.may_trade,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": to_ms(account.updated_ns),
        "accountType": "SPOT",
        "balances": [
            {
                "asset": asset,
                "free": decimal_text(wallet.free(asset)),
                "locked": decimal_text(wallet.locked(asset)),
            }
            for asset in assets
        ],
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


# --- the user stream ---


def execution_report(happened: Happened, execution_id: int, options: ExchangeOptions) -> Json:
    """Return an executionReport; a cancel's own id comes first, the order's then is the original one."""
    order, trade, ticket = happened.order, happened.trade, happened.order.ticket
    is_cancel = happened.what is Execution.CANCELED and bool(happened.cancel_id)
    report = {
        "e": "executionReport",
        "E": to_ms(happened.ts_ns),
        "s": ticket.rules.symbol,
        "c": happened.cancel_id if is_cancel else ticket.client_id,
        "S": ticket.side,
        "o": ticket.type,
        "f": ticket.tif,
        "q": qty(order, ticket.qty_lots),
        "p": price(order, ticket.limit_ticks),
        "P": price(order, ticket.trigger_ticks),
        "F": _ZERO,
        "g": -1,
        "C": ticket.client_id if is_cancel else "",
        "x": happened.what.value,
        "X": order.status.value,
        "r": happened.reject_reason,
        "i": order.order_id,
        "l": qty(order, trade.qty_lots) if trade else _ZERO,
        "z": qty(order, order.executed_lots),
        "L": price(order, trade.price_ticks) if trade else _ZERO,
        "n": decimal_text(trade.commission) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": to_ms(happened.ts_ns),
        "t": trade.trade_id if trade else -1,
        "I": execution_id,
        "w": order.is_working,
        "m": trade.is_maker if trade else False,
        "M": False,
        "O": to_ms(order.placed_ns),
        "Z": decimal_text(order.quote_filled),
        "Y": decimal_text(trade.quote_qty) if trade else _ZERO,
        "Q": decimal_text(ticket.quote_qty),
        "V": options.self_trade.upper(),
    }
    if order.is_working:
        report["W"] = to_ms(order.working_ns)
    return report


def account_position(account: Account, assets: Iterable[str], ts_ns: int) -> Json:
    """Return an outboundAccountPosition: the assets that may have changed."""
    wallet = account.wallet
    return {
        "e": "outboundAccountPosition",
        "E": to_ms(ts_ns),
        "u": to_ms(ts_ns),
        "B": [
            {"a": asset, "f": decimal_text(wallet.free(asset)), "l": decimal_text(wallet.locked(asset))}
            for asset in assets
        ],
    }


def balance_update(asset: str, amount: Decimal, ts_ns: int) -> Json:
    """Return a balanceUpdate: a deposit, or a withdrawal."""
    return {"e": "balanceUpdate", "E": to_ms(ts_ns), "a": asset, "d": decimal_text(amount), "T": to_ms(ts_ns)}
