"""How do counts become a certificate? What importers mended and what a check saw in; findings in the table's order out."""

from collections.abc import Sequence

from njord.storage.certificate.certificate import Certificate, Clock, Finding, judge, make_finding
from njord.storage.certificate.facts import SourceFacts
from njord.storage.certificate.grading import RULES
from njord.storage.certificate.tally import BadRanges, Tally

_ORDER = {rule.check: index for index, rule in enumerate(RULES)}
_COARSE = "More ranges of bad time than a certificate holds: the ones closest together are joined."


def counted(check: str, tally: Tally, of: int) -> Finding:
    """Return the finding of what a check counted among `of`."""
    return make_finding(check, tally.n, of, places=tally.places, worst=tally.worst)


def mended(facts: SourceFacts, n_rows: int, n_prices: int) -> list[Finding]:
    """Return the findings of what importers mended, common to all kinds.

    Args:
        facts: What they saw.
        n_rows: Rows that are left.
        n_prices: Prices in them.
    """
    dropped = facts.duplicates.n + facts.conflicting_duplicates.n
    n_read = n_rows + dropped
    n_offered = n_read + facts.skipped.n
    asked = (
        ("conflicting_duplicates", facts.conflicting_duplicates, n_read),
        ("out_of_order", facts.out_of_order, n_read),
        ("off_grid", facts.off_grid, n_prices),
        ("skipped_rows", facts.skipped, n_offered),
        ("duplicates", facts.duplicates, n_read),
        ("torn_lines", facts.torn_lines, 0),
        ("float_dirt", facts.snapped, n_prices),
    )
    return [make_finding(check, seen.n, of, places=seen.places) for check, seen, of in asked]


def certify(
    *,
    kind: str,
    dataset_hash: str,
    n_rows: int,
    span_ns: tuple[int, int],
    coverage: float,
    findings: Sequence[Finding],
    facts: SourceFacts,
    bad: BadRanges,
    interval_ns: int = 0,
    clock: Clock | None = None,
    notes: Sequence[str] = (),
) -> Certificate:
    """Return the certificate of these findings; `span_ns` holds the first column of the first and of the last row."""
    ordered = tuple(sorted(findings, key=lambda finding: _ORDER[finding.check]))
    grade, because = judge(ordered) if n_rows else ("F", "there are no rows")
    ranges = tuple((int(start), int(end)) for start, end in bad.merged().tolist())
    return Certificate(
        dataset_hash=dataset_hash,
        kind=kind,
        n_rows=n_rows,
        first_ns=span_ns[0],
        last_ns=span_ns[1],
        interval_ns=interval_ns,
        coverage=coverage,
        grade=grade,
        because=because,
        findings=ordered,
        clock=clock,
        facts=facts,
        notes=(*notes, _COARSE) if bad.is_coarse else tuple(notes),
        bad_ranges=ranges,
    )
