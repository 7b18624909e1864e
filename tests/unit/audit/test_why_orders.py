"""The story of an order tells what was scripted, in the order of its time, with the gate's own numbers."""

from pathlib import Path

import msgspec
import pytest

from njord.audit.story import Chapter, Line, Ruling, Story, rulings_of
from njord.audit.why import why
from njord.core.codec import decode
from njord.core.contracts import (
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
)
from njord.core.errors import ConfigError, JournalError
from njord.storage.journal_reader import read_blocks
from tests.unit.audit.why_scene import FAILS, LEVERED, SCRIPT, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("why"), SCRIPT)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("strict"), SCRIPT, settings={"backtest.risk_profile": "paper"})


def journal(run: Path) -> dict[int, Message]:
    return {line.seq: decode(line.message) for block in read_blocks(run / "journal") for line in block.lines}


def chapter(story: Story, name: str) -> Chapter:
    return next(each for each in story.chapters if each.name == name)


def line(story: Story, name: str, starts: str) -> Line:
    return next(each for each in chapter(story, name).lines if each.text.startswith(starts))


def facts(each: Line) -> dict[str, str]:
    return dict(each.facts)


def test_an_order_of_a_target_is_told_from_the_bar_to_the_position(run: Path) -> None:
    story = why(run, "case-1")
    assert [each.name for each in story.chapters] == [
        "event",
        "strategy",
        "state",
        "sizing",
        "intent",
        "rules",
        "order",
        "venue",
        "result",
    ]
    assert (story.kind, story.outcome, story.order_no) == ("order", "filled", 1)
    assert story.verdict == 'case wanted to buy 2 BTC at market because "up"; 2 BTC filled at 2001.'
    assert facts(chapter(story, "event").lines[0])["close"] == "2000"
    assert facts(chapter(story, "strategy").lines[0]) == {"x": "1.5", "third": "0.3333333333"}
    sized = facts(chapter(story, "sizing").lines[0])
    assert sized == {"wanted": "2 BTC", "held": "0 BTC", "on its way": "0 BTC", "missing": "2 BTC"}
    fill = line(story, "venue", "Filled: bought")
    assert facts(fill) == {
        "trade": "1",
        "fee": "4.002 USDT",
        "as": "taker",
        "slippage": "5 bps from 2000",
    }
    assert fill.ts_ns is not None
    assert fill.ts_venue_ns == fill.ts_ns - 60 * 10**9
    assert fill.after_ns == 60 * 10**9
    result = facts(line(story, "result", "The account's"))
    assert result["position"] == "2 BTC"
    assert result["average entry"] == "2001"
    assert result["cash"] == "5993.998 USDT"


def test_an_order_of_the_strategys_own_was_not_sized_from_an_older_target(run: Path) -> None:
    names = [each.name for each in why(run, "case-2").chapters]
    assert names == ["event", "strategy", "state", "intent", "rules", "order", "venue", "linked"]


def test_slippage_is_worse_for_a_sale_that_got_less(run: Path) -> None:
    sold = line(why(run, "case-10"), "venue", "Filled: sold 1 BTC at 1999")
    assert facts(sold)["slippage"] == "5 bps from 2000"
    better = line(why(run, "case-3"), "venue", "Filled: sold 1 BTC at 2100")
    assert facts(better)["slippage"] == "-500 bps from 2000"


def test_what_an_order_realized_is_its_own_share(run: Path) -> None:
    realized = {"case-1": "0 USDT", "case-3": "99 USDT", "case-10": "-2 USDT"}
    for intent_id, expected in realized.items():
        assert facts(line(why(run, intent_id), "result", "The order"))["realized by it"] == expected


def test_every_line_stands_in_the_journal_where_it_says_with_the_time_it_says(run: Path) -> None:
    messages = journal(run)
    kinds = {
        "The gate": RiskDecision,
        "Approved": OrderEvent,
        "The venue accepted": OrderUpdate,
        "Filled: ": FillEvent,
    }
    n_seen = 0
    for number in range(1, 12):
        for each in why(run, f"case-{number}").chapters:
            for told in each.lines:
                if told.seq in messages:
                    assert messages[told.seq].ts_ns == told.ts_ns
                for starts, kind in kinds.items():
                    if told.text.startswith(starts):
                        assert isinstance(messages[told.seq], kind)
                        n_seen += 1
    assert n_seen > 30


def gate_story(run: Path, decision: RiskDecision) -> list[Ruling]:
    return list(rulings_of(why(run, decision.intent_id).chapters))


@pytest.mark.parametrize("which", ["run", "strict"])
def test_the_rulings_are_the_gates_own_with_its_numbers(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    messages = journal(folder)
    wishes = {each.intent_id for each in messages.values() if isinstance(each, OrderIntent)}
    n_refused = 0
    for decision in messages.values():
        if not isinstance(decision, RiskDecision) or decision.intent_id not in wishes:
            continue
        told = gate_story(folder, decision)
        first = [each for each in told if each.is_first]
        if decision.allowed:
            assert not [each for each in told if each.verdict == "refused" and each.rule != "well_formed"]
            continue
        n_refused += 1
        assert [(each.rule, each.reason) for each in first] == [(decision.rule, str(decision.reason))]
        assert set(decision.evidence) <= set(first[0].numbers)
        assert decision.reason is not None
        assert first[0].meaning == decision.reason.meaning
    assert n_refused >= 1


def test_a_refused_intent_says_by_which_rule_and_what_the_rules_behind_it_would_have_said(
    strict: Path,
) -> None:
    story = why(strict, "case-1")
    assert (story.kind, story.outcome, story.order_no) == ("refusal", "refused", 0)
    assert "the rule max_order_notional refused it" in story.verdict
    assert "(notional 4000, cap 250)" in story.verdict
    refused = [each for each in rulings_of(story.chapters) if each.verdict == "refused"]
    assert refused[0].is_first
    assert dict(refused[0].numbers) == {"notional": "4000", "cap": "250"}
    after = [each.rule for each in rulings_of(story.chapters)]
    assert after[-1] == "affordable"
    assert not [each for each in story.chapters if each.name in ("venue", "result")]


def test_an_order_that_ended_because_its_sibling_filled_names_it(run: Path) -> None:
    story = why(run, "case-2")
    assert story.outcome == "canceled"
    assert story.verdict.endswith("nothing of it filled. Canceled: Another order of its group filled.")
    linked = [each.text for each in chapter(story, "linked").lines]
    assert linked[0].startswith("case-3 was approved (one cancels the other): sell 1 BTC limit at 2100")
    assert linked[1:] == ["case-3 filled 1 BTC at 2100", "case-3: Filled in full"]


def test_an_amended_and_canceled_order_says_who_wanted_it_and_what_the_rules_said(run: Path) -> None:
    story = why(run, "case-4")
    texts = [each.text for each in chapter(story, "venue").lines]
    assert texts == [
        "The venue accepted it",
        "case wanted it amended: nearer",
        "The gate let it pass",
        "The amendment was handed to the venue",
        "The venue amended it",
        "case wanted it canceled: changed my mind",
        "The gate let it pass",
        "The cancel was handed to the venue",
        "Canceled as asked",
    ]
    asked = {each.rule: each for each in chapter(story, "amendment").rulings}
    assert {each.verdict for each in asked.values()} == {"passed", "off"}
    assert dict(asked["max_order_notional"].numbers)["notional"] == "2000"
    assert dict(asked["open_orders"].numbers)["open_orders"] == "0"


@pytest.mark.parametrize("asked", ["case-5", "case-6"])
def test_the_id_of_a_cancel_or_an_amendment_leads_to_its_order(run: Path, asked: str) -> None:
    story = why(run, asked)
    assert story.intent_id == "case-4"
    what = "amendment" if asked == "case-5" else "cancel"
    assert story.notes == (f"You asked for the {what} {asked} of it.",)


def test_a_cancel_of_an_order_that_nobody_knows_has_a_story_of_its_own(run: Path) -> None:
    story = why(run, "case-9")
    assert (story.kind, story.outcome) == ("cancel", "refused")
    assert story.verdict.startswith("The cancel case-9 was refused. The order to cancel")
    refused = line(story, "order", "The gate refused it")
    assert facts(refused)["reason"] == "ORDER_NOT_FOUND"
    assert facts(refused)["client_order_id"] == "NJ-NOBODY"


@pytest.mark.parametrize(("intent_id", "reason"), [("case-8", "GTD_EXPIRED"), ("case-11", "END_OF_DATA")])
def test_an_expired_order_says_why(run: Path, intent_id: str, reason: str) -> None:
    story = why(run, intent_id)
    assert story.outcome == "expired"
    last = chapter(story, "venue").lines[-1]
    assert facts(last)["reason"] == reason


def test_the_users_own_notes_are_told(run: Path) -> None:
    assert facts(chapter(why(run, "case-7"), "intent").lines[0])["note"] == "mine"


def test_orders_of_a_suspended_strategy_were_canceled_by_the_order_manager(tmp_path: Path) -> None:
    story = why(make_run(tmp_path, FAILS), "case-1")
    texts = [each.text for each in chapter(story, "venue").lines]
    assert texts[1].startswith("case raised an error and was suspended: case.py:")
    assert texts[2] == "The order manager wanted it canceled: its strategy was suspended"
    assert story.outcome == "canceled"


def test_a_liquidation_is_an_order_that_nobody_sent(tmp_path: Path) -> None:
    crash = {number: 1_500 for number in range(6, 24)}
    settings = {"backtest.leverage": "10"}
    run = make_run(tmp_path, LEVERED, prices=crash, settings=settings, symbol="BTC/USDT:USDT")
    story = why(run, "order 2")
    assert (story.kind, story.outcome) == ("liquidation", "liquidated")
    snapshot = [each for each in journal(run).values() if isinstance(each, PositionSnapshot)][-1]
    assert f"realizing {snapshot.realized_pnl:f} USDT" in story.verdict
    assert facts(line(story, "result", "The account's"))["position"] == "0 BTC"
    assert chapter(story, "state").lines[0].text.startswith("It held 43.")
    assert story == why(run, "fill 2") == why(run, "last")
    sizing = facts(chapter(why(run, "case-1"), "sizing").lines[0])
    assert sizing["weight"] == "9.0"
    assert sizing["room for costs"] == "price x 1.025"


def test_a_story_survives_json_and_holds_no_path_of_the_machine(run: Path) -> None:
    story = why(run, "case-3")
    text = msgspec.json.encode(story)
    assert msgspec.json.decode(text, type=Story) == story
    assert str(run.parent).encode() not in text


def test_a_strategy_that_has_changed_since_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, SCRIPT)
    path = tmp_path / "case.py"
    path.write_text(path.read_text().replace("qty=2", "qty=3"))
    with pytest.raises(ConfigError, match=r"comes out otherwise now: .* has changed since this run"):
        why(run, "case-3")


def test_a_journal_that_was_changed_by_hand_is_no_source(tmp_path: Path) -> None:
    run = make_run(tmp_path, SCRIPT)
    segment = run / "journal" / "000001.ndjson"
    segment.write_bytes(segment.read_bytes().replace(b'"case-3"', b'"case-8"', 1))
    with pytest.raises(JournalError):
        why(run, "case-3")
