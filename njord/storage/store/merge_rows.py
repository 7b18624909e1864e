"""Which incoming rows are new? Stored and incoming rows in time order in; the merged rows and counts out, block by block.

Rows at a time that only one side has are taken as they are. At a time that both have, a row counts as known as often
as the store holds it, so that an import repeated adds nothing; what is left joins in the order of its ids where both
sides follow theirs, else after the stored rows. Bars have one row a time, and trades one row an id: another content
is a conflict, which is refused, or won by the incoming row where that was asked for.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.storage.store.kinds import COLUMNS, DataKind, IntArray

Rows = list[IntArray]  # One array per column of the kind, in its order.

# What orders the rows of one time, where it says anything.
ID_COLUMN = {DataKind.TRADES: "trade_id", DataKind.BOOK: "last_update_id", DataKind.QUOTES: "update_id"}


class Merged(msgspec.Struct):
    """A block of merged rows.

    Attributes:
        rows: Stored and incoming rows in order.
        added: The incoming rows among them that were new.
        n_known: Incoming rows that the store has.
        n_replaced: Incoming bars that took the place of a stored one.
        conflict_ns: Time of the first of these, -1 = none.
    """

    rows: Rows
    added: Rows
    n_known: int = 0
    n_replaced: int = 0
    conflict_ns: int = -1


def merge_block(kind: DataKind, old: Rows, new: Rows) -> Merged:
    """Merge two blocks that cover the same whole times: no time of either continues outside.

    Args:
        kind: Tells the columns; a bar takes the place of a stored one of its time that differs.
        old: Stored rows, times not falling.
        new: Incoming rows, times not falling.
    """
    if not len(new[0]):
        return Merged(old, new)
    if not len(old[0]) or old[0][-1] < new[0][0]:
        return Merged(joined([old, new]), new)
    if len(old[0]) == len(new[0]) and all(map(np.array_equal, old, new)):
        return Merged(old, _none_of(new), n_known=len(new[0]))
    return _merge_bars(old, new) if kind is DataKind.BARS else _merge_events(kind, old, new)


def _merge_bars(old: Rows, new: Rows) -> Merged:
    at_old, at_new = _shared(old[0], new[0])
    ours, theirs = np.flatnonzero(at_old), np.flatnonzero(at_new)
    differs = np.zeros(len(ours), dtype=np.bool_)
    for column_old, column_new in zip(old, new, strict=True):
        differs |= column_old[ours] != column_new[theirs]
    n_replaced = int(np.count_nonzero(differs))
    stays = np.ones(len(old[0]), dtype=np.bool_)
    stays[ours[differs]] = False
    added = select(new, ~at_new)
    changed = [column[theirs[differs]] for column in new]
    rows = joined([select(old, stays), added, changed])
    order = np.argsort(rows[0], kind="stable")
    return Merged(
        [column[order] for column in rows],
        added,
        n_known=len(theirs) - n_replaced,
        n_replaced=n_replaced,
        conflict_ns=int(old[0][ours[differs][0]]) if n_replaced else -1,
    )


def _merge_events(kind: DataKind, old: Rows, new: Rows) -> Merged:
    at_old, at_new = _shared(old[0], new[0])
    comes = ~at_new
    theirs = np.flatnonzero(at_new)
    comes[theirs[~_known(select(old, at_old), select(new, at_new))]] = True
    added = select(new, comes)
    if not len(added[0]):
        return Merged(old, added, n_known=len(new[0]))
    rows = joined([old, added])
    ids = COLUMNS[kind].index(ID_COLUMN[kind])
    unordered = np.union1d(_falling(old[0], old[ids]), _falling(new[0], new[ids]))
    # Where only one side has a time, or its ids do not rise, rows stay as they came: the key says nothing there.
    says = is_in(rows[0], new[0][at_new]) & ~is_in(rows[0], unordered)
    order = np.lexsort((np.where(says, rows[ids], 0), rows[0]))
    return Merged([column[order] for column in rows], added, n_known=len(new[0]) - len(added[0]))


def _shared(old: IntArray, new: IntArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return is_in(old, new), is_in(new, old)


# The times at which ids fall from one row to the next.
def _falling(times: IntArray, ids: IntArray) -> IntArray:
    falls: IntArray = times[1:][(np.diff(times) == 0) & (ids[1:] < ids[:-1])]
    return falls


# Which rows of `new` are in `old`: the k-th of equal rows is known if `old` has k of them at least.
def _known(old: Rows, new: Rows) -> NDArray[np.bool_]:
    n_old, rows = len(old[0]), joined([old, new])
    order = np.lexsort(rows[::-1])  # Stable: among equal rows the stored ones come first.
    n_rows = len(order)
    starts = np.ones(n_rows, dtype=np.bool_)
    if n_rows > 1:
        starts[1:] = np.logical_or.reduce([np.diff(column[order]) != 0 for column in rows])
    group = np.cumsum(starts) - 1
    is_new = order >= n_old
    n_stored = np.bincount(group[~is_new], minlength=group[-1] + 1 if n_rows else 0)
    place = np.arange(n_rows) - np.flatnonzero(starts)[group] - n_stored[group]
    known = np.zeros(n_rows, dtype=np.bool_)
    known[order] = place < n_stored[group]
    return known[n_old:]


def aligned(old: Iterator[Rows], new: Iterator[Rows], empty: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Cut two ordered streams at the same times and yield the pairs, so that no time is split between two pairs."""
    ours, theirs = next(old, empty), next(new, empty)
    while len(ours[0]) and len(theirs[0]):
        upto = min(ours[0][-1], theirs[0][-1])
        ours = _whole_time(ours, old, upto)
        theirs = _whole_time(theirs, new, upto)
        cut_ours = int(np.searchsorted(ours[0], upto, "right"))
        cut_theirs = int(np.searchsorted(theirs[0], upto, "right"))
        yield [column[:cut_ours] for column in ours], [column[:cut_theirs] for column in theirs]
        ours = [column[cut_ours:] for column in ours] if cut_ours < len(ours[0]) else next(old, empty)
        theirs = (
            [column[cut_theirs:] for column in theirs] if cut_theirs < len(theirs[0]) else next(new, empty)
        )
    while len(ours[0]):
        yield ours, empty
        ours = next(old, empty)
    while len(theirs[0]):
        yield empty, theirs
        theirs = next(new, empty)


# Extend a block until the rows of the time `upto` are complete in it.
def _whole_time(block: Rows, more: Iterator[Rows], upto: int) -> Rows:
    pieces = [block]
    while pieces[-1][0][-1] <= upto and (piece := next(more, None)) is not None:
        pieces.append(piece)
    return joined(pieces)


def contradicted(stored: Rows, added: Rows, ids: int) -> tuple[IntArray, int]:
    """Return the ids (0 = none) that incoming rows share with stored rows of another content.

    Args:
        stored: The stored rows with those ids.
        added: The incoming rows with those ids.
        ids: Index of the id's column.

    Returns:
        The ids, rising; and the time of the first such incoming row, -1 = none.
    """
    there = set(zip(*(column.tolist() for column in stored), strict=True))
    bad = [row for row in zip(*(column.tolist() for column in added), strict=True) if row not in there]
    return np.unique(np.array([row[ids] for row in bad], dtype=np.int64)), bad[0][0] if bad else -1


def is_in(values: IntArray, ordered: IntArray) -> NDArray[np.bool_]:
    """Return which of `values` are in `ordered`, whose values do not fall; numpy's own would sort or hash both again."""
    if not len(ordered):
        return np.zeros(len(values), dtype=np.bool_)
    at = np.searchsorted(ordered, values)
    found: NDArray[np.bool_] = ordered[np.minimum(at, len(ordered) - 1)] == values
    return found


def select(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    """Return the rows where `mask` holds."""
    return [column[mask] for column in rows]


def _none_of(rows: Rows) -> Rows:
    return [column[:0] for column in rows]


def joined(pieces: list[Rows]) -> Rows:
    """Return the rows of all pieces one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    return [np.concatenate(columns) for columns in zip(*pieces, strict=True)]
