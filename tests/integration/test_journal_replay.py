"""The same run in two processes, and `njord replay` on what came of it: unchanged, and with one thing changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import njord.strategies.library.sma_cross as library_sma_cross
from njord.apps.synthetic import write_synthetic_csv
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration

NJORD = str(Path(sys.executable).with_name("njord"))


def njord(root: Path, *arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_njord() if hash_seed == "0" else NJORD, *arguments, "--root", str(root)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        cwd=root,
    )


def backtest(root: Path, hash_seed: str = "0") -> Path:
    """Run the copied strategy over the market beside it; return the run's folder."""
    done = njord(
        root,
        "backtest",
        "./mine.py",
        "--data",
        "SYNTH_USDT-1m.csv",
        "--json",
        "out.json",
        hash_seed=hash_seed,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (root / "var" / "reports").iterdir()
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    write_synthetic_csv(root / "SYNTH_USDT-1m.csv", 2_000, 7)
    shutil.copy(str(library_sma_cross.__file__), root / "mine.py")
    backtest(root)
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A finished run of its own to damage: `run.json` names files by their path, so it points to the copies."""
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    path = run_of(copy) / "run.json"
    path.write_text(path.read_text().replace(str(finished), str(copy)))
    return copy


def run_of(root: Path) -> Path:
    (folder,) = (root / "var" / "reports").iterdir()
    return folder


def journal_bytes(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((run_of(root) / "journal").iterdir()))


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    return line


def test_two_processes_with_other_hash_seeds_write_the_same_bytes_and_confirm_each_other(
    finished: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("SYNTH_USDT-1m.csv", "mine.py"):
        shutil.copy(finished / name, other)
    backtest(other, hash_seed="12345")
    assert journal_bytes(finished) == journal_bytes(other)
    first = json.loads((finished / "out.json").read_text())
    second = json.loads((other / "out.json").read_text())
    assert first["fills"]
    assert first["order_list_hash"] == second["order_list_hash"]
    assert first["journal"] == second["journal"]
    for root, hash_seed in ((finished, "12345"), (other, "0"), (other, "random")):
        done = njord(root, "replay", "last", hash_seed=hash_seed)
        assert done.returncode == 0, done.stderr
        journal = first["journal"]
        assert (
            one_line(done.stdout) == f"identical, {journal['n_messages']:,} messages, hash {journal['head']}"
        )


def test_replay_names_the_first_message_that_an_edited_strategy_decides_differently(root: Path) -> None:
    strategy = root / "mine.py"
    before = strategy.read_text()
    after = before.replace("return 1 if values", "return -1 if values")
    assert len(after) == len(before) + 1
    strategy.write_text(after)
    done = njord(root, "replay", "last")
    assert done.returncode == 1
    difference, note = done.stdout.splitlines()
    assert difference.startswith("different at message ")
    assert 'recorded {"kind":"Target"' in difference
    assert '"weight":1.0' in difference
    assert '"weight":-1.0' in difference
    assert note == "note: the strategy mine.py has changed since this run; a difference may be meant"


def test_replay_of_a_strategy_edited_without_effect_is_identical_and_notes_the_edit(root: Path) -> None:
    strategy = root / "mine.py"
    strategy.write_text(strategy.read_text() + "# One more comment.\n")
    done = njord(root, "replay", "last")
    assert done.returncode == 0
    identical, note = done.stdout.splitlines()
    assert identical.startswith("identical, ")
    assert "the strategy mine.py has changed" in note


def test_replay_names_the_first_message_that_another_setting_makes_different(root: Path) -> None:
    path = run_of(root) / "run.json"
    facts = json.loads(path.read_text())
    assert facts["config"]["backtest"]["slippage_bps"] == "5"
    facts["config"]["backtest"]["slippage_bps"] = "6"
    path.write_text(json.dumps(facts))
    done = njord(root, "replay", "last")
    assert done.returncode == 1
    assert one_line(done.stdout).startswith("different at message ")
    assert "OrderIntent" in done.stdout


def test_replay_refuses_a_strategy_that_is_gone(root: Path) -> None:
    (root / "mine.py").unlink()
    done = njord(root, "replay", "last")
    assert done.returncode == 2
    assert "no strategy file at" in one_line(done.stderr)


def test_replay_refuses_a_changed_dataset_by_name(root: Path) -> None:
    data = root / "SYNTH_USDT-1m.csv"
    lines = data.read_text().splitlines()
    cells = lines[1000].split(",")
    cells[5] = str(float(cells[5]) + 1)  # One bar's volume.
    lines[1000] = ",".join(cells)
    data.write_text("\n".join(lines) + "\n")
    done = njord(root, "replay", "last")
    assert done.returncode == 2
    assert "the dataset SYNTH_USDT-1m.csv has changed" in one_line(done.stderr)


def test_replay_refuses_a_missing_dataset_by_name(root: Path) -> None:
    (root / "SYNTH_USDT-1m.csv").unlink()
    done = njord(root, "replay", "last")
    assert done.returncode == 2
    assert "SYNTH_USDT-1m.csv is gone; put it back where it was" in one_line(done.stderr)


def test_replay_of_a_torn_journal_is_one_line_and_exit_code_4(root: Path) -> None:
    (segment,) = (run_of(root) / "journal").iterdir()
    data = segment.read_bytes()
    last = data.rindex(b'{"end"')
    for cut in (data[:-1], data[: last + 3], data[:last], data[: len(data) // 2], data[:50], b""):
        segment.write_bytes(cut)
        done = njord(root, "replay", "last")
        assert done.returncode == 4, done.stdout
        assert one_line(done.stderr).startswith("njord: JournalError: the journal in ")


def test_replay_of_a_damaged_journal_is_one_line_and_exit_code_4(root: Path) -> None:
    (segment,) = (run_of(root) / "journal").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = njord(root, "replay", "last")
    assert done.returncode == 4
    line = one_line(done.stderr)
    assert line.startswith(f"njord: JournalCorrupt: {segment}: ")
    assert " byte " in line


def test_replay_of_a_run_without_its_journal_is_one_line_and_exit_code_4(root: Path) -> None:
    shutil.rmtree(run_of(root) / "journal")
    done = njord(root, "replay", "last")
    assert done.returncode == 4
    assert "there is no journal in" in one_line(done.stderr)
