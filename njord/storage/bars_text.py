"""How is a piece of somebody's file shown in a one-line message? Bounded, printable, never with a line break."""

import numpy as np

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S

_UNITS = (
    (NS_PER_DAY, "d"),
    (60 * NS_PER_MINUTE, "h"),
    (NS_PER_MINUTE, "m"),
    (NS_PER_S, "s"),
    (NS_PER_MS, "ms"),
)


def one_line(value: object, max_chars: int = 60) -> str:
    """Return `value` as text for a message: unprintable characters escaped, cut after `max_chars`."""
    text = str(value)
    short = text if len(text) <= max_chars else text[:max_chars] + "..."
    return short if short.isprintable() else short.encode("unicode_escape").decode("ascii")


def show_time(ts_ns: int) -> str:
    """Return a timestamp in UTC as ISO text, to the second, with a fraction only where there is one."""
    moment = np.datetime64(ts_ns, "ns") if ts_ns % NS_PER_S else np.datetime64(ts_ns // NS_PER_S, "s")
    return f"{moment}Z"


def show_interval(interval_ns: int) -> str:
    """Return a length of time in its largest whole unit: 5m, 4h, 1d."""
    for size, unit in _UNITS:
        if interval_ns % size == 0:
            return f"{interval_ns // size}{unit}"
    return f"{interval_ns}ns"
