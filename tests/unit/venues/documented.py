"""The words of the tables in the docs: orders, changes and reports, to and from what the venue understands."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderReq,
    BrokerOrderUpdate,
)
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import NS_PER_S, plain
from njord.venues.simulated import Report
from njord.venues.terms import VenueTerms

_ORDER = re.compile(
    r"(buy|sell) ([\d.]+)( market)?(?: (stop|take profit|trail) ([\d.]+))?(?: limit ([\d.]+))?"
    r"(?: (ioc|fok)| for (\d+) s)?( post-only)?( reduce-only)?(?: after (\d))?( oco)?"
)
_CHANGE = re.compile(
    r"(?:(cancel) (\d)|amend (\d) to(?: qty ([\d.]+))?(?: limit ([\d.]+))?(?: stop ([\d.]+))?)"
)
_SETTINGS = {
    "share": "max_volume_share",
    "leverage": "leverage",
    "maintenance": "maintenance_margin_bps",
    "impact": "impact_bps",
    "way": "entry_latency_ns",
    "answer": "response_latency_ns",
}
_WAITING = {
    ("stop", False): OrderType.STOP,
    ("stop", True): OrderType.STOP_LIMIT,
    ("take profit", False): OrderType.TAKE_PROFIT,
    ("take profit", True): OrderType.TAKE_PROFIT_LIMIT,
    ("trail", False): OrderType.TRAILING_STOP,
}


def request_of(text: str, name: str, instrument: Instrument, ts_ns: int) -> BrokerOrderReq:
    """Return the order that a cell writes; it waits for and groups with those of its own row."""
    found = _ORDER.fullmatch(text)
    assert found, f"no order: {text!r}"
    side, qty, market, kind, price, limit, tif, for_s, post_only, reduce_only, after, group = found.groups()
    plain_type = OrderType.LIMIT if limit else OrderType.MARKET
    type_ = _WAITING[kind, bool(limit)] if kind else plain_type
    assert bool(market) is (type_ is OrderType.MARKET), f"no order: {text!r}"
    ticks = instrument.exact_ticks(price) if price else 0
    is_trailing = type_ is OrderType.TRAILING_STOP
    return BrokerOrderReq(
        instrument=0,
        symbol="X/Q",
        side=Side(side),
        type=type_,
        tif=TimeInForce(tif or ("gtd" if for_s else "gtc")),
        qty_lots=instrument.lots(qty),
        limit_price_ticks=instrument.exact_ticks(limit) if limit else 0,
        reduce_only=bool(reduce_only),
        client_order_id=name,
        ts_ns=ts_ns,
        post_only=bool(post_only),
        trigger_price_ticks=0 if is_trailing else ticks,
        trail_ticks=ticks if is_trailing else 0,
        expire_ns=ts_ns + int(for_s) * NS_PER_S if for_s else 0,
        group_id="g" if group else "",
        after_client_order_id=after or "",
    )


def change_of(text: str, instrument: Instrument, ts_ns: int) -> BrokerCancelReq | BrokerAmendReq | None:
    """Return the cancel or amendment that a cell writes, None if it is another thing."""
    found = _CHANGE.fullmatch(text)
    if found is None:
        return None
    if found[1]:
        return BrokerCancelReq(symbol="X/Q", client_order_id=found[2], ts_ns=ts_ns)
    return BrokerAmendReq(
        symbol="X/Q",
        client_order_id=found[3],
        qty_lots=instrument.lots(found[4]) if found[4] else 0,
        limit_price_ticks=instrument.exact_ticks(found[5]) if found[5] else 0,
        trigger_price_ticks=instrument.exact_ticks(found[6]) if found[6] else 0,
        ts_ns=ts_ns,
    )


def terms_of(start: str, slippage_bps: int, **given: Any) -> VenueTerms:
    """Return the terms that a cell writes as `share 0.1, leverage 10`."""
    terms: dict[str, Any] = {"slippage_bps": Decimal(slippage_bps), **given}
    for word, number in re.findall(r"(\w+) ([\d.]+)", start):
        if word in _SETTINGS:
            name = _SETTINGS[word]
            terms[name] = int(number) * NS_PER_S if name.endswith("_ns") else Decimal(number)
    for model in ("linear impact", "square_root impact"):
        if model in start:
            terms["slippage_model"] = model.partition(" ")[0]
    for policy in ("expire_maker", "expire_both"):
        if policy in start:
            terms["self_trade"] = policy
    return VenueTerms(**terms)


def words_of(
    reports: Sequence[Report],
    instrument: Instrument,
    numbers: Mapping[str, int],
    lots: Mapping[str, int],
    where: Callable[[BrokerFill], str],
    is_numbered: bool,
) -> str:
    """Return what the venue reports in the tables' words; a complete fill needs no second one."""
    words = []
    for report in reports:
        if isinstance(report, BrokerFunding):
            words.append(f"funding {plain(report.amount)} at {plain(instrument.price(report.mark_ticks))}")
            continue
        price = (
            plain(instrument.price(report.price_ticks)) if not isinstance(report, BrokerOrderUpdate) else ""
        )
        if isinstance(report, BrokerLiquidation):
            words.append(
                f"liquidated {plain(instrument.qty(report.qty_lots))} at {price}, fee {plain(report.fee)}"
            )
            continue
        which = f"{numbers[report.client_order_id]}: " if is_numbered else ""
        if isinstance(report, BrokerFill):
            part = (
                ""
                if report.qty_lots == lots[report.client_order_id]
                else f"{plain(instrument.qty(report.qty_lots))} at "
            )
            role = "maker" if report.is_maker else "taker"
            fee = f", fee {plain(report.fee)}" if report.fee else ""
            words.append(f"{which}{part}{price} {role}{where(report)}{fee}")
        elif report.reason in (OrderReason.TRIGGERED, OrderReason.AMENDED, OrderReason.AMEND_REFUSED):
            words.append(f"{which}{report.reason.lower().replace('_', ' ')}")
        elif report.status not in (OrderStatus.FILLED, OrderStatus.ACCEPTED):
            words.append(f"{which}{report.status} {report.reason}")
    return "; ".join(words)
