"""A recorded order book through the tick exchange with a resting market maker, beside hftbacktest in the same run.

The capture of ETH/USDT beside the project, once and repeated 20 times: book and trades at the exchange, the book once more
as a listener knows it, a maker that looks every 100 ms, 10 ms latency each way, the probability queue, no partial fills,
10 bp fee. Measured are the compiled exchange with a compiled maker, and `TickMarket` with the maker in Python. hftbacktest
does the same work with both of its books and a compiled maker; trades, position, balance and fee must be the same, or this
fails. Rounds: each contender runs once in each, so that all meet the same machine; what is reported is the median of
processor time, since each is one thread and machines are shared. An event is one recorded level or trade.

Run: `python -m benchmarks.ticks`. Options: --python PATH (of an environment with hftbacktest, else
$PEERS_ROOT/venv-hftbacktest; without one only ours is measured), --runs N (rounds, default 5), --small (once over the
capture, one round, no line in the history), --json (print the line too).
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.differential.peers import ROOT, interpreter
from benchmarks.machine import describe, peak_rss_kib
from benchmarks.ticks_capture import CAPTURE, read_capture
from benchmarks.ticks_maker import Figures, run_compiled, run_python
from njord.core.errors import ConfigError

HISTORY = Path(__file__).parent / "history" / "ticks.jsonl"
STEP_NS = 100_000_000
LAPS = (1, 20)
BOOKS = ("ROIVector", "HashMap")
WANTED = 3.0  # Times as fast as the faster book.

Run = tuple[float, float, Figures]  # Wall and processor seconds, and what it came to.


@contextmanager
def peer(python: Path | None, n_laps: int) -> Iterator[Callable[[str], dict[str, Any]] | None]:
    """Yield a function that runs one of hftbacktest's books in its own process; None without its interpreter."""
    if python is None:
        yield None
        return
    command = [str(python), "-m", "benchmarks.ticks_peer", str(CAPTURE), str(n_laps)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise SystemExit("the process of hftbacktest has no pipes")

        def ask(book: str) -> dict[str, Any]:
            print(book, file=stdin, flush=True)
            while not (line := stdout.readline()).startswith("{"):  # Its converter says something first.
                if not line:
                    raise SystemExit("hftbacktest stopped; what it said stands above")
            answer: dict[str, Any] = json.loads(line)
            return answer

        yield ask
        stdin.close()


def timed(work: Callable[[], Figures]) -> Run:
    """Run `work` once."""
    started, cpu = time.perf_counter(), time.process_time()
    figures = work()
    return time.perf_counter() - started, time.process_time() - cpu, figures


def measure(n_laps: int, n_rounds: int, python: Path | None) -> dict[str, Any]:
    """Return each contender's figures over `n_laps` of the capture.

    Raises:
        SystemExit: Two contenders did not trade the same.
    """
    recorded = read_capture(CAPTURE, n_laps)
    contenders: dict[str, Callable[[], Run]] = {
        "compiled": lambda: timed(lambda: run_compiled(recorded, STEP_NS)),
        "in Python": lambda: timed(lambda: run_python(recorded, STEP_NS)),
    }
    runs: dict[str, list[Run]] = {}
    with peer(python, n_laps) as ask:
        if ask is not None:
            contenders |= {f"hftbacktest {book}": _asked(ask, book) for book in BOOKS}
        for work in contenders.values():
            work()  # Compiles, or loads what is compiled.
        for _ in range(n_rounds):
            for name, work in contenders.items():
                runs.setdefault(name, []).append(work())
    ends = {name: found[0][2]._replace(steps=0) for name, found in runs.items()}
    if len(set(ends.values())) != 1:
        raise SystemExit(f"the contenders did not trade the same: {ends}")
    n_events = int(recorded.at_exchange.shape[1])
    return {
        "events": n_events,
        "came_to": {key: value for key, value in ends["compiled"]._asdict().items() if key != "steps"},
        "ns_per_event": {name: _summary(found, n_events) for name, found in runs.items()},
    }


def _asked(ask: Callable[[str], dict[str, Any]], book: str) -> Callable[[], Run]:
    def run() -> Run:
        said = ask(book)
        figures = Figures(0, said["trades"], said["position"], said["balance"], said["fee"])
        return said["wall_s"], said["cpu_s"], figures

    return run


def _summary(runs: list[Run], n_events: int) -> dict[str, float]:
    costs = sorted(cpu / n_events * 1e9 for _, cpu, _ in runs)
    return {
        "median": round(statistics.median(costs), 1),
        "lowest": round(costs[0], 1),
        "highest": round(costs[-1], 1),
        "cpu_per_wall": round(sum(run[1] for run in runs) / sum(run[0] for run in runs), 2),
    }


def show(n_laps: int, found: dict[str, Any]) -> dict[str, float]:
    """Print one capture length's figures; return how many times as fast as hftbacktest's faster book ours are."""
    came = ", ".join(f"{name} {value:,}" for name, value in found["came_to"].items())
    print(f"{n_laps}x: {found['events']:,} events; all contenders: {came}")
    costs: dict[str, dict[str, float]] = found["ns_per_event"]
    for name, each in costs.items():
        print(
            f"  {name:<22} {each['median']:>7,.1f} ns/event ({each['lowest']:,.1f}-{each['highest']:,.1f})"
            f"   {1e3 / each['median']:>6,.1f} M events/s   cpu/wall {each['cpu_per_wall']:.2f}"
        )
    theirs = [each["median"] for name, each in costs.items() if name.startswith("hftbacktest")]
    if not theirs:
        return {}
    ratios = {name: round(min(theirs) / costs[name]["median"], 2) for name in ("compiled", "in Python")}
    print(f"  compiled is {ratios['compiled']:.2f}x hftbacktest's faster book (wanted: {WANTED:.0f}x)")
    return ratios


def main() -> None:
    """Run the benchmark and append its line to the history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not CAPTURE.exists():
        raise SystemExit(f"the capture is not there: {CAPTURE}")
    machine = describe()
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}"
    )
    python = None
    try:
        python = interpreter("hftbacktest", options.python)
    except ConfigError as error:
        print(f"hftbacktest is not measured: {error}")
    record: dict[str, Any] = {"day": time.strftime("%Y-%m-%d", time.gmtime()), **machine}
    for n_laps in LAPS[:1] if options.small else LAPS:
        found = measure(n_laps, 1 if options.small else options.runs, python)
        found["times_as_fast"] = show(n_laps, found)
        record[f"{n_laps}x"] = found
    record["peak_rss_mib"] = round(peak_rss_kib() / 1024)
    if options.json:
        print(json.dumps(record))
    if not options.small:
        HISTORY.parent.mkdir(exist_ok=True)
        with HISTORY.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
