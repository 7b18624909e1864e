"""Numbers on the page: short, exact where it matters, and undefined where there is none."""

import pytest

from njord.backtest.page_text import MINUS, amount, clip, duration, money, percent, ratio, when
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.00"),
        ("10000", "10,000.00"),
        ("-9631.32222749", f"{MINUS}9,631.32"),
        ("0.00012300", "0.000123"),
        ("-0.5", f"{MINUS}0.5"),
        ("0.000000000012", "1.20e-11"),
        ("123456789012345678901234567890.125", "123,456,789,012,345,678,901,234,567,890.12"),
    ],
)
def test_amounts_are_short_and_never_zero_unless_they_are(value: str, text: str) -> None:
    assert amount(value) == text


def test_gains_and_losses_differ_by_sign_and_tone() -> None:
    assert (percent(0.1234, "", signed=True).text, percent(0.1234, "", signed=True).tone) == (
        "+12.34%",
        "gain",
    )
    assert (percent(-0.1, "", signed=True).text, percent(-0.1, "", signed=True).tone) == (
        f"{MINUS}10.00%",
        "loss",
    )
    assert percent(0.0, "", signed=True).tone == ""
    assert money("1.5", "USD", "", signed=True).text == "+1.50 USD"


@pytest.mark.parametrize("write", [ratio, percent, lambda value, why: money(value, "USD", why)])
def test_null_is_undefined_with_the_reason(write: object) -> None:
    assert callable(write)
    cell = write(None, "because")
    assert (cell.text, cell.tone, cell.note) == ("undefined", "undefined", "because")


def test_an_infinity_is_not_undefined() -> None:
    assert ratio("inf", "why").text == "\N{INFINITY}"
    assert ratio("-inf", "why").text == f"{MINUS}\N{INFINITY}"


@pytest.mark.parametrize(
    ("span_ns", "text"),
    [
        (0, "0 s"),
        (NS_PER_S // 2, "0.5 s"),
        (90 * NS_PER_S, "1 min 30 s"),
        (60 * NS_PER_MINUTE, "1 h"),
        (31 * NS_PER_DAY + 391 * NS_PER_MINUTE, "31 d 6 h"),
        (None, "undefined"),
    ],
)
def test_spans_have_two_units_at_most(span_ns: int | None, text: str) -> None:
    assert duration(span_ns) == text


def test_times_are_utc_and_a_time_beyond_the_calendar_is_still_a_time() -> None:
    assert when(1_640_991_660 * NS_PER_S) == "2021-12-31 23:01"
    assert when(1_640_991_661 * NS_PER_S) == "2021-12-31 23:01:01"
    assert when(2**63 - 1 + 10**21) == f"{2**63 - 1 + 10**21} ns"


def test_long_text_is_cut_and_says_so() -> None:
    assert clip("a" * 2_000) == "a" * 2_000
    assert clip("a" * 2_001).endswith("(2,001 characters)")
