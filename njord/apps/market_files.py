"""Where does a recording of a market go, and when does it become datasets? Lines in; raw captures, then graded rows, out.

Lines are on disk within a second. Every so often the file is closed, a new one begins, and the closed one is imported
like any capture: merged, graded, with a certificate; then minutes are made of its trades. A file that could not be
imported stays, and so does one that a crash left behind: the next start imports it.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

from njord.adapters.state_lock import StateLock
from njord.apps.data_import import ImportRequest, import_files
from njord.apps.resample import resample
from njord.apps.store_rows import Source, StoredRows, store_rows
from njord.core.errors import DataError, JournalHalted
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_S
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import show_interval
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store

CAPTURES: Final = "captures"
_SUFFIX: Final = ".jsonl"
_TIMEFRAME: Final = "1m"

Imported = tuple[StoredRows, ...]


class MarketFile:
    """The raw capture of one market that is being written.

    Args:
        folder: Of this market's captures; made if missing.
        now_ns: Names the file.

    Raises:
        JournalHalted: The disk refuses.
    """

    def __init__(self, folder: Path, now_ns: int) -> None:
        self.folder = folder
        self.n_bytes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open(now_ns)
        except OSError as error:
            raise self._halted(error) from None

    def write(self, lines: bytes) -> None:
        """Append whole lines.

        Raises:
            JournalHalted: The disk refuses.
        """
        try:
            self._file.write(lines)
        except OSError as error:
            raise self._halted(error) from None
        self.n_bytes += len(lines)

    def flush(self) -> None:
        """Return once everything survives a power cut.

        Raises:
            JournalHalted: The disk refuses.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._halted(error) from None

    def turn_over(self, now_ns: int) -> Path | None:
        """Close the file and begin another; return the closed one, None if nothing was written to it.

        Raises:
            JournalHalted: The disk refuses.
        """
        closed = self.close()
        try:
            self._open(now_ns)
        except OSError as error:
            raise self._halted(error) from None
        return closed

    def close(self) -> Path | None:
        """Close the file; return it, None if nothing was written to it.

        Raises:
            JournalHalted: The disk refuses.
        """
        self.flush()
        self._file.close()
        if self.n_bytes:
            return self._path
        self._path.unlink()
        return None

    def _open(self, now_ns: int) -> None:
        when = datetime.fromtimestamp(now_ns // NS_PER_S, UTC)
        self._path = self.folder / f"{when:%Y%m%dT%H%M%S}-{now_ns % NS_PER_S:09}{_SUFFIX}"
        self._file = self._path.open("xb")
        self.n_bytes = 0

    def _halted(self, error: OSError) -> JournalHalted:
        return JournalHalted(f"{self.folder} can not be written: {error.strerror or error}")


class MarketKeeper:
    """Turns closed captures into datasets.

    Args:
        captures: The folder of all captures.
        store: The folder of the store; made when the first capture has proved readable.
        venue: Where the markets are.
        keeps_raw: Whether a capture stays once it was imported.
        notice: Told in one line of what could not be imported.
    """

    def __init__(
        self, captures: Path, store: Path, venue: str, keeps_raw: bool, notice: Callable[[str], None]
    ) -> None:
        self.captures = captures
        self._store = store
        self._venue = venue
        self._keeps_raw = keeps_raw
        self._notice = notice

    def folder(self, instrument: Instrument) -> Path:
        """Return where the captures of a market are written."""
        return self.captures / self._venue / f"{instrument.base}_{instrument.quote}"

    def lock(self, instrument: Instrument) -> StateLock:
        """Return the lock of a market's captures.

        Raises:
            ConfigError: Another process records it.
        """
        folder = self.folder(instrument)
        folder.mkdir(parents=True, exist_ok=True)
        return StateLock.acquire(folder)

    def left_behind(self, instrument: Instrument) -> list[Path]:
        """Return the captures of a market that nobody has imported, oldest first; empty ones are removed."""
        found = []
        for path in sorted(self.folder(instrument).glob(f"*{_SUFFIX}")):
            if path.stat().st_size:
                found.append(path)
            else:
                path.unlink()
        return found

    def take_in(self, instrument: Instrument, path: Path) -> Imported:
        """Import one closed capture, and make minutes of its trades; what can not be is told, and the file stays."""
        try:
            done = tuple(self._taken_in(instrument, path))
        except DataError as error:
            self._notice(f"{path} is not imported yet: {error}; njord data import {path} tries again")
            return ()
        if self._keeps_raw:
            path.rename(path.with_suffix(f"{_SUFFIX}.done"))
        else:
            path.unlink()
        return done

    def _taken_in(self, instrument: Instrument, path: Path) -> Iterator[StoredRows]:
        request = ImportRequest(
            paths=(path,),
            venue=self._venue,
            options=BarOptions(symbol=instrument.symbol, venue=self._venue, repair=True),
        )
        yield from import_files(request, self._store, {instrument.symbol: instrument})
        yield from self._minutes(instrument)

    def _minutes(self, instrument: Instrument) -> Iterator[StoredRows]:
        store = Store(self._store)
        trades = DatasetKey(DataKind.TRADES, self._venue, instrument.symbol, "")
        if not (store.root / trades.path).exists():
            return
        with store.open(trades.path) as stored:
            bars = resample(
                stored.chunks(None, None),
                stored.instrument,
                timeframe=_TIMEFRAME,
                keep_partial=False,
            )
            first = next(bars, None)
            if first is None:
                return  # Not one minute is over.
            key = DatasetKey(DataKind.BARS, self._venue, instrument.symbol, show_interval(bars.interval_ns))
            source = Source(
                name=f"{stored.path} resampled",
                sha256=stored.hash.removeprefix("sha256:"),
                assumptions=(f"Made of {stored.path}, minutes without a trade have no bar.",),
            )
            yield store_rows(
                store,
                key,
                stored.instrument,
                chain((first,), bars),
                source,
                interval_ns=bars.interval_ns,
                replace=True,
            )
