"""`njord why`: the story of an order, a fill or an intent, or of a moment without a trade, on one page."""

import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from njord.apps.session_files import session_folder
from njord.audit.story import Chapter, Line, Ruling, Story
from njord.audit.why import why
from njord.audit.why_page import write_page
from njord.audit.why_words import number_words, when
from njord.backtest.page_text import duration
from njord.cli import EXIT_OK
from njord.cli.progress import Progress
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_DAY

_TONES = {
    "filled": "green",
    "refused": "red",
    "rejected": "red",
    "liquidated": "red",
    "suspended": "red",
    "canceled": "yellow",
    "expired": "yellow",
}
_WIDTH_OFF_SCREEN = 120
_MARKS = {"passed": ("+", "green"), "refused": ("x", "red"), "off": ("-", "dim"), "not asked": ("-", "dim")}


def run(
    session: str,
    wanted: str | None,
    at: str | None,
    strategy: str | None,
    json_out: bool,
    page: Path | None,
    root: Path,
) -> int:
    """Run the verb and return its exit code."""
    folder = session_folder(root, session)
    if page is not None and page.is_dir():
        raise ConfigError(f"--page names a file, {page} is a folder", f"say --page {page / 'why.html'}")
    with (
        redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
        Progress("messages") as progress,
    ):
        story = why(folder, wanted, strategy=strategy, at=at, progress=progress.show)
    if page is not None:
        write_page(page, story)
    if json_out:
        print(msgspec.json.encode(story).decode())
        return EXIT_OK
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OFF_SCREEN)
    console.print(rendered(story))
    if page is not None:
        console.print(f"page  {page}", highlight=False, soft_wrap=True)
    return EXIT_OK


def rendered(story: Story) -> RenderableType:
    """Return the story for a terminal of any width."""
    kind = "session" if story.is_session else "run"
    head = Text.assemble((story.subject, "bold"), "  ", (story.outcome, _TONES.get(story.outcome, "cyan")))
    ids = [story.symbol, f"{kind} {story.run}"]
    if story.client_order_id:
        ids.insert(0, story.client_order_id)
    if story.order_no:
        ids.insert(0, f"order {story.order_no}")
    parts: list[RenderableType] = [
        Text(),
        head,
        Text(" · ".join(ids), style="dim"),
        Text(),
        Text(story.verdict),
    ]
    day = story.ts_ns // NS_PER_DAY
    for number, chapter in enumerate(story.chapters, start=1):
        parts += [Text(), Text(f"{number}  {chapter.title}", style="bold"), _chapter(chapter, day)]
    for note in story.notes:
        parts += [Text(), Text(f"note: {note}", style="yellow")]
    if story.ts_ns:
        date = datetime.fromtimestamp(day * NS_PER_DAY // 10**9, UTC).strftime("%Y-%m-%d")
        footer = f"Times are of {date}, UTC, and when a message became known; # is its place in the journal."
        parts += [Text(), Text(footer, style="dim")]
    return Group(*parts)


def _chapter(chapter: Chapter, day: int) -> RenderableType:
    parts: list[RenderableType] = []
    if chapter.lines:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right", style="dim")
        table.add_column(ratio=1, overflow="fold")
        for line in chapter.lines:
            table.add_row(
                "" if line.ts_ns is None else _time(line.ts_ns, day), _latency(line), _line(line, day)
            )
        parts.append(table)
    if chapter.rulings:
        parts.append(_rulings(chapter.rulings))
    return Padding(Group(*parts), (0, 0, 0, 3))


# Of another day than the story's: with its date.
def _time(ts_ns: int, day: int) -> str:
    text = when(ts_ns)
    return text.partition(" ")[2] if ts_ns // NS_PER_DAY == day else text


def _latency(line: Line) -> str:
    return f"+{duration(line.after_ns)}" if line.after_ns else ""


def _line(line: Line, day: int) -> Text:
    text = Text(line.text)
    if line.ts_venue_ns is not None:
        text.append(f" (at the venue {_time(line.ts_venue_ns, day)})", style="dim")
    if line.seq:
        text.append(f"  #{line.seq}", style="dim")
    if line.facts:
        text.append("\n")
        text.append(number_words(line.facts), style="cyan")
    return text


def _rulings(rulings: tuple[Ruling, ...]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for ruling in rulings:
        mark, tone = _MARKS[ruling.verdict]
        said = Text()
        if ruling.verdict == "refused":
            said.append(f"{ruling.reason}: {ruling.meaning}", style="red")
            said.append(" This ended it." if ruling.is_first else " It would have refused too.", style="red")
        elif ruling.verdict != "passed":
            said.append(ruling.verdict, style="dim")
        elif not ruling.numbers:
            said.append("does not apply", style="dim")
        if ruling.numbers:
            said.append("\n" if said.plain else "")
            said.append(number_words(ruling.numbers), style="cyan" if ruling.verdict == "refused" else "dim")
        table.add_row(
            Text(mark, style=tone), Text(ruling.rule, style="bold" if ruling.is_first else ""), said
        )
    return table
