"""Every way in which a disk can fail a commit, at each of its operations, into an empty store and into a full one."""

from pathlib import Path

import pytest

from tests.unit.storage.store.store_crashing import crash_everywhere
from tests.unit.storage.store.store_samples import FailingFiles, PowerFiles

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", ["refused", "torn", "killed", "killed after"])
def test_a_commit_that_fails_at_any_operation_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, how: str
) -> None:
    crash_everywhere(tmp_path, lambda at: FailingFiles(at, how))


@pytest.mark.parametrize(
    "kept",
    [
        slice(0),
        slice(1),
        slice(-1, None),
        *(
            pytest.param(kept, marks=pytest.mark.long)
            for kept in (slice(2), slice(3), slice(-2, None), slice(-3, None))
        ),
    ],
)
def test_names_that_were_not_synced_may_be_lost_with_the_power(tmp_path: Path, kept: slice) -> None:
    def lose_power(disk: FailingFiles) -> None:
        assert isinstance(disk, PowerFiles)
        if disk.is_dead:
            disk.lose_power(kept)

    crash_everywhere(tmp_path, PowerFiles, lose_power)
