"""What does a story look like as a page? A story comes in; one HTML file goes out that needs nothing else.

It looks like the report of a backtest, and is as safe to open: what makes it so stands in `backtest/page_shell.py`.
"""

from pathlib import Path

import njord
from njord.audit.story import Line, Story
from njord.audit.why_words import number_name, number_value, when
from njord.backtest.page_shell import asset, render
from njord.backtest.page_text import duration
from njord.core.units import NS_PER_DAY

_STYLES = ("report.css", "why_page.css")
_SCRIPTS = ("why_page.js",)
_TEMPLATE = "why_page.html"
_TONES = {
    "filled": "gain",
    "refused": "loss",
    "rejected": "loss",
    "liquidated": "loss",
    "suspended": "loss",
    "canceled": "warn",
    "expired": "warn",
}


def write_page(path: Path, story: Story) -> None:
    """Write the page of a story.

    Raises:
        OSError: The file can not be written.
    """
    path.write_text(page_text(story), encoding="utf-8")


def page_text(story: Story) -> str:
    """Return the page of a story."""
    context = {
        "story": story,
        "tone": _TONES.get(story.outcome, ""),
        "words": _Words(story),
        "version": njord.__version__,
    }
    return render(
        _TEMPLATE, context, {}, [asset(name) for name in _STYLES], [asset(name) for name in _SCRIPTS]
    )


# What the template asks for of lines and numbers.
class _Words:
    def __init__(self, story: Story) -> None:
        self._day = story.ts_ns // NS_PER_DAY
        self.date = when(self._day * NS_PER_DAY).partition(" ")[0]

    def moment(self, ts_ns: int) -> str:
        """Return a time, with its date where it is not the story's."""
        text = when(ts_ns)
        return text.partition(" ")[2] if ts_ns // NS_PER_DAY == self._day else text

    def later(self, line: Line) -> str:
        """Return how much later than the line before it a line is."""
        return f"+{duration(line.after_ns)}" if line.after_ns else ""

    def name(self, name: str) -> str:
        """Return the name of a number for the eye."""
        return number_name(name)

    def value(self, name: str, value: str) -> str:
        """Return a number for the eye: spans and times are written as such."""
        return number_value(name, value)
