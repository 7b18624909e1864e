"""Measure ours and the peers on the same work in one run, and say how many times as fast.

Every contender is a process of its own that gets ready (imports, loads, compiles, runs once untimed) and then runs once
for each round, in turn with the others, so that all meet the same machine. The figure is the median of the rounds with
the lowest and the highest; what a run came to must agree, or this fails. W3 (ticks), W4 (Monte Carlo)
and W5 (stored trades) have benchmarks of their own with the peer inside, which are run too.

    python -m benchmarks.peers                                 ours alone, and who is missing
    scripts/make_peers.sh ../peers                             make the peers' environments
    python -m benchmarks.peers --peers ../peers W1 W2          some of the work, with the peers

Exit codes: 0 measured (whatever the figures), 1 contenders did not come to the same, 2 wrong words.
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.peers.contenders import Work, works
from benchmarks.peers.process import OWN, Missing, asked, others_own
from benchmarks.peers.summary import disagreements, ratios, rows, summarize

HISTORY = Path(__file__).parents[1] / "history" / "peers.jsonl"
NAMES = ("W1", "W2", "W3", "W4", "W5")


def measure(work: Work, peers: Path | None, n_rounds: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Return each contender's figures, and why the others have none."""
    missing: dict[str, str] = {}
    with ExitStack() as running:
        ready = {}
        for contender in work.contenders:
            try:
                ready[contender.name] = running.enter_context(asked(contender, peers))
            except Missing as why:
                missing[contender.name] = str(why)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ready}
        for _ in range(n_rounds):
            for name, each in ready.items():
                runs[name].append(each.run())
    return {name: summarize(each.said, runs[name]) for name, each in ready.items()}, missing


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and append one line to the history."""
    options = _options(arguments)
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    wanted = options.work or list(NAMES)
    record: dict[str, Any] = {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        **machine,
        "rounds": options.runs,
    }
    differ: list[str] = []
    for name, work in works(options.small):
        if name not in wanted:
            continue
        print(f"\n{name}: {work.title} ({work.origin})", flush=True)
        found, missing = measure(work, options.peers, options.runs)
        for line in rows(work, found, missing):
            print(line)
        differ += [f"{name}: {line}" for line in disagreements(work, found)]
        record[name] = {
            "contenders": found,
            "times_as_fast": ratios(work, found),
            "by_cpu": ratios(work, found, "cpu_ns_per_unit"),
            "missing": sorted(missing),
        }
    if not options.small and len(record) > len(machine) + 2:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    if options.json:
        print(json.dumps(record))
    for name in OWN:
        if name in wanted:
            print(f"\n{name}:", flush=True)
            others_own(name, options.peers, options.runs, options.small)
    for line in differ:
        print(f"peers: {line}", file=sys.stderr)
    return 1 if differ else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "work", nargs="*", metavar="WORK", help=f"some of {' '.join(NAMES)}; all if none is named"
    )
    parser.add_argument(
        "--peers", type=Path, help="the folder of their environments (scripts/make_peers.sh DIR)"
    )
    parser.add_argument("--runs", type=int, default=5, help="rounds, 5 if not given")
    parser.add_argument("--small", action="store_true", help="small input, no line in the history")
    parser.add_argument("--json", action="store_true", help="print the history's line too")
    options = parser.parse_args(arguments)
    for name in options.work:
        if name not in NAMES:
            parser.error(f"there is no work {name}, it is one of {' '.join(NAMES)}")
    if options.runs < 1:
        parser.error(f"--runs must be >= 1, was {options.runs}")
    if options.peers is not None and not options.peers.is_dir():
        parser.error(f"{options.peers} is no folder; next: scripts/make_peers.sh {options.peers}")
    return options


if __name__ == "__main__":
    sys.exit(main())
