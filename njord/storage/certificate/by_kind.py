"""Which checks are for which kind of data? The kind and its instrument in; the checks that follow its rows out."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.storage.certificate.bars import BarChecks
from njord.storage.certificate.book import BookChecks
from njord.storage.certificate.certificate import Certificate
from njord.storage.certificate.facts import NO_FACTS, SourceFacts
from njord.storage.certificate.grading import BARS, BOOK, QUOTES, TRADES
from njord.storage.certificate.quotes import QuoteChecks
from njord.storage.certificate.trades import TradeChecks


class Checks(Protocol):
    """What follows the rows of a dataset."""

    def add(self, columns: Mapping[str, NDArray[np.int64]]) -> None:
        """Take the next rows."""

    def finish(self, dataset_hash: str, facts: SourceFacts = NO_FACTS) -> Certificate:
        """Return the certificate of all rows."""


def checks_for(kind: str, instrument: Instrument, interval_ns: int = 0) -> Checks:
    """Return the checks for rows of `kind` (a DataKind); bars need their interval.

    Raises:
        ValueError: There is no such kind.
    """
    if kind == BARS:
        return BarChecks(instrument, interval_ns)
    if kind == TRADES:
        return TradeChecks(instrument)
    if kind == BOOK:
        return BookChecks(instrument)
    if kind == QUOTES:
        return QuoteChecks(instrument)
    raise ValueError(f"kind must be bars, trades, book or quotes, was {kind!r}")
