"""Which request leaves when? Three queues and the budget in; requests out, and each answer back to whoever asked.

Cancels leave first, places next, queries last. A place that can not leave in time is given up, never sent late. Whatever
the wire forgets to answer counts as unanswered a second after its deadline.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from njord.core.units import FOREVER_NS, NS_PER_MS, NS_PER_S
from njord.venues.binance_budget import Budget
from njord.venues.binance_clock import VenueClock
from njord.venues.binance_dialect import Params
from njord.venues.binance_options import CoreOptions
from njord.venues.broker_wire import Answer, Ask, Lane, NoAnswer

USED_UP: Final = "budget: the venue's weight is used up, what is to be asked waits for its next minute"
Outcome = Answer | NoAnswer
OnAnswer = Callable[[Outcome, int, int], None]


class Errand(msgspec.Struct, kw_only=True, eq=False):
    """One request that waits for its turn, or for its answer.

    Attributes:
        on_answer: Takes what came back, when the request left, and the time.
        refusal: Says why it must not leave now, empty if it may; asked right before.
        on_refused: Told then, with why and the time.
        give_up_ns: From then on it does not leave any more.
        on_given_up: Told then, with the time.
    """

    lane: Lane
    method: str
    path: str
    params: Params
    weight: int
    on_answer: OnAnswer
    is_signed: bool = True
    is_order: bool = False
    refusal: Callable[[int], str] | None = None
    on_refused: Callable[[str, int], None] | None = None
    give_up_ns: int = FOREVER_NS
    on_given_up: Callable[[int], None] | None = None
    sent_ns: int = 0
    deadline_ns: int = FOREVER_NS


class Outbox:
    """The queues of one account.

    Args:
        options: Deadlines and windows.
        clock: What requests are signed with.
    """

    def __init__(self, options: CoreOptions, clock: VenueClock) -> None:
        self._options = options
        self._clock = clock
        self.budget = Budget(options)
        self._queues: dict[Lane, deque[Errand]] = {lane: deque() for lane in Lane}
        self._under_way: dict[int, Errand] = {}
        self._asks: list[Ask] = []
        self._n_asked = 0
        self._next_try_ns = FOREVER_NS

    @property
    def next_ns(self) -> int:
        """When it wants to be flushed again."""
        waiting = min((each.give_up_ns for each in self._queues[Lane.PLACE]), default=FOREVER_NS)
        overdue = min((each.deadline_ns for each in self._under_way.values()), default=FOREVER_NS)
        return min(self._next_try_ns, waiting, overdue + NS_PER_S)

    @property
    def shortage(self) -> str:
        """Why questions wait, as of the last flush; empty if none does. It names no span: that would change all the time."""
        return USED_UP if self._queues[Lane.QUERY] else ""

    def put(self, errand: Errand) -> None:
        """Let a request wait for its turn."""
        self._queues[errand.lane].append(errand)

    def drop(self, errand: Errand) -> bool:
        """Take back a request that has not left; say whether that was possible."""
        queue = self._queues[errand.lane]
        for index, each in enumerate(queue):
            if each is errand:
                del queue[index]
                return True
        return False

    def place_wait_ns(self, now_ns: int) -> int:
        """Return how long an order would have to wait now."""
        return self.budget.wait_ns(Lane.PLACE, 1, True, self._venue_ns(now_ns))

    def flush(self, now_ns: int) -> None:
        """Let leave what may, give up what is too late."""
        for request_id, errand in list(self._under_way.items()):
            if now_ns >= errand.deadline_ns + NS_PER_S:
                self.answered(request_id, NoAnswer(was_sent=True, detail="the wire gave no word"), now_ns)
        self._next_try_ns = FOREVER_NS
        for lane in Lane:
            queue = self._queues[lane]
            while queue:
                errand = queue[0]
                if now_ns >= errand.give_up_ns:
                    queue.popleft()
                    if errand.on_given_up is not None:
                        errand.on_given_up(now_ns)
                    continue
                if lane is Lane.PLACE and self._clock.trouble():
                    break  # It waits for the time to be measured.
                why = "" if errand.refusal is None else errand.refusal(now_ns)
                if why and errand.on_refused is not None:
                    queue.popleft()
                    errand.on_refused(why, now_ns)
                    continue
                wait_ns = self.budget.wait_ns(lane, errand.weight, errand.is_order, self._venue_ns(now_ns))
                if wait_ns > 0:
                    self._next_try_ns = min(self._next_try_ns, now_ns + wait_ns)
                    break
                queue.popleft()
                self._send(errand, now_ns)

    def answered(self, request_id: int, outcome: Outcome, now_ns: int) -> None:
        """Hand an answer to whoever asked; a second one for the same request is nobody's."""
        errand = self._under_way.pop(request_id, None)
        if errand is None:
            return
        headers = outcome.headers if isinstance(outcome, Answer) else {}
        self.budget.answered(request_id, headers, self._venue_ns(now_ns))
        errand.on_answer(outcome, errand.sent_ns, now_ns)

    def shut(self, detail: str, now_ns: int) -> None:
        """Let nothing leave that waits: its askers hear that it was not sent."""
        for lane in Lane:
            queue, self._queues[lane] = self._queues[lane], deque()
            for errand in queue:
                errand.on_answer(NoAnswer(was_sent=False, detail=detail), now_ns, now_ns)

    def take(self) -> list[Ask]:
        """Return what is to be sent now."""
        asks, self._asks = self._asks, []
        return asks

    def _send(self, errand: Errand, now_ns: int) -> None:
        self._n_asked += 1
        errand.sent_ns = now_ns
        errand.deadline_ns = now_ns + self._options.request_timeout_ns
        self._under_way[self._n_asked] = errand
        venue_ns = self._venue_ns(now_ns)
        self.budget.sent(self._n_asked, errand.weight, errand.is_order, venue_ns)
        self._asks.append(
            Ask(
                request_id=self._n_asked,
                lane=errand.lane,
                method=errand.method,
                path=errand.path,
                params=errand.params,
                is_signed=errand.is_signed,
                ts_ms=venue_ns // NS_PER_MS,
                recv_window_ms=self._options.recv_window_ns // NS_PER_MS,
                deadline_ns=errand.deadline_ns,
            )
        )

    def _venue_ns(self, now_ns: int) -> int:
        return self._clock.venue_ns(now_ns)
