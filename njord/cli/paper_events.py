"""What of a session is worth a line? The engine's messages in; events out, each as one JSON object and as one line.

An event holds what a reader without the instruments needs: names for indices, decimal texts for ticks, lots and money.
The plain line is made of the same event, so that the two can not differ.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from njord.apps.status import NodeStatus, OrderLine, PositionLine, UnknownOrder
from njord.backtest.utc import at
from njord.core.contracts import (
    NO_PRICE,
    Alert,
    AmendIntent,
    CancelIntent,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
)
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.units import NS_PER_MS, NS_PER_S, plain

Event = dict[str, Any]
_BOUGHT = {"buy": "bought", "sell": "sold"}


class Events:
    """Turns messages into events; remembers wishes only until their decision.

    Args:
        instruments: Of the run, by index.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._instruments = instruments
        self._wishes: dict[str, str] = {}  # What an intent asks for, until it is decided.
        self._makers: dict[type[Message], Callable[[Any], Event | None]] = {
            OrderIntent: self._order_wish,
            CancelIntent: self._cancel_wish,
            AmendIntent: self._amend_wish,
            RiskDecision: self._decision,
            ProposalRefused: self._refused,
            FillEvent: self._fill,
            FundingEvent: self._funding,
            OrderUpdate: self._order_end,
            KillSwitchState: self._switch,
            StrategySuspended: self._suspended,
            Alert: self._alert,
        }

    def of(self, messages: Iterable[Message]) -> Iterator[Event]:
        """Yield the events that `messages` are, in order."""
        for message in messages:
            make = self._makers.get(type(message))
            event = make(message) if make is not None else None
            if event is not None:
                yield event

    def _order_wish(self, intent: OrderIntent) -> None:
        instrument = self._instruments[intent.instrument]
        words = [str(intent.side), plain(instrument.qty(intent.qty_lots)), str(intent.type)]
        if intent.limit_price_ticks != NO_PRICE:
            words.append(f"at {plain(instrument.price(intent.limit_price_ticks))}")
        if intent.trigger_price_ticks != NO_PRICE:
            words.append(f"trigger {plain(instrument.price(intent.trigger_price_ticks))}")
        self._wishes[intent.intent_id] = " ".join(words)

    def _cancel_wish(self, intent: CancelIntent) -> None:
        self._wishes[intent.intent_id] = f"cancel {intent.client_order_id}"

    def _amend_wish(self, intent: AmendIntent) -> None:
        self._wishes[intent.intent_id] = f"amend {intent.client_order_id}"

    def _decision(self, decision: RiskDecision) -> Event:
        return {
            "event": "decision",
            **self._where(decision.ts_ns, decision.instrument, decision.strategy_id),
            "intent_id": decision.intent_id,
            "wish": self._wishes.pop(decision.intent_id, ""),
            "allowed": decision.allowed,
            "reason": decision.reason,
            "rule": decision.rule,
            "evidence": dict(decision.evidence),
        }

    def _refused(self, refused: ProposalRefused) -> Event:
        return {
            "event": "refused",
            **self._where(refused.ts_ns, refused.instrument, refused.strategy_id),
            "reason": refused.reason,
            "detail": refused.detail,
        }

    def _fill(self, fill: FillEvent) -> Event:
        instrument = self._instruments[fill.instrument]
        return {
            "event": "fill",
            **self._where(fill.ts_ns, fill.instrument, fill.strategy_id),
            "client_order_id": fill.client_order_id,
            "side": fill.side,
            "qty": plain(instrument.qty(fill.qty_lots)),
            "price": plain(instrument.price(fill.price_ticks)),
            "fee": plain(fill.fee),
            "fee_asset": fill.fee_asset,
            "is_maker": fill.is_maker,
            "ts_venue_ns": fill.ts_venue_ns,
        }

    def _funding(self, funding: FundingEvent) -> Event:
        return {
            "event": "funding",
            **self._where(funding.ts_ns, funding.instrument, ""),
            "amount": plain(funding.amount),
            "asset": funding.asset,
        }

    def _order_end(self, update: OrderUpdate) -> Event | None:
        if update.status not in TERMINAL:
            return None
        return {
            "event": "order_end",
            **self._where(update.ts_ns, update.instrument, update.strategy_id),
            "client_order_id": update.client_order_id,
            "status": update.status,
            "reason": update.reason,
            "detail": update.detail,
            "filled": plain(self._instruments[update.instrument].qty(update.filled_lots)),
        }

    def _switch(self, state: KillSwitchState) -> Event:
        return {
            "event": "switch",
            **when(state.ts_ns),
            "state": state.state,
            "source": state.source,
            "reason": state.reason,
            "operator": state.operator,
            "cancels": state.cancels,
            "flattens": state.flattens,
        }

    def _suspended(self, suspended: StrategySuspended) -> Event:
        return {
            "event": "suspended",
            **when(suspended.ts_ns),
            "strategy_id": suspended.strategy_id,
            "error": suspended.error,
        }

    def _alert(self, alert: Alert) -> Event:
        return {
            "event": "alert",
            **when(alert.ts_ns),
            "severity": alert.severity,
            "source": alert.source,
            "title": alert.title,
            "message": alert.message,
        }

    def _where(self, ts_ns: int, instrument: int, strategy_id: str) -> Event:
        symbol = self._instruments[instrument].symbol
        return when(ts_ns) | {"strategy_id": strategy_id, "symbol": symbol}


def when(ts_ns: int) -> Event:
    """Return the part of an event that says when it was, by the market's time."""
    return {"time": clock(ts_ns), "ts_ns": ts_ns}


def clock(ts_ns: int) -> str:
    """Return a time for the eye, such as 2024-01-01T10:00 or 2024-01-01T10:00:03.251; less than a millisecond is cut."""
    return at(ts_ns // NS_PER_MS * NS_PER_MS)


def status_event(status: NodeStatus, bus: str) -> Event:
    """Return how a session stands, as an event; `bus` says how what publishes is."""
    told = {
        name: None if value is None else plain(value)
        for name, value in (
            ("equity", status.equity),
            ("cash", status.cash),
            ("day_pnl", status.day_pnl),
            ("realized_pnl", status.realized_pnl),
        )
    }
    return {
        "event": "status",
        **when(status.now_ns),
        "n_rows": status.n_rows,
        "n_rows_total": status.n_rows_total,
        "kill_switch": status.kill,
        "kill_reason": status.kill_reason,
        "feed_age_s": None if status.feed_age_s is None else round(status.feed_age_s, 3),
        **told,
        "positions": [position_part(line) for line in status.positions],
        "n_working": len(status.working),
        "n_intents": status.n_intents,
        "n_orders": status.n_orders,
        "n_fills": status.n_fills,
        "unknown": [unknown_part(order, status.wall_ns) for order in status.unknown],
        "bus": bus,
    }


def unknown_part(order: UnknownOrder, now_ns: int) -> Event:
    """Return an order whose outcome nobody knows as a part of an event: how long, until when, and what was heard."""
    return {
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "unknown_s": _seconds(now_ns - order.since_ns),
        "asks_in_s": _seconds(order.asks_ns - now_ns),
        "absent_in_s": _seconds(order.absent_ns - now_ns),
        "evidence": list(order.evidence),
    }


def unknown_words(order: Event) -> str:
    """Return it in words: the countdowns, and what was heard last."""
    heard = order["evidence"][-1] if order["evidence"] else "nothing heard yet"
    absent = f", may arrive for {order['absent_in_s']:.0f} s" if order["absent_in_s"] else ""
    return (
        f"{order['client_order_id']}: unknown {order['unknown_s']:.0f} s, "
        f"asked in {order['asks_in_s']:.0f} s{absent}; {heard}"
    )


def _seconds(span_ns: int) -> float:
    return round(max(0, span_ns) / NS_PER_S, 1)


def position_part(line: PositionLine) -> Event:
    """Return a position as a part of an event."""
    return {
        "symbol": line.symbol,
        "strategy_id": line.strategy_id,
        "qty": plain(line.qty),
        "avg_price": None if line.avg_price is None else plain(line.avg_price),
        "unrealized": None if line.unrealized is None else plain(line.unrealized),
    }


def order_part(line: OrderLine) -> Event:
    """Return a working order as a part of an event."""
    return {
        "client_order_id": line.client_order_id,
        "strategy_id": line.strategy_id,
        "symbol": line.symbol,
        "side": line.side,
        "type": line.type,
        "qty": plain(line.qty),
        "remaining": plain(line.remaining),
        "price": line.price,
        "status": line.status,
    }


def json_of(event: Event) -> str:
    """Return an event as one JSON object."""
    return msgspec.json.encode(event).decode()


def line_of(event: Event) -> str:
    """Return an event as one line: time, what it is, whose, and the rest in words."""
    who = " ".join(filter(None, (event.get("strategy_id"), event.get("symbol"))))
    head = f"{event.get('time', ''):<19} {event['event']:<9}"
    return " ".join(f"{head} {who}  {_WORDS[event['event']](event)}".split("\n"))


def amount(text: str) -> str:
    """Return a decimal text with its thousands apart."""
    return f"{Decimal(text):,f}"


def _decision_words(event: Event) -> str:
    wish = f"{event['intent_id']}: {event['wish']}"
    if event["allowed"]:
        return f"{wish}: allowed"
    return f"{wish}: refused, {event['reason']} by {event['rule']}{_evidence(event['evidence'])}"


def _evidence(evidence: dict[str, str]) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in evidence.items())})" if evidence else ""


def _fill_words(event: Event) -> str:
    part = "maker" if event["is_maker"] else "taker"
    return (
        f"{event['client_order_id']}: {_BOUGHT[event['side']]} {amount(event['qty'])} at {amount(event['price'])}, "
        f"fee {amount(event['fee'])} {event['fee_asset']}, {part}"
    )


def _end_words(event: Event) -> str:
    why = f", {event['reason']}" if event["reason"] else ""
    detail = f" ({event['detail']})" if event["detail"] else ""
    return f"{event['client_order_id']}: {event['status']}{why}{detail}, {amount(event['filled'])} filled"


def _switch_words(event: Event) -> str:
    by = f" by {event['operator']}" if event["operator"] else ""
    why = f": {event['reason']}" if event["reason"] else ""
    wishes = [
        word for word, asked in (("cancels", event["cancels"]), ("flattens", event["flattens"])) if asked
    ]
    return f"{event['state']}, says {event['source']}{by}{why}{'; ' if wishes else ''}{' and '.join(wishes)}"


def _status_words(event: Event) -> str:
    total = f" of {event['n_rows_total']:,}" if event["n_rows_total"] else ""
    equity = "unknown" if event["equity"] is None else amount(event["equity"])
    today = "" if event["day_pnl"] is None else f", today {amount(event['day_pnl'])}"
    age = "" if event["feed_age_s"] is None else f", the last {event['feed_age_s']:.1f} s ago"
    why = f" ({event['kill_reason']})" if event["kill_reason"] and event["kill_switch"] != "active" else ""
    return (
        f"kill switch {event['kill_switch']}{why}; equity {equity}{today}; orders {event['n_orders']:,}, "
        f"fills {event['n_fills']:,}, at work {event['n_working']:,}; row {event['n_rows']:,}{total}{age}{event['bus']}"
        + "".join(f"; {unknown_words(order)}" for order in event["unknown"])
    )


_WORDS: dict[str, Callable[[Event], str]] = {
    "decision": _decision_words,
    "refused": lambda event: f"{event['reason']}{': ' if event['detail'] else ''}{event['detail']}",
    "fill": _fill_words,
    "funding": lambda event: f"{amount(event['amount'])} {event['asset']}",
    "order_end": _end_words,
    "switch": _switch_words,
    "suspended": lambda event: str(event["error"]),
    "status": _status_words,
    "feed": lambda event: str(event["message"]),
    "alert": lambda event: (
        f"{event['severity']} {event['source']}: {event['title']} {event['message']}".rstrip()
    ),
}
