"""How do public trades come in through CCXT, and from which host alone?

CCXT dials, subscribes and answers pings; its parsing into floats and its caches, which lose trades that come in bursts,
are not used: each message is handed on as it came. Every connection is a CCXT object of its own, so that nothing of a
broken one is left, and it knows one address: the venue's stream or the endpoint that was named.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any, Protocol

from njord.core.errors import VenueUnavailable
from njord.core.instrument import Instrument
from njord.venues.ccxt_rest import parse_endpoint

STREAM = "aggTrade"  # Its ids are those of the aggregate trades that REST has, without a key.


class TradeListener(Protocol):
    """A way to the public trades of a venue."""

    async def listen(self, on_open: Callable[[], None], on_trade: Callable[[dict[str, Any]], None]) -> None:
        """Connect once, and hand on what comes until the connection breaks.

        Raises:
            VenueUnavailable: It broke, or there was none.
        """


class CcxtTrades:
    """The aggregate trades of some instruments by `ccxt.pro`. Importing CCXT takes about two seconds.

    Args:
        exchange_id: CCXT's name of the venue.
        instruments: Spot symbols of it.
        endpoint: Talk to this address and to no other; None = the venue's own stream.
        timeout_ms: Until a connection that does not come about is given up.
    """

    def __init__(
        self,
        exchange_id: str,
        instruments: Sequence[Instrument],
        endpoint: str | None = None,
        timeout_ms: int = 10_000,
    ) -> None:
        self._exchange_id = exchange_id
        self._instruments = tuple(instruments)
        self._timeout_ms = timeout_ms
        self._url = None
        if endpoint is not None:
            scheme, _, door = parse_endpoint(endpoint).partition("://")
            self._url = f"{'wss' if scheme == 'https' else 'ws'}://{door}/stream/ws"

    async def listen(self, on_open: Callable[[], None], on_trade: Callable[[dict[str, Any]], None]) -> None:
        """Connect once, and hand on what comes until the connection breaks; see TradeListener."""
        ccxt: Any = await asyncio.to_thread(import_module, "ccxt.pro")
        exchange = self._exchange(ccxt, on_open, on_trade)
        symbols = [instrument.symbol for instrument in self._instruments]
        try:
            await exchange.watch_trades_for_symbols(symbols, params={"name": STREAM})
        except ccxt.BaseError as error:
            raise VenueUnavailable(
                f"the stream of {self._exchange_id} broke ({type(error).__name__})"
            ) from None
        finally:
            await _to_its_end(exchange.close())

    def _exchange(
        self, ccxt: Any, on_open: Callable[[], None], on_trade: Callable[[dict[str, Any]], None]
    ) -> Any:
        exchange = getattr(ccxt, self._exchange_id)({"enableRateLimit": False, "timeout": self._timeout_ms})
        exchange.urls["api"] = {"ws": {"spot": self._url or exchange.urls["api"]["ws"]["spot"]}}
        exchange.timeout_on_exit = 0
        exchange.set_markets([_market(exchange, instrument) for instrument in self._instruments])
        # These two hooks have had their names through many versions; nothing resolves what `listen` waits for.
        exchange.handle_trade = lambda client, message: on_trade(message)
        exchange.handle_subscription_status = lambda client, message: on_open()
        return exchange


# Whoever cancels, twice even, waits until the sockets are closed.
async def _to_its_end(closing: Coroutine[Any, Any, None]) -> None:
    task, is_canceled = asyncio.create_task(closing), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            is_canceled = True
    if is_canceled:
        raise asyncio.CancelledError


# Known beforehand, so that CCXT asks no other host for them.
def _market(exchange: Any, instrument: Instrument) -> Any:
    name = instrument.base + instrument.quote
    return exchange.safe_market_structure(
        {
            "id": name,
            "lowercaseId": name.lower(),
            "symbol": instrument.symbol,
            "base": instrument.base,
            "quote": instrument.quote,
            "baseId": instrument.base,
            "quoteId": instrument.quote,
            "type": "spot",
            "spot": True,
            "active": True,
        }
    )
