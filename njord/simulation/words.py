"""What is typed at a campaign: the flags that all have, how they are refused, how runs are named, and how a campaign ends."""

import argparse
import signal
import sys
from typing import NoReturn

from njord.exchange.fault_plan import CATALOGUE, FAULTS


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, with exit code 2.

    Args:
        program: As it is typed.
        text: What it is for, and its exit codes.
    """

    def __init__(self, program: str, text: str | None) -> None:
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=program, description=text, formatter_class=form, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed."""
        print(f"{self.prog}: {message}; next: {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def check_range(self, name: str, value: int, most: int) -> None:
        """Refuse a number that is not 1 to `most`."""
        if not 1 <= value <= most:
            self.error(f"--{name} takes 1 to {most}, was {value}")

    def check_page(self, args: argparse.Namespace) -> None:
        """Refuse a page in a folder that is not there."""
        if args.page is not None and not args.page.parent.is_dir():
            self.error(f"--page: there is no folder {args.page.parent}")


def seeds_of(text: str) -> list[int]:
    """Return the seeds that `1-500` or `7,12,40-44` names.

    Raises:
        ValueError: It names none.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds are whole numbers such as 1-500 or 7,12, was {text!r}")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds:
        raise ValueError(f"{text!r} names no seed, for example 1-500 or 7,12")
    return seeds


def faults_of(text: str) -> tuple[str, ...]:
    """Return the faults that `all`, `none`, `A`, or `A1,B2` names.

    Raises:
        ValueError: One is unknown.
    """
    if text in ("all", "none"):
        return FAULTS if text == "all" else ()
    if text in ("A", "B"):
        return tuple(fault for fault in FAULTS if fault.startswith(text))
    chosen = tuple(text.split(","))
    unknown = [each for each in chosen if each not in CATALOGUE]
    if unknown:
        raise ValueError(f"no fault is called {unknown[0]}; there are {', '.join(FAULTS)}")
    return chosen


def end_on_signals() -> None:
    """Let Ctrl-C and SIGTERM interrupt, also in the background, and a reader that has seen enough end it like any filter."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
