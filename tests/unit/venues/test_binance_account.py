"""Another account answers than the one that is traded for: it is not believed, and a person hears how long it lasts."""

import msgspec
import pytest
from msgspec.structs import replace

from njord.core.types import Severity, TradingState
from njord.core.units import NS_PER_S
from njord.exchange.wire import Request, Response
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_rounds import Stranger
from njord.venues.broker_wire import Notice
from tests.unit.venues.binance_case import CoreCase

ANOTHER = "another account answers than the one that is traded for; it is not believed"
RIGHT = "the right account answers again"


def foreign(request: Request, response: Response) -> Response:
    if request.path != "/api/v3/account" or response.status != 200:
        return response
    body = msgspec.json.decode(response.body)
    return replace(response, body=msgspec.json.encode({**body, "uid": 99}))


def notices(case: CoreCase) -> list[Notice]:
    return [each for each in case.words if isinstance(each, Notice)]


def test_the_number_of_the_account_is_known_once_it_is_certain() -> None:
    case = CoreCase()
    assert case.core.account_uid == 0
    case.to(20)
    assert case.core.account_uid == case.case.alice.uid
    assert case.core.is_ready


def test_a_core_that_is_told_the_number_does_not_take_a_stranger_for_the_account_and_recovers() -> None:
    case = CoreCase(options=CoreOptions(account_uid=1))
    assert case.case.alice.uid == 1
    case.trouble.after = foreign
    case.to(40)
    assert case.health.state is TradingState.HALTED
    assert case.health.reason == "the account is not believed: account 99 answers, not 1"
    case.trouble.after = lambda request, response: response
    case.to(90)
    assert case.core.is_ready
    assert case.core.account_uid == 1


def test_a_core_that_is_not_told_takes_whoever_answers_three_times() -> None:
    case = CoreCase()
    case.trouble.after = foreign
    case.to(40)
    assert case.core.account_uid == 99


def test_a_stranger_is_told_at_once_while_trading_goes_on_and_again_when_it_is_over() -> None:
    case = CoreCase()
    case.to(20)
    case.words.clear()
    case.trouble.after = foreign
    case.to(110)
    assert [each.title for each in notices(case)] == [ANOTHER]
    case.trouble.after = lambda request, response: response
    case.to(200)
    first, last = notices(case)
    assert (first.severity, first.message) == (Severity.WARNING, "account 99 answers, not 1")
    assert (last.severity, last.title) == (Severity.INFO, RIGHT)
    assert last.message.startswith("another one had answered for ")
    assert case.core.is_ready


@pytest.mark.parametrize(
    ("at_s", "told"),
    [
        ([0, 10, 59], ["why"]),
        ([0, 60, 61, 119, 120], ["why", "why; for 60 s now", "why; for 120 s now"]),
        ([0, 90, 179, 180, 300], ["why", "why; for 90 s now", "why; for 180 s now"]),
    ],
)
def test_a_stranger_that_stays_is_told_ever_more_seldom(at_s: list[int], told: list[str]) -> None:
    stranger = Stranger()
    said = [stranger.answered("why", (1000 + each) * NS_PER_S) for each in at_s]
    assert [each.message for each in said if each is not None] == told


def test_the_end_of_a_stranger_is_told_once_and_the_next_one_is_new() -> None:
    stranger = Stranger()
    assert stranger.left(1) is None
    stranger.answered("why", 1000 * NS_PER_S)
    end = stranger.left(1042 * NS_PER_S)
    assert end is not None
    assert end.message == "another one had answered for 42 s"
    assert stranger.left(1043 * NS_PER_S) is None
    again = stranger.answered("why", 1044 * NS_PER_S)
    assert again is not None
    assert again.message == "why"
