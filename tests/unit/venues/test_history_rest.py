"""One call at a time, within the budget, again where that helps; time, waiting and chance are handed in."""

from random import Random

import msgspec
import pytest

from njord.core.errors import VenueUnavailable
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.history import VenueRefusal
from njord.venues.rest import Answer, Params, Patience, PatientRest, RateBudget

Said = Answer | VenueUnavailable


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * NS_PER_S
        self.slept_s: list[float] = []

    def now_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.ns += int(seconds * NS_PER_S)


class Script:
    """Gives prepared answers in order, the last one for ever."""

    def __init__(self, *answers: Said) -> None:
        self.answers = list(answers)
        self.n_asked = 0

    def ask(self, path: str, params: Params) -> Answer:
        self.n_asked += 1
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, VenueUnavailable):
            raise said
        return said


class Form(msgspec.Struct):
    x: int


GOOD = Answer(200, {}, '{"x": 5}')


def refused(status: int, code: int | None = None, **headers: str) -> Answer:
    body = "<html>" if code is None else f'{{"code": {code}, "msg": "Trouble."}}'
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def asking(script: Script, time: Time, limit: int = 1_000, patience: Patience | None = None) -> PatientRest:
    budget = RateBudget(time, time.sleep, limit)
    return PatientRest(script, "thevenue", budget, time.sleep, Random(1), patience or Patience())


@pytest.mark.parametrize(
    "trouble",
    [
        VenueUnavailable("a broken connection"),
        refused(500), refused(502), refused(503), refused(599, -1), refused(400, -1001), refused(403, -1003),
        Answer(200, {}, '{"x": 5'), Answer(200, {}, ""), Answer(200, {}, '{"x": "5"}'), Answer(200, {}, "[]"),
    ],
)  # fmt: skip
def test_trouble_that_passes_is_waited_out(trouble: Said) -> None:
    time, script = Time(), Script(trouble, trouble, GOOD)
    rest = asking(script, time)
    assert rest.get("p", {}, 1, Form).x == 5
    assert (script.n_asked, rest.n_requests, rest.n_repeats) == (3, 3, 2)
    first, second = time.slept_s
    assert 0.25 <= first <= 0.5 <= second <= 1.0


@pytest.mark.parametrize(
    ("status", "code"), [(400, -1121), (400, -1100), (401, -2015), (404, None), (451, None)]
)
def test_a_refusal_for_good_is_not_repeated(status: int, code: int | None) -> None:
    time, script = Time(), Script(refused(status, code), GOOD)
    with pytest.raises(VenueRefusal) as said:
        asking(script, time).get("klines", {}, 1, Form)
    assert (said.value.status, said.value.code) == (status, code or 0)
    assert str(said.value).startswith("thevenue refuses klines: ")
    assert (script.n_asked, time.slept_s) == (1, [])


def test_endless_trouble_ends_after_the_attempts_with_its_last_words() -> None:
    time, script = Time(), Script(refused(503, -1))
    with pytest.raises(
        VenueUnavailable, match=r"no usable answer to p in 8 attempts, the last time HTTP 503 \(Trouble\.\)"
    ):
        asking(script, time).get("p", {}, 1, Form)
    assert script.n_asked == 8
    assert len(time.slept_s) == 7, "no wait after the last one"
    assert max(time.slept_s) <= 30


def test_what_the_venue_writes_can_not_break_the_line() -> None:
    script = Script(
        Answer(400, {}, msgspec.json.encode({"code": -1, "msg": "a\nb\x1b[31m" + "c" * 500}).decode())
    )
    with pytest.raises(VenueRefusal) as said:
        asking(script, Time()).get("p", {}, 1, Form)
    assert str(said.value).isprintable()
    assert len(str(said.value)) < 250


@pytest.mark.parametrize(("status", "code"), [(418, -1003), (429, -1003), (429, None)])
@pytest.mark.parametrize(("retry_after", "least_s"), [("17", 17), ("", 60), ("soon", 60), ("-5", 60)])
def test_retry_after_is_obeyed_and_a_minute_waited_without_one(
    status: int, code: int | None, retry_after: str, least_s: float
) -> None:
    time, script = Time(), Script(refused(status, code, retry_after=retry_after), GOOD)
    asking(script, time).get("p", {}, 1, Form)
    assert least_s <= sum(time.slept_s) <= least_s + 1


def test_a_long_ban_is_not_waited_out() -> None:
    time, script = Time(), Script(refused(418, -1003, retry_after="301"))
    with pytest.raises(VenueUnavailable, match="wants no request for 301 s"):
        asking(script, time).get("p", {}, 1, Form)
    assert (script.n_asked, time.slept_s) == (1, [])


def test_repeats_count_against_the_budget_as_well() -> None:
    time, script = Time(), Script(refused(503), refused(503), GOOD)
    asking(script, time, limit=10).get("p", {}, 5, Form)
    assert sum(time.slept_s) >= 59


@pytest.mark.parametrize("weights", [[1] * 300, [7, 1, 3] * 60, [100] * 3])
@pytest.mark.parametrize("pause_ns", [0, 900_000_000])
def test_no_minute_however_it_is_cut_holds_more_than_the_limit(weights: list[int], pause_ns: int) -> None:
    time = Time()
    budget = RateBudget(time, time.sleep, 100)
    sent: list[tuple[int, int]] = []
    for weight in weights:
        budget.take(weight)
        sent.append((time.ns, weight))
        time.ns += pause_ns
    for begin, _ in sent:
        assert sum(weight for ts_ns, weight in sent if begin <= ts_ns < begin + NS_PER_MINUTE) <= 100
    assert time.ns - sent[0][0] <= (sum(weights) // 100 + 1) * NS_PER_MINUTE + len(weights) * pause_ns, (
        "no idling"
    )


def test_weight_that_others_used_is_respected_until_their_minute_is_over() -> None:
    time = Time()
    script = Script(Answer(200, {"x-mbx-used-weight-1m": "99"}, '{"x": 1}'), GOOD)
    rest = asking(script, time, limit=100)
    rest.get("p", {}, 1, Form)
    rest.get("p", {}, 1, Form)
    assert time.slept_s == []
    script.answers = [Answer(200, {"x-mbx-used-weight-1m": "100"}, '{"x": 1}'), GOOD]
    rest.get("p", {}, 1, Form)
    rest.get("p", {}, 1, Form)
    assert time.slept_s == [60.0]


def test_a_clock_set_back_does_not_stop_the_work_for_hours() -> None:
    time = Time()
    budget = RateBudget(time, time.sleep, 10)
    budget.take(10)
    time.ns -= 3_600 * NS_PER_S
    budget.take(10)
    assert sum(time.slept_s) <= 61


def test_a_request_heavier_than_the_whole_budget_still_goes_out_once_a_minute_is_free() -> None:
    time = Time()
    budget = RateBudget(time, time.sleep, 5)
    budget.take(10)
    budget.take(10)
    assert sum(time.slept_s) == 60


def test_the_venues_own_limit_is_used_with_room_for_others() -> None:
    time, script = Time(), Script(GOOD)
    rest = asking(script, time, limit=1_000_000)
    rest.limit(50)
    for _ in range(41):
        rest.get("p", {}, 1, Form)
    assert sum(time.slept_s) == pytest.approx(60)
