"""Services in memory: the real stages, the real words between them, and a way there that may be as bad as it likes."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from njord.adapters.seal import SealKey
from njord.apps.lockstep import LockStepEngine
from njord.apps.services_door import Door
from njord.apps.services_stages import StageService
from njord.apps.services_words import RISK, STRAT, Entry, Hello, encode_reply
from njord.core.codec import decode, encode
from njord.core.component import JournalSink
from njord.core.contracts import Bar, BookEvent, Message, Target, TimerFired, TimerSet, TradeEvent
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from njord.system import System
from tests.property.strategies import INTERVAL_NS, START_NS, BarHost, instrument

KEY = SealKey(bytes(range(32)))
RUN = "run.1"
STEP_S = 0.1


class MemoryLine:
    """The way to the services: what is put in reaches them at once, unless a test spoils it.

    Args:
        systems: Makes a fresh system.
        n_known: How many messages were written before the line was there.

    Attributes:
        log: Every message that was put in.
        deaf: Services that read nothing for now.
        spoil: Called with every batch of answers; what it returns arrives.
        now_s: Time, which passes while somebody waits.
    """

    def __init__(self, systems: Callable[[], System], known: Sequence[Message] = ()) -> None:
        self._systems = systems
        self.log: list[Entry] = []
        self._known = list(known)
        self.services = {name: self.fresh(name) for name in (RISK, STRAT)}
        self._read = dict.fromkeys(self.services, 0)
        self.deaf: set[str] = set()
        self.spoil: Callable[[list[bytes]], list[bytes]] = lambda said: said
        self.now_s = 0.0
        self._said: list[bytes] = []

    def fresh(self, name: str) -> StageService:
        """Return a service that has seen what was written before there was a line."""
        service = StageService(name, self._systems(), RUN, KEY if name == RISK else None)
        for seq, message in enumerate(self._known, 1):
            service.apply(seq, message)
        return service

    def restart(self, name: str) -> None:
        """Kill a service; the next one reads everything again, says nothing of it, and says hello."""
        service = self.services[name] = self.fresh(name)
        for entry in self.log:
            if not entry.again:
                service.apply(entry.seq, decode(entry.message))
        self._read[name] = len(self.log)
        self._said.append(encode_reply(Hello(name, service.applied)))

    def say(self, raw: bytes) -> None:
        """Put something into the stream of answers, as anybody could who reaches it."""
        self._said.append(raw)

    def exchange(self, entries: Sequence[Entry], wait_s: float) -> list[bytes]:
        """Put entries behind the last one, and return what was said since the last call."""
        self.log += entries
        for name, service in self.services.items():
            if name in self.deaf:
                continue
            for entry in self.log[self._read[name] :]:
                self._said += _answers(service, entry)
            self._read[name] = len(self.log)
        said, self._said = self.spoil(self._said), []
        if not said:
            self.now_s += wait_s
        return said


def _answers(service: StageService, entry: Entry) -> list[bytes]:
    if entry.again:
        return service.again(entry.again)
    answer = service.apply(entry.seq, decode(entry.message))
    return [] if answer is None else [answer]


def engine_over(line: MemoryLine, system: System, journal: JournalSink, n_known: int) -> LockStepEngine:
    """Return the engine of `system`, whose risk and strategy stages are behind `line`."""
    return LockStepEngine(
        system.stages, journal, line, Door(KEY, RUN), last_seq=n_known, now_s=lambda: line.now_s
    )


TRADED_ONE = (instrument("BTC/USDT"),)


class Follower(Strategy):
    """Wants another weight at every price."""

    def __init__(self) -> None:
        super().__init__(StrategyParams())
        self._n = 0

    def _next(self) -> Proposals:
        self._n += 1
        return Target(weight=(0.9, 0.0, 0.4)[self._n % 3])

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        return self._next()

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        return self._next()

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        return self._next()

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return TimerSet(key="again", due_ns=timer.ts_ns + 1)


def follower_host() -> BarHost:
    return BarHost({"f": [(0, Follower())]}, TRADED_ONE)


def split(host: BarHost, systems: Any) -> tuple[MemoryLine, LockStepEngine]:
    """Put the host's risk and strategy stages behind a line."""
    line = MemoryLine(systems, host.journal.messages)
    engine = engine_over(line, host.system, host.journal, len(host.journal.messages))
    cast(Any, host.system).engine = engine
    return line, engine


def bar(number: int, close: int = 1000) -> Bar:
    open_ns = START_NS + number * INTERVAL_NS
    return Bar(
        ts_ns=open_ns + INTERVAL_NS,
        instrument=0,
        ts_open_ns=open_ns,
        open=close,
        high=close + 5,
        low=close - 5,
        close=close,
        volume_lots=100,
    )


def bars(n: int) -> list[Bar]:
    return [bar(number, 1000 + number % 7) for number in range(n)]


def written(messages: Sequence[Message]) -> list[bytes]:
    return [encode(message) for message in messages]


def one_process(market: Sequence[Bar]) -> list[bytes]:
    return written(follower_host().run(market).journal.messages)


def system() -> System:
    return follower_host().system
