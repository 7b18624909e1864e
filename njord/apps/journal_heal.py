"""What is missing between two messages of a topic? The sessions' folder in; their journals' own lines out.

A reader that missed a frame (the stream was trimmed, emptied, or Redis was restored from an older state) finds its
messages here: the journal is the record, Redis a copy.
"""

from collections.abc import Sequence
from pathlib import Path

from njord.apps.tap_journal import session_id, stream_lines
from njord.core.bus_reader import Received
from njord.core.errors import JournalError
from njord.storage.journal_follow import JournalFollower


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
        if folder is None:
            return None
        follower = JournalFollower(folder / "journal")
        found: list[Received] = []
        try:
            for block in follower.poll():
                if block.last > after_seq:
                    found += [
                        Received(session, seq, line)
                        for own, seq, line in stream_lines(block)
                        if own == topic and after_seq < seq <= until_seq
                    ]
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
