"""The engine runs to completion, first in first out, and writes before it acts."""

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.component import Handler
from njord.core.contracts import Message, TimerFired, TimerSet
from njord.core.engine import Engine
from njord.core.errors import RunawayCascade

Plan = dict[str, list[list[str]]]  # Message key -> what each component answers.


def message(key: str) -> TimerFired:
    return TimerFired(ts_ns=1, strategy_id="s", instrument=0, key=key, due_ns=1)


class Log:
    """Journal and witness: what was written and what was handled, in one list."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def append(self, written: Message) -> None:
        assert isinstance(written, TimerFired)
        self.events.append(f"write {written.key}")


class Stage:
    """Answers by plan."""

    def __init__(self, number: int, plan: Plan, log: Log) -> None:
        self._number, self._plan, self._log = number, plan, log

    def handlers(self) -> dict[type[Message], Handler]:
        return {TimerFired: self._on_timer}

    def _on_timer(self, timer: TimerFired) -> Sequence[Message] | None:
        self._log.events.append(f"{self._number} handles {timer.key}")
        answers = self._plan.get(timer.key, [[]] * 3)[self._number]
        return [message(key) for key in answers] or None


def expected(root: str, plan: Plan, n_stages: int) -> list[str]:
    """The rule in four lines: a queue; write, then each stage in order, answers to the back."""
    queue, events = deque([root]), []
    while queue:
        key = queue.popleft()
        events += [f"write {key}", *(f"{number} handles {key}" for number in range(n_stages))]
        queue.extend(answer for answers in plan.get(key, [])[:n_stages] for answer in answers)
    return events


# Keys only cause longer keys, so that every plan ends.
@st.composite
def plans(draw: st.DrawFn) -> Plan:
    keys = ["a", "aa", "aaa", "b", "bb"]
    plan: Plan = {}
    for key in keys:
        longer = [other for other in keys if len(other) > len(key)] or ["end"]
        plan[key] = [draw(st.lists(st.sampled_from(longer), max_size=2)) for _ in range(3)]
    return plan


@given(plans(), st.integers(1, 3))
def test_messages_run_to_completion_first_in_first_out_and_are_written_first(plan: Plan, n: int) -> None:
    log = Log()
    done = Engine([Stage(number, plan, log) for number in range(n)], log).step(message("a"))
    assert log.events == expected("a", plan, n)
    written = [event.removeprefix("write ") for event in log.events if event.startswith("write")]
    assert [each.key for each in done if isinstance(each, TimerFired)] == written


@given(st.integers(1, 60))
def test_a_cascade_ends_at_its_limit_and_not_before(limit: int) -> None:
    log = Log()
    chain: Plan = {"a" * n: [["a" * (n + 1)]] for n in range(1, limit)}
    assert len(Engine([Stage(0, chain, log)], log, limit).step(message("a"))) == limit
    chain["a" * limit] = [["over"]]
    with pytest.raises(RunawayCascade, match=f"TimerFired at 1 caused more than {limit} messages"):
        Engine([Stage(0, chain, log)], log, limit).step(message("a"))
    assert log.events[-1] == "write over"


def test_a_message_nobody_handles_is_written_and_returned() -> None:
    class Journal:
        def __init__(self) -> None:
            self.written: list[Message] = []

        def append(self, each: Message) -> None:
            self.written.append(each)

    journal = Journal()
    lone = TimerSet(key="k", due_ns=1)
    assert Engine([], journal).step(lone) == [lone]
    assert journal.written == [lone]


def test_what_can_not_be_written_is_not_acted_on() -> None:
    class FullDisk:
        def append(self, each: Message) -> None:
            raise OSError("no space")

    log = Log()
    with pytest.raises(OSError, match="no space"):
        Engine([Stage(0, {}, log)], FullDisk()).step(message("a"))
    assert log.events == []
