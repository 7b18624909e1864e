"""What goes over the local exchange's wire, as plain values: requests and answers, stream frames, and what becomes of them.

The server (sockets, real time) and the simulation (virtual time) carry the same values; neither knows what they mean.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

JSON_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json;charset=UTF-8"}
BROKEN: Final = 1006  # Never said aloud: the connection just breaks.


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request as it arrived.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: Without query, such as /api/v3/order.
        query: The raw query string, percent-encoded, without "?": signatures are over raw text.
        body: The raw body of a form, the same way.
        headers: Names in lower case.
        address: Whose weight it is: the caller's address without port.
    """

    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = {}
    address: str = "127.0.0.1"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer; header names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Frame(msgspec.Struct, frozen=True):
    """What one WebSocket connection is to be sent next; `text` None closes it with `close_code`."""

    connection: int
    text: str | None
    close_code: int = 1000


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What the way does to one request, whichever it is made of.

    Attributes:
        request_delay_ns: Until it arrives; the exchange's time moves on meanwhile.
        response_delay_ns: Until its answer is back.
        loses_request: It never arrives; the caller hears nothing.
        loses_response: It arrives and counts; the caller hears nothing.
        cuts_at: After so many bytes of the answer's body the connection breaks; -1 = it does not.
        bytes_per_s: The answer trickles; 0 = it does not.
    """

    request_delay_ns: int = 0
    response_delay_ns: int = 0
    loses_request: bool = False
    loses_response: bool = False
    cuts_at: int = -1
    bytes_per_s: int = 0


UNTROUBLED = Fate()


class Served(Protocol):
    """A local exchange without I/O, plain or wrapped in trouble. Times are epoch ns of the exchange's own clock."""

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens until `now_ns`: market, fills, expiries, keys that end, the day's cut."""

    @property
    def next_ns(self) -> int:
        """When something happens next by itself; 2**63 - 1 if nothing does."""

    def fate(self, request: Request, now_ns: int) -> Fate:
        """Say what the way does to a request that leaves its caller now; asked once a request."""

    def request(self, request: Request, now_ns: int) -> Response:
        """Answer a request that arrives at `now_ns`; the time was advanced to it."""

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        """Take a WebSocket connection, numbered by the caller; False turns it away."""

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Take what a connection said."""

    def closed(self, connection: int, now_ns: int) -> None:
        """Forget a connection."""

    def frames(self) -> list[Frame]:
        """Return what is to be sent, in order, since the last call."""
