"""How do public market streams come in through CCXT, and from which host alone?

CCXT dials, subscribes and answers pings; its parsing into floats and its caches, which lose trades that come in bursts,
are not used: each message is handed on as it came. Every connection is a CCXT object of its own, so that nothing of a
broken one is left, and it knows one address: the venue's stream or the endpoint that was named.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

from njord.core.errors import VenueUnavailable
from njord.core.instrument import Instrument
from njord.venues.ccxt_rest import parse_endpoint

TRADES: Final = "aggTrade"  # Its ids are those of the aggregate trades that REST has, without a key.
DEPTH: Final = "depth@100ms"
QUOTES: Final = "bookTicker"
_REQUEST_ID = 1


class StreamListener(Protocol):
    """A way to the public streams of a venue."""

    async def listen(self, on_open: Callable[[], None], on_message: Callable[[dict[str, Any]], None]) -> None:
        """Connect once, and hand on what comes until the connection breaks.

        Raises:
            VenueUnavailable: It broke, or there was none.
        """


class CcxtStreams:
    """Some public streams of some instruments by `ccxt.pro`. Importing CCXT takes about two seconds.

    Args:
        exchange_id: CCXT's name of the venue.
        instruments: Spot symbols of it.
        names: Which streams of each.
        endpoint: Talk to this address and to no other; None = the venue's own stream.
        timeout_ms: Until a connection that does not come about is given up.
    """

    def __init__(
        self,
        exchange_id: str,
        instruments: Sequence[Instrument],
        names: Sequence[str] = (TRADES,),
        endpoint: str | None = None,
        timeout_ms: int = 10_000,
    ) -> None:
        self._exchange_id = exchange_id
        self._streams = [
            f"{(each.base + each.quote).lower()}@{name}" for each in instruments for name in names
        ]
        self._timeout_ms = timeout_ms
        self._url = None
        if endpoint is not None:
            scheme, _, door = parse_endpoint(endpoint).partition("://")
            self._url = f"{'wss' if scheme == 'https' else 'ws'}://{door}/stream/ws"

    async def listen(self, on_open: Callable[[], None], on_message: Callable[[dict[str, Any]], None]) -> None:
        """Connect once, and hand on what comes until the connection breaks; see StreamListener."""
        ccxt: Any = await asyncio.to_thread(import_module, "ccxt.pro")
        exchange = getattr(ccxt, self._exchange_id)({"enableRateLimit": False, "timeout": self._timeout_ms})
        base = self._url or exchange.urls["api"]["ws"]["spot"]
        exchange.urls["api"] = {"ws": {"spot": base}}
        exchange.timeout_on_exit = 0
        url = f"{base}/{_REQUEST_ID}"

        def heard(client: Any, message: Any) -> None:
            if not isinstance(message, dict):
                return
            if message.get("id") == _REQUEST_ID and "result" in message:
                on_open()
            elif "error" in message:
                client.reject(ccxt.ExchangeError("the subscription was refused"), url)
            else:
                on_message(message)

        exchange.handle_message = heard
        request = {"method": "SUBSCRIBE", "params": self._streams, "id": _REQUEST_ID}
        try:
            await exchange.watch(url, url, request, url)  # Nothing resolves it: it ends with the connection.
        except ccxt.BaseError as error:
            raise VenueUnavailable(
                f"the stream of {self._exchange_id} broke ({type(error).__name__})"
            ) from None
        finally:
            await to_its_end(exchange.close())


async def to_its_end(closing: Coroutine[Any, Any, None]) -> None:
    """Wait until the sockets are closed, whoever cancels meanwhile, twice even."""
    task, is_canceled = asyncio.create_task(closing), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            is_canceled = True
    if is_canceled:
        raise asyncio.CancelledError
