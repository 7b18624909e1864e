"""Why did a request or a stream fail? Exceptions of CCXT, aiohttp and the system in, fixed words without a secret out."""

import re
import ssl

import aiohttp

from njord.core.errors import InvariantError
from njord.venues.ccxt_broker_door import Refused, TooLong

# Fixed words alone: CCXT's own texts hold addresses with signatures and listen keys.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLong, "an answer larger than any of the venue's"),
    (aiohttp.ClientConnectorCertificateError, "the certificate is not the venue's"),
    (aiohttp.ClientConnectorSSLError, "no safe connection (TLS)"),
    (ssl.SSLError, "no safe connection (TLS)"),
    (aiohttp.ClientConnectorDNSError, "the venue's name is not known (DNS)"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "the connection broke before an answer"),
    (aiohttp.ClientPayloadError, "the answer broke off, or can not be unpacked"),
    (aiohttp.WSServerHandshakeError, "the venue refused the connection"),
    (aiohttp.ClientResponseError, "the answer is no HTTP"),
    (TimeoutError, "no answer in time"),
    (OSError, "the connection broke"),
)


def reason(error: BaseException) -> str:
    """Return on one line why a request or a stream failed: fixed words, and the names of classes."""
    chain = _chain(error)
    for each in chain:
        if isinstance(each, Refused):
            return str(each)
        if isinstance(each, InvariantError):
            return str(each)
    for kind, words in _WORDS:
        if any(isinstance(each, kind) for each in chain):
            return words
    closing = re.search(r"closing code (\d{1,5})", str(error))
    if closing:
        return f"the venue closed it (code {closing[1]})"
    return f"trouble ({type(chain[-1]).__name__})"


# CCXT wraps what happened as its cause, or as its only argument.
def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < 8:
        inner = chain[-1].__cause__ or next((a for a in chain[-1].args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        chain.append(inner)
    return chain
