"""How is a moment written? Nanoseconds since 1970 in; ISO 8601 in UTC out, with as much of the second as there is."""

from datetime import UTC, datetime

from njord.core.units import NS_PER_S


def at(ts_ns: int) -> str:
    """Return a time such as 2024-01-01T10:00 or 2024-01-01T10:00:03.25."""
    moment = datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    rest = f"{ts_ns % NS_PER_S:09d}".rstrip("0")
    return f"{moment}.{rest}" if rest else moment.removesuffix(":00")
