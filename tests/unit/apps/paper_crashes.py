"""A session that dies at one disk operation and goes on: what the tests of every crash have in common."""

from contextlib import suppress
from typing import NamedTuple

from njord.adapters.kill_switch_watch import Reading
from njord.apps.session import Session
from njord.venues.kept import BriefOrders
from tests.unit.apps.paper_world import (
    ACTIVE,
    TRIPPED,
    Crash,
    CrashDisk,
    World,
    lines,
    open_session,
    run,
    state_of,
)


class Whole(NamedTuple):
    """A session that nothing disturbed."""

    state: tuple[object, ...]
    journal: list[bytes]
    n_operations: int


def reading_at(row: int) -> Reading:
    """Tripped for a while, with an order at work."""
    return TRIPPED if 25 <= row < 32 else ACTIVE


def undisturbed(world: World) -> Whole:
    """Run the session to its end."""
    disk = CrashDisk()
    session = open_session(world, disk, fresh=True)
    assert run(session, reading_at=reading_at).finished
    return Whole(state_of(session), journal_of(session), disk.n_done)


def journal_of(session: Session) -> list[bytes]:
    """Return the messages of its journal."""
    return [line.message for line in lines(session.folder / "journal")]


def crash(world: World, disk: CrashDisk) -> Session | None:
    """Begin or go on until the disk ends the process; every order that has left was durable then."""
    session = None
    with suppress(Crash):
        session = open_session(world, disk)
        run(session, reading_at=reading_at)
    return session


def sent_orders(session: Session) -> list[str]:
    """Return what the venue has heard of."""
    orders = session.host._venue.orders
    assert isinstance(orders, BriefOrders)  # Nobody asks a session's venue about its past.
    return list(orders)


def written_orders(world: World) -> str:
    """Return what the disk still knows, as text."""
    folders = (world.state / "sessions").glob("*/journal")
    return "".join(path.read_text() for folder in folders for path in folder.glob("*.ndjson"))
