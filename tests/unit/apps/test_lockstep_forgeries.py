"""What is no answer of ours is refused, told, and changes nothing: forged, altered, replayed, expired, out of place."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from njord.adapters.seal import Sealed, SealKey, seal
from njord.apps.lockstep import ALERTS_MAX
from njord.apps.services_words import (
    PAPER,
    RISK,
    STRAT,
    Answer,
    Hello,
    decode_reply,
    encode_reply,
)
from njord.core.codec import decode, encode
from njord.core.contracts import (
    KillSwitchState,
    OrderEvent,
)
from njord.core.types import OrderType, Side, TimeInForce, TradingState
from njord.core.units import FOREVER_NS
from tests.property.strategies import START_NS
from tests.unit.apps.lockstep_world import (
    KEY,
    RUN,
    bar,
    bars,
    follower_host,
    one_process,
    split,
    system,
    written,
)


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


def test_a_late_answer_that_differs_from_the_one_that_was_taken_is_told() -> None:
    host = follower_host()
    line, engine = split(host, system)
    host.feed(bar(0))
    again = line.services[RISK].again(2)[0]
    line.say(again)
    engine.poll()
    assert (engine.n_repeated, engine.n_refused) == (1, 0)
    line.say(stamp(RISK, 2, (sealed(),)))
    engine.poll()
    assert [dict(alert.labels)["reason"] for alert in engine.alerts] == ["two_answers"]


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
