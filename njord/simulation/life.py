"""One process's life in a simulated session: strategy, gate, host, broker core and feeds, from a start to a kill.

The parts are those of a live session (`apps/live_session.py`); the journal is in memory, the way to the venue and the
clock are the simulation's. A life begins with the journal that the one before it left behind.
"""

from collections.abc import Sequence
from decimal import Decimal
from random import Random

import msgspec
from msgspec.structs import replace

from njord.apps.live_host import LiveHost
from njord.apps.live_memory import known_orders, last_trades
from njord.apps.live_recorder import LiveRecorder
from njord.core.config import Config
from njord.core.contracts import KillSwitchState, Message
from njord.core.instrument import Instrument
from njord.core.types import ACTIVE, TradingState
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.execution.gateway import Gateway
from njord.simulation.ear import MarketEar
from njord.simulation.link import ExchangeLink
from njord.simulation.memory_journal import MemoryJournal
from njord.simulation.shell import SimulatedShell
from njord.simulation.trader import SeededTrader
from njord.simulation.virtual_time import VirtualTime
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.binance_core import BinanceBrokerCore
from njord.venues.binance_options import CoreOptions
from njord.venues.broker_wire import Health, Word

ACCOUNT = "main"
OPERATOR = "operator"  # The source of what a person says of the kill switch.
BAR_NS = 10 * NS_PER_S


class LifeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What every life of a session has in common.

    Attributes:
        seed: Of the session.
        instruments: What is traded.
        capital: What the books begin with, in quote.
        position_cap: The gate's limit of one position, in quote.
        key: Of the account at the exchange.
        secret: Of the account.
        quiet_ns: From when on the strategy proposes nothing.
        amends: Whether it also amends orders.
        options: Of the broker core.
        streams: Of the market, that are listened to.
    """

    seed: int
    instruments: tuple[Instrument, ...]
    capital: Decimal
    position_cap: Decimal
    key: str
    secret: str
    quiet_ns: int
    amends: bool
    options: CoreOptions
    streams: tuple[str, ...]


class Begun(msgspec.Struct):
    """What a session keeps beside its journal from its first connection on, as `apps/live_session.py` does.

    Attributes:
        cursors: By symbol, the account's last trade when the session began.
        account_uid: The venue's number for the account; 0 before.
    """

    cursors: dict[str, str] = {}
    account_uid: int = 0


def system_of(terms: LifeTerms, journal: MemoryJournal) -> System:
    """Return the system of a session, fresh."""
    rules = {
        **Config().risk.profiles["paper"].rules,
        "max_position": {"cap_notional": terms.position_cap, "cap_equity_fraction": 0},
        "max_order_notional": {"cap_notional": 600, "cap_equity_fraction": 1},
        "cool_down": {"seconds": 0},  # It is to trade, whatever it loses.
        "daily_loss": {"cap_notional": 0, "cap_equity_fraction": 0},
        "order_rate": {"per_minute": 90, "per_strategy_per_minute": 90},
    }
    traders = tuple(
        (
            index,
            SeededTrader(
                SeededTrader.Params(seed=terms.seed + index, quiet_ns=terms.quiet_ns, amends=terms.amends)
            ),
        )
        for index in range(len(terms.instruments))
    )
    spec = SystemSpec(
        run_id=f"sim-{terms.seed}",
        account_id=ACCOUNT,
        report_asset=terms.instruments[0].quote,
        capital=terms.capital,
        instruments=terms.instruments,
        strategies=(HostedSpec(strategy_id="trader", objects=traders),),
        risk_profile="paper",
        risk_rules=rules,
        cost_bps=Decimal(15),
    )
    return System(spec, journal)


class Life:
    """One process.

    Args:
        time: The clock.
        link: The way to the exchange.
        terms: Of the session.
        journal: What is on disk; empty for a session that begins.
        begun: What the session keeps beside its journal.
        number: Of this life, from 1.

    Attributes:
        journal: What is on disk.
        system: What decides.
        host: What is fed.
        recorder: What follows it.
        shell: The broker; its core is `shell.core`.
        ears: The feeds, one an instrument.
        is_running: It was started, and not killed.
    """

    def __init__(
        self,
        time: VirtualTime,
        link: ExchangeLink,
        terms: LifeTerms,
        journal: MemoryJournal,
        begun: Begun,
        number: int,
    ) -> None:
        self._time = time
        self._terms = terms
        self._is_over = False
        self.is_running = False
        self._timer_ns = FOREVER_NS  # When the host is woken next.
        self._begun = begun
        self.journal = journal
        self.recorder = LiveRecorder(terms.instruments)
        self.shell = SimulatedShell(time, link, terms.key, terms.secret, terms.instruments, self._hear)
        self.system = system = system_of(terms, journal)
        self.host = LiveHost(
            system.engine,
            system.ledger.account,
            Gateway(self.shell, terms.instruments, ACCOUNT),
            terms.instruments,
            system.gate.exposure.mark_ticks,
            ACCOUNT,
            self.recorder,
            time,
            before_send=journal.sync,
        )
        self._jitter = Random(f"jitter {terms.seed} {number}")
        self.ears = [
            MarketEar(time, link, index, instrument, BAR_NS, terms.streams, self._accept)
            for index, instrument in enumerate(terms.instruments)
        ]

    def start(self) -> None:
        """Read the journal, then connect; a life that is over does nothing."""
        if self._is_over:
            return
        self.is_running = True
        is_new = not self.journal.messages
        self.journal.run_again(self.host)
        if is_new:
            self.host.switch(TradingState.ACTIVE)
        self.host.begin()
        instruments, host = self._terms.instruments, self.host
        core = BinanceBrokerCore(
            instruments,
            replace(self._terms.options, account_uid=self._begun.account_uid),
            known_orders(host, instruments),
            last_trades(host, instruments, self._begun.cursors),
            jitter=self._jitter,
        )
        self.shell.start(core)
        for ear in self.ears:
            ear.start()
        self._look()

    def kill(self) -> None:
        """End it at once: nothing is said, nothing is canceled, what is on its way stays on its way."""
        self.is_running, self._is_over = False, True
        self.shell.stop()
        for ear in self.ears:
            ear.stop()

    def switch(self, state: TradingState, reason: str, *, cancels: bool) -> None:
        """Let the operator say what may be traded."""
        self.host.tell(
            KillSwitchState(
                ts_ns=max(self.host.now_ns, self._time.now_ns()),
                state=state,
                source=OPERATOR,
                valid_until_ns=FOREVER_NS,
                reason=reason,
                cancels=cancels,
            )
        )
        self._look()

    # --- what comes in ---

    def _hear(self, words: Sequence[Word]) -> None:
        # Before the first order can leave, as in `apps/live_node.py`.
        begun, core = self._begun, self.shell.core
        if not begun.account_uid and any(isinstance(each, Health) and each.state is ACTIVE for each in words):
            begun.cursors, begun.account_uid = dict(core.cursors), core.account_uid
        self.host.hear(words)
        self._look()

    def _accept(self, message: Message) -> None:
        self.host.accept(message)
        self._look()

    # Whatever was told may have set a timer.
    def _look(self) -> None:
        due_ns = self.host.timers.next_due_ns
        if due_ns < self._timer_ns:
            self._timer_ns = due_ns
            self._time.at(due_ns, self._wake)

    def _wake(self) -> None:
        self._timer_ns = FOREVER_NS
        if not self._is_over:
            self.host.pass_time(self._time.now_ns())
            self._look()
