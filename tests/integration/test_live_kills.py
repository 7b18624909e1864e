"""A real `njord live` at a real `njord venue`: killed at random moments, stopped by a switch in Redis, its orders taken back
under a tripped switch, its start held up by the venue's budget; its books stay the venue's."""

import copy
import json
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.clock import Stopwatch
from njord.adapters.kill_switch_redis import RedisSwitch
from njord.adapters.kill_switch_sources import KillRecord
from njord.apps.live_account import noted_uid
from njord.apps.switch import KILL_SWITCH
from njord.core.types import TradingState
from njord.simulation import invariants
from njord.simulation.campaign import run_seed
from njord.simulation.disk_evidence import evidence_of, session_folder
from njord.simulation.invariants import Evidence
from njord.simulation.kills_session import (
    MOMENTS,
    PARAMS,
    POSITION_CAP,
    TRUTH_FILE,
    KilledSession,
    is_approved_order,
)
from njord.simulation.processes import (
    Event,
    NodeProcess,
    ProcessFailed,
    Program,
    VenueProcess,
    is_active,
    lay_out,
)
from njord.venues.binance_outbox import USED_UP
from tests.redis_server import CANARY, RedisServer

pytestmark = pytest.mark.integration

KEY = "njord:kill_switch"
WITHIN_S = 120.0
RESTING = {**PARAMS, "share": 1.0, "far_ticks": 300_000, "amends": False}  # Orders that wait for a long time.
STARTS_MAX = 5
N_KILLS = 3
SEED = 16  # After an order, while it starts, while the venue is slow.


def test_a_life_that_begins_while_another_account_answers_keeps_the_sessions_own() -> None:
    outcome = run_seed(380, ("A3", "A17", "A20", "A21", "A23", "A16"))
    assert outcome.n_lives > 1
    assert outcome.struck["A23"]
    assert not outcome.violations


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_live_session_killed_at_random_moments_ends_where_the_venue_is(tmp_path: Path) -> None:
    told: list[None] = []
    root = tmp_path / "session"
    outcome = KilledSession(Program(), root, SEED, lambda: told.append(None)).run(N_KILLS)
    assert not outcome.violations
    assert sum(outcome.kills.values()) == len(told) == N_KILLS
    assert set(outcome.kills) == set(MOMENTS)
    assert min(outcome.n_orders, outcome.n_trades, len(outcome.active_s)) > 0
    folder = session_folder(root)
    assert noted_uid(folder) == 1
    truth = json.loads((root / TRUTH_FILE).read_bytes())
    for change, expected in TAMPERED:
        other = copy.deepcopy(truth)
        change(other)
        evidence = evidence_of(folder, other, position_cap=POSITION_CAP)
        assert any(found.startswith(expected) for found in judged(evidence)), expected


def judged(evidence: Evidence) -> list[str]:
    return [*invariants.converged(evidence), *invariants.always(evidence)]


def lose_a_unit(truth: Any) -> None:
    row = truth["balances"]["USDT"]
    row["free"] = str(Decimal(row["free"]) - Decimal("0.00000001"))


def invent_a_trade(truth: Any) -> None:
    truth["trades"].append({**truth["trades"][-1], "trade_id": 10**9})


def forget_a_trade(truth: Any) -> None:
    truth["trades"].pop()


def place_twice(truth: Any) -> None:
    truth["orders"].append(truth["orders"][0])


def place_unasked(truth: Any) -> None:
    taken = next(row for row in truth["requests"] if row["method"] == "POST" and row["status"] == 200)
    truth["requests"].append({**taken, "client_order_id": "NJ-NOBODY"})


TAMPERED: list[tuple[Callable[[Any], None], str]] = [
    (lose_a_unit, "I1: our books have"),
    (invent_a_trade, "I3: trade 1000000000 of the venue was never booked"),
    (forget_a_trade, "I3: trade"),
    (place_twice, "I6: order"),
    (place_unasked, "R2: order NJ-NOBODY"),
]


def says(state: TradingState) -> Callable[[Event], bool]:
    def is_it(event: Event) -> bool:
        said = (event["event"], event.get("source"), event.get("state"))
        return said == ("switch", KILL_SWITCH, state)

    return is_it


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_key_in_redis_stops_a_live_session_lets_it_go_on_and_is_tripped_where_redis_is_gone(
    tmp_path: Path,
) -> None:
    with RedisServer(password=CANARY, keeps_data=True) as server:

        def put(state: TradingState) -> None:
            switch = RedisSwitch(server.url, KEY, 5.0)
            assert switch.write(KillRecord(state=state, reason="drill", operator="tester", ts_ns=1)) == ""
            switch.close()

        put(TradingState.ACTIVE)
        program, environ = Program(), {"NJORD_REDIS__URL": server.url}
        with VenueProcess(program, tmp_path) as venue:
            lay_out(tmp_path, venue, POSITION_CAP)
            with NodeProcess(program, tmp_path, venue, PARAMS, environ=environ) as node:
                node.wait_active()
                node.first(is_approved_order, WITHIN_S)
                put(TradingState.HALTED)
                tripped = node.first(says(TradingState.HALTED), WITHIN_S)
                assert (tripped["reason"], tripped["operator"]) == ("drill", "tester")
                since = node.events.index(tripped)
                node.first(lambda event: event.get("reason") == "KILL_SWITCH_HALTED", WITHIN_S, since)
                put(TradingState.ACTIVE)
                cleared = node.first(says(TradingState.ACTIVE), WITHIN_S, since)
                while_halted = node.events[since : node.events.index(cleared)]
                assert not any(is_approved_order(event) for event in while_halted)
                again = node.first(is_approved_order, WITHIN_S, node.events.index(cleared))
                server.kill()
                gone = node.first(says(TradingState.HALTED), WITHIN_S, node.events.index(again))
                assert gone["reason"] == "Redis can not be reached"
                assert node.stop(WITHIN_S) == 0
                assert CANARY not in node.errors() + msgspec.json.encode(node.events).decode()
            evidence = evidence_of(session_folder(tmp_path), venue.truth(), position_cap=POSITION_CAP)
    assert not judged(evidence)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_keys_of_another_account_under_the_same_name_are_refused_until_the_configuration_names_it(
    tmp_path: Path,
) -> None:
    program = Program()
    with VenueProcess(program, tmp_path, words=("--account", "other:USDT=500")) as venue:
        lay_out(tmp_path, venue, POSITION_CAP)
        with NodeProcess(program, tmp_path, venue, PARAMS) as node:
            node.wait_active()
            assert node.stop(WITHIN_S) == 0
        other = venue.events[0]["accounts"][1]
        keys = {"NJORD_BINANCEUS_API_KEY": other["key"], "NJORD_BINANCEUS_API_SECRET": other["secret"]}
        for words, named, said in (
            (("--fresh",), {}, "the account is not believed: account 2 answers, not 1;"),
            ((), {"NJORD_LIVE__ACCOUNT_UID": "2"}, "trades for account 1, not 2; set live.account_uid: 1,"),
        ):
            with NodeProcess(program, tmp_path, venue, PARAMS, words, {**keys, **named}) as node:
                assert node.wait(WITHIN_S) == 2
                assert said in node.errors()
                assert not any(event["event"] == "started" for event in node.events)
        again = {**keys, "NJORD_LIVE__ACCOUNT_UID": "2"}
        with NodeProcess(program, tmp_path, venue, PARAMS, ("--fresh",), again) as node:
            node.wait_active()
            assert node.stop(WITHIN_S) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("trip", [("--reason", "drill"), ("--reason", "drill", "--flatten")])
def test_what_a_dead_nodes_session_has_at_the_venue_is_taken_back_under_a_tripped_switch(
    tmp_path: Path, trip: tuple[str, ...]
) -> None:
    program = Program()
    with VenueProcess(program, tmp_path) as venue:
        lay_out(tmp_path, venue, POSITION_CAP)
        die_with_orders(program, tmp_path, venue)
        assert program.run(tmp_path, ("kill", "trip", *trip)).returncode == 0
        n_before = len(venue.truth()["requests"])
        with NodeProcess(program, tmp_path, venue, RESTING) as node:
            assert node.wait(2 * WITHIN_S) == 2
            assert "live trading is locked: kill_switch is closed" in node.errors()
            assert "none works any more; njord kill clear" in node.errors()
            ended = next(event for event in node.events if event["event"] == "ended")
            assert not any(is_approved_order(event) for event in node.events if "flatten" not in trip[-1])
        assert ended["left"] == []
        assert not open_orders(venue)
        sent = [row for row in venue.truth()["requests"][n_before:] if row["method"] in ("POST", "PUT")]
        assert {order["side"] for order in placed(venue, sent)} <= (
            {"SELL"} if "--flatten" in trip else set()
        )
        with NodeProcess(program, tmp_path, venue, RESTING) as node:
            assert node.wait(WITHIN_S) == 2
            assert "has no order to cancel" in node.errors()
        other = {**RESTING, "seed": 99}
        with NodeProcess(program, tmp_path, venue, other) as node:
            assert node.wait(WITHIN_S) == 2
            assert "kill_switch is closed" in node.errors()
            assert "no order was canceled, the session" in node.errors()
        assert program.run(tmp_path, ("kill", "clear", "--reason", "over")).returncode == 0
        with NodeProcess(program, tmp_path, venue, RESTING) as node:
            node.wait_active()
            node.first(is_approved_order, WITHIN_S)
            assert not [event for event in node.events if event.get("severity") == "critical"]
            assert node.stop(WITHIN_S) == 0
        evidence = evidence_of(session_folder(tmp_path), venue.truth(), position_cap=POSITION_CAP)
    assert not judged(evidence)


def die_with_orders(program: Program, root: Path, venue: VenueProcess) -> None:
    with NodeProcess(program, root, venue, RESTING) as node:
        node.wait_active()
        watch = Stopwatch()
        while not open_orders(venue):
            assert node.is_running and watch.elapsed_s() < WITHIN_S
        node.kill()


def open_orders(venue: VenueProcess) -> list[Any]:
    return [order for order in venue.truth()["orders"] if order["status"] in ("NEW", "PARTIALLY_FILLED")]


def placed(venue: VenueProcess, requests: list[Any]) -> list[Any]:
    names = {row["client_order_id"] for row in requests}
    return [order for order in venue.truth()["orders"] if order["client_order_id"] in names]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_start_waits_for_the_venues_next_minute_where_its_weight_is_used_up(tmp_path: Path) -> None:
    program = Program()
    with VenueProcess(program, tmp_path) as venue:
        lay_out(tmp_path, venue, POSITION_CAP)
        for _ in range(STARTS_MAX):  # It may slip through just when a minute begins.
            with NodeProcess(program, tmp_path, venue, PARAMS) as node:
                if waits_while_used_up(node, venue):
                    node.wait_active()
                    assert node.stop(WITHIN_S) == 0
                    return
    raise AssertionError(f"none of {STARTS_MAX} starts had to wait")


def waits_while_used_up(node: NodeProcess, venue: VenueProcess) -> bool:
    while not any(is_active(event) for event in node.events):
        use_up(venue, 900)  # Of 1,200; questions of a broker may use 840.
        with suppress(ProcessFailed):
            waiting = node.first(lambda event: event["event"] == "waiting", 0.5)
            assert waiting["message"].endswith(USED_UP)
            return True
        assert node.is_running, node.errors()
    return False


def use_up(venue: VenueProcess, weight: int) -> None:
    used = used_by(venue, "ping")
    while used < weight:
        used = used_by(venue, "exchangeInfo")


def used_by(venue: VenueProcess, path: str) -> int:
    with urllib.request.urlopen(f"{venue.endpoint}/api/v3/{path}", timeout=WITHIN_S) as answer:
        return int(answer.headers["x-mbx-used-weight-1m"])
