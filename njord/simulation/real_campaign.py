"""How does the live path fare with real processes and sockets? `python -m njord.simulation.real_campaign` runs it and says so.

Each fault of the catalogue has a run of its own, each seed is a mix; every run is a `njord venue` and a `njord live` over
unmodified CCXT (`real_run.py`). What fails is printed with the words that run it alone, and its folder is kept. A session
goes on only with the code that it began with: leave the package alone meanwhile, or run all of it from a copy.

Exit codes: 0 every run holds, 1 a run has violations, 2 wrong words, 130 interrupted.
"""

import math
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import msgspec

from njord.adapters.clock import Stopwatch
from njord.exchange.fault_plan import FAULTS
from njord.simulation.processes import Program
from njord.simulation.real_outcome import RealOutcome
from njord.simulation.real_page import write_real
from njord.simulation.real_run import Interrupted, RealRun
from njord.simulation.real_terms import RealTerms, mix, single
from njord.simulation.words import Parser, end_on_signals, faults_of, seeds_of

DURATION_S: Final = 90.0
JOBS_MAX: Final = 64
_PROGRAM: Final = "python -m njord.simulation.real_campaign"
_LOOK_EVERY_S: Final = 1.0


class Wishes(msgspec.Struct, frozen=True):
    """What was typed."""

    terms: tuple[RealTerms, ...]
    n_jobs: int
    json_out: bool
    keep: Path | None
    page: Path | None
    commit: str


def parse(argv: Sequence[str] | None) -> Wishes:
    """Read the command line; what is wrong with it ends the program with one line and exit code 2."""
    parser = Parser(_PROGRAM, __doc__)
    parser.add_argument("--faults", default="all", help="one run each: all, none, A, B, or ids such as A1,A9")
    parser.add_argument("--seeds", default="1-20", help="a mix each: none, 1-20 or 7,12 (default 1-20)")
    parser.add_argument(
        "--seconds", type=float, default=DURATION_S, help="seconds of trading a run (default 90)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    parser.add_argument(
        "--keep", type=Path, help="a folder that all runs are kept in, not only those that fail"
    )
    parser.add_argument("--page", type=Path, help="write the figures into their part of a page")
    parser.add_argument("--commit", default="unknown", help="what the page says of the code")
    args = parser.parse_args(argv)
    if not 1 <= args.seconds < math.inf:
        parser.error(f"--seconds must be >= 1 and finite, was {args.seconds}")
    parser.check_range("jobs", args.jobs, JOBS_MAX)
    parser.check_page(args)
    try:
        faults = faults_of(args.faults)
        seeds = [] if args.seeds == "none" else seeds_of(args.seeds)
    except ValueError as error:
        parser.error(str(error))
    terms = (*(single(fault, args.seconds) for fault in faults), *(mix(seed, args.seconds) for seed in seeds))
    if not terms:
        parser.error("no run is asked for: --faults and --seeds are both none")
    return Wishes(terms, args.jobs, args.json, args.keep, args.page, args.commit)


def outcomes(terms: Sequence[RealTerms], n_jobs: int, folder: Path) -> Iterator[RealOutcome]:
    """Yield what came of each run, as they are done; whoever stops listening ends all of them.

    Args:
        terms: What happens.
        n_jobs: Runs at a time.
        folder: Where they lie.
    """
    over, program = threading.Event(), Program()

    def run(each: RealTerms) -> RealOutcome:
        if over.is_set():
            raise Interrupted
        return RealRun(each, program, folder / each.name.replace(" ", "-"), over).run()

    with ThreadPoolExecutor(n_jobs) as threads:
        waiting: set[Future[RealOutcome]] = {threads.submit(run, each) for each in terms}
        try:
            while waiting:
                done, waiting = wait(waiting, _LOOK_EVERY_S, FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            over.set()
            program.end_all()
            for future in waiting:
                future.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line names; return the exit code."""
    wishes = parse(argv)
    watch = Stopwatch()
    folder = Path(tempfile.mkdtemp(prefix="njord-real-")) if wishes.keep is None else wishes.keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = _told(wishes, folder)
    except KeyboardInterrupt:
        print(f"{_PROGRAM}: interrupted; what there was lies in {folder}", file=sys.stderr)
        return 130
    failed = [run for run in done if run.violations]
    if wishes.keep is None:
        _tidy(folder, failed)
    if not wishes.json_out:
        _sum_up(done, watch.elapsed_s())
    if wishes.page is not None:
        words = " ".join(sys.argv[1:] if argv is None else argv)
        write_real(wishes.page, done, watch.elapsed_s(), f"{_PROGRAM} {words}", wishes.commit)
    return 1 if failed else 0


# Runs all and tells of each as it is done; returns them in the order in which they were asked for.
def _told(wishes: Wishes, folder: Path) -> list[RealOutcome]:
    by_name: dict[str, RealOutcome] = {}
    n_runs = len(wishes.terms)
    again = {each.name: each.words_again(_PROGRAM) for each in wishes.terms}
    for run in outcomes(wishes.terms, wishes.n_jobs, folder):
        by_name[run.name] = run
        if wishes.json_out:
            print(msgspec.json.encode(run).decode(), flush=True)
            continue
        print(f"{len(by_name):3} of {n_runs}  {line_of(run)}", flush=True)
        if run.violations:
            print(f"    again: {again[run.name]}; its folder: {folder / run.name.replace(' ', '-')}")
            print("\n".join(f"    {violation}" for violation in run.violations[:10]), flush=True)
    return [by_name[each.name] for each in wishes.terms if each.name in by_name]


def line_of(run: RealOutcome) -> str:
    """Return what came of a run on one line."""
    struck = ", ".join(f"{fault} {n}x" for fault, n in sorted(run.struck.items())) or "nothing struck"
    ending = f"; halted: {run.halt}" if run.halt else ""
    return (
        f"{run.name:7} {'FAILED' if run.violations else 'holds '}  {struck}; {run.n_orders} orders, "
        f"{run.n_trades} trades, {run.n_unknown} unknown, {run.n_lives} lives, {run.wall_s:.0f} s{ending}"
    )


def _sum_up(done: Sequence[RealOutcome], wall_s: float) -> None:
    print(
        f"{len(done)} runs, {sum(bool(run.violations) for run in done)} with violations, "
        f"{sum(run.n_orders for run in done)} orders, {sum(run.n_trades for run in done)} trades, "
        f"{sum(run.n_amended for run in done)} amendments, {sum(run.n_unknown for run in done)} times UNKNOWN, {wall_s:.0f} s"
    )
    planned = {spec["fault"] for run in done for spec in run.plan}
    never = [fault for fault in FAULTS if fault in planned and not any(run.struck.get(fault) for run in done)]
    if never:
        print(f"never struck: {', '.join(never)}")


# Only what failed is worth looking at.
def _tidy(folder: Path, failed: Sequence[RealOutcome]) -> None:
    kept = {run.name.replace(" ", "-") for run in failed}
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path)
    if not kept:
        folder.rmdir()


if __name__ == "__main__":
    end_on_signals()
    sys.exit(main())
