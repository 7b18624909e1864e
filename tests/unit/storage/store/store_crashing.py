"""A commit with a disk that fails at each of its operations in turn: what must hold whenever and however it dies."""

from collections.abc import Callable
from pathlib import Path

from njord.core.errors import DataError
from njord.storage.store.kinds import DataKind
from njord.storage.store.manifest import Manifest
from njord.storage.store.store import Store
from njord.storage.store.verify import verify
from tests.unit.storage.store.store_samples import (
    FailingFiles,
    Killed,
    QuickFiles,
    key,
    piece,
    put,
    same,
    trades,
)

ROWS = trades(60)
OLD, NEW = piece(ROWS, 0, 30), piece(ROWS, 25, 60)
OPERATIONS = 30  # More than any commit here needs; the last ones therefore pass.


def crash_everywhere(
    root: Path,
    disks: Callable[[int], FailingFiles],
    after: Callable[[FailingFiles], None] = lambda disk: None,
    starts: tuple[bool, ...] = (False, True),
) -> None:
    """Fail the import of NEW at every operation of `disks(at)`, into an empty store and into one that has OLD.

    Args:
        root: An empty folder.
        disks: The disk that fails at its `at`-th operation.
        after: What happens before the store is opened again.
        starts: Whether the store has OLD.
    """
    old_hash, fresh_hash, both_hash = _hashes(root)
    seen = set()
    for has_old in starts:
        for at in range(OPERATIONS):
            folder = root / f"{has_old}-{at}"
            healthy = Store(folder, create=True, files=QuickFiles())
            if has_old:
                put(healthy, DataKind.TRADES, OLD)
            disk = disks(at)
            failed = False
            try:
                put(Store(folder, files=disk), DataKind.TRADES, NEW)
            except Killed:
                failed = True
            except DataError as error:
                failed = True
                assert "\n" not in str(error)
                assert "trades/binance/BTC-USDT can not be written" in str(error)
            after(disk)
            states = list(dict(healthy.datasets()).values())
            assert all(isinstance(manifest, Manifest) for manifest in states), states
            found = healthy.open(key(DataKind.TRADES)).hash if states else None
            assert found in ({old_hash, both_hash} if has_old else {None, fresh_hash})
            seen.add((has_old, failed, found))
            if states:
                assert verify(healthy.open(key(DataKind.TRADES))) == []
            done = put(healthy, DataKind.TRADES, NEW)
            assert done.hash == (both_hash if has_old else fresh_hash)
            assert same(done.read(), ROWS if has_old else NEW)
            assert verify(done) == []
            ours = {"manifest.json", ".readers", *done.manifest.retired}
            assert {path.name for path in done.folder.iterdir()} == ours | {
                part.file for part in done.manifest.parts
            }
            if not failed:
                break
        assert not failed, "OPERATIONS is too small"
    for has_old in starts:
        before, finished = (old_hash, both_hash) if has_old else (None, fresh_hash)
        assert seen >= {(has_old, True, before), (has_old, False, finished)}


# The hashes of the old rows, of the new rows in an empty store, and of both.
def _hashes(root: Path) -> tuple[str, str, str]:
    fresh, both = (Store(root / name, create=True, files=QuickFiles()) for name in ("fresh", "both"))
    old = put(both, DataKind.TRADES, OLD).hash
    return old, put(fresh, DataKind.TRADES, NEW).hash, put(both, DataKind.TRADES, NEW).hash
