"""Why there was no trade at a time: the first cause that holds, with what the strategy saw and where it stood."""

from pathlib import Path

import pytest

from njord.audit.story import Story, rulings_of
from njord.audit.why import why
from njord.core.errors import ConfigError
from tests.unit.audit.why_scene import FAILS, HEADER, QUIET, SCRIPT, at, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("moments"), SCRIPT)


def texts(story: Story, name: str) -> list[str]:
    return [line.text for each in story.chapters if each.name == name for line in each.lines]


@pytest.mark.parametrize(
    ("bar", "outcome", "said"),
    [
        (0, "no data", "was known at 2024-01-01 00:00: its data begin at 2024-01-01 00:01."),
        (1, "refused", "Its Target was refused before the gate: The strategy's declared warm-up"),
        (2, "nothing", "case proposed nothing. The price was 2000. It never had proposed anything."),
        (3, "traded", "case did send an order then: case-1"),
        (5, "traded", "case did send an order then: case-2, case-3"),
        (6, "nothing", "case proposed nothing; 2 orders of it still worked. The price was 2000."),
        (
            7,
            "nothing",
            "case proposed nothing. The price was 2110. Its last proposal was at 2024-01-01 00:05.",
        ),
        (10, "nothing", "case only canceled or amended an order."),
        (12, "refused", "rule max_order_notional refused case-7"),
        (16, "nothing", "case wanted 1 BTC and had it already, or it was on its way."),
        (17, "refused", "rule cancel refused case-9"),
        (24, "nothing", "case proposed nothing; 1 order of it still worked. The price was 2000."),
        (25, "no data", "Nothing of BTC/USDT became known then; the last was of 2024-01-01 00:24."),
    ],
)
def test_a_moment_has_its_cause(run: Path, bar: int, outcome: str, said: str) -> None:
    story = why(run, None, at=at(bar))
    assert story.outcome == outcome
    assert said in story.verdict


def test_a_moment_between_two_bars_is_the_bar_before_it(run: Path) -> None:
    story = why(run, None, at=f"{at(12)}.5")
    assert story.outcome == "refused"
    assert next(each for each in rulings_of(story.chapters) if each.is_first).rule == "max_order_notional"


def test_it_tells_what_was_seen_until_then_and_apart_from_it_what_came_later(run: Path) -> None:
    story = why(run, None, at=at(6))
    seen = [line for each in story.chapters if each.name == "event" for line in each.lines]
    later = [line for each in story.chapters if each.name == "after" for line in each.lines]
    assert [line.ts_ns for line in seen] == [story.ts_ns - minutes * 60 * 10**9 for minutes in (2, 1, 0)]
    assert [line.ts_ns for line in later] == [story.ts_ns + minutes * 60 * 10**9 for minutes in (1, 2)]
    assert texts(story, "state")[:2] == ["It was warm", "It held 2 BTC"]
    assert len(texts(story, "state")) == 4  # Two orders work.
    assert texts(story, "before") == [
        "It wanted to sell 1 BTC limit at 2100 reduce-only: take",
        "The gate let it pass",
    ]


def test_silence_after_a_refusal_names_the_rule_that_refused_the_last_proposal(tmp_path: Path) -> None:
    run = make_run(tmp_path, SCRIPT, settings={"backtest.risk_profile": "paper"})
    story = why(run, None, at=at(4))
    assert story.verdict.endswith(
        "Its last proposal was at 2024-01-01 00:03; the rule max_order_notional refused it."
    )


def test_a_moment_says_what_the_strategy_said_and_how_it_was_sized(run: Path) -> None:
    story = why(run, None, at=at(16))
    assert texts(story, "proposals") == [
        "It wanted 1 BTC: again",
        "It has what it wants already, or it is on its way: nothing to do",
    ]


def test_a_cancel_is_told_as_the_wish_of_the_stage_that_made_it(tmp_path: Path) -> None:
    script = """
    def on_bar(self, ctx, bar):
        return {3: Target(qty=1), 4: Target(qty=0)}.get(ctx.n_bars)
"""
    settings = {"backtest.entry_latency_ns": "60000000000"}
    story = why(make_run(tmp_path, HEADER + script, settings=settings), None, at=at(4))
    assert "The rebalancer wanted an order canceled" in texts(story, "proposals")


@pytest.mark.parametrize("bar", [5, 6, 20])
def test_a_suspended_strategy_is_silent_from_its_error_on(tmp_path: Path, bar: int) -> None:
    story = why(make_run(tmp_path, FAILS), None, at=at(bar))
    assert story.outcome == "suspended"
    assert story.verdict == "case was suspended at 2024-01-01 00:05: it is not called any more."
    assert any("ValueError: no more" in text for text in texts(story, "state"))


def test_a_quiet_strategy_in_its_warm_up_is_told_to_be_warming_up(tmp_path: Path) -> None:
    story = why(make_run(tmp_path, QUIET), None, at=at(1))
    assert (story.outcome, story.verdict) == (
        "warm-up",
        "case was warming up: bar 1 of 2, and it proposed nothing.",
    )


def test_a_hole_in_the_data_is_no_silence_of_the_strategy(tmp_path: Path) -> None:
    run = make_run(tmp_path, QUIET, missing=range(10, 15))
    assert why(run, None, at=at(12)).outcome == "no data"
    assert why(run, None, at=at(16)).outcome == "nothing"


def test_the_clock_alone_is_enough_where_the_data_hold_that_time_once(run: Path) -> None:
    assert why(run, None, at="00:12") == why(run, None, at=at(12))


def test_the_clock_alone_is_not_enough_where_the_data_hold_that_time_on_several_days(tmp_path: Path) -> None:
    run = make_run(tmp_path, QUIET, n_bars=1_450)
    with pytest.raises(ConfigError, match=r"is on 2 days of this run; say which: --at 2024-01-01T00:05"):
        why(run, None, at="00:05")
    assert why(run, None, at="00:12").ts_ns == why(run, None, at=at(12)).ts_ns


@pytest.mark.parametrize(
    ("wanted", "at_text", "strategy", "said"),
    [
        (None, "noon", None, "--at must be a time such as 2024-01-31T14:05, was 'noon'"),
        (None, None, None, "say an id, or --at a time, and not both"),
        ("case-1", "00:12", None, "say an id, or --at a time, and not both"),
        ("case-1", None, "case", "--strategy goes with --at"),
        (None, "00:12", "other", "this run has no strategy 'other'; it has case@BTC/USDT"),
    ],
)
def test_a_question_that_is_none_is_one_line(
    run: Path, wanted: str | None, at_text: str | None, strategy: str | None, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        why(run, wanted, at=at_text, strategy=strategy)
    assert said in str(caught.value)


def test_chapters_that_say_nothing_are_left_out(run: Path) -> None:
    story = why(run, None, at=at(4))
    assert all(each.lines or each.rulings for each in story.chapters)
    assert [each.name for each in story.chapters] == ["before", "event", "state", "after"]
