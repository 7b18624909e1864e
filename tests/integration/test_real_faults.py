"""The real layer of the fault campaign: `njord venue` and `njord live` as processes, in trouble, killed, tripped, judged."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from njord.simulation.processes import Program
from njord.simulation.real_run import RealRun
from njord.simulation.real_terms import together

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]
SHARES = {"A1": 0.3, "A4": 0.4, "A10": 0.6}


def test_orders_lost_answers_and_a_kill_leave_books_that_equal_the_truth(tmp_path: Path) -> None:
    terms = together(tuple(SHARES), 2, 8.0, SHARES)
    world = replace(terms.world, crashes_s=(3.0,), cancels=True)
    outcome = RealRun(replace(terms, world=world), Program(), tmp_path, threading.Event()).run()
    assert not outcome.violations, "\n".join(outcome.violations)
    assert outcome.n_lives >= 2
    assert outcome.n_orders
    assert all(outcome.struck[fault] for fault in SHARES)
    assert outcome.state == "active"


def test_interrupted_runs_end_their_processes_and_say_so_in_one_line(tmp_path: Path) -> None:
    words = ("--faults", "B4", "--seeds", "none", "--seconds", "3600", "--keep", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-m", "njord.simulation.real_campaign", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as campaign:
        # The node is up once its session has its folder.
        while not list(tmp_path.glob("B4/var/state/sessions/*/journal")) and campaign.poll() is None:
            threading.Event().wait(0.1)
        campaign.send_signal(signal.SIGTERM)
        out, err = campaign.communicate()
    assert (campaign.returncode, out) == (130, "")
    assert err == (
        f"python -m njord.simulation.real_campaign: interrupted; what there was lies in {tmp_path}\n"
    )
    assert not still_running(tmp_path)


def still_running(folder: Path) -> list[str]:
    """Return the processes whose folder lies in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
