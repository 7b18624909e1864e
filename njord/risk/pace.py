"""How many orders were approved within the last minute? In come approvals, out go counts: of all, or of one strategy."""

from collections import deque

from njord.core.units import NS_PER_MINUTE


class ApprovalPace:
    """Approvals of the last 60 s."""

    __slots__ = ("_approved_by", "_approved_ns")

    def __init__(self) -> None:
        self._approved_ns: deque[tuple[int, str]] = deque()
        self._approved_by: dict[str, int] = {}

    def count(self, ts_ns: int, strategy_id: str) -> None:
        """Count one approval."""
        approved = self._approved_ns
        if approved and approved[0][0] <= ts_ns - NS_PER_MINUTE:
            self._forget(ts_ns)
        approved.append((ts_ns, strategy_id))
        self._approved_by[strategy_id] = self._approved_by.get(strategy_id, 0) + 1

    def in_last_minute(self, now_ns: int, strategy_id: str | None = None) -> int:
        """Return how many orders were approved within the last 60 s, for all or for one strategy."""
        approved = self._approved_ns
        if approved and approved[0][0] <= now_ns - NS_PER_MINUTE:
            self._forget(now_ns)
        if strategy_id is None:
            return len(approved)
        return self._approved_by.get(strategy_id, 0)

    def by_strategy(self, now_ns: int) -> dict[str, int]:
        """Return how many orders of each strategy were approved within the last 60 s; nothing is forgotten for it."""
        horizon, counts = now_ns - NS_PER_MINUTE, dict[str, int]()
        for ts_ns, strategy_id in self._approved_ns:
            if ts_ns > horizon:
                counts[strategy_id] = counts.get(strategy_id, 0) + 1
        return counts

    # An approval exactly 60 s ago is forgotten: no window [t, t + 60 s) ever holds more than the limit.
    def _forget(self, now_ns: int) -> None:
        horizon, approved, approved_by = now_ns - NS_PER_MINUTE, self._approved_ns, self._approved_by
        while approved and approved[0][0] <= horizon:
            _, owner = approved.popleft()
            approved_by[owner] -= 1
            if not approved_by[owner]:
                del approved_by[owner]
