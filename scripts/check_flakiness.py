"""Which tests fail only sometimes? Run the fast suite again and again, each time in another order, and count.

    python -m scripts.check_flakiness                                10 runs
    python -m scripts.check_flakiness --runs 100 -- tests/unit       what follows -- goes to pytest

Each run has a seed of its own for the order (1, 2, ...), which pytest takes again as --randomly-seed.
Exit codes: 0 every run was clean, 1 a test failed, 2 wrong words, or pytest could not run.
"""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.words import Words, positive

RUNS = 10
NO_TEST, BROKEN = 5, 2
DEFAULT = ("-m", "not integration", "--ignore", "tests/architecture")


def failures(report: Path) -> list[str]:
    """Return the tests that a JUnit file says failed or could not run."""
    failed = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname', '')}::{case.get('name', '')}")
    return failed


def verdicts(by_seed: Mapping[int, Sequence[str]]) -> list[str]:
    """Return one line for each test that failed, the steadiest first: with how many runs, and one seed to see it again."""
    seeds: dict[str, list[int]] = {}
    for seed, failed in by_seed.items():
        for name in failed:
            seeds.setdefault(name, []).append(seed)
    return [
        f"{name}: failed in {len(found)} of {len(by_seed)} runs"
        f"{', always' if len(found) == len(by_seed) else ', FLAKY'}; again: --randomly-seed={found[0]}"
        for name, found in sorted(seeds.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the suite and say which tests failed."""
    words = Words("python -m scripts.check_flakiness", __doc__)
    words.add_argument("--runs", type=positive, default=RUNS, help=f"how often, {RUNS} if not given")
    words.add_argument("--workers", type=positive, default=2, help="pytest-xdist's, 2 if not given")
    words.add_argument("pytest", nargs="*", metavar="-- PYTEST WORDS", help="the fast suite if not given")
    options = words.parse_args(arguments)
    by_seed: dict[int, list[str]] = {}
    try:
        for seed in range(1, options.runs + 1):
            by_seed[seed] = _run(options.pytest or DEFAULT, seed, options.workers)
            print(f"run {seed} of {options.runs}: {len(by_seed[seed])} failed", file=sys.stderr)
    except RuntimeError as error:
        words.error(str(error))
    except KeyboardInterrupt:
        print("check_flakiness: interrupted; what was seen so far:", file=sys.stderr)
    lines = verdicts(by_seed)
    for line in lines:
        print(line)
    print(f"{len(by_seed)} runs, {sum(not failed for failed in by_seed.values())} clean")
    return 1 if lines else 0


def _run(words: Sequence[str], seed: int, n_workers: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-n", str(n_workers), f"--randomly-seed={seed}"]
        done = subprocess.run(
            [*command, f"--junit-xml={report}", *words], capture_output=True, text=True, check=False
        )
        if done.returncode >= BROKEN or not report.exists():
            said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise RuntimeError(f"pytest ran no test: {said[-1]}")
        return failures(report)


if __name__ == "__main__":
    sys.exit(main())
