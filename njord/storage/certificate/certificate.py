"""What does a certificate say? Findings with counts and places, one grade with its reason, bound to the data by hash.

Times are nanoseconds since 1970, UTC; shares are fractions, offsets of clocks whole nanoseconds; the only floats are
`share`, `value`, `coverage` and `drift_ppm`. The same data give the same bytes. What a reader does not know it refuses.
"""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.certificate.facts import NO_FACTS, Place, SourceFacts
from njord.storage.certificate.grading import Grade, rule_of, worst_of

IntArray = NDArray[np.int64]

CERTIFICATE_SCHEMA = 1


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one check found, nothing included.

    Attributes:
        check: Its name in the table of rules.
        n: How many faults.
        of: Among how many rows, bars, prices or seconds; 0 where a share has no meaning.
        share: n / of; 0 where there is nothing to share.
        value: What the rule grades, in the rule's unit.
        grade: A to F.
        says: The finding in words.
        rule: The rule in words, with its numbers.
        places: The first 20, by time (by source row for what an importer mended).
        worst: The longest or largest one, where that can be said.
    """

    check: str
    n: int
    of: int
    share: float
    value: float
    grade: Grade
    says: str
    rule: str
    places: tuple[Place, ...] = ()
    worst: Place | None = None


class Clock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Local minus venue time, in nanoseconds; quantiles are those of at most 8,192 evenly spaced rows.

    Attributes:
        n: Rows that carry both times.
        median_ns: Its median.
        p05_ns: Its 5 % quantile.
        p95_ns: Its 95 % quantile.
        min_ns: Its smallest value, over all rows.
        max_ns: Its largest value, over all rows.
        drift_ppm: Its change from the first tenth to the last, in millionths of the time between.
    """

    n: int
    median_ns: int
    p05_ns: int
    p95_ns: int
    min_ns: int
    max_ns: int
    drift_ppm: float


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a dataset is worth.

    Attributes:
        schema: Version of this structure.
        dataset_hash: Of the dataset that it is for.
        kind: bars, trades, book or quotes.
        n_rows: Rows looked at.
        first_ns: First column of the first row; 0 without rows.
        last_ns: First column of the last row; 0 without rows.
        interval_ns: Of bars; 0 for the other kinds.
        coverage: Share that is there of what is expected: bars, ids, or time without silence.
        grade: The worst finding's.
        because: The finding behind the grade, in words.
        findings: Every check that was made, in the order of the table of rules.
        clock: The local clock against the venue's, where both are known.
        facts: What importers mended, to be carried on when rows are added.
        notes: What could not be asked, and why.
        bad_ranges: [start_ns, end_ns), merged and rising: missing rows and rows that say what can not have been.
    """

    schema: int = CERTIFICATE_SCHEMA
    dataset_hash: str
    kind: str
    n_rows: int
    first_ns: int
    last_ns: int
    interval_ns: int
    coverage: float
    grade: Grade
    because: str
    findings: tuple[Finding, ...]
    clock: Clock | None = None
    facts: SourceFacts = NO_FACTS
    notes: tuple[str, ...] = ()
    bad_ranges: tuple[tuple[int, int], ...] = ()

    def finding(self, check: str) -> Finding:
        """Return the finding of `check`.

        Raises:
            KeyError: This certificate did not ask it.
        """
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def n_of(self, check: str) -> int:
        """Return how many faults `check` found; 0 if it was not asked."""
        return sum(finding.n for finding in self.findings if finding.check == check)

    def faults(self) -> tuple[Finding, ...]:
        """Return the findings that found something, the worst first, else in the order of the table."""
        found = [finding for finding in self.findings if finding.n]
        return tuple(sorted(found, key=lambda finding: finding.grade, reverse=True))

    def bad_range_array(self) -> IntArray:
        """Return `bad_ranges` as an int64 array of shape (n, 2)."""
        return np.array(self.bad_ranges, dtype=np.int64).reshape(-1, 2)

    def digest(self) -> str:
        """Return "sha256:" and the SHA-256 of the certificate's own bytes."""
        return f"sha256:{hashlib.sha256(encode_certificate(self)).hexdigest()}"


def make_finding(
    check: str,
    n: int,
    of: int,
    *,
    places: Sequence[Place] = (),
    worst: Place | None = None,
    value: float | None = None,
    says: str | None = None,
) -> Finding:
    """Return the graded finding of `check`.

    Args:
        check: Its name in the table of rules.
        n: Faults.
        of: What they are faults among.
        places: Where; the first ones are kept.
        worst: The longest or largest of them.
        value: What is graded where that is neither the share nor the count.
        says: The finding in words, where the rule's own do not fit.
    """
    rule = rule_of(check)
    share = n / of if of else 0.0
    if value is None:
        value = share if rule.unit == "share" else float(n)
    grade = rule.grade(value)
    if says is None:
        fault = rule.fault.replace("{are}", "is" if n == 1 else "are").replace(
            "{were}", "was" if n == 1 else "were"
        )
        among = f"{n:,} of {of:,}" if rule.unit == "share" else f"{n:,}"
        says = f"{among} {fault}"
    return Finding(
        check=check,
        n=n,
        of=of,
        share=share,
        value=value,
        grade=grade,
        says=says,
        rule=rule.sentence(grade),
        places=tuple(places) if n else (),
        worst=worst if n else None,
    )


def judge(findings: Sequence[Finding]) -> tuple[Grade, str]:
    """Return the grade of all `findings` and the words of the first that has it."""
    grade = worst_of(tuple(finding.grade for finding in findings))
    for finding in findings:
        if grade != "A" and finding.grade == grade:
            return grade, finding.says
    return grade, "no fault was found that lowers it"


def encode_certificate(certificate: Certificate) -> bytes:
    """Return the certificate as one line of JSON; the same certificate gives the same bytes."""
    return msgspec.json.encode(certificate)


def decode_certificate(data: bytes | msgspec.Raw) -> Certificate:
    """Return the certificate that `data` holds.

    Raises:
        DataError: It is none, or one of a newer schema.
    """
    try:
        certificate = msgspec.json.decode(data, type=Certificate)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DataError(
            f"this is not a data certificate of schema {CERTIFICATE_SCHEMA} ({one_line(error, 100)})",
            "import the data again, or use the njord that wrote it",
        ) from None
    if certificate.schema != CERTIFICATE_SCHEMA:
        raise DataError(
            f"the data certificate has schema {certificate.schema}, this version reads {CERTIFICATE_SCHEMA}",
            "use the njord that wrote it",
        )
    return certificate
