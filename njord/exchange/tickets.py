"""Which order was asked for? The parameters of POST order in, a checked ticket out: types, times in force, filters."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from njord.core.filters import is_within
from njord.core.units import NS_PER_MINUTE, ZERO
from njord.exchange import errors
from njord.exchange.orders import Ticket
from njord.exchange.params import Params
from njord.exchange.rules import AVERAGE_MINUTES, SymbolRules
from njord.exchange.trading import Trading, lots_for_quote

TYPES: Final = (
    "LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER",
)  # fmt: skip
SIDES: Final = ("BUY", "SELL")
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK")
ORDER_PARAMS: Final = (
    "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId", "strategyId",
    "strategyType", "stopPrice", "icebergQty", "newOrderRespType", "selfTradePreventionMode",
)  # fmt: skip
# What a type needs; what it has no use for is refused.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "LIMIT_MAKER": ("quantity", "price"),
    "MARKET": (),
    "STOP_LOSS": ("quantity", "stopPrice"),
    "TAKE_PROFIT": ("quantity", "stopPrice"),
    "STOP_LOSS_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
    "TAKE_PROFIT_LIMIT": ("timeInForce", "quantity", "price", "stopPrice"),
}
_SPOKEN: Final = {
    "STOP_LOSS": "Stop loss",
    "TAKE_PROFIT": "Take profit",
}


def ticket_of(params: Params, trading: Trading, new_id: Callable[[], str]) -> Ticket:
    """Return the order that a request asks for.

    Args:
        params: As they were sent.
        trading: Whose rules and market.
        new_id: Names an order that brings no id of its own.

    Raises:
        ApiError: A parameter is missing, of no use or malformed; or a filter does not let the order pass.
    """
    rules = trading.rules.of(params.symbol())
    side, kind = params.choice("side", SIDES), params.choice("type", TYPES)
    tif = params.choice("timeInForce", TIMES_IN_FORCE, "") if "timeInForce" in params else ""
    _check_combination(params, kind)
    if kind not in trading.options.order_types:
        raise errors.not_offered(_SPOKEN[kind])
    client_id = params.client_id("newClientOrderId") if "newClientOrderId" in params else new_id()
    limit = rules.price_ticks(params.decimal("price")) if "price" in params else 0
    trigger = rules.price_ticks(params.decimal("stopPrice")) if "stopPrice" in params else 0
    quote_qty = params.decimal("quoteOrderQty") if "quoteOrderQty" in params else ZERO
    lots = _lots(params, trading, rules, side, quote_qty, not limit)
    ticket = Ticket(
        rules=rules,
        client_id=client_id,
        side=side,
        type=kind,
        tif=tif or "GTC",
        qty_lots=lots,
        limit_ticks=limit,
        trigger_ticks=trigger,
        quote_qty=quote_qty,
    )
    check_prices(trading, ticket)
    return ticket


def check_prices(trading: Trading, ticket: Ticket) -> None:
    """Refuse an order that is worth too little, or whose limit is too far from the prices of late.

    Raises:
        ApiError: NOTIONAL or PERCENT_PRICE_BY_SIDE.
    """
    rules, market = ticket.rules, trading.market
    last_ticks = market.last_price_ticks(rules.index)
    rules.check_notional(ticket.limit_ticks or ticket.trigger_ticks or last_ticks, ticket.qty_lots)
    if not ticket.limit_ticks or not last_ticks:
        return
    recent = market.klines[rules.index].over(AVERAGE_MINUTES * NS_PER_MINUTE, market.now_ns)
    has_traded = recent is not None and recent.volume_lots
    units, lots = (recent.quote, recent.volume_lots) if recent and has_traded else (last_ticks, 1)
    if not is_within(rules.bands(trading.options)[ticket.side], ticket.limit_ticks, units, lots):
        raise errors.filter_failure("PERCENT_PRICE_BY_SIDE")


def _check_combination(params: Params, kind: str) -> None:
    needed = _NEEDED[kind]
    if kind == "MARKET":
        if "quantity" in params and "quoteOrderQty" in params:
            raise errors.bad_combination()
        if "quantity" not in params and "quoteOrderQty" not in params:
            raise errors.missing("quantity")
    else:
        params.refuse("quoteOrderQty")
    for name in needed:
        params.text(name)
    params.refuse(*(name for name in ("timeInForce", "price", "stopPrice") if name not in needed))
    if "icebergQty" in params:
        raise errors.not_offered("Iceberg")


def _lots(
    params: Params, trading: Trading, rules: SymbolRules, side: str, quote_qty: Decimal, is_market: bool
) -> int:
    if not quote_qty:
        return rules.qty_lots(params.decimal("quantity"), is_market)
    if quote_qty < rules.min_notional:
        raise errors.filter_failure("NOTIONAL")
    lots = lots_for_quote(trading.market, rules, side, quote_qty)
    return rules.qty_lots(rules.instrument.qty(lots), is_market)
