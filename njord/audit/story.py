"""What is a story made of? Chapters of lines, each with its time and its place in the journal, and the rules' rulings.

`why` makes it; the terminal, the page and `--json` show it. Texts are for people, facts are exact: decimal text, ids.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

Facts = tuple[tuple[str, str], ...]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened, or was the case.

    Attributes:
        seq: Its number in the journal; 0 = it stands in no message of its own.
        ts_ns: Engine time: when it became known.
        ts_venue_ns: When it happened at the venue, if that is another time.
        after_ns: How much later than the line before it became known.
        facts: What it consists of, exact.
    """

    text: str
    seq: int = 0
    ts_ns: int | None = None
    ts_venue_ns: int | None = None
    after_ns: int | None = None
    facts: Facts = ()


class Ruling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule said.

    Attributes:
        verdict: "passed", "refused", "off" (its parameters limit nothing) or "not asked" (the intent was malformed).
        is_first: It is the refusal that the gate gave.
        reason: Of a refusal; `meaning` is that in a sentence.
        numbers: What it compared, by name, as exact text.
    """

    rule: str
    verdict: str
    is_first: bool = False
    reason: str = ""
    meaning: str = ""
    numbers: Facts = ()


class Chapter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step on the way: `name` is for programs, `title` for people."""

    name: str
    title: str
    lines: tuple[Line, ...] = ()
    rulings: tuple[Ruling, ...] = ()


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole story.

    Attributes:
        kind: "order", "refusal", "cancel", "liquidation" or "moment"; "intent" for one that nobody has decided on.
        outcome: One word: filled, refused, canceled, working, nothing ...
        verdict: The answer in a sentence.
        run: The folder's name; `is_session` says whether it is a paper session's.
        order_no: As the report counts; 0 = there is no order.
        notes: What else should be known.
    """

    kind: str
    outcome: str
    subject: str
    verdict: str
    run: str
    run_id: str
    is_session: bool
    strategy_id: str
    symbol: str
    intent_id: str = ""
    client_order_id: str = ""
    order_no: int = 0
    ts_ns: int = 0
    chapters: tuple[Chapter, ...] = ()
    notes: tuple[str, ...] = ()


def timed(chapters: Iterable[Chapter]) -> tuple[Chapter, ...]:
    """Return the chapters that say something, each line with its distance from the one before it."""
    told: list[Chapter] = []
    last_ns: int | None = None
    for chapter in chapters:
        lines = []
        for line in chapter.lines:
            if line.ts_ns is not None:
                after_ns = None if last_ns is None else max(0, line.ts_ns - last_ns)
                line, last_ns = msgspec.structs.replace(line, after_ns=after_ns), line.ts_ns
            lines.append(line)
        if lines or chapter.rulings:
            told.append(msgspec.structs.replace(chapter, lines=tuple(lines)))
    return tuple(told)


def rulings_of(chapters: Sequence[Chapter]) -> Iterator[Ruling]:
    """Yield all rulings of a story."""
    for chapter in chapters:
        yield from chapter.rulings
