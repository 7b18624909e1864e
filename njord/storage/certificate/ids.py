"""Is a row missing that the venue numbered? Ids and times in; holes with their places and times out."""

import numpy as np
from numpy.typing import NDArray

from njord.storage.bars_text import show_time
from njord.storage.certificate.tally import BadRanges, Tally

IntArray = NDArray[np.int64]


class IdChecks:
    """Follows rows that carry the ids [first, last], each row beginning one after the last id of the row before.

    Ids that are not > 0 are none.
    """

    def __init__(self) -> None:
        self.holes, self.not_rising = Tally(), Tally()
        self.bad = BadRanges()
        self.n_rows = 0
        self._n_by_one = self._n_late = self._n_first_seen = 0
        self._last_id = self._last_ns = 0

    @property
    def n_missing(self) -> int:
        """Ids that no row has; what came late is not missing."""
        return max(0, self.holes.n - self._n_late)

    @property
    def n_expected(self) -> int:
        """Ids from the first to the last."""
        return self._n_first_seen + self.holes.n

    @property
    def coverage(self) -> float:
        """Share of the expected ids that are there."""
        return 1 - self.n_missing / self.n_expected if self.n_expected else 1.0

    @property
    def are_consecutive(self) -> bool:
        """Whether these ids can tell that a row is missing: at least half of the steps are 1."""
        return self.n_rows > 1 and 2 * self._n_by_one >= self.n_rows - 1

    def look(
        self, firsts: IntArray, lasts: IntArray, ts_ns: IntArray, first_row: int, rows: IntArray | None = None
    ) -> None:
        """Take the next rows; `rows` gives their numbers where they do not follow each other from `first_row`."""
        kept = np.flatnonzero((firsts > 0) & (lasts >= firsts))
        if not len(kept):
            return
        firsts, lasts, times = firsts[kept], lasts[kept], ts_ns[kept]
        rows = kept + first_row if rows is None else rows[kept]
        if not self.n_rows:
            self._last_id, self._last_ns = int(firsts[0]) - 1, int(times[0])
            self._n_by_one = -1  # The first row has no step.
        latest = np.maximum.accumulate(np.concatenate(([self._last_id], lasts)))
        steps = firsts - latest[:-1]
        before_ns = np.concatenate(([self._last_ns], times[:-1]))
        self.n_rows += len(kept)
        self._n_first_seen += int(np.maximum(0, lasts - np.maximum(firsts - 1, latest[:-1])).sum())
        self._n_by_one += int(np.count_nonzero(steps == 1))
        self._last_id, self._last_ns = int(latest[-1]), int(times[-1])
        if int(steps.min()) == 1 == int(steps.max()):
            return
        holes = np.flatnonzero(steps > 1)
        missing = steps[holes] - 1

        def named(index: int) -> str:
            first, last = int(latest[index]) + 1, int(firsts[index]) - 1
            return f"{f'id {last}' if first == last else f'ids {first} to {last}'}, until {show_time(int(times[index]))}"

        self.holes.add(holes, before_ns, 0, named, counts=missing, sizes=missing, rows=rows)
        self.bad.add(before_ns[holes], times[holes])
        back = np.flatnonzero(steps < 1)
        late = back[steps[back] < 0]
        # As floats: ids without sense could add up beyond an int64.
        self._n_late += int((np.minimum(lasts, latest[:-1]) - firsts + 1)[late].sum(dtype=np.float64))
        self.not_rising.add(
            back, times, 0, lambda index: f"id {firsts[index]} after {latest[index]}", rows=rows
        )
