"""How is a venue asked politely and stubbornly? One call at a time, within its rate budget, again where that may help.

An `Asker` sends one request and hands back status, headers and body; it knows nothing of budgets. `PatientRest` waits
for room in the minute's weight, asks, decodes the body into the form that is wanted, and asks again after trouble that
passes: lost connections, timeouts, 5xx, cut or unreadable bodies, 429 and 418. Time, waiting and chance are handed in.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol, TypeVar

import msgspec

from njord.core.clock import Clock
from njord.core.errors import VenueUnavailable
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.history import VenueRefusal

Form = TypeVar("Form")
Params = Mapping[str, str | int]

USED_WEIGHT = "x-mbx-used-weight-1m"
# Codes that the venue also gives with a 4xx, and that pass: internal error, disconnected, too many requests, unexpected
# response, timeout, server busy, service shutting down.
_PASSING_CODES = frozenset({-1000, -1001, -1003, -1006, -1007, -1008, -1016})
_TEXT_MAX = 120


class Answer(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str


class Asker(Protocol):
    """Sends one request."""

    def ask(self, path: str, params: Params) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            VenueUnavailable: No answer came: no connection, a reset, a timeout, a body cut short.
        """


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How much trouble is put up with.

    Attributes:
        n_attempts: Requests for one answer, the first included.
        first_wait_s: Before the second one; doubled each time, less up to half of it by chance.
        wait_max_s: Of one such wait.
        obey_max_s: Longest wait that the venue may ask for; a longer ban ends the work.
        budget_share: Share of the venue's limit that is used, so that others at this address have room.
    """

    n_attempts: int = 8
    first_wait_s: float = 0.5
    wait_max_s: float = 30.0
    obey_max_s: float = 300.0
    budget_share: float = 0.8


class RateBudget:
    """Weight per minute: what was sent in the last 60 s never exceeds the limit, nor does what the venue reports.

    The venue counts in whole minutes of its own clock; any such minute lies within some rolling one, so holding the
    rolling sum below the limit holds the venue's as well, wherever its minutes begin.
    """

    def __init__(self, clock: Clock, sleep: Callable[[float], None], weight_per_minute: int) -> None:
        self._clock = clock
        self._sleep = sleep
        self.weight_per_minute = weight_per_minute
        self._sent: deque[tuple[int, int]] = deque()
        self._reported = 0
        self._reported_ns = 0

    def take(self, weight: int) -> None:
        """Wait until `weight` fits, and count it as sent."""
        while (wait_ns := self._wait_ns(weight)) > 0:
            self._sleep(wait_ns / NS_PER_S)
        self._sent.append((self._clock.now_ns(), weight))

    def report(self, used: int) -> None:
        """Note the weight that the venue has counted this minute, from whichever process it came."""
        self._reported, self._reported_ns = used, self._clock.now_ns()

    def _wait_ns(self, weight: int) -> int:
        now_ns = self._clock.now_ns()
        if self._sent and self._sent[-1][0] > now_ns:  # A clock set back must not make it wait for hours.
            self._sent = deque((min(sent_ns, now_ns), each) for sent_ns, each in self._sent)
        while self._sent and self._sent[0][0] <= now_ns - NS_PER_MINUTE:
            self._sent.popleft()
        weight = min(weight, self.weight_per_minute)  # One that is heavier gets a minute of its own.
        since_ns = now_ns - self._reported_ns
        if self._reported + weight > self.weight_per_minute and 0 <= since_ns < NS_PER_MINUTE:
            return NS_PER_MINUTE - since_ns
        left = self.weight_per_minute - weight - sum(each for _, each in self._sent)
        for sent_ns, each in self._sent:
            if left >= 0:
                break
            left += each
            if left >= 0:
                return sent_ns + NS_PER_MINUTE - now_ns
        return 0


class PatientRest:
    """Asks until it has the answer, or knows that it will get none."""

    def __init__(
        self,
        asker: Asker,
        venue: str,
        budget: RateBudget,
        sleep: Callable[[float], None],
        chance: Random,
        patience: Patience,
    ) -> None:
        self._asker = asker
        self._venue = venue
        self._budget = budget
        self._sleep = sleep
        self._chance = chance
        self._patience = patience
        self.n_requests = 0
        self.n_repeats = 0

    def limit(self, weight_per_minute: int) -> None:
        """Keep to the venue's own figure from now on."""
        self._budget.weight_per_minute = max(1, int(weight_per_minute * self._patience.budget_share))

    def get(self, path: str, params: Params, weight: int, form: type[Form]) -> Form:
        """Return what the venue says at `path`, decoded.

        Raises:
            VenueUnavailable: No readable answer after all attempts, or a ban longer than is waited for.
            VenueRefusal: The venue refuses for good.
        """
        trouble = ""
        for attempt in range(self._patience.n_attempts):
            if attempt:
                self.n_repeats += 1
            self._budget.take(weight)
            self.n_requests += 1
            asked_s = None
            try:
                answer = self._asker.ask(path, params)
            except VenueUnavailable as error:
                trouble = str(error)
            else:
                self._note_weight(answer)
                if answer.status < 400:
                    try:
                        return msgspec.json.decode(answer.body.encode(), type=form)
                    except msgspec.DecodeError as error:
                        trouble = f"an unreadable answer: {_short(str(error))}"
                else:
                    trouble = self._passing(path, answer)
                    asked_s = _retry_after_s(answer)
            if attempt + 1 < self._patience.n_attempts:
                self._wait(attempt, asked_s, trouble)
        raise VenueUnavailable(
            f"{self._venue} gave no usable answer to {path} in {self._patience.n_attempts} attempts, the last time {trouble}"
        )

    # A refusal for good is raised; anything else is returned in words.
    def _passing(self, path: str, answer: Answer) -> str:
        code, said = _reason(answer.body)
        if answer.status in (418, 429) or answer.status >= 500 or code in _PASSING_CODES:
            return f"HTTP {answer.status}" + (f" ({said})" if said else "")
        raise VenueRefusal(
            f"{self._venue} refuses {path}: {said or 'no reason given'} (HTTP {answer.status}, code {code})",
            answer.status,
            code,
        )

    def _wait(self, attempt: int, asked_s: float | None, trouble: str) -> None:
        if asked_s is not None and asked_s > self._patience.obey_max_s:
            raise VenueUnavailable(
                f"{self._venue} wants no request for {asked_s:.0f} s: {trouble}; try again after that"
            )
        backoff_s = min(self._patience.wait_max_s, self._patience.first_wait_s * 2.0**attempt)
        backoff_s *= 1 - 0.5 * self._chance.random()
        self._sleep(backoff_s if asked_s is None else asked_s + backoff_s)

    def _note_weight(self, answer: Answer) -> None:
        used = answer.headers.get(USED_WEIGHT, "")
        if used.isascii() and used.isdigit():
            self._budget.report(int(used[:9]))


# Seconds that the venue asks to stay away for; None = it does not say. A 429 without a figure means a full minute.
def _retry_after_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    return 60.0 if answer.status in (418, 429) else None


# The venue's code and words in the body of an error; (0, "") where there are none.
def _reason(body: str) -> tuple[int, str]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return 0, ""
    if not isinstance(said, dict):
        return 0, ""
    code, text = said.get("code"), said.get("msg")
    return code if isinstance(code, int) else 0, _short(text) if isinstance(text, str) else ""


def _short(text: str) -> str:
    cut = text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]
