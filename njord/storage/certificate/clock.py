"""What do two clocks say of each other, and where is nobody heard? Times of rows in; offset, drift, steps, silences out.

Quantiles come from a sample of evenly spaced rows that never outgrows `SAMPLE_MAX`: whenever it is full, every other
row is dropped and the spacing doubles. It depends on the rows alone, not on the pieces they come in.
"""

import numpy as np
from numpy.typing import NDArray

from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.storage.bars_text import show_time
from njord.storage.certificate.certificate import Clock, Finding, make_finding
from njord.storage.certificate.facts import Place, Seen
from njord.storage.certificate.findings import counted
from njord.storage.certificate.grading import (
    OUTLIER_SCALES,
    SILENCE_MEANS,
    SILENCE_MIN_S,
    STEP_MIN_S,
    STEP_ROWS,
    rule_of,
)
from njord.storage.certificate.robust import deviation
from njord.storage.certificate.tally import BadRanges, Tally

IntArray = NDArray[np.int64]

SAMPLE_MAX = 8_192
_DRIFT_SPAN_NS = 5 * NS_PER_MINUTE
_STEP_MIN_NS = int(STEP_MIN_S * NS_PER_S)
_SILENCE_MIN_NS = SILENCE_MIN_S * NS_PER_S
_N_BINS = 40  # 64 s x 2**39 is longer than an int64 of nanoseconds.


class ClockChecks:
    """Compares the local clock with the venue's, row by row."""

    def __init__(self) -> None:
        self._steps, self._backwards = Tally(), Tally()
        self._venue_latest_ns = -1
        self._n, self._stride = 0, 1
        self._sample: list[IntArray] = []
        self._n_sampled = 0
        self._min_ns, self._max_ns = 0, 0
        self._differs = False
        self._last_step = -STEP_ROWS

    def look(self, ts_ns: IntArray, ts_venue_ns: IntArray, rows: IntArray, start: int, end: int) -> None:
        """Take the rows [start, end) of these arrays; what is around them lets a step be told from a late row.

        Args:
            ts_ns: When each row became known.
            ts_venue_ns: When it happened at the venue.
            rows: Its number in the dataset.
            start: First row taken.
            end: End of the rows taken.
        """
        own_ns, venue_ns = ts_ns[start:end], ts_venue_ns[start:end]
        latest = np.maximum.accumulate(np.concatenate(([self._venue_latest_ns], venue_ns)))
        self._venue_latest_ns = int(latest[-1])
        at = np.flatnonzero(venue_ns < latest[:-1]) + start
        self._backwards.add(
            at, ts_ns, 0, lambda index: f"the venue says {show_time(int(ts_venue_ns[index]))}", rows=rows
        )
        offsets = own_ns - venue_ns
        self._min_ns = int(offsets.min()) if not self._n else min(self._min_ns, int(offsets.min()))
        self._max_ns = int(offsets.max()) if not self._n else max(self._max_ns, int(offsets.max()))
        self._take(np.stack((own_ns, offsets), axis=1))
        if self._min_ns or self._max_ns:
            self._differs = True
            self._look_for_steps(ts_ns, ts_ns - ts_venue_ns, rows, start, end)

    def disorder(self, n_rows: int, seen: Seen) -> Finding:
        """Return the finding of venue times that run backwards; an importer may have `seen` more than the rows show.

        Where both clocks are one, its disorder is told once, by the first column.
        """
        if self._differs and seen.n > self._backwards.n:
            return make_finding("venue_disorder", seen.n, n_rows, places=seen.places)
        return counted("venue_disorder", self._backwards, n_rows)

    def findings(self) -> tuple[Clock | None, list[Finding], list[str]]:
        """Return the clock, its findings, and what could not be asked."""
        if not self._differs:
            return None, [], ["One clock only: offset, steps and drift can not be told."]
        sample = np.concatenate(self._sample)
        p05, median, p95 = np.quantile(sample[:, 1], (0.05, 0.5, 0.95), method="nearest").tolist()
        span_ns = int(sample[-1, 0] - sample[0, 0])
        drift_ppm = _drift_ppm(sample) if span_ns >= _DRIFT_SPAN_NS else 0.0
        clock = Clock(
            n=self._n,
            median_ns=int(median),
            p05_ns=int(p05),
            p95_ns=int(p95),
            min_ns=self._min_ns,
            max_ns=self._max_ns,
            drift_ppm=drift_ppm,
        )
        behind = "behind" if median < 0 else "ahead of"
        offset_s = abs(int(median)) / NS_PER_S
        found = [
            counted("clock_steps", self._steps, 0),
            _measured("clock_offset", offset_s, f"the local clock is {offset_s:.3f} s {behind} the venue's"),
        ]
        if span_ns < _DRIFT_SPAN_NS:
            return clock, found, ["Shorter than 5 minutes: the drift of the clocks can not be told."]
        says = f"the local clock drifts by {drift_ppm:+.1f} ppm against the venue's"
        return clock, [*found, _measured("clock_drift", abs(drift_ppm), says)], []

    def _take(self, rows: IntArray) -> None:
        first = -self._n % self._stride
        kept = rows[first :: self._stride]
        self._n += len(rows)
        self._sample.append(kept)
        self._n_sampled += len(kept)
        while self._n_sampled > SAMPLE_MAX:
            self._sample = [np.concatenate(self._sample)[::2]]
            self._n_sampled = len(self._sample[0])
            self._stride *= 2

    def _look_for_steps(
        self, ts_ns: IntArray, offsets: IntArray, rows: IntArray, start: int, end: int
    ) -> None:
        first, last = max(start, STEP_ROWS), min(end, len(offsets) - STEP_ROWS + 1)
        if last <= first:
            return
        jumps = np.abs(offsets[first:last] - offsets[first - 1 : last - 1]) > _STEP_MIN_NS
        done = self._n - (end - start) - start  # Rows before position 0.
        for index in (np.flatnonzero(jumps) + first).tolist():
            if done + index < self._last_step + STEP_ROWS:
                continue
            before, after = offsets[index - STEP_ROWS : index], offsets[index : index + STEP_ROWS]
            was, now = float(np.median(before)), float(np.median(after))
            usual = float(deviation(before[None, :].astype(np.float64))[0])
            if abs(now - was) > max(_STEP_MIN_NS, OUTLIER_SCALES * usual):
                self._last_step = done + index
                words = f"local minus venue time goes from {was / NS_PER_S:.3f} s to {now / NS_PER_S:.3f} s"
                self._steps.add_place(int(ts_ns[index]), int(rows[index]), words, size=abs(now - was))


class Silences:
    """Finds stretches without a row, by length, until the end says which length is unusual."""

    def __init__(self) -> None:
        self._bins = [Tally() for _ in range(_N_BINS)]
        self._silent_ns = [0] * _N_BINS
        self._ranges = [BadRanges() for _ in range(_N_BINS)]
        self._first_ns: int | None = None
        self._last_ns = 0

    def look(self, ts_ns: IntArray, rows: IntArray) -> None:
        """Take the next rows' times, which do not run backwards, and their numbers."""
        if not len(ts_ns):
            return
        if self._first_ns is None:
            self._first_ns = self._last_ns = int(ts_ns[0])
        before = np.concatenate(([self._last_ns], ts_ns[:-1]))
        steps = ts_ns - before
        self._last_ns = int(ts_ns[-1])
        for index in np.flatnonzero(steps >= _SILENCE_MIN_NS).tolist():
            length_ns, start_ns, end_ns = int(steps[index]), int(before[index]), int(ts_ns[index])
            which = (length_ns // _SILENCE_MIN_NS).bit_length() - 1
            self._silent_ns[which] += length_ns
            words = f"{length_ns // NS_PER_S:,} s, until {show_time(end_ns)}"
            self._bins[which].add_place(start_ns, int(rows[index]), words, size=length_ns)
            self._ranges[which].add_one(start_ns, end_ns)

    @property
    def span_ns(self) -> tuple[int, int]:
        """Time of the first and of the last row; zeros without rows."""
        return self._first_ns or 0, self._last_ns

    def finding(self, n_rows: int, bad: BadRanges) -> tuple[Finding, float]:
        """Return the finding and the share of time that is not silent; add the silences to `bad`."""
        span_ns = self._last_ns - (self._first_ns or 0)
        usual_ns = SILENCE_MEANS * span_ns // max(n_rows - 1, 1)
        first = next((k for k in range(_N_BINS) if _SILENCE_MIN_NS << k >= usual_ns), _N_BINS)
        silent_ns = sum(self._silent_ns[first:])
        places: list[Place] = []
        for which in range(first, _N_BINS):
            places += self._bins[which].places
            bad.add_all(self._ranges[which])
        places.sort(key=lambda place: place.ts_ns)
        worst = next((tally.worst for tally in reversed(self._bins[first:]) if tally.worst), None)
        found = make_finding(
            "silences",
            -(-silent_ns // NS_PER_S),
            -(-span_ns // NS_PER_S),
            places=places,
            worst=worst,
            value=silent_ns / span_ns if span_ns else 0.0,
        )
        return found, 1 - silent_ns / span_ns if span_ns else 1.0


def _drift_ppm(sample: IntArray) -> float:
    tenth = max(1, len(sample) // 10)
    (early_ns, was_ns), (late_ns, now_ns) = (
        np.median(part, axis=0).tolist() for part in (sample[:tenth], sample[-tenth:])
    )
    return (now_ns - was_ns) / (late_ns - early_ns) * 1e6 if late_ns > early_ns else 0.0


def _measured(check: str, value: float, says: str) -> Finding:
    is_fault = value > rule_of(check).limits[0]
    return make_finding(check, int(is_fault), 0, value=value, says=says)
