"""A journal for runs that nobody replays: points of a sweep, checks, Monte Carlo paths. It keeps nothing."""

from njord.core.contracts import Message


class NoJournal:
    """Forgets what it is told; a run that needs its record is run again with a journal that writes."""

    def append(self, message: Message) -> None:
        """Do nothing."""

    def count_rows(self, n_rows: int) -> None:
        """Do nothing: strategies may sleep through bars, which no one will ask for."""
