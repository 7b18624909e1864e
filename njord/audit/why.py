"""Why was it so? A run's folder and an id, or a time, come in; the whole story on one page goes out.

The journal says what happened; the run is run again to the same place to say why: what the strategy held, how the
target was sized, and what every rule of the gate compared in the moment before it decided.
"""

from collections.abc import Sequence
from pathlib import Path

from njord.adapters.iso_time import iso_ns
from njord.audit.story import Chapter, Story, timed
from njord.audit.why_find import Found, JournalIndex, Kind, Subject
from njord.audit.why_moment import MomentWatch, moment_chapters, moment_verdict
from njord.audit.why_order import OrderWatch
from njord.audit.why_rerun import Progress, rerun
from njord.audit.why_tell import Totals, liquidation_chapters, order_chapters
from njord.audit.why_words import amount_text, average_text, order_words, qty_text, update_words, when
from njord.backtest.recorded_run import RecordedRun, open_run
from njord.core.contracts import CancelIntent, OrderIntent, OrderUpdate, RiskDecision
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.units import NS_PER_DAY

_CLOCK_MAX = 15  # 14:05, 14:05:00.123456
_DATE_CHARS = 10


def why(
    folder: Path,
    wanted: str | None,
    *,
    strategy: str | None = None,
    at: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Story:
    """Return the story of an order, a fill or an intent, or of a moment at which nothing was traded.

    Args:
        folder: Of a backtest or of a paper session.
        wanted: A client order id, an intent id, a trade id, `order N`, `last`, or a prefix that only one has.
        strategy: Whose moment; needed only where there are several.
        at: A time (ISO 8601, UTC; the clock alone where the run lies within one day), instead of `wanted`.
        progress: Told how far it is.

    Raises:
        UserError: Nothing is called so, or the run can not be run again: what is missing or has changed is named.
        JournalError: The journal is damaged, or the run comes out otherwise.
    """
    if (wanted is None) is (at is None):
        raise ConfigError("say an id, or --at a time, and not both", "for example: njord why last")
    run = open_run(folder)
    index = JournalIndex(run.journal)
    if wanted is not None:
        if strategy is not None:
            raise ConfigError("--strategy goes with --at", "leave it out: an id says whose it is")
        return _of_order(run, index.find(wanted), progress)
    assert at is not None
    return _of_moment(run, index, at, strategy, progress)


# --- an order --------------------------------------------------------------------------------------------------------


def _of_order(run: RecordedRun, found: Found, progress: Progress) -> Story:
    subject, instruments, asset = found.subject, run.started.instruments, run.started.report_asset
    watch = OrderWatch(subject)
    rerun(run, watch, subject.last_seq, progress)
    chapters: Sequence[Chapter]
    if subject.kind is Kind.LIQUIDATION:
        chapters = tuple(liquidation_chapters(subject, watch, instruments, asset))
    else:
        chapters = tuple(order_chapters(subject, watch, instruments, asset))
    outcome, verdict = _verdict(subject, watch, instruments[subject.instrument], asset)
    notes = (f"You asked for {found.asked_for}.",) if found.asked_for else ()
    first = watch.asked.heard if watch.asked is not None else watch.noted[0].heard if watch.noted else None
    return Story(
        kind="intent" if outcome == "undecided" else str(subject.kind),
        outcome=outcome,
        subject=subject.intent_id or f"order {subject.order_no}",
        verdict=verdict,
        run=run.folder.name,
        run_id=run.started.run_id,
        is_session=run.is_session,
        strategy_id=subject.strategy_id,
        symbol=instruments[subject.instrument].symbol,
        intent_id=subject.intent_id,
        client_order_id=subject.client_order_id,
        order_no=subject.order_no,
        ts_ns=first.message.ts_ns if first is not None else 0,
        chapters=timed(chapters),
        notes=notes,
    )


def _verdict(subject: Subject, watch: OrderWatch, instrument: Instrument, asset: str) -> tuple[str, str]:
    if subject.kind is Kind.LIQUIDATION:
        totals = Totals(watch)
        lost = amount_text(totals.realized_pnl, asset)
        return "liquidated", f"The venue closed the position because margin ran out, realizing {lost}."
    decision = _decision(watch, subject.intent_id)
    if subject.kind is Kind.CANCEL:
        asks = [noted.heard.message for noted in watch.noted]
        what = "cancel" if any(isinstance(each, CancelIntent) for each in asks) else "amendment"
        meaning = decision.reason.meaning if decision is not None and decision.reason else ""
        return "refused", f"The {what} {subject.intent_id} was refused. {meaning}".rstrip()
    intent = watch.asked.heard.message if watch.asked is not None else None
    wish = order_words(intent, instrument) if isinstance(intent, OrderIntent) else "trade"
    because = f' because "{intent.reason}"' if isinstance(intent, OrderIntent) and intent.reason else ""
    if decision is not None and decision.reason is not None:
        numbers = ", ".join(f"{name} {value}" for name, value in decision.evidence)
        shown = f" ({numbers})" if numbers else ""
        return "refused", (
            f"{subject.strategy_id} wanted to {wish}{because}; "
            f"the rule {decision.rule} refused it: {decision.reason.meaning[:-1]}{shown}."
        )
    began = f"{subject.strategy_id} wanted to {wish}{because}"
    if decision is None:  # A session was killed in between.
        return "undecided", f"{began}; nobody has decided on it yet."
    return _ended(watch, instrument, asset, began)


def _ended(watch: OrderWatch, instrument: Instrument, asset: str, began: str) -> tuple[str, str]:
    updates = [
        noted.heard.message
        for noted in watch.noted
        if isinstance(noted.heard.message, OrderUpdate) and not noted.is_relative
    ]
    last = updates[-1] if updates else None
    is_over = last is not None and last.status in TERMINAL
    totals = Totals(watch)
    outcome = str(last.status) if last is not None and is_over else "working"
    ending = update_words(last) if last is not None and is_over else "It still works"
    if not totals.lots:
        return outcome, f"{began}; nothing of it filled. {ending}."
    average = average_text(totals.average(instrument), instrument)
    filled = f"{qty_text(instrument, totals.lots)} filled at {average}"
    gain = f", realizing {amount_text(totals.realized_pnl, asset)}" if totals.realized_pnl else ""
    ended = "" if outcome == "filled" else f" {ending}."
    return outcome, f"{began}; {filled}{gain}.{ended}"


def _decision(watch: OrderWatch, intent_id: str) -> RiskDecision | None:
    for noted in watch.noted:
        message = noted.heard.message
        if isinstance(message, RiskDecision) and message.intent_id == intent_id:
            return message
    return None


# --- a moment --------------------------------------------------------------------------------------------------------


def _of_moment(
    run: RecordedRun, index: JournalIndex, at: str, strategy: str | None, progress: Progress
) -> Story:
    started = run.started
    strategy_id, of = _owner(run, strategy)
    at_ns = _time_ns(at, run)
    watch = MomentWatch(strategy_id, of, at_ns)
    watch.finish(rerun(run, watch, index.last_seq, progress))
    instrument = started.instruments[of]
    outcome, verdict = moment_verdict(watch, strategy_id, at_ns, instrument)
    return Story(
        kind="moment",
        outcome=outcome,
        subject=f"{strategy_id} on {instrument.symbol} at {when(at_ns)}",
        verdict=verdict,
        run=run.folder.name,
        run_id=started.run_id,
        is_session=run.is_session,
        strategy_id=strategy_id,
        symbol=instrument.symbol,
        ts_ns=at_ns,
        chapters=timed(moment_chapters(watch, started.instruments, of, started.report_asset)),
    )


# `sma_cross`, or `sma_cross@BTC/USDT` where it trades several.
def _owner(run: RecordedRun, strategy: str | None) -> tuple[str, int]:
    symbols = [instrument.symbol for instrument in run.started.instruments]
    owners = [(spec.strategy_id, of) for spec in run.started.strategies for of in spec.instruments]
    names = [f"{strategy_id}@{symbols[of]}" for strategy_id, of in owners]
    fitting = [
        owner
        for owner, name in zip(owners, names, strict=True)
        if strategy is None or strategy in (owner[0], name)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if strategy is not None and not fitting:
        raise ConfigError(f"this run has no strategy {strategy!r}", f"it has {', '.join(names)}")
    which = names if strategy is None else [name for name in names if name.startswith(f"{strategy}@")]
    raise ConfigError("--at needs to know of whom", f"say --strategy {which[0]} or one of {', '.join(which)}")


def _time_ns(text: str, run: RecordedRun) -> int:
    whole = text.strip()
    if ":" in whole[:3] and len(whole) <= _CLOCK_MAX:
        whole = f"{_day_of(whole, run)}T{whole}"
    try:
        return iso_ns(whole)
    except ValueError:
        begins = f"the run begins at {when(run.started.ts_ns)}"
        raise ConfigError(f"--at must be a time such as 2024-01-31T14:05, was {text!r}", begins) from None


# The one day of the run on which its data hold that time of day; the first if none does.
def _day_of(clock: str, run: RecordedRun) -> str:
    with run.open_market() as market:
        start_ns, end_ns = market.start_ns, market.end_ns
    first, last = start_ns // NS_PER_DAY, end_ns // NS_PER_DAY
    days = [when(day * NS_PER_DAY)[:_DATE_CHARS] for day in range(first, last + 1)]
    try:
        fitting = [day for day in days if start_ns <= iso_ns(f"{day}T{clock}") <= end_ns]
    except ValueError:
        return days[0]  # No time at all: said where it is read.
    if len(fitting) > 1:
        raise ConfigError(
            f"--at {clock} is on {len(fitting):,} days of this run", f"say which: --at {fitting[0]}T{clock}"
        )
    return fitting[0] if fitting else days[0]


__all__ = ["why"]
