"""What is missing between two messages of a topic? The sessions' folder in; their journals' own lines out.

A reader that missed a frame (the stream was trimmed, emptied, or Redis was restored from an older state) finds its
messages here: the journal is the record, Redis a copy.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from njord.apps.tap_journal import session_id
from njord.core.bus_reader import Received
from njord.core.errors import JournalError
from njord.core.topics import STREAMS
from njord.storage.journal_follow import JournalFollower


class _Kind(msgspec.Struct, frozen=True, gc=False):
    kind: str


class _Line(msgspec.Struct, gc=False):
    seq: int = 0
    message: _Kind = _Kind("")


_decode_line = msgspec.json.Decoder(_Line).decode


class JournalHealer:
    """Finds missing messages in journals; `heal` is what `IdempotentReader` asks.

    Args:
        sessions: The folder of the sessions, or the folder of one.
    """

    def __init__(self, sessions: Path) -> None:
        self._sessions = sessions

    def heal(self, session: str, topic: str, after_seq: int, until_seq: int) -> Sequence[Received] | None:
        """Return the topic's messages from `after_seq` + 1 to `until_seq`; None if no journal here has them."""
        folder = self._folder(session)
        kinds = {kind.__name__ for kind, own in STREAMS.items() if own == topic}
        if folder is None:
            return None
        follower = JournalFollower(folder / "journal")
        found: list[Received] = []
        try:
            for block in follower.poll():
                if block.last > after_seq:
                    for text in block.lines:
                        line = _decode_line(text)
                        if after_seq < line.seq <= until_seq and line.message.kind in kinds:
                            found.append(Received(session, line.seq, text))
                if block.last >= until_seq:
                    return found
        except JournalError:
            return None
        return None

    def _folder(self, session: str) -> Path | None:
        for folder in (self._sessions, self._sessions / session.rpartition("@")[0], self._sessions / session):
            if (folder / "journal").is_dir() and session_id(folder) == session:
                return folder
        return None
