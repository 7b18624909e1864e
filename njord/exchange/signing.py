"""May this request do that? Keys, permissions, signatures and timestamps of the dialect."""

import hmac
from collections.abc import Mapping
from enum import IntEnum

from njord.core.units import NS_PER_MS
from njord.exchange import errors
from njord.exchange.options import ExchangeOptions, is_key
from njord.exchange.params import Params
from njord.exchange.trading import Account, Trading
from njord.exchange.wire import Request


class Security(IntEnum):
    """What an endpoint asks of its caller."""

    NONE = 0
    KEY = 1  # The key alone.
    SIGNED = 2  # Key, timestamp and signature.
    TRADE = 3  # The same, and a key that may trade.


def signature(secret: str, payload: str) -> str:
    """Return the HMAC-SHA256 of a payload, in hexadecimal."""
    return hmac.new(secret.encode(), payload.encode(), "sha256").hexdigest()


def http_payload(request: Request) -> str:
    """Return what a request is signed over: its raw query and then its raw form, without the signature itself."""
    return "".join(_without_signature(text) for text in (request.query, request.body))


def ws_payload(params: Mapping[str, str]) -> str:
    """Return what a WebSocket API request is signed over: its parameters by name, without the signature itself."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _without_signature(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def account_of(trading: Trading, key: str, security: Security) -> Account:
    """Return whose key it is.

    Raises:
        ApiError: The key is malformed, unknown, revoked, or may not do this.
    """
    if not is_key(key):
        raise errors.bad_key_format()
    account = trading.account_of(key)
    if account is None or not account.may_read:
        raise errors.bad_key()
    if security is Security.TRADE and not account.may_trade:
        raise errors.bad_key()
    return account


def check_signed(
    account: Account, params: Params, payload: str, options: ExchangeOptions, shown_ns: int
) -> None:
    """Refuse a request that is signed wrongly, or for another time.

    Args:
        account: Whose secret.
        params: With `timestamp`, `signature` and maybe `recvWindow`.
        payload: What was signed.
        options: The tolerances.
        shown_ns: The exchange's clock.

    Raises:
        ApiError: -1021, -1022, -1102 or -1131.
    """
    timestamp_ms = params.integer("timestamp")
    window_ms = params.integer("recvWindow", options.default_recv_window_ms)
    if window_ms > options.max_recv_window_ms:
        raise errors.ApiError(-1131, f"recvWindow must be less than {options.max_recv_window_ms}.")
    given = params.text("signature")
    if not hmac.compare_digest(given.lower().encode(), signature(account.spec.secret, payload).encode()):
        raise errors.bad_signature()
    now_ms = shown_ns // NS_PER_MS
    if timestamp_ms >= now_ms + options.early_ms:
        raise errors.too_early(options.early_ms)
    if now_ms - timestamp_ms > window_ms:
        raise errors.too_late()
