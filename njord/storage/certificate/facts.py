"""What was wrong with a source before its rows were put in order? An importer notes what it sees; counts and the first
places of each kind of fault come out, to be graded with what the rows themselves show.

What sorting, snapping and dropping mend can not be seen in the mended rows: it is known here or nowhere.
"""

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

PLACES_MAX = 20
NO_ROW = -1


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place where something is wrong.

    Attributes:
        ts_ns: When, by the dataset's first column; where the time itself is at fault, the time as it is given.
        row: For what a source did: its row, from 1. For what the dataset's rows show: their row, from 0. -1 = none.
        detail: The values at fault, in words; empty where there is nothing to add.
    """

    ts_ns: int
    row: int = NO_ROW
    detail: str = ""


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one kind of fault was seen, and its first places in the order in which they were seen."""

    n: int = 0
    places: tuple[Place, ...] = ()

    def plus(self, other: "Seen") -> "Seen":
        """Return what both saw, the places of this one first."""
        return Seen(self.n + other.n, (self.places + other.places)[:PLACES_MAX])


_NOTHING = Seen()


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an importer saw in a source.

    Attributes:
        duplicates: Rows that repeat an earlier one entirely; dropped.
        conflicting_duplicates: Rows with the time (bars) or id (trades) of an earlier one and other content; dropped.
        out_of_order: Rows earlier, in the first column (the local clock of a capture), than one before them; sorted.
        venue_out_of_order: Rows whose venue time lies before that of one before them.
        snapped: Prices with float dirt, put on the tick they stand for.
        off_grid: Prices truly off the tick grid, rounded to the nearest tick.
        torn_lines: Lines cut off in the middle, such as a capture's last one; dropped.
        skipped: Rows that no dataset can hold (quantity zero, an unknown kind); dropped.
        crossed: Book events after which the best bid was at or above the best ask.
        quote_mismatches: Updates at which the reconstructed book and the venue's own best bid and ask differ.
    """

    duplicates: Seen = _NOTHING
    conflicting_duplicates: Seen = _NOTHING
    out_of_order: Seen = _NOTHING
    venue_out_of_order: Seen = _NOTHING
    snapped: Seen = _NOTHING
    off_grid: Seen = _NOTHING
    torn_lines: Seen = _NOTHING
    skipped: Seen = _NOTHING
    crossed: Seen = _NOTHING
    quote_mismatches: Seen = _NOTHING

    def shifted(self, by_ns: int) -> "SourceFacts":
        """Return the facts with all places `by_ns` later: for timestamps that mean the end of a bar."""
        return SourceFacts(
            **{
                name: Seen(
                    seen.n, tuple(Place(each.ts_ns + by_ns, each.row, each.detail) for each in seen.places)
                )
                for name in self.__struct_fields__
                for seen in (getattr(self, name),)
            }
        )

    def merged(self, other: "SourceFacts") -> "SourceFacts":
        """Return the facts of both sources; merge a source once only, or its faults count twice."""
        return SourceFacts(
            **{name: getattr(self, name).plus(getattr(other, name)) for name in self.__struct_fields__}
        )


NO_FACTS = SourceFacts()


class FactCollector:
    """Collects the facts of one source while its rows pass; memory holds counts and first places only."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = dict.fromkeys(SourceFacts.__struct_fields__, 0)
        self._places: dict[str, list[Place]] = {name: [] for name in self._counts}

    def note(
        self, fact: str, ts_ns: IntArray, rows: IntArray, detail: str = "", n: int | None = None
    ) -> Self:
        """Count one fault of the kind `fact`, a field of SourceFacts, at each of (`ts_ns`, `rows`).

        Args:
            fact: Name of the field.
            ts_ns: Times, one per place.
            rows: Rows in the source from 1, as many.
            detail: The same words at each of these places.
            n: How many faults these are, if not one per place (four prices of one bar).

        Raises:
            KeyError: There is no such fact.
        """
        self._counts[fact] += len(ts_ns) if n is None else n
        room = PLACES_MAX - len(self._places[fact])
        if room > 0:
            self._places[fact] += [
                Place(ts, row, detail)
                for ts, row in zip(ts_ns[:room].tolist(), rows[:room].tolist(), strict=True)
            ]
        return self

    def note_one(self, fact: str, ts_ns: int, row: int = NO_ROW, detail: str = "") -> Self:
        """Count one fault at one place."""
        self._counts[fact] += 1
        if len(self._places[fact]) < PLACES_MAX:
            self._places[fact].append(Place(ts_ns, row, detail))
        return self

    def facts(self) -> SourceFacts:
        """Return what was noted so far."""
        return SourceFacts(
            **{name: Seen(n, tuple(self._places[name])) for name, n in self._counts.items() if n}
        )
