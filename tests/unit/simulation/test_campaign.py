"""The words of a campaign: what they name, and one line for what they can not mean."""

import pytest

from njord.exchange.fault_plan import FAULTS
from njord.simulation.campaign import main
from njord.simulation.words import faults_of, seeds_of


def test_seeds_are_numbers_and_ranges_with_their_ends() -> None:
    assert seeds_of("7,12,40-42") == [7, 12, 40, 41, 42]


def test_faults_are_all_none_a_kind_or_ids() -> None:
    assert faults_of("all") == FAULTS
    assert faults_of("none") == ()
    assert faults_of("B") == tuple(f"B{number}" for number in range(1, 7))
    assert faults_of("A9,B2") == ("A9", "B2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--seeds x", "such as 1-500 or 7,12, was 'x'"),
        ("--seeds 5-", "was '5-'"),
        ("--seeds 9-1", "'9-1' names no seed"),
        ("--faults Z9", "no fault is called Z9"),
        ("--seconds 0", "--seconds must be > 0 and finite, was 0.0"),
        ("--seconds inf", "--seconds must be > 0 and finite, was inf"),
        ("--jobs 0", "--jobs takes 1 to 512, was 0"),
        ("--page nowhere/page.md", "there is no folder nowhere"),
        ("--seed 3", "unrecognized arguments: --seed 3"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert said in err
    assert (out, err.count("\n")) == ("", 1)


def test_help_says_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Exit codes: 0 every run holds, 1 " in capsys.readouterr().out
