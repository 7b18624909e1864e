"""What becomes of one live session that is killed again and again? Its seed and a number of kills in; an outcome out.

The session is a `njord live` process at a `njord venue` process of its own. When it is killed hangs on its seed: on which
kind of moment, and how far into it. In between it is started again by the same words; at last it is stopped and judged.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from njord.core.errors import NjordError
from njord.exchange.fault_plan import FaultSpec
from njord.simulation import invariants
from njord.simulation.disk_evidence import evidence_of, session_folder
from njord.simulation.processes import (
    AGAIN_S,
    ASK_WITHIN_S,
    REFUSALS,
    Event,
    NodeProcess,
    ProcessFailed,
    Program,
    VenueProcess,
    is_active,
    lay_out,
)

POSITION_CAP: Final = Decimal(100)
PARAMS: Final = {
    "lots_max": 15,
    "share": 0.6,
    "far_ticks": 300,
}  # No order of 15 lots is above the first cap.
MOMENTS: Final = {
    "start": "while it started, before orders could be sent",
    "order": "within 50 ms after an order was approved",
    "any": "within 4 s after orders could be sent",
    "slow": "within 3 s after an order was approved, while orders and cancels took up to 4.5 s to the venue",
}
FIRST_START_S: Final = 10.0  # Until one was measured.
ORDER_WITHIN_S: Final = 120.0
TRUTH_FILE: Final = "truth.json"  # What the venue says in the end, kept for who looks into it.
STOPS_MAX: Final = 6
REFUSALS_MAX: Final = 10  # Running; then it is not the venue's minute that is in the way.
SETTLE_WITHIN_S: Final = 240.0  # An order that may still arrive is waited for a minute.


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a session.

    Attributes:
        kills: How often it was killed at which kind of moment.
        active_s: Of every start that came so far: seconds until orders could be sent.
        n_waited: How many of these had to wait for the venue's budget.
        n_refused: Starts that were refused, and tried again.
        n_unknown: How often nobody knew what had become of an order.
        violations: What must not be, one line each; empty if all is well.
        folder: Where it lies.
    """

    seed: int
    kills: dict[str, int]
    active_s: tuple[float, ...] = ()
    n_waited: int = 0
    n_refused: int = 0
    n_orders: int = 0
    n_trades: int = 0
    n_unknown: int = 0
    n_messages: int = 0
    violations: tuple[str, ...] = ()
    folder: str = ""


class KilledSession:
    """One session, from its first start to the judgment.

    Args:
        program: How `njord` is started.
        root: A folder of its own; it is made.
        seed: Of the market, the trader and the moments.
        killed: Told of every kill.
    """

    def __init__(self, program: Program, root: Path, seed: int, killed: Callable[[], None]) -> None:
        self._program = program
        self._root = root
        self._seed = seed
        self._killed = killed
        self._random = Random(f"kills {seed}")
        self._pause = threading.Event()  # Nobody sets it: to wait on it is to let time pass.
        self._kills = Counter[str]()
        self._active_s: list[float] = []
        self._n_waited = self._n_refused = self._n_running = 0

    def run(self, n_kills: int) -> Outcome:
        """Kill it so often, then stop it and judge; what breaks the run itself is a violation too."""
        self._root.mkdir(parents=True)
        try:
            with VenueProcess(self._program, self._root, seed=self._seed) as venue:
                lay_out(self._root, venue, POSITION_CAP)
                while self._kills.total() < n_kills:
                    if self._live_and_die(venue):
                        self._killed()
                self._live_and_stop(venue)
                return self._judged(venue)
        except (NjordError, OSError) as error:
            return self._outcome(violations=(f"the run broke: {type(error).__name__}: {error}",))

    def _start(self, venue: VenueProcess) -> NodeProcess:
        params = {**PARAMS, "seed": self._seed}
        return NodeProcess(self._program, self._root, venue, params)

    # A node that may send orders: one that is refused is started again, as a user does.
    @contextmanager
    def _active(self, venue: VenueProcess) -> Iterator[NodeProcess]:
        while True:
            with self._start(venue) as node:
                try:
                    active_s = node.wait_active()
                except ProcessFailed:
                    if not self._tries_again(node):
                        raise
                    continue
                self._active_s.append(active_s)
                self._n_waited += any(event["event"] == "waiting" for event in node.events)
                self._n_running = 0
                yield node
                return

    def _tries_again(self, node: NodeProcess) -> bool:
        if node.is_running or any(event["event"] == "started" for event in node.events):
            return False
        code = node.wait(ASK_WITHIN_S)
        if code not in REFUSALS or self._n_running == REFUSALS_MAX:
            return False
        self._n_refused += 1
        self._n_running += 1
        self._pause.wait(AGAIN_S)
        return True

    # Returns whether there was somebody to kill.
    def _live_and_die(self, venue: VenueProcess) -> bool:
        moment, share = self._random.choice(tuple(MOMENTS)), self._random.random()
        if moment == "start":
            with self._start(venue) as node:
                self._pause.wait(share * (self._active_s[-1] if self._active_s else FIRST_START_S))
                if self._tries_again(node):
                    return False
                self._kill(node)
                if any(is_active(event) for event in node.events):
                    moment = "any"  # It was faster than the start before it.
        else:
            with self._active(venue) as node:
                self._wait_for(moment, share, node, venue)
                self._kill(node)
        self._kills[moment] += 1
        return True

    def _kill(self, node: NodeProcess) -> None:
        if not node.is_running:
            raise ProcessFailed(f"njord ended before it was killed: {node.errors()}")
        node.kill()

    def _wait_for(self, moment: str, share: float, node: NodeProcess, venue: VenueProcess) -> None:
        if moment == "any":
            self._pause.wait(4 * share)
            return
        if moment == "slow":
            for fault, delay in (("A3", "delay_s"), ("A6", "hold_s")):
                delay_s = self._random.uniform(0.5, 4.5)
                venue.add_fault(FaultSpec(fault=fault, for_s=20.0, params={delay: delay_s}))
        node.first(is_approved_order, ORDER_WITHIN_S, since=len(node.events))
        self._pause.wait(share * (3.0 if moment == "slow" else 0.05))

    # As a user asks for it. A stop does not wait for ever: where it leaves orders, the next life learns what became of them.
    def _live_and_stop(self, venue: VenueProcess) -> None:
        venue.end_faults()
        for _ in range(STOPS_MAX):
            with self._active(venue) as node:
                node.first(is_approved_order, ORDER_WITHIN_S)
                node.first(_is_certain, SETTLE_WITHIN_S)
                code = node.stop()
                if code:
                    raise ProcessFailed(f"njord ended with exit code {code}: {node.errors()}")
                ended = node.first(lambda event: event["event"] == "ended", ASK_WITHIN_S)
                if not ended["left"]:
                    return
        raise ProcessFailed(f"orders were left by {STOPS_MAX} stops; njord said last {node.last()}")

    def _judged(self, venue: VenueProcess) -> Outcome:
        folder, truth = session_folder(self._root), venue.truth()
        (self._root / TRUTH_FILE).write_bytes(msgspec.json.encode(truth))
        evidence = evidence_of(folder, truth, position_cap=POSITION_CAP)
        return self._outcome(
            n_orders=len(truth["orders"]),
            n_trades=len(truth["trades"]),
            n_unknown=invariants.n_unknown(evidence),
            n_messages=len(evidence.journal),
            violations=(
                *invariants.converged(evidence),
                *invariants.always(evidence),
                *self._replayed(folder.name),
            ),
        )

    # In the words of a user, by a process that knows nothing of all this.
    def _replayed(self, session: str) -> Iterable[str]:
        done = self._program.run(self._root, ("replay", session, "--json"))
        if done.returncode:
            yield f"I12: njord replay ended with {done.returncode}: {(done.stderr or done.stdout)[-300:].strip()}"

    def _outcome(
        self,
        *,
        n_orders: int = 0,
        n_trades: int = 0,
        n_unknown: int = 0,
        n_messages: int = 0,
        violations: tuple[str, ...],
    ) -> Outcome:
        return Outcome(
            seed=self._seed,
            kills={moment: self._kills[moment] for moment in MOMENTS},
            active_s=tuple(self._active_s),
            n_waited=self._n_waited,
            n_refused=self._n_refused,
            n_orders=n_orders,
            n_trades=n_trades,
            n_unknown=n_unknown,
            n_messages=n_messages,
            violations=violations,
            folder=str(self._root),
        )


def is_approved_order(event: Event) -> bool:
    """Whether the gate lets an order pass; a cancel is none."""
    return (
        event["event"] == "decision" and event["allowed"] is True and not event["wish"].startswith("cancel")
    )


def _is_certain(event: Event) -> bool:
    return event["event"] == "status" and not event["unknown"]
