"""The venue's number for an account: kept by its session, asked for by every later one of its name and address."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from njord.apps.live_account import account_uid, check_uid, note_uid, noted_uid
from njord.apps.live_locks import VenueSeen, live_locks
from njord.core.config import Config
from njord.core.errors import ConfigError, JournalHalted
from njord.core.types import TradingState
from njord.venues.broker_wire import Health
from tests.unit.apps.test_live_locks import OPEN

HERE = "http://127.0.0.1:9095"


def configured(account: str = "demo", endpoint: str | None = HERE, uid: int = 0) -> Config:
    return Config.model_validate({"live": {"account": account, "endpoint": endpoint, "account_uid": uid}})


def session(
    state: Path, name: str, started_ns: int, uid: int, account: str = "demo", endpoint: str | None = HERE
) -> Path:
    folder = state / "sessions" / name
    folder.mkdir(parents=True)
    config = {"live": {"account": account, "endpoint": endpoint}, "exchange": {"venue": "binanceus"}}
    facts = {"kind": "live", "started_ns": started_ns, "config": config}
    (folder / "session.json").write_text(json.dumps(facts))
    note_uid(folder, uid)
    return folder


def test_nobody_knows_the_number_before_the_first_session(tmp_path: Path) -> None:
    assert account_uid(tmp_path, configured()) == 0
    session(tmp_path, "never-connected", 1, 0)
    assert account_uid(tmp_path, configured()) == 0


def test_the_last_session_of_the_same_name_at_the_same_address_says_it(tmp_path: Path) -> None:
    session(tmp_path, "z-first", 1, 5)
    session(tmp_path, "a-last", 2, 6)
    session(tmp_path, "another-name", 3, 7, account="other")
    session(tmp_path, "real", 4, 8, endpoint=None)
    assert account_uid(tmp_path, configured()) == 6
    assert account_uid(tmp_path, configured(account="other")) == 7
    assert account_uid(tmp_path, configured(endpoint=None)) == 8
    assert account_uid(tmp_path, configured(account="third")) == 0


def test_the_configuration_has_the_last_word(tmp_path: Path) -> None:
    session(tmp_path, "before", 1, 5)
    assert account_uid(tmp_path, configured(uid=9)) == 9


def test_a_session_keeps_the_first_number_and_refuses_another(tmp_path: Path) -> None:
    folder = session(tmp_path, "mine", 1, 5)
    note_uid(folder, 6)
    assert noted_uid(folder) == 5
    check_uid(folder, 5)
    with pytest.raises(ConfigError) as caught:
        check_uid(folder, 6)
    assert str(caught.value) == (
        "the session mine trades for account 5, not 6; set live.account_uid: 5, or begin a new session: --fresh"
    )


def test_a_session_that_never_connected_takes_any_account(tmp_path: Path) -> None:
    check_uid(tmp_path, 6)


@pytest.mark.parametrize("text", ["", "{}", '{"uid": 0}', '{"uid": "5"}', '{"uid": 5, "more": 1}', "\xff"])
def test_a_damaged_number_is_refused_by_name(text: str, tmp_path: Path) -> None:
    folder = session(tmp_path, "mine", 1, 5)
    (folder / "account.json").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"account\.json is damaged"):
        account_uid(tmp_path, configured())


def test_other_sessions_may_be_damaged(tmp_path: Path) -> None:
    session(tmp_path, "mine", 1, 5)
    for name, text in (("no-json", "{"), ("no-config", "{}"), ("odd", '{"config": {"live": 1}}')):
        (session(tmp_path, name, 9, 7) / "session.json").write_text(text)
    assert account_uid(tmp_path, configured()) == 5


def test_a_disk_that_refuses_halts(tmp_path: Path) -> None:
    with pytest.raises(JournalHalted, match="can not be written"):
        note_uid(tmp_path / "gone", 5)


def test_the_lock_says_what_to_set_if_the_account_that_answers_is_the_right_one() -> None:
    why = "the account is not believed: account 9 answers, not 5"
    health = Health(state=TradingState.HALTED, reason=why)
    venue = VenueSeen(doubt_ns=1, health=health, account_uid=5, is_stranger=True)
    lock = next(each for each in live_locks(replace(OPEN, venue=venue)) if each.name == "reconciliation")
    assert lock.seen == f"not finished: {why}"
    assert lock.next.startswith("if account 5 is not the one you mean, set live.account_uid")
