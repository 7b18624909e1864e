"""Which addresses may a live broker talk to, and what of an answer is let in?

One HTTP session for REST and streams, with one rule for all that leaves through it: scheme, host and port must be the
venue's, or those of the one endpoint that was named. What a request is sent to, what a name is looked up for, where a
redirect leads: each is asked before a byte goes out. An ask goes out once: no redirect is followed, nothing is sent
again. Of an answer the body is kept as it came, up to a limit; whether a byte of a request can have left is noted.
"""

import contextvars
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import aiohttp
import certifi
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from njord.core.errors import ConfigError, VenueUnavailable
from njord.venues.broker_wire import Answer
from njord.venues.ccxt_rest import parse_endpoint

BODY_BYTES_MAX = 8 << 20  # The venue's longest answer, all symbols with their rules, has about two.
KEPT_ALIVE_S = 15.0


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue is.

    Attributes:
        rest: The API's root.
        ws_api: Requests and user events over one socket.
        stream: Streams; a listen key is appended.
    """

    rest: str
    ws_api: str
    stream: str


# CCXT's own address for `ws_api` is another company's: it would be sent our key.
BINANCE_US = Addresses(
    rest="https://api.binance.us/api/v3",
    ws_api="wss://ws-api.binance.us:443/ws-api/v3",
    stream="wss://stream.binance.us:9443/ws",
)


def addresses_at(endpoint: str) -> Addresses:
    """Return the addresses of a server at `endpoint`, such as http://127.0.0.1:9095, that speaks the venue's dialect.

    Raises:
        ConfigError: It is not scheme, host and perhaps port; or it is another machine's, without TLS.
    """
    scheme, _, place = parse_endpoint(endpoint).partition("://")
    if scheme == "http" and not _is_here(URL(endpoint).host or ""):
        raise ConfigError(
            f"{endpoint} is another machine and has no TLS: the key would be read on the way", "use https://"
        )
    ws = f"{'wss' if scheme == 'https' else 'ws'}://{place}"
    return Addresses(rest=f"{scheme}://{place}/api/v3", ws_api=f"{ws}/ws-api/v3", stream=f"{ws}/ws")


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How names and certificates are checked; None = as this machine does.

    Attributes:
        resolver: Looks names up.
        tls: Whom to trust; certificates are always verified.
    """

    resolver: AbstractResolver | None = None
    tls: ssl.SSLContext | None = None


class Note:
    """What became of one request.

    Attributes:
        ts_ms: The timestamp that it is signed with.
        n_tries: How often it was about to be sent.
        was_sent: Whether a byte of it can have left.
        answer: The venue's.
    """

    __slots__ = ("answer", "n_tries", "ts_ms", "was_sent")

    def __init__(self, ts_ms: int) -> None:
        self.ts_ms = ts_ms
        self.n_tries = 0
        self.was_sent = False
        self.answer: Answer | None = None


# The request that the running task is about: CCXT hands nothing of ours through to the places that look at it.
NOTE: contextvars.ContextVar[Note | None] = contextvars.ContextVar("njord_note", default=None)


class Refused(aiohttp.ClientError):
    """A request was not let out; `args[0]` says why."""


class TooLong(aiohttp.ClientError):
    """An answer had more bytes than any of the venue's."""


class _Response(aiohttp.ClientResponse):
    """Keeps the body as it came, and leaves CCXT nothing to parse."""

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        body = bytearray()
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                raise TooLong("an answer above every size")
        if (note := NOTE.get()) is not None:
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                key = name.lower()
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
            note.answer = Answer(status=self.status, headers=headers, body=bytes(body))
        return ""


class _Resolver(AbstractResolver):
    """Looks up the names on the list and no other."""

    def __init__(self, inner: AbstractResolver, hosts: Sequence[str]) -> None:
        self._inner = inner
        self._hosts = frozenset(hosts)

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        if host not in self._hosts:
            raise OSError(f"{host[:80]} is not the venue's")
        return await self._inner.resolve(host, port, family)

    async def close(self) -> None:
        await self._inner.close()


class Door:
    """The session; to be made, used and closed in one event loop.

    Args:
        addresses: Whom it leads to, and to no other.
        way: How names and certificates are checked.
    """

    def __init__(self, addresses: Addresses, way: Way) -> None:
        urls = [URL(text) for text in (addresses.rest, addresses.ws_api, addresses.stream)]
        self._origins = frozenset(_origin(url) for url in urls)
        self.tls = way.tls or ssl.create_default_context(cafile=certifi.where())
        if self.tls.verify_mode is not ssl.CERT_REQUIRED or not self.tls.check_hostname:
            raise VenueUnavailable("certificates must be verified")
        hosts = [url.host or "" for url in urls]
        resolver = _Resolver(way.resolver or aiohttp.ThreadedResolver(), hosts)
        # No limit: a cancel must never wait until another request gives its connection back.
        connector = aiohttp.TCPConnector(
            ssl=self.tls, resolver=resolver, limit=0, keepalive_timeout=KEPT_ALIVE_S, ttl_dns_cache=60
        )
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_connected)
        tracing.on_connection_reuseconn.append(_connected)
        self.session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,  # A proxy from the environment would be another host.
            middlewares=(self._let_out,),
            trace_configs=[tracing],
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    # A redirect, or a second try of aiohttp's own, comes through here again.
    async def _let_out(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        note = NOTE.get()
        if _origin(request.url) not in self._origins:
            raise Refused("another address than the venue's")
        if note is not None:
            note.n_tries += 1
            if note.n_tries > 1:
                raise Refused("the connection broke while it was being used")
        response = await handler(request)
        if 300 <= response.status < 400:
            response.close()
            raise Refused("the answer is a redirect, which is not followed")
        return response


# From here on bytes of the request may leave: what was before were name, connection and certificate.
async def _connected(session: object, context: object, params: object) -> None:
    if (note := NOTE.get()) is not None:
        note.was_sent = True


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(url: URL) -> tuple[bool, str, int]:
    return url.scheme in ("https", "wss"), url.host or "", url.port or 0
