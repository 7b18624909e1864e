"""What the user hears of the compiler, and that nothing heavy is imported for a page of help."""

import subprocess
import sys
import time

import pytest

from njord.cli.compiling import CompileNotice, compile_notice
from njord.kernels import _watch

HEAVY = [
    "asyncio",
    "ccxt",
    "dask",
    "distributed",
    "duckdb",
    "jinja2",
    "numba",
    "numpy",
    "optuna",
    "pandas",
    "polars",
    "pyarrow",
    "redis",
    "rich",
    "structlog",
]
HELP = f"""
import contextlib, io, sys
from njord.cli import run
from njord.cli.app import command
verbs = [[], ["backtest"]]
if sys.argv[1:] == ["all"]:
    for name, verb in command().commands.items():
        verbs += [[name], *([name, sub] for sub in getattr(verb, "commands", {{}}))]
for words in verbs:
    with contextlib.redirect_stdout(io.StringIO()):
        assert run([*words, "--help"]) == 0
    loaded = [name for name in {HEAVY} if name in sys.modules]
    if loaded:
        sys.exit(f"njord {{' '.join(words)}} --help imports {{loaded}}: import it in the module of the verb")
print(len(verbs))
"""


class Told:
    """Keeps what is said, and the lines that were ended."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, bool]] = []

    def __call__(self, text: str, is_last: bool) -> None:
        self.texts.append((text, is_last))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("njord.cli.compiling.PATIENCE_S", 0.0)


def _wait_for(told: Told, n_texts: int) -> None:
    until = time.monotonic() + 40
    while len(told.texts) < n_texts and time.monotonic() < until:
        time.sleep(0.001)


def _helps(*which: str) -> int:
    done = subprocess.run([sys.executable, "-c", HELP, *which], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_the_first_page_of_help_imports_nothing_heavy() -> None:
    assert _helps() == 2


@pytest.mark.integration
def test_no_page_of_help_imports_anything_heavy() -> None:
    assert _helps("all") > 20


def test_a_short_compilation_is_not_worth_a_word() -> None:
    told = Told()
    notice = CompileNotice(told)
    for begins in (True, True, False, False):
        notice(begins)
    notice.finish()
    assert told.texts == []
    assert notice.n_functions == 2
    assert 0 < notice.seconds < 1


@pytest.mark.usefixtures("impatient")
def test_a_long_compilation_is_said_while_it_lasts_and_its_time_afterwards() -> None:
    told = Told()
    notice = CompileNotice(told)
    notice(True)
    _wait_for(told, 1)
    assert told.texts == [("compiling kernels (once) ...", False)]
    notice(False)
    notice.finish()
    assert told.texts[1:] == [(f"compiling kernels (once) ... {notice.seconds:.1f} s", True)]
    notice.finish()
    assert len(told.texts) == 2


@pytest.mark.usefixtures("impatient")
def test_the_time_is_said_as_soon_as_compiling_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("njord.cli.compiling.SETTLED_S", 0.0)
    told = Told()
    notice = CompileNotice(told)
    notice(True)
    _wait_for(told, 1)
    notice(False)
    _wait_for(told, 2)
    assert [is_last for _, is_last in told.texts] == [False, True]


def test_a_command_watches_only_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    before = len(_watch._watchers)
    with compile_notice():
        assert len(_watch._watchers) == before + 1
        _watch.tell(True)
        _watch.tell(False)
    assert len(_watch._watchers) == before
    assert capsys.readouterr() == ("", "")
