"""May the kill switch be cleared? The state folder in; what was looked at out, or why not.

Trading must not go on where nobody knows what has become of an order. So the youngest session, if it has not ended,
must have a journal without damage, in which no order's outcome is unknown. What a session's books and its venue say is
compared by the node itself, before it tells its engine that the switch is clear. Of a live session only its node can find
out what has become of an order, and it does so before it trades: an outcome that is unknown keeps nobody from clearing.
"""

from pathlib import Path

import msgspec

from njord.apps.session_files import LIVE, SESSIONS
from njord.backtest.recorded_run import SESSION_FILE
from njord.core.errors import ConfigError, JournalError
from njord.core.types import OrderStatus
from njord.storage.journal_reader import list_segments, read_blocks

_SHOWN = 3


class _Session(msgspec.Struct):
    started_ns: int
    journal_head: str = ""
    kind: str = ""


class _Update(msgspec.Struct):
    kind: str
    client_order_id: str = ""
    status: str = ""


_decode_update = msgspec.json.Decoder(_Update).decode


def check_clearance(state: Path) -> str:
    """Return which session was looked at, and what was found; empty if there is none.

    Raises:
        ConfigError: The outcome of an order of no live session is unknown, or the session can not be read.
        JournalCorrupt: Its journal is damaged.
    """
    found = [(_session(path), path.parent) for path in sorted((state / SESSIONS).glob(f"*/{SESSION_FILE}"))]
    if not found:
        return ""
    session, folder = max(found, key=lambda each: each[0].started_ns)
    if session.journal_head:
        return f"the last session, {folder.name}, has ended"
    unknown = _unknown_orders(folder / "journal")
    if unknown and session.kind == LIVE:
        return f"session {folder.name} asks the venue for {len(unknown)} orders before it trades"
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise ConfigError(
            f"the outcome of {', '.join(unknown[:_SHOWN])}{more} in session {folder.name} is unknown",
            "let the session find out at the venue first: njord paper goes on with it",
        )
    return f"the journal of session {folder.name} has no damage and no order whose outcome is unknown"


def _session(path: Path) -> _Session:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Session)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"{path} can not be read: {error}", f"move the folder {path.parent.name} out of the way"
        ) from None


# In the order in which they became so; a session that has just begun has no journal yet.
def _unknown_orders(journal: Path) -> list[str]:
    unknown: dict[str, None] = {}
    if not list_segments(journal):
        return []
    try:
        for block in read_blocks(journal):
            for line in block.lines:
                if b'"OrderUpdate"' in line.message[:32]:
                    update = _decode_update(line.message)
                    if update.status == OrderStatus.UNKNOWN:
                        unknown[update.client_order_id] = None
                    else:
                        unknown.pop(update.client_order_id, None)
    except JournalError as error:
        raise type(error)(
            f"{error}; the switch stays as it is; look: njord replay {journal.parent}"
        ) from None
    return list(unknown)
