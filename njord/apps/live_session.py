"""One live session on disk: like a paper session, at a real venue. Its journal is all of its state.

Opening one runs the journal again without sending anything; only then may the broker be started, with what the session
knows of every order and the last trade of each symbol. What the venue held when a session began is written beside the
journal: it is the capital that the session's profit is measured from.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from njord.adapters.state_lock import write_durably
from njord.apps.live_account import check_uid, note_uid
from njord.apps.live_host import LiveHost
from njord.apps.live_memory import known_orders, last_trades
from njord.apps.live_recorder import LiveRecorder
from njord.apps.recovery import Recovered, SessionJournal, recover_live
from njord.apps.session import OpenSession, Progress, SessionHost
from njord.apps.session_files import LIVE
from njord.backtest.recorded_run import RecordedRows
from njord.backtest.simulation import Prepared
from njord.core.clock import Clock
from njord.core.errors import ConfigError, JournalHalted
from njord.execution.gateway import Gateway
from njord.storage.disk import Disk
from njord.storage.tape import Tape
from njord.system import System
from njord.venues.broker_wire import KnownOrder

CURSORS_FILE: Final = "cursors.json"


class LiveSession(OpenSession):
    """A session at a live venue.

    Attributes:
        host: What is fed.
    """

    KIND = LIVE

    host: LiveHost
    _gateway: Gateway
    _clock: Clock
    _account_uid: int

    @classmethod
    def open_live(
        cls,
        prepared: Prepared,
        state: Path,
        gateway: Gateway,
        clock: Clock,
        *,
        account_uid: int = 0,
        name: str | None = None,
        fresh: bool = False,
        disk: Disk | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Self:
        """Go on with the unfinished session of this run, or begin one; see `OpenSession.open`.

        Args:
            prepared: The run.
            state: The state folder.
            gateway: The way to the venue; its broker need not be started yet, nothing is sent here.
            clock: The host's.
            account_uid: The venue's number for the account that must answer; 0 = not known yet.
            name: Of the session.
            fresh: Begin one even if there is one to go on with.
            disk: Where it is written.
            progress: Told of the recovery.

        Raises:
            ConfigError: The session trades for another account.
        """

        def outfit(session: Self) -> None:
            session._gateway, session._clock, session._account_uid = gateway, clock, account_uid

        return cls.open(
            prepared,
            state,
            name=name,
            fresh=fresh,
            disk=disk,
            progress=progress,
            is_live=True,
            outfit=outfit,
        )

    @property
    def door(self) -> SessionHost:
        """The host."""
        return self.host

    def _wire(self, tape: Tape | None) -> None:
        check_uid(self.folder, self._account_uid)
        prepared = self.prepared
        spec, instruments = prepared.fresh_spec(), prepared.market.instruments
        self.messages = SessionJournal(self.journal, tape)
        self.recorder = LiveRecorder(instruments)
        self.system = System(spec, self.messages)
        self.host = LiveHost(
            self.system.engine,
            self.system.ledger.account,
            self._gateway,
            instruments,
            self.system.gate.exposure.mark_ticks,
            spec.account_id,
            self.recorder,
            self._clock,
            before_send=self.messages.sync,
        )

    def _replay(self, tape: Tape, rows: RecordedRows, on_seq: Callable[[int], None]) -> Recovered:
        return recover_live(tape, self.host, rows, on_seq)

    # --- for the broker ---

    def known_orders(self) -> list[KnownOrder]:
        """Return what the journal says of every order of the session, oldest first."""
        return known_orders(self.host, self.prepared.market.instruments)

    def note_beginning(self, cursors: Mapping[str, str], account_uid: int) -> None:
        """Remember, durably and once, for which account the session trades, and behind which of its trades it began.

        Args:
            cursors: The id of the last trade, by symbol.
            account_uid: The venue's number for the account.

        Raises:
            JournalHalted: The disk refuses.
        """
        note_uid(self.folder, account_uid)
        path = self.folder / CURSORS_FILE
        if path.exists():
            return
        try:
            write_durably(path, msgspec.json.encode(dict(cursors)))
        except OSError as error:
            raise JournalHalted(f"{path} can not be written: {error.strerror or error}") from None

    def cursors(self) -> Mapping[str, str]:
        """Return the id of the last trade told, or before the beginning, by symbol; none before the first connection.

        Raises:
            ConfigError: The file that says where the session began is damaged.
        """
        return last_trades(self.host, self.prepared.market.instruments, self._begun())

    def _begun(self) -> dict[str, str]:
        path = self.folder / CURSORS_FILE
        try:
            found = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            found = {"": "?"}
        if not all(trade_id.isdigit() for trade_id in found.values()):
            raise ConfigError(f"{path} is damaged", "put the original back, or begin a new session: --fresh")
        return found
