"""The engine over services: the same journal as one process, however bad the way between them is."""

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.adapters.seal import Sealed, SealKey, seal
from njord.apps.lockstep import ALERTS_MAX, LockStepEngine, Stopped, Waiting
from njord.apps.services_door import Door
from njord.apps.services_stages import StageService
from njord.apps.services_words import (
    MARKET,
    PAPER,
    RISK,
    STAGES,
    STRAT,
    Answer,
    Hello,
    check_placed,
    decode_reply,
    encode_reply,
)
from njord.core.codec import decode, encode
from njord.core.contracts import (
    Bar,
    BookEvent,
    KillSwitchState,
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
from njord.core.types import OrderType, Side, TimeInForce, TradingState
from njord.core.units import FOREVER_NS
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from njord.system import System
from tests.property.strategies import INTERVAL_NS, START_NS, BarHost, instrument
from tests.property.test_engine_system import CAPITAL, CASES, TRADED, Case, Random
from tests.unit.apps.lockstep_world import KEY, RUN, MemoryLine, engine_over

TRADED_ONE = (instrument("BTC/USDT"),)


class Follower(Strategy):
    """Wants another weight at every price."""

    def __init__(self) -> None:
        super().__init__(StrategyParams())
        self._n = 0

    def _next(self) -> Proposals:
        self._n += 1
        return Target(weight=(0.9, 0.0, 0.4)[self._n % 3])

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        return self._next()

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        return self._next()

    def on_book(self, ctx: Context, book: BookEvent) -> Proposals:
        return self._next()

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return TimerSet(key="again", due_ns=timer.ts_ns + 1)


def follower_host() -> BarHost:
    return BarHost({"f": [(0, Follower())]}, TRADED_ONE)


def split(host: BarHost, systems: Any) -> tuple[MemoryLine, LockStepEngine]:
    """Put the host's risk and strategy stages behind a line."""
    line = MemoryLine(systems, host.journal.messages)
    engine = engine_over(line, host.system, host.journal, len(host.journal.messages))
    cast(Any, host.system).engine = engine
    return line, engine


def bar(number: int, close: int = 1000) -> Bar:
    open_ns = START_NS + number * INTERVAL_NS
    return Bar(
        ts_ns=open_ns + INTERVAL_NS,
        instrument=0,
        ts_open_ns=open_ns,
        open=close,
        high=close + 5,
        low=close - 5,
        close=close,
        volume_lots=100,
    )


def bars(n: int) -> list[Bar]:
    return [bar(number, 1000 + number % 7) for number in range(n)]


def written(messages: Sequence[Message]) -> list[bytes]:
    return [encode(message) for message in messages]


def one_process(market: Sequence[Bar]) -> list[bytes]:
    return written(follower_host().run(market).journal.messages)


def system() -> System:
    return follower_host().system


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


# --- what is no answer of ours ---


def forged(seq: int, **given: Any) -> OrderEvent:
    values: dict[str, Any] = {
        "ts_ns": START_NS,
        "instrument": 0,
        "account_id": "main",
        "strategy_id": "f",
        "intent_id": "f-99",
        "client_order_id": "NJ-FORGED",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "tif": TimeInForce.GTC,
        "qty_lots": 1,
        "decision_seq": seq,
        "limits_version": 1,
        "expires_ns": FOREVER_NS,
    }
    return OrderEvent(**{**values, **given})


def sealed(
    key: SealKey = KEY, run: str = RUN, decision_seq: int = 99, expires_ns: int = FOREVER_NS
) -> Sealed:
    order = forged(decision_seq)
    return seal(key, encode(order), run_id=run, decision_seq=decision_seq, expires_ns=expires_ns)


def altered() -> Sealed:
    whole = sealed()
    return Sealed(
        whole.payload.replace(b'"qty_lots":1', b'"qty_lots":9'),
        whole.run_id,
        whole.decision_seq,
        whole.expires_ns,
        whole.mac,
    )


def stamp(service: str, seq: int, *stages: tuple[bytes | Sealed, ...]) -> bytes:
    return encode_reply(Answer(seq, service, stages))


KILL_SWITCH = KillSwitchState(ts_ns=1, state=TradingState.ACTIVE, source="host", valid_until_ns=FOREVER_NS)
NOT_AN_ORDER = seal(KEY, encode(bar(0)), run_id=RUN, decision_seq=99, expires_ns=FOREVER_NS)
FORGERIES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "another key": ("forged", lambda seq: stamp(RISK, seq, (sealed(SealKey(bytes(32))),))),
    "altered": ("forged", lambda seq: stamp(RISK, seq, (altered(),))),
    "of another run": ("other_run", lambda seq: stamp(RISK, seq, (sealed(run="run.0"),))),
    "expired": ("expired", lambda seq: stamp(RISK, seq, (sealed(expires_ns=START_NS),))),
    "used before": ("replayed", lambda seq: stamp(RISK, seq, (sealed(decision_seq=0),))),
    "no seal": ("unsealed", lambda seq: stamp(RISK, seq, (encode(forged(99)),))),
    "sealed by a strategy": ("not_the_gate", lambda seq: stamp(STRAT, seq, (sealed(),), ())),
    "ordered by a strategy": ("unsealed", lambda seq: stamp(STRAT, seq, (encode(forged(99)),), ())),
    "a kill switch": ("malformed", lambda seq: stamp(STRAT, seq, (encode(KILL_SWITCH),), ())),
    "no order in the seal": ("malformed", lambda seq: stamp(RISK, seq, (NOT_AN_ORDER,))),
    "a stage missing": ("malformed", lambda seq: stamp(STRAT, seq, ())),
    "no message": ("malformed", lambda seq: stamp(STRAT, seq, (b"{}",), ())),
    "no answer": ("malformed", lambda seq: b"\xc1 nothing"),
    "of no service": ("malformed", lambda seq: stamp(PAPER, seq, ())),
    "hello of no service": ("malformed", lambda seq: encode_reply(Hello("md", 1))),
    "to what is yet to come": ("replayed", lambda seq: stamp(RISK, seq + 5000, ())),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_no_answer_of_ours_is_refused_told_and_changes_nothing(name: str) -> None:
    host = follower_host()
    line, engine = split(host, system)
    market = bars(6)
    reason, forgery = FORGERIES[name]
    line.spoil = lambda said: [forgery(len(host.journal.messages)), *said]
    assert written(host.run(market).journal.messages) == one_process(market)
    assert engine.n_refused > 6
    assert {alert.category for alert in engine.alerts} == {"security"}
    assert reason in {dict(alert.labels)["reason"] for alert in engine.alerts}


def test_an_order_that_was_sealed_once_opens_once() -> None:
    host = follower_host()
    line, engine = split(host, system)
    seen: list[bytes] = []

    def spoil(said: list[bytes]) -> list[bytes]:
        orders = [raw for raw in said if b"OrderEvent" in raw]
        again = [
            stamp(RISK, len(host.journal.messages), answer.stages[0])
            for raw in seen
            if isinstance(answer := decode_reply(raw), Answer)
        ]
        seen.extend(orders[:1])
        return [*again, *said]

    line.spoil = spoil
    market = bars(9)
    assert written(host.run(market).journal.messages) == one_process(market)
    assert {dict(alert.labels)["reason"] for alert in engine.alerts} >= {"replayed"}


def test_a_second_answer_that_differs_is_told_and_not_taken() -> None:
    host = follower_host()
    line, engine = split(host, system)
    late = [
        decision
        for decision in written(follower_host().run(bars(9)).journal.messages)
        if b"RiskD" in decision
    ]

    def spoil(said: list[bytes]) -> list[bytes]:
        return [*said, *(stamp(RISK, decode_reply(raw).seq, (late[0],)) for raw in said if b"RiskD" in raw)]

    line.spoil = spoil
    assert written(host.run(bars(9)).journal.messages) == one_process(bars(9))
    assert {dict(alert.labels)["reason"] for alert in engine.alerts} == {"two_answers"}


def test_a_flood_of_forgeries_fills_no_disk() -> None:
    host = follower_host()
    line, engine = split(host, system)
    for _ in range(5 * ALERTS_MAX):
        line.say(b"nothing")
    engine.poll()
    assert (engine.n_refused, len(engine.alerts)) == (5 * ALERTS_MAX, ALERTS_MAX)


def test_a_refused_order_never_reaches_the_engine_and_nobody_knows_of_it() -> None:
    host = follower_host()
    line, engine = split(host, system)
    line.say(stamp(RISK, 2, (sealed(SealKey(bytes(32))),)))
    host.feed(bar(0))
    assert not any(b"NJ-FORGED" in each for each in written(host.journal.messages))
    assert "NJ-FORGED" not in [order.client_order_id for order in host.system.oms.working]
    assert len(engine.alerts) == 1
    assert decode(encode(engine.alerts[0])) == engine.alerts[0]
    assert Decimal(host.venue.cash) == Decimal(10_000)
