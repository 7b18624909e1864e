"""Words of a script: help with its docstring, and one line for what is wrong."""

import argparse
import sys
from typing import NoReturn


class Words(argparse.ArgumentParser):
    """A parser whose help is the script's docstring and whose refusal is one line, with exit code 2.

    Args:
        program: As it is run, for example `python -m scripts.profile_cpu`.
        text: The script's docstring: what it does, an example, its exit codes.
    """

    def __init__(self, program: str, text: str | None) -> None:
        super().__init__(
            prog=program,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed."""
        print(f"{self.prog}: {' '.join(message.split())}; next: {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def positive(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number > 0, was {text!r}")
    return int(text)
