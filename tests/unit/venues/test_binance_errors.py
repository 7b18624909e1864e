"""The error table: the same code means different things by its words, and no guess is made about what stands nowhere."""

import pytest

from njord.core.types import OrderReason
from njord.core.units import NS_PER_S
from njord.venues.binance_errors import Meaning, judge
from njord.venues.broker_wire import Answer, NoAnswer

M, R = Meaning, OrderReason


def answer(status: int, body: str, **headers: str) -> Answer:
    return Answer(
        status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body.encode()
    )


def words(code: int, text: str) -> str:
    return f'{{"code":{code},"msg":"{text}"}}'


@pytest.mark.parametrize(
    ("status", "code", "text", "meaning", "reason"),
    [
        (400, -2010, "Duplicate order sent.", M.DUPLICATE, R.NONE),
        (
            400,
            -2010,
            "Account has insufficient balance for requested action.",
            M.REFUSED,
            R.INSUFFICIENT_FUNDS,
        ),
        (400, -2010, "Order would immediately match and take.", M.REFUSED, R.POST_ONLY_WOULD_TAKE),
        (400, -2010, "Words that no table has.", M.REFUSED, R.VENUE_REFUSED),
        (400, -1013, "Filter failure: LOT_SIZE", M.REFUSED, R.FILTER_QTY),
        (400, -1013, "Market is closed.", M.REFUSED, R.SYMBOL_HALTED),
        (429, -1015, "Too many new orders.", M.REFUSED, R.RATE_LIMITED),
        (400, -2011, "Unknown order sent.", M.ABSENT, R.NONE),
        (400, -2013, "Order does not exist.", M.ABSENT, R.NONE),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", M.CLOCK, R.VENUE_REFUSED),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", M.KEY, R.VENUE_REFUSED),
        (400, -1022, "Signature for this request is not valid.", M.KEY, R.VENUE_REFUSED),
        (400, -1006, "An unexpected response.", M.UNKNOWN, R.NONE),
        (400, -1007, "Timeout waiting for response.", M.UNKNOWN, R.NONE),
        (400, -424242, "A code of tomorrow.", M.UNKNOWN, R.NONE),
        (503, -2010, "Account has insufficient balance for requested action.", M.UNKNOWN, R.NONE),
    ],
)
def test_what_a_refusal_means(
    status: int, code: int, text: str, meaning: Meaning, reason: OrderReason
) -> None:
    verdict = judge(answer(status, words(code, text)))
    assert (verdict.meaning, verdict.reason) == (meaning, reason)
    assert str(code) in verdict.evidence


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null", '{"code":"-2010"}', "{" * 5000])
def test_a_refusal_without_readable_words_is_no_refusal(body: str) -> None:
    assert judge(answer(400, body)).meaning is M.UNKNOWN
    assert judge(answer(403, body)).meaning is M.KEY
    assert judge(answer(502, body)).meaning is M.UNKNOWN


def test_silence_is_unknown_unless_nothing_can_have_left() -> None:
    assert judge(NoAnswer(was_sent=True, detail="no answer in time")).meaning is M.UNKNOWN
    assert judge(NoAnswer(was_sent=False, detail="no connection")).meaning is M.UNSENT


def test_waits_are_the_venues_and_never_endless() -> None:
    told = judge(answer(429, words(-1003, "Too much request weight used."), retry_after="7"))
    assert (told.meaning, told.retry_after_ns) == (M.SLOW_DOWN, 7 * NS_PER_S)
    banned = judge(answer(418, "", retry_after="999999999"))
    assert (banned.meaning, banned.retry_after_ns) == (M.BANNED, 3 * 86_400 * NS_PER_S)
    assert judge(answer(418, "", retry_after="soon")).retry_after_ns == 120 * NS_PER_S


def test_evidence_is_one_printable_line() -> None:
    evidence = judge(answer(400, '{"code":-2010,"msg":"a\\nb\\u001b[31m' + "x" * 500 + '"}')).evidence
    assert evidence.isprintable()
    assert len(evidence) <= 160


@pytest.mark.parametrize(
    ("text", "is_behind"),
    [
        ("Timestamp for this request was 1000ms ahead of the server's time.", True),
        ("Timestamp for this request is outside of the recvWindow.", False),
    ],
)
def test_only_a_time_that_is_yet_to_come_says_that_the_venues_clock_is_behind(
    text: str, is_behind: bool
) -> None:
    verdict = judge(answer(400, words(-1021, text)))
    assert (verdict.meaning, verdict.is_behind) == (M.CLOCK, is_behind)
