"""One run in the real world: `njord venue` and `njord live` as processes, trouble between them, and what was wrong with it.

The node is started again whenever it ends, as a service's keeper does: it may refuse while the venue is in trouble, and
must say why. After the faults books and truth are waited for, never a time; the journal on disk is run again and judged by
the same invariants as in the simulation. Real time does not repeat itself: the seed gives the same plan, not the same run.
"""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from njord.adapters.clock import Stopwatch, WallClock
from njord.core.errors import NjordError
from njord.core.units import NS_PER_S
from njord.exchange.fault_plan import plain
from njord.simulation import invariants
from njord.simulation.bars_listener import BarsListener
from njord.simulation.disk_evidence import evidence_of, session_folder
from njord.simulation.invariants import Evidence
from njord.simulation.processes import NodeProcess, Process, ProcessFailed, Program, VenueProcess, lay_out
from njord.simulation.real_keeper import Keeper
from njord.simulation.real_outcome import RealOutcome, approved_after_the_word, late_ns
from njord.simulation.real_terms import (
    LOTS_MAX,
    ORDERS_PER_MINUTE,
    POSITION_CAP,
    SHARE,
    RealTerms,
    settings_of,
)

# For the node's first start, measured by the venue's, which has less to load; what is left of it the strategy trades on
# after the faults.
_ALLOWANCE_S, _ALLOWANCE_STARTS = 5.0, 5
# For faults that have yet to strike, where the end is no silence but a halt.
_SPARE_S, _SPARE_ALLOWANCES = 60.0, 2
STOP_WITHIN_S: Final = 120.0  # `njord md` finishes its datasets.
_LOOK_EVERY_S: Final = 0.2
_VERB_WITHIN_S: Final = 120.0
_START_WITHIN_S: Final = 600.0  # A start that was refused is tried again.
_TAKES_UP: Final = "the node takes its session up"
_FILE: Final = Path("var/state/kill_switch")


class Interrupted(Exception):
    """Somebody wants the run to end."""


class RealRun:
    """Everything of one run.

    Args:
        terms: What happens.
        program: The package that the processes run.
        root: A folder of its own.
        over: Set when everything is to end.
    """

    def __init__(self, terms: RealTerms, program: Program, root: Path, over: threading.Event) -> None:
        self._terms = terms
        self._program = program
        self._root = root
        self._over = over
        self._watch = Stopwatch()
        self._open = ExitStack()
        self._venue: VenueProcess
        self._recorder: Process | None = None
        self._keeper: Keeper
        self._quiet_ns = 0
        self._tripped_ns: int | None = None
        self._is_halted = False  # The kill switch is tripped.
        self._is_cleared = False  # It was, and is not any more.
        self._said: list[str] = []  # Violations.
        self._halt = ""
        self._met_s = -1.0
        self._struck: dict[str, int] = {}

    def run(self) -> RealOutcome:
        """Let everything happen; return what came of it.

        Raises:
            Interrupted: Somebody wants the end.
        """
        evidence: Evidence | None = None
        try:
            with self._open:
                self._begin()
                self._trade()
                self._calm()
                evidence = self._judged()
        except (NjordError, OSError) as error:
            self._said.append(f"the run broke: {type(error).__name__}: {error}")
        self._said += self._tracebacks()
        return self._outcome(evidence)

    # --- what happens ---

    def _begin(self) -> None:
        terms, root = self._terms, self._root
        root.mkdir(parents=True, exist_ok=True)
        listed = [word for symbol in terms.symbols for word in ("--symbol", symbol)]
        self._venue = self._open.enter_context(
            VenueProcess(self._program, root, balances=terms.balances, seed=terms.world.seed, words=listed)
        )
        lay_out(root, self._venue, POSITION_CAP, ORDERS_PER_MINUTE, settings_of(terms))
        if terms.records_market:
            words = ("md", "BTC/USDT", "--endpoint", self._venue.endpoint, "--json")
            self._recorder = self._open.enter_context(Process(self._program, words, root, "md"))
            self._recorder.first(lambda event: event["event"] == "started", _VERB_WITHIN_S)
        if terms.hears_bars:
            self._open.enter_context(BarsListener(self._venue.endpoint))
        allowance_s = _ALLOWANCE_S + _ALLOWANCE_STARTS * self._venue.events[0]["heard_s"]
        spare_s = _SPARE_S + _SPARE_ALLOWANCES * allowance_s if terms.world.cancels else 0.0
        after_s = allowance_s + terms.world.duration_s + spare_s
        self._quiet_ns = WallClock().now_ns() + round(after_s * NS_PER_S)
        params = {
            "seed": terms.world.seed,
            "lots_max": LOTS_MAX,
            "share": SHARE,
            "quiet_ns": self._quiet_ns,
        }
        self._keeper = self._open.enter_context(
            Keeper(lambda: NodeProcess(self._program, root, self._venue, params), root / "node.jsonl")
        )
        self._keeper.begin()
        self._wait(lambda: self._keeper.is_active, _START_WITHIN_S, "the node is active for the first time")

    def _trade(self) -> None:
        world = self._terms.world
        moments: list[tuple[float, Callable[[], None]]] = [
            (crash_s, self._keeper.kill) for crash_s in world.crashes_s
        ]
        if world.trips_s is not None:
            moments.append((world.trips_s, self._trip))
        for spec in world.plan.faults:
            self._venue.add_fault(spec)
        watch = Stopwatch()
        for at_s, act in sorted(moments, key=lambda moment: moment[0]):
            self._pass_time(watch, at_s)
            act()
        self._pass_time(watch, world.duration_s)
        while not self._is_quiet and self._terms.lacks(self._venue.struck()):
            self._look()
        self._venue.end_faults()
        self._struck = self._venue.struck()
        if world.cancels:
            if self._keeper.may_start:  # Else it would find the switch tripped, and refuse.
                self._wait(lambda: self._keeper.has_started, _START_WITHIN_S, _TAKES_UP)
            self._halt_trading("the run ends")

    @property
    def _is_quiet(self) -> bool:
        return WallClock().now_ns() >= self._quiet_ns

    def _pass_time(self, watch: Stopwatch, until_s: float) -> None:
        while watch.elapsed_s() < until_s:
            self._look()

    # After the faults: until the strategy is silent, books and truth have met, and the market stands still.
    def _calm(self) -> None:
        keeper = self._keeper
        # One that was starting when the switch was tripped may yet refuse, or takes its orders back and ends.
        self._wait(
            lambda: not keeper.is_running or (keeper.has_started and not keeper.is_withdrawing),
            _START_WITHIN_S,
            _TAKES_UP,
        )
        if self._terms.leaves_orders or not keeper.is_running:
            self._be_quiet()
        watch = Stopwatch()
        self._let_start()
        if not (is_met := self._meets()):
            self._halt = self._keeper.venue_word.get("reason", "")
            if not self._halt:
                self._said.append("I15: books and truth did not meet, and no halt was named")
            # A named halt needs a person, who has put right what was wrong and starts the session again.
            self._keeper.end()
            self._be_quiet()
            self._let_start()
            self._keeper.begin()
            if not (is_met := self._meets()):
                self._said.append("I15: a person started it again, and books and truth did not meet")
        self._met_s = watch.elapsed_s() if is_met else -1.0
        self._end_recorder()
        if self._terms.leaves_orders:
            for symbol in self._terms.symbols:
                self._venue.ask("POST", "/njord/operator", {"do": "halt", "symbol": symbol.replace("/", "")})
            self._meets()
        self._keeper.end()

    def _be_quiet(self) -> None:
        while not self._is_quiet:
            self._look()

    # The patience is with a node that has taken the session up; how long that takes is the machine's affair.
    def _meets(self) -> bool:
        self._wait(lambda: self._keeper.has_started, _START_WITHIN_S, _TAKES_UP)
        watch = Stopwatch()
        while watch.elapsed_s() < self._terms.world.settle_s:
            if self._keeper.is_active and self._has_met():
                return True
            if self._keeper.needs_person:
                return False
            self._look()
        return False

    # The node's own word, said after all that the venue knows now, against the truth.
    def _has_met(self) -> bool:
        truth, n_said = self._venue.truth(), self._keeper.n_events
        keeper = self._keeper
        self._wait(
            lambda: not keeper.is_active or keeper.status(n_said) is not None,
            _VERB_WITHIN_S,
            "the node says how it is",
        )
        status = keeper.status(n_said)
        if status is None or status["unknown"] or truth["trades"] != self._venue.truth()["trades"]:
            return False
        ours = {row["symbol"].partition("/")[0]: Decimal(row["qty"]) for row in status["positions"]}
        ours["USDT"] = Decimal(status["cash"])
        theirs = {
            asset: Decimal(row["free"]) + Decimal(row["locked"]) for asset, row in truth["balances"].items()
        }
        n_open = sum(row["status"] in ("NEW", "PARTIALLY_FILLED") for row in truth["orders"])
        return status["n_working"] == n_open and all(
            ours.get(asset, Decimal(0)) == theirs.get(asset, Decimal(0)) for asset in ours | theirs
        )

    def _end_recorder(self) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        n_said = len(recorder.events)
        try:
            recorder.first(_in_step, self._terms.world.settle_s, n_said)
        except ProcessFailed as error:
            self._said.append(f"njord md did not come back to its book: {error}")
        if recorder.is_running and (code := recorder.stop(STOP_WITHIN_S)):
            self._said.append(f"njord md ended with exit code {code}: {recorder.errors()}")

    # --- the operator ---

    def _trip(self) -> None:
        self._halt_trading("tripped")
        self._tripped_ns = (self._root / _FILE).stat().st_mtime_ns

    def _halt_trading(self, reason: str) -> None:
        self._verb("kill", "trip", "--reason", reason)
        self._is_halted = True
        self._keeper.may_start = False  # A tripped switch keeps every node from starting.

    # A node that runs is left halted; one that has died can only be started again once the switch is clear.
    def _let_start(self) -> None:
        if self._keeper.is_running:
            return
        if self._is_halted:
            self._verb("kill", "clear", "--reason", "the venue is well again")
            self._is_halted, self._is_cleared = False, True
        self._keeper.may_start = True

    def _verb(self, *words: str) -> str:
        done = self._program.run(self._root, words)
        if done.returncode > 1:  # 1 is what a tripped switch, or another journal, is.
            raise ProcessFailed(
                f"njord {' '.join(words[:2])} ended with {done.returncode}: {done.stderr.strip()}"
            )
        return done.stdout

    # --- waiting ---

    def _look(self) -> None:
        if self._over.wait(_LOOK_EVERY_S):
            raise Interrupted
        self._keeper.look()

    def _wait(self, is_so: Callable[[], bool], within_s: float, what: str) -> None:
        watch = Stopwatch()
        while not is_so():
            if watch.elapsed_s() > within_s:
                raise ProcessFailed(f"not within {within_s:g} s: {what}; {self._keeper.errors()}")
            self._look()

    # --- the judgment ---

    def _judged(self) -> Evidence:
        terms, truth = self._terms, self._venue.truth()
        folder = session_folder(self._root)
        evidence = evidence_of(
            folder,
            truth,
            position_cap=POSITION_CAP,
            opening=terms.opening,
            tripped_ns=None if self._tripped_ns is None else self._tripped_ns + late_ns(terms.world.plan),
            measures_exposure=not {"A17", "A21"} & terms.kinds,
        )
        # Of a switch that was cleared again nobody asks whether its cancels came through before the node died.
        at_rest = msgspec.structs.replace(evidence, tripped_ns=None) if self._is_cleared else evidence
        self._said += invariants.converged(at_rest)
        self._said += invariants.always(evidence)
        self._said += approved_after_the_word(evidence.journal)
        self._said += [f"{fault} never struck" for fault in terms.lacks(self._struck)]
        if not evidence.truth["orders"]:
            self._said.append("nothing was ordered: the run shows nothing")
        self._said += self._keeper.said
        replayed = json.loads(self._verb("replay", folder.name, "--json"))
        if not replayed["identical"]:
            self._said.append(f"I12: njord replay differs: {replayed['difference']}")
        return evidence

    def _tracebacks(self) -> list[str]:
        return [
            f"{path.name} holds a traceback: {path.read_text(errors='replace')[-300:]!r}"
            for path in sorted(self._root.glob("*.err"))
            if "Traceback" in path.read_text(errors="replace")
        ]

    def _outcome(self, evidence: Evidence | None) -> RealOutcome:
        terms = self._terms
        keeper = getattr(self, "_keeper", None)
        plain_facts = RealOutcome(
            name=terms.name,
            seed=terms.world.seed,
            plan=plain(terms.world.plan),
            struck=self._struck,
            n_lives=0 if keeper is None else keeper.n_lives,
            n_refused=0 if keeper is None else keeper.n_refused,
            is_tripped=self._tripped_ns is not None,
            met_s=round(self._met_s, 1),
            wall_s=round(self._watch.elapsed_s(), 1),
            halt=self._halt,
            violations=tuple(self._said),
        )
        if evidence is None:
            return plain_facts
        return msgspec.structs.replace(
            plain_facts,
            n_messages=len(evidence.journal),
            n_orders=len(evidence.truth["orders"]),
            n_trades=len(evidence.truth["trades"]),
            n_amended=invariants.n_amended(evidence),
            n_unknown=invariants.n_unknown(evidence),
            state="" if evidence.state is None else evidence.state.value,
            reason=evidence.reason,
        )


def _in_step(event: dict[str, Any]) -> bool:
    return event["event"] == "status" and bool(event["is_connected"]) and bool(event["is_in_step"])
