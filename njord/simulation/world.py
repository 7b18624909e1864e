"""One seed, one run: a trading system against the local exchange on a virtual clock, in trouble, and what was wrong with it.

The seed decides everything: the market, the delays of every way, the faults, what the strategy does, when somebody trips
the kill switch, when the process is killed and how much of its journal survives. After the faults the world is left alone
for a while; then books and truth are compared (`invariants.py`), and the journal is run again.
"""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Final

import msgspec

from njord.core.errors import NjordError
from njord.core.instrument import Instrument
from njord.core.types import TradingState
from njord.core.units import NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.fault_plan import FAULTS, FaultPlan, swarm
from njord.exchange.faults import Nemesis
from njord.exchange.synthetic_market import SyntheticMarket, SyntheticTerms
from njord.simulation import ear, invariants
from njord.simulation.invariants import Evidence
from njord.simulation.life import ACCOUNT, Begun, Life, LifeTerms
from njord.simulation.link import ExchangeLink, LinkTerms
from njord.simulation.memory_journal import MemoryJournal
from njord.simulation.virtual_time import VirtualTime
from njord.venues.binance_options import CoreOptions, StreamKind

BEGIN_NS: Final = 1_790_000_000 * NS_PER_S
PATIENCE_S: Final = 30  # At the end, for the moment at which nothing is on its way.
KEY, SECRET = "simkey", "simsecret"
BTC: Final = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    min_notional=Decimal(10),
)
BNB: Final = Instrument(
    symbol="BNB/USDT",
    venue="binanceus",
    base="BNB",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(10),
)
THIN: Final = SyntheticTerms(levels=20, level_quote=150.0)  # So that orders fill in parts.
CAPITAL: Final = Decimal(10_000)
POSITION_CAP: Final = Decimal(2_000)
BNB_HELD: Final = Decimal(1)  # For fees; the books learn of it from the venue.


class WorldTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What happens in one run.

    Attributes:
        seed: Of everything that is drawn.
        plan: The faults.
        duration_s: How long the strategy trades and faults strike.
        settle_s: How long the world is left alone then: T of invariant I15.
        trips_s: When the operator trips the kill switch and has everything canceled; None = never.
        crashes_s: When the process is killed, and started again a moment later.
        cancels: Whether all orders are canceled when the strategy falls silent; else they rest on.
        stream: Kind of the user stream.
        amends: Whether the strategy also amends orders.
    """

    seed: int
    plan: FaultPlan = FaultPlan()
    duration_s: float = 120.0
    settle_s: float = 150.0
    trips_s: float | None = None
    crashes_s: tuple[float, ...] = ()
    cancels: bool = False
    stream: StreamKind = StreamKind.SIGNATURE
    amends: bool = True


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        journal: SHA-256 of the journal.
        violations: What must not be, one line each; empty if all is well.
        struck: How often each fault of the plan struck.
        halt: Why trading was still halted when the world had settled; a person has started the session again then.
        state: What the connection to the venue allowed in the end.
        reason: Why, if not everything.
    """

    seed: int
    journal: str
    n_messages: int
    n_orders: int
    n_trades: int
    n_amended: int
    n_unknown: int
    n_lives: int
    virtual_s: float
    struck: dict[str, int]
    halt: str = ""
    state: str
    reason: str
    violations: tuple[str, ...]


def terms_of(
    seed: int, faults: Sequence[str] = FAULTS, duration_s: float = 120.0, *, amends: bool = True
) -> WorldTerms:
    """Return what a seed stands for; without faults, a plain run."""
    random = Random(f"world {seed}")
    plan = swarm(seed, duration_s, faults) if faults else FaultPlan()
    trips_s = round(random.uniform(0.3, 0.9) * duration_s, 3) if random.random() < 0.25 else None
    n_crashes = random.choice((0, 0, 0, 1, 1, 2)) if faults else 0
    crashes_s = tuple(sorted(round(random.uniform(0.05, 1.0) * duration_s, 3) for _ in range(n_crashes)))
    return WorldTerms(
        seed=seed,
        plan=plan,
        duration_s=duration_s,
        trips_s=trips_s,
        crashes_s=crashes_s,
        cancels=random.random() < 0.3,
        stream=random.choice((StreamKind.SIGNATURE, StreamKind.SIGNATURE, StreamKind.LISTEN_KEY)),
        amends=amends,
    )


class World:
    """Everything of one run.

    Args:
        terms: What happens.

    Attributes:
        time: The clock.
        exchange: The venue, with its truth.
        nemesis: What stands before it.
        life: The process that runs now.
        lives: All of them, oldest first.
    """

    def __init__(self, terms: WorldTerms) -> None:
        seed = terms.seed
        kinds = {spec.fault for spec in terms.plan.faults}
        instruments = (BTC, BNB) if "A12" in kinds else (BTC,)
        self._opening = {"BNB": BNB_HELD} if len(instruments) > 1 else {}
        self.terms = terms
        self._random = Random(f"world's own {seed}")
        self.time = VirtualTime(BEGIN_NS)
        self.exchange = Exchange(
            SyntheticMarket(instruments, seed, BEGIN_NS, terms=THIN),
            [AccountSpec(name=ACCOUNT, key=KEY, secret=SECRET, balances={"USDT": CAPITAL, **self._opening})],
            ExchangeOptions(),
            BEGIN_NS,
        )
        self.nemesis = Nemesis(self.exchange, terms.plan, seed, BEGIN_NS, (ACCOUNT,), (KEY,))
        self._link = ExchangeLink(self.time, self.nemesis, Random(f"link {seed}"), LinkTerms())
        self._life_terms = LifeTerms(
            seed=seed,
            instruments=instruments,
            capital=CAPITAL,
            position_cap=POSITION_CAP,
            key=KEY,
            secret=SECRET,
            quiet_ns=_at(terms.duration_s),
            amends=terms.amends,
            options=CoreOptions(stream=terms.stream),
            streams=ear.ALL if kinds & {"B1", "B5", "B6"} else ear.TRADES,
        )
        self._begun = Begun()
        self.life = Life(self.time, self._link, self._life_terms, MemoryJournal(), self._begun, 1)
        self.lives = [self.life]
        self.tripped_ns: int | None = None
        self._halts = ""  # Why the operator has halted trading; empty = he has not.

    # --- what happens ---

    def run(self) -> None:
        """Let everything happen, until the faults are over and the world has settled."""
        terms, time = self.terms, self.time
        self._link.start()
        self.life.start()
        if terms.trips_s is not None:
            time.at(_at(terms.trips_s), self._trip)
        for crash_s in terms.crashes_s:
            time.at(_at(crash_s), self._crash)
        time.run(_at(terms.duration_s))
        self.nemesis.clear()
        if terms.cancels:
            self._halt("the run ends")
        time.run(_at(terms.duration_s + terms.settle_s))

    def _trip(self) -> None:
        self.tripped_ns = self.time.now_ns()
        self._halt("tripped")

    # The switch is a file beside the process: who starts later reads it too.
    def _halt(self, reason: str) -> None:
        self._halts = reason
        if self.life.is_running:
            self.life.switch(TradingState.HALTED, reason, cancels=True)

    def _crash(self) -> None:
        journal = self.life.journal
        n_kept = self._random.randint(journal.n_synced, len(journal.messages))
        self.restart(n_kept, 1 + 20 * self._random.random())

    def restart(self, n_kept: int, after_s: float) -> None:
        """Kill the process, and start another one with what is left of its journal."""
        self.life.kill()
        journal = self.life.journal.cut(n_kept)
        self.life = life = Life(
            self.time, self._link, self._life_terms, journal, self._begun, len(self.lives) + 1
        )
        self.lives.append(life)

        def start() -> None:
            life.start()
            if self._halts and life.is_running:
                life.switch(TradingState.HALTED, self._halts, cancels=True)

        self.time.at(self.time.now_ns() + round(after_s * NS_PER_S), start)

    # --- what is known of it ---

    def evidence(self) -> Evidence:
        """Return what the checkers look at, as of now."""
        life = self.life
        health = life.host.health
        return Evidence(
            instruments=self._life_terms.instruments,
            truth=self.exchange.truth()["accounts"][ACCOUNT],
            journal=life.journal.messages,
            sent=[sent for each in self.lives for sent in each.shell.sent],
            opening=self._opening,
            account=life.system.ledger.account,
            working=life.system.oms.working,
            suspended=[each.error for each in life.recorder.suspended],
            state=None if health is None else health.state,
            reason="" if health is None else health.reason,
            tripped_ns=self.tripped_ns,
            position_cap=POSITION_CAP,
            measures_exposure=not {"A17", "A21"} & {spec.fault for spec in self.terms.plan.faults},
        )

    def settled(self) -> list[str]:
        """Wait until nothing is on its way, in vain if books and truth do not meet; return how they differ."""
        until_ns = self.time.now_ns() + PATIENCE_S * NS_PER_S
        while (differences := invariants.converged(self.evidence())) and self.time.now_ns() < until_ns:
            self.time.run(self.time.now_ns() + NS_PER_S)
        return differences

    def replayed(self) -> list[str]:
        """Run the journal again in a fresh system; return what it did otherwise."""
        journal = MemoryJournal(self.life.journal.messages)
        try:
            journal.run_again(Life(self.time, self._link, self._life_terms, journal, Begun(), 0).host)
        except NjordError as error:
            return [f"I12: the journal run again differs: {error}"]
        n_new = len(journal.messages) - len(self.life.journal.messages)
        return [f"I12: the journal run again has {n_new} messages more"] if n_new else []


def simulate(terms: WorldTerms) -> Outcome:
    """Run a world and judge it."""
    world = World(terms)
    violations, halt = list[str](), ""
    try:
        world.run()
        first = world.evidence()
        if first.state is not TradingState.ACTIVE:
            violations += invariants.halted(first)
            halt = first.reason
            # A named halt needs a person, who has put right what was wrong and starts the session again.
            world.restart(len(world.life.journal.messages), 1.0)
            world.time.run(world.time.now_ns() + round(terms.settle_s * NS_PER_S))
        violations += world.settled()
        violations += invariants.always(world.evidence())
        violations += world.replayed()
    except NjordError as error:
        violations.append(f"the run broke: {type(error).__name__}: {error}")
    return _outcome(world, violations, halt)


def _outcome(world: World, violations: Sequence[str], halt: str) -> Outcome:
    evidence = world.evidence()
    journal = world.life.journal
    return Outcome(
        seed=world.terms.seed,
        journal=journal.digest(),
        n_messages=len(journal.messages),
        n_orders=len(evidence.truth["orders"]),
        n_trades=len(evidence.truth["trades"]),
        n_amended=invariants.n_amended(evidence),
        n_unknown=invariants.n_unknown(evidence),
        n_lives=len(world.lives),
        virtual_s=(world.time.now_ns() - BEGIN_NS) / NS_PER_S,
        struck=world.nemesis.struck(),
        halt=halt,
        state="" if evidence.state is None else evidence.state.value,
        reason=evidence.reason,
        violations=tuple(violations),
    )


def _at(seconds: float) -> int:
    return BEGIN_NS + round(seconds * NS_PER_S)
