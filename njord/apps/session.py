"""One paper session on disk: what was prepared and a state folder in; a host that can be fed, or go on, out.

A session is a folder with `session.json` (which run it is) and a journal, which is all of its state. Opening one takes
the lock of the state folder; an unfinished session of the same run is run again to where it stopped (`recovery.py`).
Before an order leaves everything before it is durable.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol, Self

import msgspec

from njord.adapters.clock import Stopwatch
from njord.adapters.state_lock import StateLock
from njord.apps.feed_file import FeedFile
from njord.apps.fenced_disk import FencedDisk
from njord.apps.recovery import Recovered, SessionJournal, recover
from njord.apps.session_files import PAPER, SessionFiles, check_name, session_folder
from njord.backtest.feed_blocks import FEED_NAME
from njord.backtest.host import HOST, SimulatedHost
from njord.backtest.market import Market
from njord.backtest.recorded_run import RecordedRows
from njord.backtest.recorder import Recorder
from njord.backtest.simulation import Prepared, precompute, venue_of
from njord.core.contracts import KillSwitchState, Message, Ref
from njord.core.errors import JournalHalted
from njord.core.types import TradingState
from njord.storage.disk import Disk, OsDisk
from njord.storage.journal import JournalWriter, Seam
from njord.storage.journal_reader import read_blocks
from njord.storage.tape import Tape
from njord.system import System

__all__ = ["OpenSession", "Resumed", "Session", "SessionHost", "session_folder"]

Progress = Callable[[int, int], None]  # Messages run again, messages in all.


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """What was there when a session went on.

    Attributes:
        n_rows: Messages of the market among them.
        took_s: How long it took to run them again.
        seam: Where a crash had torn the journal; None if it had not.
    """

    n_messages: int
    n_rows: int
    took_s: float
    seam: Seam | None


class SessionHost(Protocol):
    """What every host of a session is to those beside it."""

    now_ns: int

    def tell(self, message: Message) -> None:
        """Hand the engine a message that is no market data."""

    def accept(self, message: Message) -> None:
        """Hand the engine the next message of the market, and before it whatever is due."""

    def switch(self, state: TradingState) -> None:
        """Tell the engine the host's own state."""

    def reconcile(self) -> None:
        """Compare our books with the venue's.

        Raises:
            VenueError: Nobody knows, or not yet.
            InvariantError: They disagree.
        """


class OpenSession(ABC):
    """A session that may be fed; `open` makes one, and `close` must end it. Who its host is, is the kind's own.

    Attributes:
        name: Of its folder.
        prepared: The run.
        system: What decides.
        recorder: What has come of it.
        journal: Its state.
        messages: The way to it: everything that is appended, for who wants to hear it.
        n_rows: How many messages of the market it has consumed: the cursor.
        told_refs: Those told of the block that the next message comes from.
        controls: The last word of every source that can stop trading.
        resumed: What was there before; None for a new session.
        feed_file: Where a live feed records what it says; None if the market is recorded.
    """

    KIND: ClassVar[str]

    name: str
    folder: Path
    prepared: Prepared
    system: System
    recorder: Recorder
    journal: JournalWriter
    messages: SessionJournal
    n_rows: int
    told_refs: tuple[Ref, ...]
    controls: Mapping[str, KillSwitchState]
    resumed: Resumed | None
    feed_file: FeedFile | None
    _lock: StateLock
    _disk: FencedDisk
    _files: SessionFiles

    @property
    @abstractmethod
    def door(self) -> SessionHost:
        """The host, for those who only tell it something."""

    # Make system, recorder and host, which write to what the tape has and then to the journal.
    @abstractmethod
    def _wire(self, tape: Tape | None) -> None: ...

    # Run the host to where the tape ends.
    @abstractmethod
    def _replay(self, tape: Tape, rows: RecordedRows, on_seq: Callable[[int], None]) -> Recovered: ...

    @classmethod
    def open(
        cls,
        prepared: Prepared,
        state: Path,
        *,
        name: str | None = None,
        fresh: bool = False,
        disk: Disk | None = None,
        progress: Progress = lambda done, total: None,
        is_live: bool = False,
        outfit: Callable[[Self], None] = lambda session: None,
    ) -> Self:
        """Go on with the unfinished session of this run, or begin one.

        Args:
            prepared: The run; its market is read from the start.
            state: The state folder.
            name: Of the session; None = the last one of these strategies on these data, or a new name.
            fresh: Begin one even if there is one to go on with.
            disk: Where it is written.
            progress: Told of the recovery.
            is_live: The market is a feed that only the session records, in a file of its own.
            outfit: Gives the session what its kind needs, before anything is run.

        Raises:
            ConfigError: The name is none, another process has the state folder, or the session is another run's.
            JournalError: The session can not go on: the code decides otherwise than its journal says.
            JournalHalted: The disk refused.
        """
        if name is not None:
            check_name(name)
        lock = StateLock.acquire(state)
        fenced = FencedDisk(disk or OsDisk(), lock)
        session = cls.__new__(cls)
        session._lock, session._disk = lock, fenced
        session.prepared = prepared
        outfit(session)
        try:
            session._files = SessionFiles.find(state, prepared, name, fresh, cls.KIND)
            session.folder = session._files.folder
            session.name = session.folder.name
            session._begin(is_live, progress)
        except BaseException:
            session._let_go()
            raise
        return session

    def _begin(self, is_live: bool, progress: Progress) -> None:
        watch, folder = Stopwatch(), self.folder / "journal"
        self.journal, seam = JournalWriter.resume(folder, self._disk)
        self.journal.sync()  # What is there may be younger than the last sync, and is about to be built on.
        n_before = self.journal.n_messages
        tape = Tape(read_blocks(folder)) if n_before else None
        self.feed_file = FeedFile(self.folder / FEED_NAME, self._disk) if is_live else None
        self._wire(tape)
        seen = Recovered()
        if tape is not None:
            rows = RecordedRows(self.prepared.market, self.feed_file.blocks() if self.feed_file else None)
            seen = self._replay(tape, rows, lambda seq: progress(seq, n_before))
        self.n_rows, self.told_refs, self.controls = seen.n_rows, seen.refs, seen.controls
        if not seen.has_started:
            self.door.tell(self.prepared.started)
        if HOST not in self.controls:
            self.door.switch(TradingState.ACTIVE)
        self.resumed = None
        if n_before:
            self.resumed = Resumed(
                n_messages=n_before, n_rows=self.n_rows, took_s=watch.elapsed_s(), seam=seam
            )

    def close(self, *, finished: bool) -> None:
        """End it: a finished one with its end mark, any other durable as it is.

        Args:
            finished: The data have ended and every order with them; it never goes on.

        Raises:
            JournalHalted: The disk refused.
            InvariantError: Another instance has taken over.
        """
        try:
            if finished:
                self.journal.close()
                self._seal()
            else:
                self.journal.sync()
        finally:
            self._let_go()

    # The journal has its end: the next start finds it there, and says it in the file then.
    def _seal(self) -> None:
        try:
            self._files.seal(self.journal.head, self.journal.n_messages)
        except OSError as error:
            raise JournalHalted(f"{self._files.path} can not be written: {error.strerror or error}") from None

    def abandon(self) -> None:
        """Let go of it as it lies on disk: the journal has halted, or a promise is broken."""
        self._let_go()

    def _let_go(self) -> None:
        try:
            self._disk.close()
        except OSError as error:
            raise JournalHalted(f"DISK_ERROR: {error.strerror or error}") from None
        finally:
            self._lock.release()


class Session(OpenSession):
    """A session at the simulated venue, which is rebuilt with it.

    Attributes:
        host: What is fed.
    """

    KIND = PAPER

    host: SimulatedHost

    @property
    def door(self) -> SessionHost:
        """The host."""
        return self.host

    def _wire(self, tape: Tape | None) -> None:
        prepared = self.prepared
        market: Market = prepared.market
        spec, instruments = prepared.fresh_spec(), market.instruments
        self.messages = SessionJournal(self.journal, tape)
        self.recorder = Recorder(instruments)
        self.system = System(spec, self.messages)
        if self.feed_file is None:  # What is to come of a live feed nobody can compute with.
            precompute(self.system, market)
        self.host = SimulatedHost(
            self.system.engine,
            self.system.ledger.account,
            venue_of(spec, prepared.config.backtest, market),
            instruments,
            [market.has_ticks(index) for index in range(len(instruments))],
            spec.account_id,
            self.recorder,
            before_send=self.messages.sync,
        )

    def _replay(self, tape: Tape, rows: RecordedRows, on_seq: Callable[[int], None]) -> Recovered:
        return recover(tape, self.host, rows, on_seq)
