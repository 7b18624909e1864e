"""Why was there no trade at that time? A run is run again up to a moment; what a strategy saw and did there goes out.

The moment reaches back one bar, or a minute where ticks are traded: all that was proposed within it is told with its
fate, and if nothing was, whether the strategy could have proposed anything at all.
"""

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from njord.audit.story import Chapter, Facts, Line
from njord.audit.why_rerun import Heard
from njord.audit.why_state import Standing, standing, standing_lines
from njord.audit.why_tell import decision_line, sizing_line
from njord.audit.why_words import (
    asker,
    event_line,
    features_of,
    order_words,
    price_text,
    rulings,
    suspension_words,
    target_words,
    when,
)
from njord.backtest.host import ends_data
from njord.core.contracts import (
    AmendIntent,
    Bar,
    BookEvent,
    CancelIntent,
    Message,
    OrderEvent,
    OrderIntent,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
    TradeEvent,
)
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE
from njord.portfolio.rebalance import Sizing
from njord.risk.rules.base import Answer
from njord.system import System

_BEFORE_MAX, _AFTER_MAX = 3, 2
_DEEDS_MAX, _REFUSED_MAX = 12, 3  # Told of one moment, the last ones; on ticks it may hold hundreds.
_MARKET = (Bar, TradeEvent, BookEvent)
_ANSWERED = (Target, OrderIntent, CancelIntent, AmendIntent, ProposalRefused)
_Tick = Bar | TradeEvent | BookEvent


class Deed(msgspec.Struct):
    """One proposal within the moment and what became of it."""

    heard: Heard
    event: Heard
    sizing: Sizing | None = None
    answers: tuple[Answer, ...] = ()
    decision: tuple[int, RiskDecision] | None = None
    order: tuple[int, OrderEvent] | None = None


class MomentWatch:
    """Listens for one strategy on one instrument around a time.

    Args:
        strategy_id: Whose silence is asked about.
        index: On which instrument.
        at_ns: The time, UTC.
    """

    def __init__(self, strategy_id: str, index: int, at_ns: int) -> None:
        self._owner = (strategy_id, index)
        self._at_ns = at_ns
        self._event: Heard | None = None
        self._deeds: deque[Deed] = deque(maxlen=1_000)
        self._by_intent: dict[str, Deed] = {}
        self.window_ns = NS_PER_MINUTE
        self.before: deque[Heard] = deque(maxlen=_BEFORE_MAX)
        self.after: list[Heard] = []
        self.first_ns = self.last_ns = 0  # Of the instrument's data, as far as it was run.
        self.stood: Standing | None = None  # Right after the moment.
        self.last_wish: Heard | None = None  # The last proposal at all, and what the gate said to it.
        self.last_decision: tuple[int, RiskDecision] | None = None
        self.suspended: Heard | None = None
        self.is_done = False

    def note(self, heard: Heard, system: System) -> None:
        """Take note of a message that nobody has acted on yet."""
        message = heard.message
        if not heard.by:
            # Once the data have ended, what is told is about no market any more.
            if self.stood is None and (message.ts_ns > self._at_ns or ends_data(message)):
                self.stood = standing(system, *self._owner)
            self._event = heard
            self._by_intent.clear()  # The gate decides within the step that asks.
            if isinstance(message, _MARKET) and message.instrument == self._owner[1]:
                self._market(heard, message)
        elif self.stood is None:
            self._derived(heard, message, system)

    def finish(self, system: System) -> None:
        """Take the end of the run for the moment, if it came first."""
        if self.stood is None:
            self.stood = standing(system, *self._owner)

    def _market(self, heard: Heard, message: _Tick) -> None:
        self.first_ns = self.first_ns or message.ts_ns
        self.last_ns = message.ts_ns
        if message.ts_ns <= self._at_ns:
            self.before.append(heard)
            if isinstance(message, Bar):
                self.window_ns = message.ts_ns - message.ts_open_ns
            return
        self.after.append(heard)
        self.is_done = len(self.after) >= _AFTER_MAX

    def _derived(self, heard: Heard, message: Message, system: System) -> None:
        if isinstance(message, StrategySuspended) and message.strategy_id == self._owner[0]:
            self.suspended = heard
        elif isinstance(message, RiskDecision):
            if (message.strategy_id, message.instrument) == self._owner:
                self.last_decision = heard.seq, message
            deed = self._by_intent.get(message.intent_id)
            if deed is not None:
                deed.decision = heard.seq, message
        elif isinstance(message, OrderEvent):
            deed = self._by_intent.get(message.intent_id)
            if deed is not None:
                deed.order = heard.seq, message
        elif isinstance(message, _ANSWERED) and (message.strategy_id, message.instrument) == self._owner:
            self._proposal(heard, message, system)

    def _proposal(
        self,
        heard: Heard,
        message: Target | OrderIntent | CancelIntent | AmendIntent | ProposalRefused,
        system: System,
    ) -> None:
        if isinstance(message, (Target, OrderIntent)) and heard.by == "strategies":
            self.last_wish, self.last_decision = heard, None
        if message.ts_ns <= self._at_ns - max(self.window_ns, NS_PER_MINUTE):
            return  # Long before: what the rules said then is not asked for.
        assert self._event is not None
        deed = Deed(heard, self._event)
        if isinstance(message, Target):
            deed.sizing = system.rebalancer.sizing(message)
        elif isinstance(message, (OrderIntent, AmendIntent)):
            deed.answers = system.gate.hear(message)
        if not isinstance(message, (Target, ProposalRefused)):
            self._by_intent[message.intent_id] = deed
        self._deeds.append(deed)

    def is_fresh(self) -> bool:
        """Say whether the market was heard of within the moment."""
        return bool(self.before) and self.before[-1].message.ts_ns > self._at_ns - self.window_ns

    def deeds(self) -> list[Deed]:
        """Return what was proposed within the moment."""
        from_ns = self._at_ns - self.window_ns
        return [deed for deed in self._deeds if from_ns < deed.heard.message.ts_ns <= self._at_ns]


# --- telling it ------------------------------------------------------------------------------------------------------


def moment_chapters(
    watch: MomentWatch, instruments: Sequence[Instrument], index: int, asset: str
) -> Iterator[Chapter]:
    """Yield the chapters of a moment."""
    instrument = instruments[index]
    deeds = watch.deeds()
    if not deeds and watch.last_wish is not None:
        decided = () if watch.last_decision is None else (decision_line(*watch.last_decision),)
        told = (_wish(watch.last_wish, instrument), *decided)
        yield Chapter(name="before", title="What it last proposed", lines=told)
    seen = [event_line(heard, instruments) for heard in watch.before]
    yield Chapter(name="event", title="What it saw until then", lines=tuple(seen))
    earlier = len(deeds) - _DEEDS_MAX
    lines = [Line(text=f"{earlier:,} proposals before these are left out")] if earlier > 0 else []
    lines += [line for deed in deeds[-_DEEDS_MAX:] for line in _deed_lines(deed, instrument, asset)]
    yield Chapter(name="proposals", title="What it proposed", lines=tuple(lines))
    yield from _refused_chapters(deeds)
    if watch.stood is not None:
        yield Chapter(
            name="state",
            title="Where it stood right after",
            lines=(*_readiness(watch), *standing_lines(watch.stood, instrument, asset)),
        )
    later = [event_line(heard, instruments) for heard in watch.after]
    yield Chapter(name="after", title="What it could not know yet", lines=tuple(later))


# What the gate asked of approved intents is their own story.
def _refused_chapters(deeds: Sequence[Deed]) -> Iterator[Chapter]:
    refused = [deed for deed in deeds if deed.answers and deed.decision and not deed.decision[1].allowed]
    for deed in refused[-_REFUSED_MAX:]:
        message = deed.heard.message
        if isinstance(message, (OrderIntent, AmendIntent)):
            title = f"What the gate asked of {message.intent_id}"
            yield Chapter(name="rules", title=title, rulings=rulings(deed.answers))


def _readiness(watch: MomentWatch) -> Iterator[Line]:
    stood = watch.stood
    assert stood is not None
    facts: Facts = (("bars seen", str(stood.n_bars)), ("warm-up", str(stood.warm_up)))
    text = "It was warm" if stood.is_warm else "Its warm-up had not ended: what it proposes is refused"
    yield Line(text=text, facts=facts)
    if watch.suspended is not None:
        event = watch.suspended.message
        assert isinstance(event, StrategySuspended)
        yield Line(text=suspension_words(event), seq=watch.suspended.seq, ts_ns=None)


def _wish(heard: Heard, instrument: Instrument) -> Line:
    message = heard.message
    assert isinstance(message, (Target, OrderIntent))
    wish = (
        target_words(message, instrument)
        if isinstance(message, Target)
        else f"to {order_words(message, instrument)}"
    )
    because = f": {message.reason}" if message.reason else ""
    facts = features_of(message)
    return Line(text=f"It wanted {wish}{because}", seq=heard.seq, ts_ns=message.ts_ns, facts=facts)


def _deed_lines(deed: Deed, instrument: Instrument, asset: str) -> Iterator[Line]:
    message, seq = deed.heard.message, deed.heard.seq
    if isinstance(message, ProposalRefused):
        facts: Facts = (("reason", str(message.reason)), ("detail", message.detail))
        text = f"A {message.proposal} was refused before the gate: {message.reason.meaning[:-1]}"
        yield Line(text=text, seq=seq, ts_ns=message.ts_ns, facts=facts)
        return
    if isinstance(message, OrderIntent) and deed.heard.by != "strategies":
        intent = (("intent", message.intent_id),)
        text = f"From that came the wish to {order_words(message, instrument)}"
        yield Line(text=text, seq=seq, ts_ns=message.ts_ns, facts=intent)
    elif isinstance(message, (Target, OrderIntent)):
        yield _wish(deed.heard, instrument)
    elif isinstance(message, (CancelIntent, AmendIntent)):
        what = "canceled" if isinstance(message, CancelIntent) else "amended"
        facts = (("order", message.client_order_id),)
        who = asker(deed.heard, "It")
        yield Line(text=f"{who} wanted an order {what}", seq=seq, ts_ns=message.ts_ns, facts=facts)
    if deed.sizing is not None and isinstance(message, Target):
        yield sizing_line(message, deed.sizing, instrument, asset)
    if deed.decision is not None:
        yield decision_line(*deed.decision)
    if deed.order is not None:
        number, order = deed.order
        facts = (("order", order.client_order_id), ("intent", order.intent_id))
        yield Line(text="Approved, and handed to the venue", seq=number, ts_ns=order.ts_ns, facts=facts)


def moment_verdict(
    watch: MomentWatch, strategy_id: str, at_ns: int, instrument: Instrument
) -> tuple[str, str]:
    """Return in a word, and in a sentence, why nothing was traded; the first cause that holds."""
    stood, deeds = watch.stood, watch.deeds()
    assert stood is not None
    orders = [deed.order[1] for deed in deeds if deed.order is not None]
    refused = [deed.decision[1] for deed in deeds if deed.decision and not deed.decision[1].allowed]
    held_back = [each.heard.message for each in deeds if isinstance(each.heard.message, ProposalRefused)]
    if watch.first_ns == 0 or not watch.before:
        begins = f": its data begin at {when(watch.first_ns)}" if watch.first_ns else ""
        return "no data", f"Nothing of {instrument.symbol} was known at {when(at_ns)}{begins}."
    if orders:
        names = ", ".join(order.intent_id for order in orders[-_REFUSED_MAX:])
        names = f"{names} and {len(orders) - _REFUSED_MAX:,} before" if len(orders) > _REFUSED_MAX else names
        return "traded", f"{strategy_id} did send an order then: {names}; njord why tells what became of it."
    if stood.is_suspended and watch.suspended is not None:
        since = when(watch.suspended.message.ts_ns)
        return "suspended", f"{strategy_id} was suspended at {since}: it is not called any more."
    if refused:
        first = refused[0]
        meaning = first.reason.meaning[:-1] if first.reason else "it could not be sized"
        numbers = ", ".join(f"{name} {value}" for name, value in first.evidence)
        shown = f" ({numbers})" if numbers else ""
        return "refused", f"The gate's rule {first.rule} refused {first.intent_id}: {meaning}{shown}."
    if held_back:
        proposal = held_back[-1]
        assert isinstance(proposal, ProposalRefused)
        meaning = proposal.reason.meaning[:-1]
        said = f"Its {proposal.proposal} was refused before the gate: {meaning} ({proposal.detail})."
        return "refused", said
    if not deeds and not watch.is_fresh():
        last = watch.before[-1].message.ts_ns
        return "no data", f"Nothing of {instrument.symbol} became known then; the last was of {when(last)}."
    if deeds:
        return "nothing", _satisfied(deeds[-1], strategy_id, instrument)
    return _silence(watch, strategy_id, stood, instrument)


def _satisfied(deed: Deed, strategy_id: str, instrument: Instrument) -> str:
    message, sizing = deed.heard.message, deed.sizing
    if isinstance(message, Target) and sizing is not None:
        if sizing.wanted == sizing.held_lots + sizing.on_its_way_lots:
            wish = target_words(message, instrument)
            return f"{strategy_id} wanted {wish} and had it already, or it was on its way."
        return f"{strategy_id} waited for an order of its own to be canceled first."
    return f"{strategy_id} only canceled or amended an order."


def _silence(
    watch: MomentWatch, strategy_id: str, stood: Standing, instrument: Instrument
) -> tuple[str, str]:
    if not stood.is_warm:
        return (
            "warm-up",
            f"{strategy_id} was warming up: bar {stood.n_bars} of {stood.warm_up}, and it proposed nothing.",
        )
    said = [f"{strategy_id} proposed nothing"]
    if stood.working:
        said.append(f"{len(stood.working)} order{'s' if len(stood.working) > 1 else ''} of it still worked")
    if not stood.is_switch_active:
        said.append(f"the kill switch was {stood.switch}")
    price = price_text(instrument, stood.mark_ticks)
    last = watch.last_wish.message if watch.last_wish is not None else None
    before = (
        "It never had proposed anything" if last is None else f"Its last proposal was at {when(last.ts_ns)}"
    )
    decision = watch.last_decision[1] if watch.last_decision is not None else None
    if decision is not None and not decision.allowed:
        before += f"; the rule {decision.rule} refused it"
    return "nothing", f"{'; '.join(said)}. The price was {price}. {before}."
