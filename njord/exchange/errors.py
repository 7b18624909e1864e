"""How does the exchange say no? Every refusal of the dialect: code, words and HTTP status, as the venue documents them."""

from collections.abc import Mapping
from typing import Any

from njord.core.errors import VenueRejected


class ApiError(VenueRejected):
    """A request was refused.

    Attributes:
        code: The venue's, negative.
        message: The venue's words.
        status: Of HTTP.
        headers: Beyond the usual ones, names in lower case.
        data: What else the refusal tells, if anything.
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.headers = dict(headers or {})
        self.data = data

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as the dialect tells it."""
        said: dict[str, Any] = {"code": self.code, "msg": self.message}
        return said if self.data is None else {**said, "data": self.data}


# --- who asks, and when ---


def too_much_weight(limit: int, retry_after_s: int) -> ApiError:
    """Refuse because the minute's weight is used up."""
    words = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return ApiError(-1003, words, 429, {"retry-after": str(retry_after_s)})


def banned(until_ms: int, retry_after_s: int) -> ApiError:
    """Refuse because the address went on after it had been told to stop."""
    words = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return ApiError(-1003, words, 418, {"retry-after": str(retry_after_s)})


def too_many_orders(limit: int, interval: str, retry_after_s: int) -> ApiError:
    """Refuse because the account placed too many orders in an interval."""
    words = f"Too many new orders; current limit is {limit} orders per {interval}."
    return ApiError(-1015, words, 429, {"retry-after": str(retry_after_s)})


def bad_key_format() -> ApiError:
    """Refuse a key that can not be one, or none at all."""
    return ApiError(-2014, "API-key format invalid.", 401)


def bad_key() -> ApiError:
    """Refuse a key that is unknown, revoked, or may not do this."""
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_signature() -> ApiError:
    """Refuse a signature."""
    return ApiError(-1022, "Signature for this request is not valid.")


def too_early(tolerance_ms: int) -> ApiError:
    """Refuse a timestamp from the future."""
    return ApiError(-1021, f"Timestamp for this request was {tolerance_ms}ms ahead of the server's time.")


def too_late() -> ApiError:
    """Refuse a timestamp from before the window."""
    return ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


# --- parameters ---


def missing(name: str) -> ApiError:
    """Refuse because a parameter is not there."""
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def empty(name: str) -> ApiError:
    """Refuse a parameter without a value."""
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def illegal_characters(name: str, legal: str) -> ApiError:
    """Refuse a parameter that is not written as it must be."""
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def sent_twice() -> ApiError:
    """Refuse a repeated parameter."""
    return ApiError(-1101, "Duplicate values for a parameter detected.")


def unread(n_read: int, n_sent: int) -> ApiError:
    """Refuse parameters that nobody reads."""
    return ApiError(
        -1104,
        f"Not all sent parameters were read; read '{n_read}' parameter(s) but was sent '{n_sent}'.",
    )


def not_required(name: str) -> ApiError:
    """Refuse a parameter that has no meaning here."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise() -> ApiError:
    """Refuse more decimals than the asset has."""
    return ApiError(-1111, "Precision is over the maximum defined for this asset.")


def bad_symbol() -> ApiError:
    """Refuse a symbol that is not listed."""
    return ApiError(-1121, "Invalid symbol.")


def bad_combination() -> ApiError:
    """Refuse optional parameters that exclude each other."""
    return ApiError(-1128, "Combination of optional parameters invalid.")


def bad_listen_key() -> ApiError:
    """Refuse a listen key that does not exist."""
    return ApiError(-1125, "This listenKey does not exist.")


# --- orders ---


def filter_failure(name: str) -> ApiError:
    """Refuse an order that a filter does not let pass."""
    return ApiError(-1013, f"Filter failure: {name}")


def market_closed() -> ApiError:
    """Refuse an order for a symbol that does not trade."""
    return ApiError(-1013, "Market is closed.")


def not_offered(words: str) -> ApiError:
    """Refuse an order of a kind that the symbol does not have, such as `Stop loss`."""
    return ApiError(-2010, f"{words} orders are not supported for this symbol.")


def insufficient_balance() -> ApiError:
    """Refuse an order that costs more than is free."""
    return ApiError(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> ApiError:
    """Refuse an id that an open order has."""
    return ApiError(-2010, "Duplicate order sent.")


def would_take() -> ApiError:
    """Refuse a LIMIT_MAKER that would not make."""
    return ApiError(-2010, "Order would immediately match and take.")


def would_trigger() -> ApiError:
    """Refuse a trigger that the price has passed already."""
    return ApiError(-2010, "Stop price would trigger immediately.")


def unknown_order() -> ApiError:
    """Refuse to cancel what is not open."""
    return ApiError(-2011, "Unknown order sent.")


def restricted() -> ApiError:
    """Refuse to cancel an order that is not in the state that the cancel asks for."""
    return ApiError(-2011, "Order was not canceled due to cancel restrictions.")


def not_replaced(halves: Mapping[str, Any]) -> ApiError:
    """Say that of a cancel and a placement neither was done."""
    return ApiError(-2022, "Order cancel-replace failed.", data=halves)


def partly_replaced(halves: Mapping[str, Any]) -> ApiError:
    """Say that of a cancel and a placement one was done and the other not."""
    return ApiError(-2021, "Order cancel-replace partially failed.", 409, data=halves)


def no_such_order() -> ApiError:
    """Say that an order was never there."""
    return ApiError(-2013, "Order does not exist.")
