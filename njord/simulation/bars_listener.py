"""Somebody who listens to a venue's stream of bars: a node makes its own, so that without him none would be sent."""

import asyncio
import threading
from typing import Any, Final, Self

from njord.core.errors import VenueError
from njord.simulation.world import BTC
from njord.venues.ccxt_feed import CcxtStreams

BARS: Final = "kline_1m"
_OPEN_WITHIN_S: Final = 60.0
_AGAIN_S: Final = 0.5


class BarsListener:
    """Listens by `ccxt.pro` from a thread of its own, and again whenever the connection breaks; a context manager.

    Args:
        endpoint: Of the venue.

    Attributes:
        n_heard: Messages so far.
    """

    def __init__(self, endpoint: str) -> None:
        self._streams = CcxtStreams("binanceus", (BTC,), (BARS,), endpoint)
        self._is_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._listen())
        self._thread = threading.Thread(target=self._run, name="bars", daemon=True)
        self.n_heard = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_open.wait(_OPEN_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            return

    async def _listen(self) -> None:
        while True:
            try:
                await self._streams.listen(self._is_open.set, self._hear)
            except VenueError:
                await asyncio.sleep(_AGAIN_S)

    def _hear(self, message: dict[str, Any]) -> None:
        self.n_heard += 1
