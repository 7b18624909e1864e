"""Text to time: what people write in flags and files, to nanoseconds since 1970."""

from datetime import UTC, datetime

from njord.core.units import NS_PER_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_ns(text: str) -> int:
    """Return an ISO 8601 time as nanoseconds since 1970, UTC unless it says otherwise.

    Raises:
        ValueError: It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        since = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - _EPOCH
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * NS_PER_US
