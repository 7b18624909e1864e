"""How is the story of one order told? What was kept of it comes in, its chapters go out, in the order of their time."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from njord.audit.story import Chapter, Facts, Line
from njord.audit.why_find import Kind, Subject
from njord.audit.why_order import Asked, Noted, OrderWatch, Wanted
from njord.audit.why_state import standing_lines
from njord.audit.why_words import (
    amendment_facts,
    amount_text,
    asker,
    average_text,
    event_line,
    features_of,
    order_words,
    price_text,
    qty_text,
    rulings,
    slippage_bps,
    suspension_words,
    target_words,
    update_line,
    when,
)
from njord.core.contracts import (
    AmendEvent,
    AmendIntent,
    CancelEvent,
    CancelIntent,
    FillEvent,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    StrategySuspended,
    Target,
)
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.core.units import EXACT, ZERO, plain, ratio
from njord.portfolio.rebalance import Sizing

_MAKERS = {
    "strategies": "The strategy asked for this order itself",
    "rebalancer": "Sized from the strategy's target",
    "oms": "The order manager asked for it",
    "flatten": "The kill switch closes positions",
}


def order_chapters(
    subject: Subject, watch: OrderWatch, instruments: Sequence[Instrument], asset: str
) -> Iterator[Chapter]:
    """Yield the chapters of an order, a refused intent, or a cancel of what nobody knows."""
    instrument, asked = instruments[subject.instrument], watch.asked
    if asked is not None:
        first = asked.wanted.event if asked.wanted is not None else asked.event
        yield Chapter(name="event", title="What happened", lines=(event_line(first, instruments),))
        yield strategy_chapter(asked, instrument)
        stood = asked.stood if asked.wanted is None else asked.wanted.stood
        yield Chapter(name="state", title="Where it stood", lines=standing_lines(stood, instrument, asset))
        if asked.wanted is not None:
            yield sizing_chapter(asked.wanted, asked, instruments, asset)
        yield intent_chapter(asked, instrument)
        yield Chapter(name="rules", title="What the gate asked", rulings=rulings(asked.answers))
    elif subject.kind is Kind.CANCEL and watch.noted:
        first = watch.noted[0].event
        yield Chapter(name="event", title="What happened", lines=(event_line(first, instruments),))
    yield Chapter(name="order", title="The decision and the order", lines=tuple(_decided(subject, watch)))
    yield Chapter(name="venue", title="At the venue", lines=tuple(_at_venue(watch, instrument)))
    for noted in watch.noted:
        if noted.answers and isinstance(noted.heard.message, AmendIntent):
            title = f"What the gate asked of the amendment {noted.heard.message.intent_id}"
            yield Chapter(name="amendment", title=title, rulings=rulings(noted.answers))
    yield Chapter(
        name="linked", title="Orders it is linked to", lines=tuple(_relatives(watch, subject, instrument))
    )
    yield result_chapter(watch, instrument, asset)


def liquidation_chapters(
    subject: Subject, watch: OrderWatch, instruments: Sequence[Instrument], asset: str
) -> Iterator[Chapter]:
    """Yield the chapters of a position that the venue closed."""
    instrument = instruments[subject.instrument]
    if watch.before is not None:
        lines = standing_lines(watch.before, instrument, asset)
        yield Chapter(name="state", title="Where the account stood", lines=lines)
    yield Chapter(name="venue", title="At the venue", lines=tuple(_at_venue(watch, instrument)))
    yield result_chapter(watch, instrument, asset)


# --- from the event to the intent -----------------------------------------------------------------------------------


def strategy_chapter(asked: Asked, instrument: Instrument) -> Chapter:
    """Return what the strategy said: its wish, its reason, its features."""
    heard = asked.heard if asked.wanted is None else asked.wanted.heard
    message = heard.message
    assert isinstance(message, (Target, OrderIntent))
    lines = []
    if isinstance(message, Target):
        lines.append(_said(heard.seq, message, f"It wants {target_words(message, instrument)}"))
    elif asked.heard.by == "strategies":
        lines.append(_said(heard.seq, message, f"It wants to {order_words(message, instrument)}"))
    else:
        lines.append(_said(heard.seq, message, _MAKERS.get(asked.heard.by, "Somebody else asked for it")))
    return Chapter(name="strategy", title=f"What {message.strategy_id} said", lines=tuple(lines))


def _said(seq: int, message: Target | OrderIntent, text: str) -> Line:
    because = f": {message.reason}" if message.reason else ""
    return Line(text=text + because, seq=seq, ts_ns=message.ts_ns, facts=features_of(message))


def sizing_chapter(wanted: Wanted, asked: Asked, instruments: Sequence[Instrument], asset: str) -> Chapter:
    """Return how the target became a quantity."""
    target = wanted.heard.message
    assert isinstance(target, Target)
    instrument = instruments[target.instrument]
    lines = [sizing_line(target, wanted.sizing, instrument, asset)]
    if asked.event.seq != wanted.event.seq:
        waited = event_line(asked.event, instruments)
        lines.append(
            Line(
                text=f"It first waited for orders of its own to end. {waited.text}",
                seq=asked.event.seq,
                ts_ns=asked.event.message.ts_ns,
            )
        )
    return Chapter(name="sizing", title="How it was sized", lines=tuple(lines))


def sizing_line(target: Target, sizing: Sizing, instrument: Instrument, asset: str) -> Line:
    """Return a target's way to lots: what is wanted, minus what is held and on its way."""
    facts: list[tuple[str, str]] = []
    if target.weight is not None and not sizing.is_fixed:
        price = None if sizing.price is None else plain(sizing.price)
        facts += [
            ("weight", f"{target.weight}"),
            ("equity", amount_text(sizing.equity, asset)),
            ("price", price or "unknown"),
            ("room for costs", f"price x {plain(sizing.price_factor)}"),
        ]
    if isinstance(sizing.wanted, RefusalReason):
        text = f"There is no quantity for it: {sizing.wanted.meaning[:-1]} ({sizing.wanted})"
        return Line(text=text, facts=tuple(facts))
    missing = sizing.wanted - sizing.held_lots - sizing.on_its_way_lots
    facts += [
        ("wanted", qty_text(instrument, sizing.wanted)),
        ("held", qty_text(instrument, sizing.held_lots)),
        ("on its way", qty_text(instrument, sizing.on_its_way_lots)),
        ("missing", qty_text(instrument, missing)),
    ]
    if not missing:
        return Line(
            text="It has what it wants already, or it is on its way: nothing to do", facts=tuple(facts)
        )
    side = "buy" if missing > 0 else "sell"
    return Line(text=f"To {side}: {qty_text(instrument, abs(missing))}", facts=tuple(facts))


def intent_chapter(asked: Asked, instrument: Instrument) -> Chapter:
    """Return the intent as the gate met it."""
    intent = asked.heard.message
    assert isinstance(intent, OrderIntent)
    facts = [("intent", intent.intent_id)]
    for name in ("group_id", "after_intent_id", "parent_id"):
        if getattr(intent, name):
            facts.append((name.removesuffix("_id").replace("_intent", ""), getattr(intent, name)))
    facts += intent.meta
    words = order_words(intent, instrument)
    text = words[0].upper() + words[1:]
    line = Line(text=text, seq=asked.heard.seq, ts_ns=intent.ts_ns, facts=tuple(facts))
    return Chapter(name="intent", title="The intent", lines=(line,))


# --- from the decision to the end ------------------------------------------------------------------------------------


def _decided(subject: Subject, watch: OrderWatch) -> Iterator[Line]:
    for noted in watch.noted:
        message, seq = noted.heard.message, noted.heard.seq
        if noted.is_relative:
            continue
        if isinstance(message, RiskDecision) and message.intent_id == subject.intent_id:
            yield decision_line(seq, message)
        elif isinstance(message, OrderEvent):
            facts: Facts = (
                ("order", message.client_order_id),
                ("number", str(subject.order_no)),
                ("decision", str(message.decision_seq)),
                ("limits version", str(message.limits_version)),
                ("approval ends", when(message.expires_ns)),
            )
            yield Line(text="Approved, and handed to the venue", seq=seq, ts_ns=message.ts_ns, facts=facts)
        elif subject.kind is Kind.CANCEL and isinstance(message, (CancelIntent, AmendIntent)):
            facts = (("intent", message.intent_id), ("order", message.client_order_id))
            what = "cancel" if isinstance(message, CancelIntent) else "amend"
            yield Line(text=f"It wanted to {what} an order", seq=seq, ts_ns=message.ts_ns, facts=facts)


def decision_line(seq: int, decision: RiskDecision) -> Line:
    """Return the gate's verdict, with the numbers of a refusal."""
    if decision.allowed or decision.reason is None:
        return Line(text="The gate let it pass", seq=seq, ts_ns=decision.ts_ns)
    facts: Facts = (("rule", decision.rule), ("reason", str(decision.reason)), *decision.evidence)
    return Line(
        text=f"The gate refused it: {decision.reason.meaning[:-1]}",
        seq=seq,
        ts_ns=decision.ts_ns,
        facts=facts,
    )


def _at_venue(watch: OrderWatch, instrument: Instrument) -> Iterator[Line]:
    decided_ticks = watch.asked.stood.mark_ticks if watch.asked is not None else 0
    own = watch.asked.heard.message if watch.asked is not None else None
    own_id = own.intent_id if isinstance(own, OrderIntent) else ""
    for noted in watch.noted:
        message, seq = noted.heard.message, noted.heard.seq
        if noted.is_relative:
            continue
        if isinstance(message, OrderUpdate):
            yield update_line(seq, message, instrument)
        elif isinstance(message, FillEvent):
            yield fill_line(seq, message, decided_ticks, instrument)
        elif isinstance(message, (CancelIntent, AmendIntent)) and own is not None:
            yield _ask_line(noted, message, instrument)
        elif isinstance(message, RiskDecision) and message.intent_id != own_id and own is not None:
            yield decision_line(seq, message)
        elif isinstance(message, (CancelEvent, AmendEvent)):
            what = "cancel" if isinstance(message, CancelEvent) else "amendment"
            yield Line(text=f"The {what} was handed to the venue", seq=seq, ts_ns=message.ts_ns)
        elif isinstance(message, StrategySuspended):
            yield Line(text=suspension_words(message), seq=seq, ts_ns=message.ts_ns)


def _ask_line(noted: Noted, message: CancelIntent | AmendIntent, instrument: Instrument) -> Line:
    because = f": {message.reason}" if message.reason else ""
    is_cancel = isinstance(message, CancelIntent)
    who = asker(noted.heard, message.strategy_id)
    facts: Facts = (("intent", message.intent_id),)
    if isinstance(message, AmendIntent):
        facts += amendment_facts(message, instrument)
    return Line(
        text=f"{who} wanted it {'canceled' if is_cancel else 'amended'}{because}",
        seq=noted.heard.seq,
        ts_ns=message.ts_ns,
        facts=facts,
    )


def fill_line(seq: int, fill: FillEvent, mark_ticks: int, instrument: Instrument) -> Line:
    """Return one fill, with what it was worse than the price at the decision."""
    facts = [
        ("trade", fill.venue_trade_id),
        ("fee", amount_text(fill.fee, fill.fee_asset)),
        ("as", "maker" if fill.is_maker else "taker"),
    ]
    slippage = slippage_bps(fill.side, fill.price_ticks, mark_ticks)
    if slippage is not None:
        facts.append(("slippage", f"{plain(slippage)} bps from {price_text(instrument, mark_ticks)}"))
    done = "bought" if fill.side.sign > 0 else "sold"
    return Line(
        text=f"Filled: {done} {qty_text(instrument, fill.qty_lots)} at {price_text(instrument, fill.price_ticks)}",
        seq=seq,
        ts_ns=fill.ts_ns,
        ts_venue_ns=fill.ts_venue_ns if fill.ts_venue_ns != fill.ts_ns else None,
        facts=tuple(facts),
    )


def _relatives(watch: OrderWatch, subject: Subject, instrument: Instrument) -> Iterator[Line]:
    for noted in watch.noted:
        if not noted.is_relative:
            continue
        message, seq = noted.heard.message, noted.heard.seq
        if isinstance(message, OrderEvent):
            kind = "one cancels the other" if message.group_id == subject.group_id else "waits for this one"
            text = f"{message.intent_id} was approved ({kind}): {order_words(message, instrument)}"
            yield Line(text=text, seq=seq, ts_ns=message.ts_ns, facts=(("order", message.client_order_id),))
        elif isinstance(message, FillEvent):
            qty, price = qty_text(instrument, message.qty_lots), price_text(instrument, message.price_ticks)
            yield Line(text=f"{message.intent_id} filled {qty} at {price}", seq=seq, ts_ns=message.ts_ns)
        elif isinstance(message, OrderUpdate):
            line = update_line(seq, message, instrument)
            yield Line(text=f"{message.intent_id}: {line.text}", seq=seq, ts_ns=message.ts_ns)


# --- what came of it -------------------------------------------------------------------------------------------------


class Totals:
    """What the fills of an order add up to.

    Attributes:
        lots: Filled in all.
        worth_ticks: Sum of price x lots, in ticks x lots.
        fees: By asset.
        realized_pnl: Average cost, before fees, in the report asset.
        last: The position after the last fill; None without one.
    """

    def __init__(self, watch: OrderWatch) -> None:
        self.lots = self.worth_ticks = 0
        self.fees: dict[str, Decimal] = {}
        self.realized_pnl = ZERO
        self.last: PositionSnapshot | None = None
        before = ZERO
        for noted in watch.noted:
            message = noted.heard.message
            if isinstance(message, FillEvent) and not noted.is_relative:
                self.lots += message.qty_lots
                self.worth_ticks += message.qty_lots * message.price_ticks
                paid = self.fees.get(message.fee_asset, ZERO)
                self.fees[message.fee_asset] = EXACT.add(paid, message.fee)
                before = noted.realized_pnl
            elif isinstance(message, PositionSnapshot):
                gain = EXACT.subtract(message.realized_pnl, before)
                self.realized_pnl, before = EXACT.add(self.realized_pnl, gain), message.realized_pnl
                self.last = message

    def average(self, instrument: Instrument) -> Decimal:
        """Return the average price of the fills, in quote per base."""
        return ratio(instrument.notional(self.worth_ticks, 1), instrument.qty(self.lots))


def result_chapter(watch: OrderWatch, instrument: Instrument, asset: str) -> Chapter:
    """Return what the fills made of the position and of the money."""
    totals = Totals(watch)
    snapshot = totals.last
    if not totals.lots or snapshot is None:
        return Chapter(name="result", title="What came of it")
    facts = [
        ("filled", qty_text(instrument, totals.lots)),
        ("average price", average_text(totals.average(instrument), instrument)),
        *(("fees", amount_text(fee, of)) for of, fee in totals.fees.items()),
        ("realized by it", amount_text(totals.realized_pnl, asset)),
    ]
    position = [
        ("position", f"{plain(snapshot.qty)} {instrument.base}"),
        ("average entry", average_text(snapshot.avg_price, instrument)),
        ("realized in all", amount_text(snapshot.realized_pnl, asset)),
        ("fees in all", amount_text(snapshot.fees, asset)),
        ("cash", amount_text(snapshot.cash, asset)),
    ]
    lines = (
        Line(text="The order, before fees", facts=tuple(facts)),
        Line(
            text=f"The account's {instrument.symbol} after the last fill",
            ts_ns=snapshot.ts_ns,
            facts=tuple(position),
        ),
    )
    return Chapter(name="result", title="What came of it", lines=lines)
