"""How long is a bar? Ordered timestamps in; the most common step between them out, and an overlap refused."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from njord.storage.bars_text import one_line, show_interval, show_time

IntArray = NDArray[np.int64]

_UNIT_NS = {"s": NS_PER_S, "m": NS_PER_MINUTE, "h": 60 * NS_PER_MINUTE, "d": NS_PER_DAY, "w": 7 * NS_PER_DAY}
_INTERVAL_MAX_NS = 400 * NS_PER_DAY
# A file with more different steps than this has no interval worth the name; only the commonest are remembered.
_STEPS_MAX = 10_000


def parse_timeframe(text: str) -> int:
    """Return a timeframe such as 1m, 4h or 1d in nanoseconds.

    Raises:
        DataError: It is not a whole number of s, m, h, d or w, between 1s and 400d.
    """
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    interval_ns = int(match[1]) * _UNIT_NS[match[2]] if match else 0
    if not 0 < interval_ns <= _INTERVAL_MAX_NS:
        raise DataError(f"--timeframe {one_line(text)} is not a timeframe", "write it like 1m, 5m, 4h or 1d")
    return interval_ns


def common_step(chunks: Iterator[IntArray], where: str) -> int:
    """Return the most common difference of successive timestamps; the smallest one if several are equally common.

    Args:
        chunks: Strictly rising timestamps, in pieces.
        where: The file's name, for messages.

    Raises:
        DataError: There is a single row.
    """
    counts: dict[int, int] = {}
    last = np.empty(0, dtype=np.int64)
    for stamps in chunks:
        steps, times = np.unique(np.diff(np.concatenate((last, stamps))), return_counts=True)
        for step, count in zip(steps.tolist(), times.tolist(), strict=True):
            counts[step] = counts.get(step, 0) + count
        if len(counts) > _STEPS_MAX:
            commonest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            counts = dict(commonest[: _STEPS_MAX // 10])
        last = stamps[-1:]
    if not counts:
        raise DataError(
            f"{where} has a single row, which shows no interval",
            "give it with --timeframe, such as --timeframe 1m",
        )
    return min(counts, key=lambda step: (-counts[step], step))


def refuse_overlap(stamps: IntArray, interval_ns: int, where: str) -> None:
    """Refuse a bar that opens before the one before it has closed: its open would be known before it happened.

    Raises:
        DataError: Two of the bars that open at `stamps` (strictly rising) overlap.
    """
    steps = np.diff(stamps)
    short = np.flatnonzero(steps < interval_ns)
    if len(short):
        step, stamp = int(steps[short[0]]), int(stamps[short[0] + 1])
        raise DataError(
            f"{where}: the bar at {show_time(stamp)} opens {show_interval(step)} after the one before, within its interval of {show_interval(interval_ns)}",
            "give the interval with --timeframe, or remove the bar",
        )
