"""How does a public stream stay connected? A way to listen in; one connection after the other, with patience between them.

Each dial that fails doubles the wait before the next, less up to half of it by chance, so that a thousand clients of a
venue that went away do not come back at the same moment. A connection that lived for a while was none of a flapping one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec

from njord.core.clock import Clock
from njord.core.errors import VenueError
from njord.core.units import NS_PER_S
from njord.venues.ccxt_feed import StreamListener

HEALTHY_NS = 30 * NS_PER_S
_DOUBLINGS_MAX = 16


class Redial(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a stream is.

    Attributes:
        first_wait_s: Before the second dial; doubled each time, less up to half of it by chance.
        wait_max_s: Of one such wait.
    """

    first_wait_s: float = 0.5
    wait_max_s: float = 30.0


class Line:
    """Keeps a stream connected.

    Args:
        listener: The way to it.
        clock: Says how long a connection has lived.
        chance: Spreads the dials.
        notice: Told in one line why a connection ended.
        redial: How patient it is.
        sleep: Waits for seconds.

    Attributes:
        n_dials: How often it was dialed.
    """

    def __init__(
        self,
        listener: StreamListener,
        clock: Clock,
        chance: Random,
        notice: Callable[[str], None],
        redial: Redial,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._listener = listener
        self._clock = clock
        self._chance = chance
        self._notice = notice
        self._redial = redial
        self._sleep = sleep
        self._connection: asyncio.Task[None] | None = None
        self.n_dials = 0

    async def keep(
        self,
        on_open: Callable[[], None],
        on_message: Callable[[dict[str, Any]], None],
        on_closed: Callable[[], None],
    ) -> None:
        """Dial, hand on what comes, and dial again, without end.

        Raises:
            Exception: What ended a connection, if it is no trouble of the venue's.
        """
        n_failed = 0
        while True:
            since_ns = self._clock.now_ns()
            self.n_dials += 1
            self._connection = asyncio.create_task(self._listener.listen(on_open, on_message))
            try:
                await asyncio.wait({self._connection})
            finally:
                self._connection.cancel()
                await asyncio.gather(self._connection, return_exceptions=True)
            why = _why(self._connection)
            on_closed()
            n_failed = 0 if self._clock.now_ns() - since_ns > HEALTHY_NS else n_failed + 1
            doubled = self._redial.first_wait_s * 2.0 ** min(max(n_failed - 1, 0), _DOUBLINGS_MAX)
            wait_s = min(self._redial.wait_max_s, doubled) * (1 - 0.5 * self._chance.random())
            self._notice(f"{why}; dialing again in {wait_s:.1f} s")
            await self._sleep(wait_s)

    def drop(self) -> None:
        """Give up the connection, because it is dead however alive its socket looks."""
        if self._connection is not None:
            self._connection.cancel()


# Why a connection has ended; what is no trouble of the venue's is raised.
def _why(connection: "asyncio.Task[None]") -> str:
    if connection.cancelled():
        return "the stream was silent while trades happened"
    error = connection.exception()
    if error is not None and not isinstance(error, VenueError):
        raise error
    return "the stream ended" if error is None else str(error)
