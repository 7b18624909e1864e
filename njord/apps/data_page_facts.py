"""What is there to say about a dataset beside its chart? A subject in; named facts as text out, for terminal and page."""

from collections.abc import Sequence
from datetime import UTC, datetime

from njord.apps.data_page_subject import Subject
from njord.backtest.page_text import MINUS, count, duration
from njord.core.units import NS_PER_MS, NS_PER_S, plain
from njord.storage.bars_text import one_line, show_interval, show_time
from njord.storage.certificate.certificate import Certificate, Clock, Finding
from njord.storage.certificate.facts import PLACES_MAX, Place
from njord.storage.certificate.grading import BARS, MEANINGS
from njord.storage.store.manifest import SourceFile

_NAME_CHARS, _SENTENCE_CHARS = 120, 600
_DATED_MAX = 5  # Entries of rules and of fees; the rest is in --json.
Pairs = list[tuple[str, str]]


def headline(subject: Subject) -> str:
    """Return what the dataset is, in a few words."""
    return f"{subject.instrument.symbol} {_kind(subject)} at {subject.instrument.venue}"


def verdict(certificate: Certificate) -> str:
    """Return the grade with its reason and what it means."""
    return f"{sentence(certificate.because)}. {MEANINGS[certificate.grade]}"


def sentence(text: str) -> str:
    """Return `text` with a capital."""
    return text[:1].upper() + text[1:]


def fact_rows(subject: Subject, size: str) -> Pairs:
    """Return the facts by name.

    Args:
        subject: The dataset.
        size: Of its parts or its file, as text.
    """
    instrument, certificate = subject.instrument, subject.certificate
    first_ns = int(subject.coverage.edges_ns[0])
    end_ns = int(subject.coverage.edges_ns[-1]) if subject.interval_ns else certificate.last_ns
    parts = f" in {count(len(subject.parts))} part{'s' * (len(subject.parts) != 1)}" if subject.parts else ""
    rows = [
        ("dataset", subject.name),
        ("symbol", f"{instrument.symbol} ({instrument.kind.value}) at {instrument.venue}"),
        ("kind", _kind(subject)),
        ("range", f"{show_time(first_ns)} to {show_time(end_ns)}, {duration(end_ns - first_ns)}"),
        ("rows", f"{count(subject.n_rows)}{parts}, {size}"),
        ("coverage", f"{certificate.coverage:.4%} {_expected(certificate)}"),
        ("bad time", _bad_time(subject)),
        *([("clocks", clock_words(certificate.clock))] if certificate.clock is not None else []),
        ("tick", f"{plain(instrument.tick_size)} {instrument.quote}"),
        ("lot", f"{plain(instrument.lot_size)} {instrument.base}"),
        *_bounds(subject),
        *_rules(subject),
        *_fees(subject),
        ("hash", subject.hash),
        ("certificate", "made now, stored nowhere" if subject.is_graded_now else certificate.digest()),
    ]
    return [(name, one_line(text, _SENTENCE_CHARS)) for name, text in rows]


def source_rows(sources: Sequence[SourceFile]) -> Pairs:
    """Return each source's name with its counts, zeros left out."""
    return [(one_line(source.name, _NAME_CHARS), _source(source)) for source in sources]


def assumptions(subject: Subject) -> list[str]:
    """Return the sentences about what was taken for granted."""
    return [one_line(sentence, _SENTENCE_CHARS) for sentence in subject.assumptions]


def clean_checks(certificate: Certificate) -> str:
    """Return the names of the checks that found nothing."""
    return ", ".join(check_name(finding) for finding in certificate.findings if not finding.n)


def check_name(finding: Finding) -> str:
    """Return a check's name as words."""
    return finding.check.replace("_", " ")


def place_words(place: Place) -> tuple[str, str]:
    """Return when and what of a place."""
    row = f"row {count(place.row)}" if place.row >= 0 else ""
    return show_time(place.ts_ns), one_line(", ".join(filter(None, (place.detail, row))), _SENTENCE_CHARS)


def places_of(finding: Finding) -> Pairs:
    """Return when and what of each place of a finding."""
    return [place_words(place) for place in finding.places]


def has_more_places(finding: Finding) -> bool:
    """Return whether there can be places beyond those that a finding names."""
    return len(finding.places) == PLACES_MAX and finding.n > PLACES_MAX


def clock_words(clock: Clock) -> str:
    """Return how the local clock stands against the venue's."""
    median, low, high = (_seconds(each) for each in (clock.median_ns, clock.p05_ns, clock.p95_ns))
    return (
        f"local minus venue {median} in the median, {low} to {high} for 90 % of rows,"
        f" drift {round(clock.drift_ppm, 1) + 0.0:+.1f} ppm".replace("-", MINUS)
    )


def _kind(subject: Subject) -> str:
    if subject.interval_ns:
        return f"{show_interval(subject.interval_ns)} {subject.kind.value}"
    return str(subject.kind.value)


def _expected(certificate: Certificate) -> str:
    if certificate.kind == BARS:
        return "of the expected bars are there"
    return "of what is expected is there (by ids where they tell, else by time without silence)"


def _bad_time(subject: Subject) -> str:
    ranges = subject.certificate.bad_ranges
    if not ranges:
        return "none"
    total_ns = sum(end_ns - start_ns for start_ns, end_ns in ranges)
    span_ns = int(subject.coverage.edges_ns[-1] - subject.coverage.edges_ns[0])
    places = f"{count(len(ranges))} place{'s' * (len(ranges) != 1)}"
    return f"{duration(total_ns)} in {places}, {total_ns / span_ns:.4%} of the range"


def _bounds(subject: Subject) -> Pairs:
    instrument = subject.instrument
    bounds = (
        ("min qty", instrument.min_qty, instrument.base),
        ("max qty", instrument.max_qty, instrument.base),
        ("min notional", instrument.min_notional, instrument.quote),
    )
    return [(name, f"{plain(value)} {asset}") for name, value, asset in bounds if value]


def _rules(subject: Subject) -> Pairs:
    return [
        (
            f"rules from {_day(each.from_ns)}",
            f"tick {plain(each.instrument.tick_size)}, lot {plain(each.instrument.lot_size)},"
            f" min notional {plain(each.instrument.min_notional)}",
        )
        for each in subject.rules[-_DATED_MAX:]
    ]


def _fees(subject: Subject) -> Pairs:
    return [
        (
            f"fees from {_day(each.from_ns)}",
            f"maker {plain(each.maker_bps)} bp, taker {plain(each.taker_bps)} bp"
            + (f", from a volume of {plain(each.min_volume_quote)}" if each.min_volume_quote else ""),
        )
        for each in subject.fees[-_DATED_MAX:]
    ]


def _source(source: SourceFile) -> str:
    words = [f"{count(source.n_rows)} rows", f"{count(source.n_added)} added"]
    if source.n_known:
        words.append(f"{count(source.n_known)} known")
    words += [
        f"{count(n)} {name.removeprefix('n_').replace('_', ' ')}" for name, n in source.facts.items() if n
    ]
    return one_line(", ".join(words), _SENTENCE_CHARS)


def _day(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y-%m-%d")


def _seconds(offset_ns: int) -> str:
    if abs(offset_ns) < NS_PER_S:
        return f"{offset_ns / NS_PER_MS:+.3f} ms"
    return f"{offset_ns / NS_PER_S:+.3f} s"
