"""The engine over services: the same journal as one process, however bad the way between them is."""

import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.apps.lockstep import LockStepEngine, Stopped, Waiting
from njord.apps.services_door import Door
from njord.apps.services_stages import StageService
from njord.apps.services_words import (
    MARKET,
    RISK,
    STAGES,
    STRAT,
    check_placed,
    decode_reply,
)
from njord.core.contracts import (
    Bar,
    BookEvent,
    Message,
    OrderEvent,
    RiskDecision,
    Target,
    TimerFired,
    TimerSet,
    TradeEvent,
)
from njord.core.engine import Engine
from njord.core.errors import InvariantError, RunawayCascade
from njord.core.types import Side
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from tests.property.strategies import INTERVAL_NS, START_NS, BarHost
from tests.property.test_engine_system import CAPITAL, CASES, TRADED, Case, Random
from tests.unit.apps.lockstep_world import (
    KEY,
    RUN,
    TRADED_ONE,
    MemoryLine,
    bar,
    bars,
    follower_host,
    one_process,
    split,
    system,
    written,
)

# --- the same as one process ---


def plain_host(case: Case) -> BarHost:
    hosted = {
        name: [(index, Random(script, case.warm_up)) for index, script in by_index.items()]
        for name, by_index in case.scripts.items()
    }
    return BarHost(hosted, TRADED, capital=CAPITAL, fixed_qty=case.fixed_qty, account=case.account)


@given(CASES)
def test_any_strategies_on_any_market_write_the_journal_of_one_process(case: Case) -> None:
    host = plain_host(case)
    split(host, lambda: plain_host(case).system)
    assert written(host.run(case.bars).journal.messages) == written(
        plain_host(case).run(case.bars).journal.messages
    )


@pytest.mark.integration
@given(CASES, st.integers(0, 2**32))
def test_late_doubled_and_restarted_answers_change_nothing(case: Case, seed: int) -> None:
    chance = random.Random(seed)
    host = plain_host(case)
    line, engine = split(host, lambda: plain_host(case).system)

    def spoil(said: list[bytes]) -> list[bytes]:
        line.deaf = {name for name in (RISK, STRAT) if chance.random() < 0.2}
        if chance.random() < 0.1:
            line.restart(chance.choice((RISK, STRAT)))
        kept = [raw for raw in said if chance.random() < 0.9]
        chance.shuffle(kept)
        return kept + [raw for raw in kept if chance.random() < 0.2]

    line.spoil = spoil
    assert written(host.run(case.bars).journal.messages) == written(
        plain_host(case).run(case.bars).journal.messages
    )
    assert engine.n_refused == 0


MARKET_MESSAGES = st.lists(
    st.tuples(st.sampled_from(["bar", "trade", "book", "delta", "timer"]), st.integers(900, 1100)),
    max_size=30,
)


def market_message(number: int, kind: str, price: int) -> Message:
    ts_ns = START_NS + number * INTERVAL_NS
    if kind == "bar":
        return bar(number, price)
    if kind == "timer":
        return TimerFired(ts_ns=ts_ns, strategy_id="f", instrument=0, key="k", due_ns=ts_ns)
    if kind == "trade":
        return TradeEvent(
            ts_ns=ts_ns,
            instrument=0,
            price_ticks=price,
            qty_lots=1,
            side=Side.BUY,
            trade_id=number,
            ts_venue_ns=ts_ns,
        )
    return BookEvent(
        ts_ns=ts_ns,
        instrument=0,
        bids=((price - 1, 10),),
        asks=((price + 1, 10),),
        is_snapshot=kind == "book",
        first_update_id=number,
        last_update_id=number,
        ts_venue_ns=ts_ns,
    )


@given(MARKET_MESSAGES)
def test_prices_of_trades_and_books_are_followed_as_the_gate_keeps_them(
    market: list[tuple[str, int]],
) -> None:
    whole, host = follower_host(), follower_host()
    split(host, system)
    for number, (kind, price) in enumerate(market):
        message = market_message(number, kind, price)
        whole.system.engine.step(message)
        host.system.engine.step(message)
        marks = whole.system.gate.exposure.mark_ticks
        assert host.system.ledger.mark_ticks == marks
    assert written(host.journal.messages) == written(whole.journal.messages)
    assert any(isinstance(message, Target) for message in host.journal.messages) or all(
        kind == "timer" for kind, _ in market
    )


def test_what_the_gate_does_with_the_market_causes_nothing() -> None:
    gate = system().gate
    for number, kind in enumerate(["bar", "trade", "book"]):
        message = market_message(number, kind, 1000)
        assert not gate.handlers()[type(message)](message)
    assert {kind for kind in MARKET if kind in gate.handlers()} == {Bar, TradeEvent, BookEvent}


def test_every_stage_has_one_service_and_a_new_one_must_get_one() -> None:
    names = [name for stages in STAGES.values() for name in stages]
    assert sorted(names) == sorted(system().stages)
    with pytest.raises(InvariantError, match="no service drives stage 'scout'"):
        check_placed({**system().stages, "scout": system().oms})


def test_only_services_that_consume_a_message_are_asked() -> None:
    host = follower_host()
    line, _ = split(host, system)
    said: list[Any] = []

    def spoil(raws: list[bytes]) -> list[bytes]:
        said.extend(decode_reply(raw) for raw in raws)
        return raws

    line.spoil = spoil
    host.run(bars(5))
    kinds = dict(enumerate(map(type, host.journal.messages), 1))
    asked = {name: {kinds[each.seq] for each in said if each.service == name} for name in (RISK, STRAT)}
    assert Target not in asked[RISK]
    assert {RiskDecision, OrderEvent} <= asked[STRAT]
    assert not {RiskDecision, OrderEvent} & asked[RISK]


@pytest.mark.parametrize("limit", [1, 2, 5, 300])
def test_a_cascade_ends_where_it_ends_in_one_process(limit: int) -> None:
    class Echo(Strategy):
        def __init__(self) -> None:
            super().__init__(StrategyParams())

        def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
            return [TimerSet(key=str(n), due_ns=bar.ts_ns + 1) for n in range(320)]

    def host() -> BarHost:
        return BarHost({"e": [(0, Echo())]}, TRADED_ONE)

    whole, parts = host(), host()
    line = MemoryLine(lambda: host().system, parts.journal.messages)
    engine = LockStepEngine(
        parts.system.stages,
        parts.journal,
        line,
        Door(KEY, RUN),
        last_seq=1,
        now_s=lambda: line.now_s,
        cascade_max=limit,
    )
    one = Engine(tuple(whole.system.stages.values()), whole.journal, limit)
    for each in (one, engine):
        with pytest.raises(RunawayCascade, match=f"Bar at {bar(0).ts_ns} caused more than {limit} messages"):
            each.step(bar(0))
    assert written(parts.journal.messages) == written(whole.journal.messages)


# --- a service that is not there ---


def test_a_dead_service_is_waited_for_and_named_once_a_second() -> None:
    host = follower_host()
    line, engine = split(host, system)
    told: list[Waiting | None] = []
    cast(Any, engine)._on_wait = told.append
    line.deaf = {RISK}

    def spoil(said: list[bytes]) -> list[bytes]:
        if line.now_s > 3.5:
            line.deaf = set()
        return said

    line.spoil = spoil
    assert written(host.run(bars(9)).journal.messages) == one_process(bars(9))
    assert [each.services for each in told[:3] if each] == [(RISK,)] * 3
    assert [round(each.waited_s) for each in told[:3] if each] == [1, 2, 3]
    assert told[-1] is None


def test_an_answer_that_was_lost_is_asked_for_after_a_second() -> None:
    host = follower_host()
    line, engine = split(host, system)
    lost: list[bytes] = []

    def spoil(said: list[bytes]) -> list[bytes]:
        if said and not lost:
            lost.extend(said)
            return []
        return said

    line.spoil = spoil
    host.feed(bar(0))
    assert [entry.again for entry in line.log if entry.again] == [2]
    assert 1 <= line.now_s < 1.5
    assert engine.n_refused == 0


def test_a_stop_ends_a_wait_and_says_for_whom() -> None:
    host = follower_host()
    line, engine = split(host, system)
    line.deaf = {STRAT}

    def spoil(said: list[bytes]) -> list[bytes]:
        if line.now_s > 0.3:
            engine.stop_reason = "SIGTERM"
        return said

    line.spoil = spoil
    with pytest.raises(Stopped, match="SIGTERM, while strat has not answered message 2"):
        host.feed(bar(0))
    assert 1 <= line.now_s < 1.5


def test_a_restarted_service_does_not_answer_again_what_was_answered() -> None:
    host = follower_host()
    line, engine = split(host, system)
    for each in bars(6):
        host.feed(each)
        line.restart(RISK)
        line.restart(STRAT)
    assert engine.n_repeated == 0
    assert written(host.journal.messages) == written(
        [*follower_host().run(bars(6)).journal.messages][: len(host.journal.messages)]
    )


def test_a_service_refuses_a_message_that_follows_a_gap_and_ignores_one_that_it_has() -> None:
    service = StageService(RISK, system(), RUN, KEY)
    assert service.apply(1, bar(0)) is not None
    assert service.apply(1, bar(0)) is None
    with pytest.raises(InvariantError, match="risk has applied message 1, and is given 3"):
        service.apply(3, bar(1))


def test_only_the_risk_service_has_a_key() -> None:
    for name, key in ((STRAT, KEY), (RISK, None)):
        with pytest.raises(InvariantError, match="seals orders"):
            StageService(name, system(), RUN, key)
