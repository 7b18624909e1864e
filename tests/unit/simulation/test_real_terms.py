"""What a real run is made of: which faults, who listens beside the node, and the words that run it again."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from njord.core.contracts import NO_PRICE, KillSwitchState, Message, OrderEvent
from njord.core.types import OrderType, Side, TimeInForce, TradingState
from njord.exchange.fault_plan import FAULTS, FaultPlan
from njord.simulation.real_campaign import main, parse
from njord.simulation.real_outcome import approved_after_the_word, late_ns
from njord.simulation.real_terms import mix, single, together
from njord.simulation.world import terms_of


def test_by_default_every_fault_has_a_run_and_twenty_seeds_a_mix() -> None:
    terms = parse(()).terms
    assert [each.name for each in terms] == [*FAULTS, *(f"mix {seed}" for seed in range(1, 21))]
    assert {each.world.duration_s for each in terms} == {90.0}


def test_a_fault_alone_must_strike_and_nothing_else_happens() -> None:
    for fault in FAULTS:
        terms = single(fault, 90.0)
        assert terms.must_strike == (fault,)
        assert [spec.fault for spec in terms.world.plan.faults] == [fault]
        assert not terms.world.crashes_s and terms.world.trips_s is None


def test_a_mix_is_what_its_seed_is_in_the_simulation() -> None:
    assert mix(1, 120.0).world == terms_of(1)


def test_in_a_mix_a_fault_with_few_chances_takes_all_of_them_to_the_end() -> None:
    (alone,) = terms_of(12, FAULTS, 90.0).plan.faults
    assert alone.fault == "A24" and alone.share < 1.0 and alone.for_s
    terms = mix(12, 90.0)
    assert terms.world.plan.faults == (replace(alone, share=1.0, for_s=0.0),)
    assert replace(terms.world, plan=FaultPlan((alone,))) == terms_of(12, FAULTS, 90.0)


def test_a_run_lacks_what_must_strike_and_a_mix_any_strike_at_all() -> None:
    assert single("A24", 90.0).lacks({}) == ("A24",)
    assert together(("A1", "A4"), 1, 10.0).lacks({"A1": 2, "A4": 0}) == ("A4",)
    assert mix(8, 90.0).lacks({"A5": 0}) == ("A5", "B1")
    assert mix(8, 90.0).lacks({"A5": 1}) == ()


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("--faults A5 --seeds none --seconds 20", "P --faults A5 --seeds none --seconds 20"),
        ("--faults none --seeds 7 --seconds 90", "P --faults none --seeds 7 --seconds 90"),
    ],
)
def test_the_words_that_run_it_again_name_the_same_run(name: str, again: str) -> None:
    (terms,) = parse(name.split()).terms
    assert terms.words_again("P") == again
    assert parse(again.split()[1:]).terms == (terms,)


def test_somebody_listens_to_what_a_fault_spoils() -> None:
    assert [fault for fault in FAULTS if single(fault, 90.0).records_market] == ["B1", "B2", "B3", "B4", "B5"]
    assert [fault for fault in FAULTS if single(fault, 90.0).hears_bars] == ["B6"]


def test_a_fee_in_a_third_asset_needs_one() -> None:
    terms = together(("A12", "A1"), 1, 10.0)
    assert terms.balances == "USDT=250000,BNB=1"
    assert terms.opening == {"BNB": Decimal(1)}
    assert single("A1", 10.0).balances == "USDT=250000"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--seeds x", "such as 1-500 or 7,12, was 'x'"),
        ("--faults none --seeds none", "no run is asked for"),
        ("--seconds nan", "--seconds must be >= 1 and finite, was nan"),
        ("--jobs 65", "--jobs takes 1 to 64, was 65"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def _word(state: TradingState, source: str = "kill_switch") -> KillSwitchState:
    return KillSwitchState(ts_ns=1, state=state, source=source, valid_until_ns=2)


def test_what_is_approved_after_the_word_is_told_and_nothing_else() -> None:
    order = OrderEvent(
        ts_ns=1,
        instrument=0,
        account_id="main",
        strategy_id="trader",
        intent_id="t-1",
        client_order_id="NJ-1",
        side=Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.GTC,
        qty_lots=1,
        limit_price_ticks=NO_PRICE,
        decision_seq=1,
        limits_version=1,
        expires_ns=2,
    )
    before: list[Message] = [order, _word(TradingState.HALTED, "venue"), order]
    after: list[Message] = [_word(TradingState.HALTED), order, _word(TradingState.ACTIVE), order]
    assert approved_after_the_word(before) == []
    assert approved_after_the_word([*before, *after]) == [
        "I4: order NJ-1 was approved while the kill switch was halted"
    ]


def test_a_kill_is_given_what_orders_and_clocks_are_late() -> None:
    assert late_ns(together(("A3", "A17", "A18"), 1, 10.0).world.plan) == 48_000_000_000
    assert late_ns(single("A6", 10.0).world.plan) == 0
