"""Services in memory: the real stages, the real words between them, and a way there that may be as bad as it likes."""

from collections.abc import Callable, Sequence

from njord.adapters.seal import SealKey
from njord.apps.lockstep import LockStepEngine
from njord.apps.services_door import Door
from njord.apps.services_stages import StageService
from njord.apps.services_words import RISK, STRAT, Entry, Hello, encode_reply
from njord.core.codec import decode
from njord.core.component import JournalSink
from njord.core.contracts import Message
from njord.system import System

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
