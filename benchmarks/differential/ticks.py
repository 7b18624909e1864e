"""Njord and hftbacktest on the same recorded order book with the same market maker: is every fill the same?

Run: `python -m benchmarks.differential.ticks CAPTURE`, a raw capture of one symbol with depth changes, a snapshot and
trades. Ours is the whole way: `njord data import`, then `njord backtest market_maker` through the ordered engine, its
fills read from the journal. Theirs is hftbacktest with its HashMap depth, constant order latency, the power-probability
queue (n = 2) or the risk-averse one, no partial fills, and a fee on the value traded. Compared are time at the venue, side, price and quantity
of every fill, and position, balance and fees at the end. Options: --interval-ms, --latency-ms, --qty, --position-max,
--fee-bps, --queue; --python PATH (of an environment with hftbacktest, else $PEERS_ROOT/venv-hftbacktest). Exit codes: 0 the same,
1 a difference, 2 wrong input.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.differential.ours import backtest, njord
from benchmarks.differential.peers import ask, interpreter
from njord.core.contracts import (
    AnyMessage,
    FillEvent,
    PositionSnapshot,
    ProposalRefused,
    RiskDecision,
    RunStarted,
    TimerFired,
)
from njord.core.errors import NjordError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, NS_PER_S

CAPITAL = 10_000_000  # Never the reason for a refusal.
SHOWN = 5

# What has no flag, and what must not stand in the way: a maker that looks ten times a second sends more orders than the
# profile for research lets pass.
CONFIG = """\
backtest:
  entry_latency_ns: {latency_ns}
  response_latency_ns: {latency_ns}
  queue_model: {queue}
  partial_fills: false
  account: margin
risk:
  profiles:
    research:
      rules:
        order_rate: {{per_minute: 1000000, per_strategy_per_minute: 1000000}}
"""


class Fill(NamedTuple):
    """One execution: nanoseconds at the venue, +1 for a buy, ticks, lots."""

    ts_ns: int
    sign: int
    price_ticks: int
    qty_lots: int


class Outcome(NamedTuple):
    """What one side did; money in quote, the balance before fees."""

    fills: list[Fill]
    position: float
    balance: float
    fee: float


class Ours(NamedTuple):
    """Njord's outcome, and what the other side must be told to look at the same moments."""

    outcome: Outcome
    instrument: Instrument
    look_ns: int  # The first one.
    clock_ns: int  # Added to all local times.


def run_ours(capture: Path, options: Any) -> Ours:
    """Import the capture into a store of its own, run the maker, and read its journal.

    Raises:
        NjordError: A command failed, or the capture holds more than one symbol's book.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").mkdir()
        config = CONFIG.format(
            latency_ns=options.latency_ms * NS_PER_MS,
            queue=options.queue,
        )
        (folder / "config" / "base.yaml").write_text(config, encoding="utf-8")
        njord(folder, "data", "import", str(capture.resolve()))
        books = sorted((folder / "var" / "data" / "book").glob("*/*"))
        if len(books) != 1:
            raise NjordError(f"{capture.name} holds {len(books)} order books, one is compared")
        market = "/".join(books[0].parts[-2:])
        arguments = ["market_maker", "--data", f"book/{market}", "--data", f"trades/{market}"]
        arguments += ["--param", f"qty={options.qty}", "--param", f"position_max={options.position_max}"]
        arguments += ["--param", f"interval_ms={options.interval_ms}", "--capital", str(CAPITAL)]
        arguments += ["--fee-bps", str(options.fee_bps), "--maker-fee-bps", str(options.fee_bps)]
        run = backtest(folder, *arguments)
    _refuse_refusals(run.messages)
    (started,) = (message for message in run.messages if isinstance(message, RunStarted))
    (instrument,) = started.instruments
    looks = [message.due_ns for message in run.messages if isinstance(message, TimerFired)]
    if not looks:
        raise NjordError("the market maker never looked: the capture holds no order book")
    events = [message for message in run.messages if isinstance(message, FillEvent)]
    fills = [Fill(each.ts_venue_ns, each.side.sign, each.price_ticks, each.qty_lots) for each in events]
    balance = -sum(each.sign * instrument.notional(each.price_ticks, each.qty_lots) for each in fills)
    fee = sum((each.fee for each in events), Decimal(0))
    position = instrument.qty(1) * sum(each.sign * each.qty_lots for each in fills)
    books_say = [message for message in run.messages if isinstance(message, PositionSnapshot)]
    if books_say and (books_say[-1].cash, books_say[-1].qty) != (CAPITAL + balance - fee, position):
        raise NjordError("the ledger and the sum of the fills differ")
    outcome = Outcome(fills, float(position), float(balance), float(fee))
    moved = re.search(r"moved on by ([\d.]+) s", run.summary)
    return Ours(outcome, instrument, looks[0], int(Decimal(moved[1]) * NS_PER_S) if moved else 0)


# The other side has no gate: a refusal would make two different makers of them.
def _refuse_refusals(messages: Sequence[AnyMessage]) -> None:
    for message in messages:
        if isinstance(message, ProposalRefused) or (
            isinstance(message, RiskDecision) and not message.allowed
        ):
            raise NjordError(f"njord refused an order ({message.reason}), and the other side refuses none")


def tie_ns(options: Any) -> int:
    """Return by how many nanoseconds the other side must know answers later to take what happens at once in our order.

    Where the way there and back is a whole number of intervals, an answer is known at the very moment of a later look. There
    njord fires the timer first (docs/adr/0004-time-is-data.md) and hftbacktest takes the answer first.
    """
    return 0 if 2 * options.latency_ms % options.interval_ms else 1


def run_theirs(capture: Path, options: Any, ours: Ours, python: Path) -> tuple[Outcome, dict[str, Any]]:
    """Run the maker in hftbacktest; return its outcome and all that it said."""
    instrument = ours.instrument
    question = {
        "capture": str(capture.resolve()),
        "tick": float(instrument.tick_size),
        "lot": float(instrument.lot_size),
        "look_ns": ours.look_ns,
        "interval_ns": options.interval_ms * NS_PER_MS,
        "qty_lots": instrument.lots(options.qty),
        "position_max_lots": instrument.lots(options.position_max),
        "entry_ns": options.latency_ms * NS_PER_MS,
        "response_ns": options.latency_ms * NS_PER_MS + tie_ns(options),
        "fee": float(options.fee_bps) / 10_000,
        "queue": options.queue,
    }
    answer = ask(python, "hftbacktest", question)
    fills = [Fill(*fill) for fill in answer["fills"]]
    return Outcome(fills, answer["position"], answer["balance"], answer["fee"]), answer


def differences(ours: Outcome, theirs: Outcome) -> list[str]:
    """Return in words what differs; fees may differ by the rounding of one step of 1e-8 a fill, in our disfavor."""
    found = [
        f"fill {number}: {mine} against {other}"
        for number, (mine, other) in enumerate(zip_longest(sorted(ours.fills), sorted(theirs.fills)), start=1)
        if mine != other
    ]
    for name, allowed in (("position", 1e-9), ("balance", 1e-6), ("fee", len(ours.fills) * 1e-8 + 1e-9)):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if abs(mine - other) > allowed:
            found.append(f"{name}: {mine} against {other}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differential.ticks", description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--interval-ms", type=int, default=100)
    parser.add_argument("--latency-ms", type=int, default=10)
    parser.add_argument("--qty", type=Decimal, default=Decimal("0.02"))
    parser.add_argument("--position-max", type=Decimal, default=Decimal(1))
    parser.add_argument("--fee-bps", type=Decimal, default=Decimal(10))
    parser.add_argument("--queue", choices=("probability", "risk_averse"), default="probability")
    parser.add_argument("--python", type=Path)
    options = parser.parse_args(arguments)
    try:
        python = interpreter("hftbacktest", options.python)
        ours = run_ours(options.capture, options)
        theirs, said = run_theirs(options.capture, options, ours, python)
    except NjordError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    found = differences(ours.outcome, theirs)
    if ours.clock_ns != said["offset_ns"]:
        found.insert(0, f"local clock moved by {ours.clock_ns:,} ns against {said['offset_ns']:,}")
    print(f"{options.capture.name}: {ours.instrument.symbol}, {said['events']:,} events")
    print(f"  local clock moved on by {ours.clock_ns:,} ns")
    if tie_ns(options):
        print(
            "  there and back is a whole number of intervals: theirs knows answers 1 ns later, after the look"
        )
    for name, side in (("ours", ours.outcome), ("theirs", theirs)):
        money = f"position {side.position:.5f}, balance {side.balance:.4f}, fee {side.fee:.4f}"
        print(f"  {name:<6} {len(side.fills):,} fills, {money}")
    print(f"  {len(found)} differences")
    for line in found[:SHOWN]:
        print(f"    {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
