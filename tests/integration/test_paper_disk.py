"""A session that dies at any disk operation at all goes on as if nothing had happened."""

import shutil
from pathlib import Path

import pytest

from tests.unit.apps.paper_crashes import (
    crash,
    journal_of,
    reading_at,
    sent_orders,
    undisturbed,
    written_orders,
)
from tests.unit.apps.paper_world import CrashDisk, make_world, open_session, run, state_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("latency", [pytest.param("0", marks=pytest.mark.long), "60000000000"])
def test_after_a_crash_at_every_disk_operation_the_session_ends_as_if_undisturbed(
    tmp_path: Path, latency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(tmp_path, settings={"backtest.entry_latency_ns": latency})
    n_crashes = 0
    with world.prepared.market:
        whole = undisturbed(world)
        for crash_at in range(1, whole.n_operations + 1):
            for n_kept in (0, 1, 10**9):  # Of what was written and not synced; the last one is a kill.
                disk = CrashDisk(crash_at)
                died = crash(world, disk)
                disk.lose_power(n_kept)
                if died is not None:
                    written = written_orders(world)
                    assert [order for order in sent_orders(died) if order not in written] == []
                # It dies once more, while it goes on.
                second = CrashDisk(1 + crash_at % 11)
                crash(world, second)
                second.lose_power(n_kept)
                session = open_session(world)
                assert run(session, reading_at=reading_at).finished
                assert state_of(session) == whole.state
                assert journal_of(session) == whole.journal
                n_crashes += 2
                shutil.rmtree(world.state)
    with capsys.disabled():
        print(f"\n{n_crashes} crashes at {whole.n_operations} disk operations, all as if undisturbed")
