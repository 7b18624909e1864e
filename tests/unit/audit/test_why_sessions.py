"""A paper session is asked like a backtest: one that has ended, one that was stopped, one whose switch was tripped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from njord.adapters.kill_switch_watch import Reading
from njord.apps.node import NodeOptions
from njord.apps.stop import StopPolicy
from njord.audit.story import Line, Story
from njord.audit.why import why
from tests.unit.apps.paper_world import ACTIVE, TRIPPED, World, make_world, open_session, run
from tests.unit.audit.parity_scene import cut_off

LEAVE = NodeOptions(commit_every_s=0, stop_policy=StopPolicy.LEAVE)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def lines(story: Story, name: str) -> list[Line]:
    return [line for each in story.chapters if each.name == name for line in each.lines]


def test_a_sessions_order_has_the_story_of_the_backtests(world: World) -> None:
    session = open_session(world)
    assert run(session).finished
    story = why(session.folder, "order 1")
    assert (story.is_session, story.outcome, story.intent_id) == (True, "filled", "busy-1")
    assert any(line.text.startswith("Filled: bought 0.1 ETH") for line in lines(story, "venue"))
    canceled = why(session.folder, "busy-2")
    assert canceled.outcome == "canceled"
    assert [line.text for line in lines(canceled, "venue")][1] == "busy wanted it canceled"


def test_a_session_that_was_stopped_is_told_as_far_as_it_went(world: World) -> None:
    session = open_session(world)
    run(session, stop_at=15, options=LEAVE)
    working = why(session.folder, "busy-2")
    assert working.verdict.endswith("nothing of it filled. Canceled as asked.")
    session = open_session(world)
    run(session, stop_at=24, options=LEAVE)
    assert why(session.folder, "busy-14").outcome == "working"
    assert why(session.folder, "busy-14").verdict.endswith("nothing of it filled. It still works.")
    assert why(session.folder, "busy-2").outcome == "canceled"
    assert why(session.folder, None, at="1970-01-01").outcome == "no data"


def test_a_session_that_was_killed_within_a_step_is_told_to_its_last_word(world: World) -> None:
    session = open_session(world)
    run(session)
    whole = why(session.folder, "busy-1")
    asked = next(line.seq for line in lines(whole, "intent"))
    cut_off(session.folder, world, asked)
    story = why(session.folder, "busy-1")
    assert story.outcome == "undecided"
    assert story.verdict.endswith("nobody has decided on it yet.")
    assert [each.name for each in story.chapters] == ["event", "strategy", "state", "intent", "rules"]


def test_a_tripped_switch_is_the_reason_that_is_told(world: World) -> None:
    def reading_at(row: int) -> Reading:
        return TRIPPED if row >= 5 else ACTIVE

    session = open_session(world)
    run(session, reading_at=reading_at)
    canceled = why(session.folder, "busy-2")
    texts = [line.text for line in lines(canceled, "venue")]
    assert any("halted" in text and "drill" in text for text in texts), texts
    refused = why(session.folder, "busy-4")
    assert refused.kind == "refusal"
    assert "the rule kill_switch refused it" in refused.verdict
    assert refused.outcome == "refused"
