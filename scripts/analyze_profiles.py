"""Which functions cost most? Read var/profiling/*.folded: the 20 hottest as text, and a page with the flame graph beside.

    python -m scripts.analyze_profiles                                       all of var/profiling
    python -m scripts.analyze_profiles var/profiling/ordered-engine-cpu.folded --top 5

`own` is what was seen in the function itself, `total` in it or in what it called.
Exit codes: 0 done, 2 wrong words or a file that is no profile.
"""

import sys
from pathlib import Path

from scripts.profile_page import page
from scripts.profile_stacks import FOLDER, hot_spots, read_folded
from scripts.words import Words, positive

TOP = 20


def main(arguments: list[str] | None = None) -> int:
    """Print the hot spots of each file and write its page."""
    words = Words("python -m scripts.analyze_profiles", __doc__)
    words.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="all of var/profiling if none is named"
    )
    words.add_argument("--top", type=positive, default=TOP, help=f"so many functions, {TOP} if not given")
    options = words.parse_args(arguments)
    files = options.files or sorted(FOLDER.glob("*.folded"))
    if not files:
        words.error(f"{FOLDER} holds no profile: run make profile first")
    for file in files:
        try:
            stacks = read_folded(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            words.error(f"{file} is no profile: {error}")
        spots, whole = hot_spots(stacks, options.top), max(stacks.total(), 1)
        unit = "bytes" if file.stem.endswith("memory") else "samples or us"
        print(f"{file}: {stacks.total():,} {unit}\n     own   total  function")
        for spot in spots:
            print(f"  {spot.own / whole:>6.1%}  {spot.total / whole:>6.1%}  {spot.name}")
        shown = file.with_suffix(".html")
        shown.write_text(page(file.stem, unit, stacks, spots), encoding="utf-8")
        print(f"  {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
