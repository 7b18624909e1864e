"""What comes of a cancel and a placement in one request? Each half's outcome in; the one answer, or refusal, out.

The two are no transaction: what was done stays done, whatever becomes of the other half.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from njord.exchange import errors
from njord.exchange.errors import ApiError
from njord.exchange.reports import Json


class Half(NamedTuple):
    """One half: how it went, in the dialect's word, and what it would be answered alone."""

    result: str
    response: Json | None

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return self.result == "SUCCESS"


NOT_ATTEMPTED: Final = Half("NOT_ATTEMPTED", None)


def half(do: Callable[[], Json]) -> Half:
    """Do one half, and return what came of it."""
    try:
        return Half("SUCCESS", do())
    except ApiError as error:
        return Half("FAILURE", error.body)


def both(cancel: Half, placement: Half) -> Json:
    """Return the answer to both.

    Raises:
        ApiError: -2021 if one of them was done, -2022 if none was; its data is what the answer would be.
    """
    answer = {
        "cancelResult": cancel.result,
        "newOrderResult": placement.result,
        "cancelResponse": cancel.response,
        "newOrderResponse": placement.response,
    }
    if cancel.is_done and placement.is_done:
        return answer
    is_partly = cancel.is_done or placement.is_done
    raise errors.partly_replaced(answer) if is_partly else errors.not_replaced(answer)
