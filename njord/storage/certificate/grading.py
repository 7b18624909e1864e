"""How bad is a fault? One table: for each check what counts as a fault, in which unit, and the limit of each grade.

This is the only home of the thresholds; the certificate, the page of a run and docs/data-certificate.md show what stands
here. A dataset is as good as its worst finding. More of a fault never gives a better grade.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, cast

import msgspec

Grade = Literal["A", "B", "C", "D", "E", "F"]
GRADES: tuple[Grade, ...] = ("A", "B", "C", "D", "E", "F")

MEANINGS: Mapping[Grade, str] = MappingProxyType(
    {
        "A": "Nothing found that could change a result.",
        "B": "Small faults, known and placed; fine for most work.",
        "C": "Look at the places before you trust a trade near them.",
        "D": "Faults common enough to make an edge where there is none; mend the data, or leave the places out.",
        "E": "Only for a rough look.",
        "F": "Not fit for use.",
    }
)

BARS, TRADES, BOOK, QUOTES = "bars", "trades", "book", "quotes"
SHARE, COUNT, SECONDS, PPM = "share", "count", "s", "ppm"

# What the checks look at; the sentences below say the same numbers.
OUTLIER_BARS_BEFORE = 60
OUTLIER_SCALES = 8
OUTLIER_MIN = 0.03
OUTLIER_TRADES_AROUND = 10
FLAT_BARS_MIN = 10
LINE_BARS_MIN = 3
LINE_TICKS = 2
SILENCE_MIN_S = 64
SILENCE_MEANS = 100
STEP_ROWS = 20
STEP_MIN_S = 0.25


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        check: Its name.
        kinds: The kinds of data it looks at.
        fault: What is counted, as the predicate of a sentence; `{are}` agrees with the count.
        about: What counts as a fault, in words, with the numbers.
        unit: Of the limits: "share" of the rows or bars looked at, "count", "s" or "ppm".
        limits: The most that still earns A, B, C, D, E; anything beyond is F.
    """

    check: str
    kinds: tuple[str, ...]
    fault: str
    about: str
    limits: tuple[float, float, float, float, float]
    unit: str = SHARE

    def grade(self, value: float) -> Grade:
        """Return the grade of `value`, in the rule's unit; NaN is F."""
        for grade, limit in zip(GRADES, self.limits, strict=False):
            if value <= limit:
                return grade
        return "F"

    def in_words(self, grade: Grade) -> str:
        """Return what earns `grade`: none, at most 0.1 %, more than 20 %."""
        index = GRADES.index(grade)
        if index == len(self.limits):
            return f"more than {self._shown(self.limits[-1])}"
        limit = self.limits[index]
        if index and limit <= self.limits[index - 1]:
            return "not given"
        if not limit:
            return "none"
        if limit == 1 and self.unit == SHARE:
            return "any" if index == 0 or not self.limits[index - 1] else "more"
        return f"at most {self._shown(limit)}"

    def sentence(self, grade: Grade) -> str:
        """Return the rule behind a finding of `grade`, with the other limits."""
        others = ", ".join(f"{each} {self.in_words(each)}" for each in GRADES if self.is_given(each))
        return f"{grade}: {self.in_words(grade)} ({others}). {self.about}"

    def is_given(self, grade: Grade) -> bool:
        """Return whether any value earns `grade`: a harmless fault never earns an F."""
        index = GRADES.index(grade)
        if index == len(self.limits):
            return not (self.unit == SHARE and self.limits[-1] >= 1)
        return index == 0 or self.limits[index] > self.limits[index - 1]

    def _shown(self, limit: float) -> str:
        if self.unit == SHARE:
            return f"{limit * 100:.10g} %"
        return f"{limit:g}" if self.unit == COUNT else f"{limit:g} {self.unit}"


def _none_then(b: float, c: float, d: float, e: float) -> tuple[float, float, float, float, float]:
    return (0.0, b / 100, c / 100, d / 100, e / 100)


_ROWS = (TRADES, BOOK, QUOTES)
_ALL = (BARS, *_ROWS)
_CLOCKS = (TRADES, BOOK)

# In the order in which they are named: where two findings have the same grade, the first one is the reason given.
RULES: tuple[Rule, ...] = (
    Rule(
        check="missing_bars", kinds=(BARS,), fault="expected bars {are} missing", limits=_none_then(0.1, 1, 5, 20),
        about="A bar is expected at every interval from the first bar to the last.",
    ),
    Rule(
        check="missing_ids", kinds=(TRADES,), fault="trade ids {are} missing", limits=_none_then(0.1, 1, 5, 20),
        about="Ids are expected one after the other; where fewer than half of the steps are 1, the venue's ids are"
        " of another kind and nothing is said.",
    ),
    Rule(
        check="sequence_holes", kinds=(BOOK,), fault="update ids {are} missing", limits=_none_then(0.1, 1, 5, 20),
        about="Each book event begins one id after the last id of the event before it.",
    ),
    Rule(
        check="unanchored", kinds=(BOOK,), fault="events lie before the first snapshot",
        limits=(0.05, 0.1, 0.3, 0.6, 0.99),
        about="Before a snapshot the book is not known; without any it never is.",
    ),
    Rule(
        check="contradictions", kinds=(BARS,), fault="bars contradict themselves", limits=_none_then(0.01, 0.1, 1, 5),
        about="High below low, open or close outside of them, or a price of zero.",
    ),
    Rule(
        check="impossible_rows", kinds=_ROWS, fault="rows {are} impossible", limits=_none_then(0.01, 0.1, 1, 5),
        about="A price or quantity that is zero or negative where a trade or an order stands.",
    ),
    Rule(
        check="crossed", kinds=(BOOK, QUOTES), fault="books {are} crossed", limits=_none_then(0.01, 0.1, 1, 5),
        about="The best bid lies above the best ask; in a book, where orders would have met, also at it.",
    ),
    Rule(
        check="quote_mismatches", kinds=(BOOK,), fault="updates differ from the venue's own best bid and ask",
        limits=_none_then(0.01, 0.1, 1, 5),
        about="Where the source also reports best bid and ask, the reconstructed book must show the same.",
    ),
    Rule(
        check="outliers", kinds=(BARS, TRADES, QUOTES), fault="prices {are} outliers",
        limits=_none_then(0.01, 0.05, 0.2, 1),
        about=f"Bars: a high above (a low below) the closes before and after it by more than {OUTLIER_MIN:.0%}, and by"
        f" {OUTLIER_SCALES} robust deviations of the returns of the {OUTLIER_BARS_BEFORE} bars before and {OUTLIER_SCALES}"
        " times their median reach. Trades and quotes: a price"
        f" {OUTLIER_MIN:.0%} and {OUTLIER_SCALES} robust deviations away from the median of the {OUTLIER_TRADES_AROUND} before"
        " and after it. A robust deviation is 1.4826 x the median absolute deviation (Hampel 1974).",
    ),
    Rule(
        check="straight_lines", kinds=(BARS,), fault="bars lie on a straight line", limits=_none_then(0.1, 1, 5, 20),
        about=f"{LINE_BARS_MIN} or more bars whose four prices (to {LINE_TICKS} ticks) and volume lie on the line between"
        " their neighbors: filled in, not traded.",
    ),
    Rule(
        check="flat_lines", kinds=(BARS,), fault="bars {are} flat", limits=_none_then(0.5, 2, 10, 30),
        about=f"{FLAT_BARS_MIN} or more successive bars that equal each other in all prices and in volume.",
    ),
    Rule(
        check="conflicting_duplicates", kinds=_ALL, fault="rows contradicted an earlier one",
        limits=_none_then(0.01, 0.1, 1, 5),
        about="The time of another bar, or the id of another trade, with other content; dropped.",
    ),
    Rule(
        check="id_disorder", kinds=_ROWS, fault="ids do not rise", limits=_none_then(0.1, 1, 10, 50),
        about="An id at or below one before it.",
    ),
    Rule(
        check="venue_disorder", kinds=_ROWS, fault="venue times run backwards", limits=_none_then(0.1, 1, 10, 50),
        about="By the exchange's clock, a row lies before one that arrived earlier.",
    ),
    Rule(
        check="out_of_order", kinds=_ALL, fault="rows {were} out of order", limits=_none_then(0.1, 1, 10, 50),
        about="By the first column (the local clock, where two are known) a row came after a later one; sorted.",
    ),
    Rule(
        check="clock_steps", kinds=_CLOCKS, fault="steps of the local clock", limits=(0, 1, 3, 10, 100), unit=COUNT,
        about=f"Local minus venue time moves by more than {STEP_MIN_S:g} s between the medians of {STEP_ROWS} rows before"
        f" and after, and by more than {OUTLIER_SCALES} robust deviations of those before.",
    ),
    Rule(
        check="clock_offset", kinds=_CLOCKS, fault="s", limits=(0.25, 1, 10, 60, 3600), unit=SECONDS,
        about="The median of local minus venue time, whichever is ahead.",
    ),
    Rule(
        check="clock_drift", kinds=_CLOCKS, fault="ppm", limits=(50, 100, 500, 1_000, 10_000), unit=PPM,
        about="How local minus venue time changes from the first tenth to the last, in millionths; asked from"
        " 5 minutes on.",
    ),
    Rule(
        check="silences", kinds=_ROWS, fault="seconds {are} silent", limits=_none_then(0.1, 1, 5, 20),
        about=f"No row for at least {SILENCE_MIN_S} s x a power of two, the first at or above {SILENCE_MEANS} times the mean"
        " time between rows; asked only where ids can not tell whether rows are missing.",
    ),
    Rule(
        check="empty_sides", kinds=(QUOTES,), fault="quotes have no bid or no ask", limits=_none_then(0.1, 1, 5, 20),
        about="One side of the book is empty.",
    ),
    Rule(
        check="locked", kinds=(QUOTES,), fault="quotes {are} locked", limits=_none_then(0.1, 1, 5, 20),
        about="The best bid equals the best ask.",
    ),
    Rule(
        check="off_grid", kinds=_ALL, fault="prices lay off the tick grid", limits=_none_then(0.1, 0.5, 2, 10),
        about="Rounded to the nearest tick.",
    ),
    Rule(
        check="off_schedule", kinds=(BARS,), fault="bars open off schedule", limits=_none_then(0.1, 1, 5, 20),
        about="Not a whole number of intervals after the first bar, after a gap.",
    ),
    Rule(
        check="skipped_rows", kinds=_ALL, fault="rows {were} skipped", limits=_none_then(0.1, 1, 5, 20),
        about="Rows that no dataset of this kind can hold; dropped.",
    ),
    Rule(
        check="duplicates", kinds=_ALL, fault="rows repeated an earlier one", limits=_none_then(1, 10, 50, 100),
        about="Exact copies; dropped.",
    ),
    Rule(
        check="torn_lines", kinds=_ALL, fault="lines {were} cut off", limits=(0, 2, 10, 100, 1_000), unit=COUNT,
        about="A line that ends in the middle, such as a capture's last one; dropped.",
    ),
    Rule(
        check="float_dirt", kinds=_ALL, fault="prices carried float dirt", limits=(1, 1, 1, 1, 1),
        about="Within 1e-6 tick of the tick they stand for, and put there: nothing is lost.",
    ),
    Rule(
        check="zero_volume", kinds=(BARS,), fault="bars have no volume", limits=(0.01, 0.1, 0.5, 1, 1),
        about="Nothing was traded, or the source has no volume.",
    ),
)  # fmt: skip

_BY_CHECK: Mapping[str, Rule] = MappingProxyType({rule.check: rule for rule in RULES})


def rule_of(check: str) -> Rule:
    """Return the rule named `check`.

    Raises:
        KeyError: There is none.
    """
    return _BY_CHECK[check]


def worst_of(grades: tuple[Grade, ...]) -> Grade:
    """Return the worst of `grades`, A for none."""
    return cast(Grade, max(grades, default="A"))


def rules_table() -> list[tuple[str, ...]]:
    """Return the table as text, a head and one row a rule: check, kinds, what counts, then A to F."""
    head = ("check", "kinds", "what counts", *GRADES)
    rows = [
        (
            rule.check,
            ", ".join(rule.kinds),
            rule.about,
            *(rule.in_words(grade) if rule.is_given(grade) else "" for grade in GRADES),
        )
        for rule in RULES
    ]
    return [head, *rows]
