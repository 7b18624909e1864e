"""How is a message told to a person? Messages, ticks and lots come in; sentences and exact facts go out."""

from collections.abc import Sequence
from decimal import Decimal

from njord.audit.story import Facts, Line, Ruling
from njord.audit.why_rerun import Heard
from njord.backtest.page_text import duration
from njord.backtest.utc import at
from njord.core.contracts import (
    VENUE,
    AmendEvent,
    AmendIntent,
    Bar,
    BookEvent,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    StrategySuspended,
    Target,
    TickerEvent,
    TimerFired,
    TradeEvent,
)
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder
from njord.core.types import BUY, MARKET, OrderReason, OrderStatus, Side, TimeInForce
from njord.core.units import FOREVER_NS, plain, quantum, ratio, round_half_even
from njord.risk.rules.base import Answer

_AVERAGE_DIGITS = 4  # Decimals that an average price has more than the tick.
_FEATURE_DIGITS = 10
_BPS = Decimal(10_000)
_ASKERS = {
    "rebalancer": "The rebalancer",
    "oms": "The order manager",
    "flatten": "The kill switch",
}
_SPANS = frozenset({"age_ns", "max_age_ns"})
_STATES = {
    OrderStatus.ACCEPTED: "The venue accepted it",
    OrderStatus.PARTIALLY_FILLED: "Filled in part",
    OrderStatus.FILLED: "Filled in full",
    OrderStatus.CANCELED: "Canceled",
    OrderStatus.REJECTED: "The venue refused it",
    OrderStatus.EXPIRED: "Expired",
    OrderStatus.UNKNOWN: "Nobody knows whether the venue has it",
}
_CHANGES = {
    OrderReason.TRIGGERED: "Its trigger was reached: it works now",
    OrderReason.AMENDED: "The venue amended it",
    OrderReason.AMEND_REFUSED: "The venue refused the amendment",
}


def when(ts_ns: int) -> str:
    """Return a time of UTC, such as 2024-01-01 10:00:03.25."""
    return at(ts_ns).replace("T", " ") if ts_ns != FOREVER_NS else "for ever"


def price_text(instrument: Instrument, ticks: int) -> str:
    """Return a price as exact text, "unknown" for none."""
    return plain(instrument.price(ticks)) if ticks else "unknown"


def qty_text(instrument: Instrument, lots: int) -> str:
    """Return a quantity with the asset it is of."""
    return f"{plain(instrument.qty(lots))} {instrument.base}"


def amount_text(value: Decimal | None, asset: str = "") -> str:
    """Return an amount as exact text."""
    return "unknown" if value is None else f"{plain(value)} {asset}".rstrip()


def average_text(value: Decimal | None, instrument: Instrument) -> str:
    """Return an average price, a few digits finer than the tick."""
    if value is None:
        return "none"
    return plain(round_half_even(value, quantum(instrument.tick_scale + _AVERAGE_DIGITS)))


def slippage_bps(side: Side, fill_ticks: int, mark_ticks: int) -> Decimal | None:
    """Return what a fill was worse than a price, in basis points to two decimals; negative = better; None of no price."""
    if not mark_ticks:
        return None
    worse = side.sign * (fill_ticks - mark_ticks)
    return round_half_even(ratio(Decimal(worse) * _BPS, Decimal(mark_ticks)), quantum(2))


def order_words(order: OrderIntent | OrderEvent | WorkingOrder, instrument: Instrument) -> str:
    """Return an order in words: `buy 0.5 BTC at market`, `sell 1 ETH limit 2,000, post-only`."""
    lots = order.remaining_lots if isinstance(order, WorkingOrder) else order.qty_lots
    words = [str(order.side), qty_text(instrument, lots)]
    words.append("at market" if order.type is MARKET else str(order.type).replace("_", " "))
    if order.limit_price_ticks:
        words.append(f"at {price_text(instrument, order.limit_price_ticks)}")
    if order.trigger_price_ticks:
        words.append(f"triggered at {price_text(instrument, order.trigger_price_ticks)}")
    if order.trail_ticks:
        words.append(f"trailing by {price_text(instrument, order.trail_ticks)}")
    if order.tif is TimeInForce.GTD:
        words.append(f"until {when(order.expire_ns)}")
    elif order.tif is not TimeInForce.GTC:
        words.append(str(order.tif).upper())
    for name in ("reduce_only", "post_only"):
        if getattr(order, name):
            words.append(name.replace("_", "-"))
    return " ".join(words)


def event_line(heard: Heard, instruments: Sequence[Instrument]) -> Line:
    """Return what came from outside and set everything else off."""
    message = heard.message
    text, facts = _event(message, instruments)
    return Line(text=text, seq=heard.seq, ts_ns=message.ts_ns, ts_venue_ns=_venue_ns(message), facts=facts)


def _event(message: Message, instruments: Sequence[Instrument]) -> tuple[str, Facts]:
    if isinstance(message, Bar):
        of = instruments[message.instrument]
        prices = tuple(
            (name, price_text(of, getattr(message, name))) for name in ("open", "high", "low", "close")
        )
        opened = ("opened", when(message.ts_open_ns))
        return f"A bar of {of.symbol} closed", (
            *prices,
            ("volume", qty_text(of, message.volume_lots)),
            opened,
        )
    if isinstance(message, TradeEvent):
        of = instruments[message.instrument]
        facts = (("price", price_text(of, message.price_ticks)), ("qty", qty_text(of, message.qty_lots)))
        return f"A trade of {of.symbol}: somebody {_took(message.side)}", facts
    if isinstance(message, BookEvent):
        of = instruments[message.instrument]
        what = "is told anew" if message.is_snapshot else "changed"
        sides = (("bids", message.bids), ("asks", message.asks))
        return f"The book of {of.symbol} {what}", tuple((name, f"{len(each)} levels") for name, each in sides)
    if isinstance(message, TickerEvent):
        of = instruments[message.instrument]
        return f"The ticker of {of.symbol}", (("last", price_text(of, message.last_ticks)),)
    if isinstance(message, TimerFired):
        return f"The timer {message.key!r} of {message.strategy_id} came due", ()
    return _own_event(message, instruments)


def _own_event(message: Message, instruments: Sequence[Instrument]) -> tuple[str, Facts]:
    if isinstance(message, FillEvent):
        of = instruments[message.instrument]
        whose = (
            "The venue closed the position" if message.strategy_id == VENUE else f"{message.intent_id} filled"
        )
        facts = (
            ("side", str(message.side)),
            ("qty", qty_text(of, message.qty_lots)),
            ("price", price_text(of, message.price_ticks)),
        )
        return f"{whose}: {of.symbol}", facts
    if isinstance(message, OrderUpdate):
        return f"The venue said of {message.intent_id}: {update_words(message)}", ()
    if isinstance(message, KillSwitchState):
        by = f" by {message.operator}" if message.operator else ""
        why = f": {message.reason}" if message.reason else ""
        return f"The kill switch: {message.state}, says {message.source}{by}{why}", ()
    if isinstance(message, FundingEvent):
        of = instruments[message.instrument]
        return f"Funding of {of.symbol}", (("amount", amount_text(message.amount, message.asset)),)
    return f"A message of kind {type(message).__name__}", ()


def update_words(update: OrderUpdate) -> str:
    """Return the venue's word on an order as a sentence without its end."""
    changed = _CHANGES.get(update.reason)
    if changed is not None:
        return changed
    said = _STATES.get(update.status, str(update.status))
    if update.reason is OrderReason.NONE:
        return said
    meaning = update.reason.meaning[:-1]
    return meaning if meaning.startswith(said) else f"{said}: {meaning}"


def update_line(seq: int, update: OrderUpdate, instrument: Instrument) -> Line:
    """Return the venue's word on an order."""
    facts: list[tuple[str, str]] = [("status", str(update.status))]
    if update.reason is not OrderReason.NONE:
        facts.append(("reason", str(update.reason)))
    if update.qty_lots:
        facts.append(("qty", qty_text(instrument, update.qty_lots)))
    for name in ("limit_price_ticks", "trigger_price_ticks"):
        if getattr(update, name):
            facts.append((name.removesuffix("_ticks"), price_text(instrument, getattr(update, name))))
    if update.detail:
        facts.append(("detail", update.detail))
    return Line(
        text=update_words(update),
        seq=seq,
        ts_ns=update.ts_ns,
        ts_venue_ns=_venue_ns(update),
        facts=tuple(facts),
    )


def amendment_facts(intent: AmendIntent | AmendEvent, instrument: Instrument) -> Facts:
    """Return what an amendment changes."""
    facts = [("qty", qty_text(instrument, intent.qty_lots))] if intent.qty_lots else []
    for name in ("limit_price_ticks", "trigger_price_ticks"):
        if getattr(intent, name):
            facts.append((name.removesuffix("_ticks"), price_text(instrument, getattr(intent, name))))
    return tuple(facts)


def target_words(target: Target, instrument: Instrument) -> str:
    """Return a wanted position in words."""
    if target.qty is not None:
        return f"{plain(target.qty)} {instrument.base}"
    return f"{target.weight} of equity in {instrument.symbol}"


def asker(heard: Heard, strategy: str) -> str:
    """Return who wanted an order canceled or amended: a stage's name, or `strategy` where it was the strategy."""
    return _ASKERS.get(heard.by, strategy)


def features_of(message: Target | OrderIntent) -> Facts:
    """Return the numbers that the strategy named."""
    return tuple((name, f"{value:.{_FEATURE_DIGITS}g}") for name, value in message.features)


def suspension_words(event: StrategySuspended) -> str:
    """Return why a strategy is called no more."""
    return f"{event.strategy_id} raised an error and was suspended: {event.error}"


def rulings(answers: Sequence[Answer]) -> tuple[Ruling, ...]:
    """Return what each rule said, the first refusal marked: it is the gate's own."""
    told: list[Ruling] = []
    is_refused = False
    for answer in answers:
        if not answer.is_asked:
            verdict = "off" if answer.is_off else "not asked"
            told.append(Ruling(rule=answer.rule, verdict=verdict))
            continue
        refusal = answer.refusal
        told.append(
            Ruling(
                rule=answer.rule,
                verdict="passed" if refusal is None else "refused",
                is_first=refusal is not None and not is_refused,
                reason="" if refusal is None else str(refusal.reason),
                meaning="" if refusal is None else refusal.reason.meaning,
                numbers=answer.numbers,
            )
        )
        is_refused = is_refused or refusal is not None
    return tuple(told)


def number_words(numbers: Facts) -> str:
    """Return what a rule compared, for the eye."""
    return " · ".join(f"{number_name(name)} {number_value(name, value)}" for name, value in numbers)


def number_name(name: str) -> str:
    """Return the name of a number for the eye."""
    return name.removesuffix("_ns").replace("_", " ")


def number_value(name: str, value: str) -> str:
    """Return a number for the eye: spans and times are written as such."""
    if not name.endswith("_ns") or not value.lstrip("-").isdigit():
        return value
    return duration(int(value)) if name in _SPANS else when(int(value))


def _venue_ns(message: Message) -> int | None:
    ts_venue_ns = getattr(message, "ts_venue_ns", None)
    return ts_venue_ns if isinstance(ts_venue_ns, int) and ts_venue_ns != message.ts_ns else None


def _took(side: Side) -> str:
    return "bought" if side is BUY else "sold"
