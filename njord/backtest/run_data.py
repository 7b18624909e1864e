"""What was a run fed with, and what is that worth? Each dataset's facts come in; its part of the result goes out, with
the bad time that was run through and held through, and the fills that lie in it.
"""

from typing import Any

import msgspec
import numpy as np

from njord.backtest.recorder import Recorder
from njord.backtest.reported import IntArray, ReportedMarket, Source
from njord.storage.certificate.tally import overlap_ns


def data_of(market: ReportedMarket, recorder: Recorder) -> list[dict[str, Any]]:
    """Return one description for each dataset."""
    return [_describe(source, market, recorder) for source in market.sources]


def data_warnings(market: ReportedMarket) -> list[str]:
    """Return what the certificates found, beyond grade A; the name stands with it where there are several datasets."""
    said = []
    for source in market.sources:
        name = f"{source.name}: " if len(market.sources) > 1 else ""
        said += [name + finding.says for finding in source.certificate.faults() if finding.grade != "A"]
    return said


def _describe(source: Source, market: ReportedMarket, recorder: Recorder) -> dict[str, Any]:
    bad = source.certificate.bad_range_array()
    run = np.array([[source.start_ns, source.end_ns]], dtype=np.int64)
    held = recorder.held_ranges(source.instrument, source.end_ns)
    certificate = msgspec.to_builtins(source.certificate)
    # Those two are for computing, not for reading; the hash stands for them.
    del certificate["bad_ranges"], certificate["facts"]
    return {
        "symbol": market.instruments[source.instrument].symbol,
        "kind": source.kind,
        "file": source.name,
        "hash": source.hash,
        "interval_ns": source.interval_ns,
        "first_row": source.first_row,
        "end_row": source.end_row,
        "n_rows": source.end_row - source.first_row,
        "start_ns": source.start_ns,
        "end_ns": source.end_ns,
        "bad_ns": overlap_ns(bad, run),
        "bad_in_positions_ns": overlap_ns(bad, np.array(held, dtype=np.int64).reshape(-1, 2)),
        "n_fills_in_bad": n_within(bad, _moments(recorder, source.instrument)),
        "certificate_hash": source.certificate.digest(),
        "certificate": certificate,
    }


# A fill inside a bar is stamped with the bar's end, which is where a gap after it may begin: it happened before.
def _moments(recorder: Recorder, instrument: int) -> IntArray:
    fills = recorder.fills
    own = fills.column("instrument") == instrument
    venue_ns, known_ns = fills.column("ts_venue_ns")[own], fills.column("ts_ns")[own]
    moments: IntArray = venue_ns - (venue_ns == known_ns)
    return moments


def n_within(ranges: IntArray, moments: IntArray) -> int:
    """Return how many `moments` lie within the rising, disjoint [start_ns, end_ns) `ranges`, shape (n, 2)."""
    if not ranges.size or not moments.size:
        return 0
    at = np.searchsorted(ranges[:, 0], moments, side="right") - 1
    return int(np.count_nonzero((at >= 0) & (moments < ranges[np.maximum(at, 0), 1])))
