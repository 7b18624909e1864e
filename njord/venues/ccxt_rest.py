"""How does a request leave through CCXT, and to which host alone?

CCXT knows the paths, signs and sends; its parsing into floats is not used: the body comes back as the text that the
venue sent. Its HTTP session gets one door only, the venue's API or the endpoint that was named: any other address,
that of a redirect included, fails instead of being called.
"""

from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from njord.core.errors import ConfigError, VenueUnavailable
from njord.venues.history import VenueRefusal
from njord.venues.rest import Answer, Params

# Name of the path at the venue -> CCXT's implicit method.
_METHODS = {
    "time": "publicGetTime",
    "exchangeInfo": "publicGetExchangeInfo",
    "klines": "publicGetKlines",
    "aggTrades": "publicGetAggTrades",
    "depth": "publicGetDepth",
}


def parse_endpoint(text: str) -> str:
    """Return an endpoint such as http://127.0.0.1:9095 without a slash at its end.

    Raises:
        ConfigError: It is not scheme, host and perhaps port, and nothing more.
    """
    shown = text if text.isprintable() else ascii(text)[1:-1]
    problem = ConfigError(
        f"--endpoint {shown[:80]} is not an address of a venue", "write it like http://127.0.0.1:9095"
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise problem
    if (
        parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or shown != text
        or not text.isascii()
        or " " in text
    ):
        raise problem
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


class CcxtAsker:
    """One CCXT exchange, public requests only; a context manager. Importing CCXT takes about two seconds.

    Args:
        exchange_id: CCXT's name of the venue.
        endpoint: Talk to this address and to no other; None = the venue's own.
        timeout_ms: Until a silent connection is given up.
    """

    def __init__(self, exchange_id: str, endpoint: str | None = None, timeout_ms: int = 10_000) -> None:
        ccxt: Any = import_module("ccxt")  # Only here: nothing else in njord pays for it.
        self._errors = ccxt
        # Waiting is PatientRest's, on a clock that is handed in.
        self._exchange: Any = getattr(ccxt, exchange_id)({"enableRateLimit": False, "timeout": timeout_ms})
        self._exchange.on_rest_response = self._note
        self._answers: list[Answer] = []
        base = parse_endpoint(endpoint) + "/api/v3" if endpoint else str(self._exchange.urls["api"]["public"])
        self._exchange.urls["api"] = {"public": base}
        self._allow_only(base)

    def ask(self, path: str, params: Params) -> Answer:
        """Send one request; see Asker."""
        self._answers.clear()
        try:
            getattr(self._exchange, _METHODS[path])(dict(params))
        except self._errors.BaseError as error:
            if not self._answers:
                raise self._unanswered(path, error) from None
        return self._answers[-1]

    def close(self) -> None:
        """Close the connections."""
        self._exchange.session.close()

    def __enter__(self) -> "CcxtAsker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # CCXT hands every response through this hook before it judges it.
    def _note(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *sent: object
    ) -> str:
        self._answers.append(Answer(code, {name.lower(): value for name, value in headers.items()}, body))
        return body.strip()

    def _unanswered(self, path: str, error: Exception) -> Exception:
        cause = error.__cause__
        why = type(cause or error).__name__
        if isinstance(error, self._errors.RequestTimeout):
            return VenueUnavailable("no answer in time")
        if isinstance(error, self._errors.NetworkError):
            return VenueUnavailable(f"a broken connection ({why})")
        return VenueRefusal(f"{path} can not be asked for: {why}; only {self._door} is talked to")

    def _allow_only(self, base: str) -> None:
        session = self._exchange.session
        parts = urlsplit(base)
        self._door = f"{parts.scheme}://{parts.netloc}"
        adapter = session.get_adapter(base)
        session.adapters.clear()
        session.mount(f"{self._door}/", adapter)
        # A proxy from the environment would be another host.
        session.trust_env = False
