"""What do all pages share? A template, its words and numbers in; one HTML file that needs nothing else out.

Everything is inline, and the page's own Content-Security-Policy forbids the rest: no request leaves it, and only the
scripts and styles written here may run, named by their hashes. Text from outside is escaped by Jinja2; numbers for the
charts stand in a JSON block that no browser executes.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined

from njord.backtest.page_text import clip, count

_FLAG = re.compile(r"(--[a-z][a-z-]*)")


def render(
    template: str,
    context: dict[str, Any],
    data: dict[str, Any],
    styles: Sequence[str],
    scripts: Sequence[str],
    more_styles: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        template: The asset to fill in.
        context: What it speaks of.
        data: Numbers for its charts.
        styles: Style sheets, inlined.
        scripts: Scripts, inlined.
        more_styles: Texts of style elements that a script adds itself.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            **context,
            policy=_policy([*styles, *more_styles], scripts),
            styles=styles,
            scripts=scripts,
            data=_embedded(data),
        )
    )


def asset(name: str) -> str:
    """Return the text of a file of `assets/`: of this folder's, or of another package's, named `package:file`."""
    package, _, file = name.rpartition(":")
    return files(package or "njord.backtest").joinpath("assets", file).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(asset),
    )
    environment.filters["clip"] = clip
    environment.filters["count"] = count
    environment.filters["flags"] = _flags
    return environment


# A flag within a sentence must not be broken after its hyphens: (text, whether it is a flag) in turn.
def _flags(sentence: str) -> list[tuple[str, bool]]:
    parts = _FLAG.split(clip(sentence))
    return [(part, index % 2 == 1) for index, part in enumerate(parts) if part]


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    allowed = f"script-src {_hashes(scripts)}; style-src {_hashes(styles)}"
    return f"default-src 'none'; {allowed}; img-src data:; base-uri 'none'; form-action 'none'"


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


# "<" is the only letter that could end the script element that holds the data.
def _embedded(data: dict[str, Any]) -> str:
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")
