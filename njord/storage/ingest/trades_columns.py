"""Which column of a file of trades is which? In: its column names. Out: for each of ours, the position of theirs.

Names are compared as for bars: lower case, every run of other characters an underscore. What could be two things is
never guessed: the error names the flag.
"""

import re

from njord.core.errors import DataError
from njord.storage.bars_columns import ColumnMap
from njord.storage.bars_text import one_line

OURS = ("time", "venue_time", "id", "side", "buyer_maker", "price", "qty")

# Each tier is tried only when the one before found nothing; two hits inside a tier are ambiguous.
_KNOWN: dict[str, tuple[tuple[str, ...], ...]] = {
    "venue_time": (("ts_venue_ns", "venue_time", "exchange_time", "exchange_timestamp", "exch_time"),),
    "time": (
        ("ts_ns", "local_timestamp", "local_time", "received_at", "receive_time"),
        ("timestamp", "time", "ts", "datetime", "trade_time", "transact_time", "created_at", "t"),
        ("unix", "epoch", "date", "timestamp_ms", "timestamp_us", "timestamp_ns", "time_ms", "time_us", "time_ns",
         "ts_ms", "ts_us", "unix_timestamp", "date_time", "time_utc"),
    ),
    "id": (("trade_id", "id", "tid", "tradeid", "trade_number", "agg_trade_id", "aggregate_trade_id", "match_id"),),
    "side": (("side", "taker_side", "aggressor_side", "aggressor", "direction"),),
    "buyer_maker": (("is_buyer_maker", "isbuyermaker", "buyer_maker", "buyer_is_maker", "was_the_buyer_the_maker", "m"),),
    "price": (("price", "trade_price", "px", "p"),),
    "qty": (
        ("qty", "quantity", "amount", "size", "base_qty", "base_quantity", "base_amount"),
        ("volume", "vol", "base_volume", "q", "v"),
    ),
}  # fmt: skip
_OPTIONAL = ("venue_time", "id", "side", "buyer_maker")
# Where a recorder wrote both clocks, the other of these is the venue's.
_LOCAL = ("local_timestamp", "local_time", "received_at", "receive_time")
_DUMPS = {
    7: {"id": 0, "price": 1, "qty": 2, "time": 4, "buyer_maker": 5},
    8: {"id": 0, "price": 1, "qty": 2, "time": 5, "buyer_maker": 6},
}


def recognise_trades(names: list[str], asked: tuple[tuple[str, str], ...], where: str) -> ColumnMap:
    """Return which of `names` are time, venue_time, id, side, buyer_maker, price and qty; four of them may be absent.

    Args:
        names: The file's columns, in order.
        asked: Our name -> theirs, as given by `--column`; wins over recognition.
        where: The file's name, for messages.

    Raises:
        DataError: A column is missing or could be several, or `asked` names one that is not there.
    """
    positions = _asked_positions(names, asked, where)
    plain = [re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_") for name in names]
    for ours, tiers in _KNOWN.items():
        if ours not in positions and (found := _find(plain, tiers, ours, names, where)) is not None:
            positions[ours] = found
    if "venue_time" not in positions and plain[positions["time"]] in _LOCAL:
        other = _find(plain, _KNOWN["time"][1:], "venue_time", names, where, is_optional=True)
        if other is not None:
            positions["venue_time"] = other
    if "side" in positions:
        positions.pop("buyer_maker", None)
    if len(set(positions.values())) < len(positions):
        raise DataError(
            f"{where}: one column is asked to be two things", "name different columns with --column"
        )
    return ColumnMap(positions=positions, time_name=names[positions["time"]])


def dump_columns(width: int, where: str) -> ColumnMap:
    """Return the columns of a file without a header line: only Binance's dumps of trades are known.

    Raises:
        DataError: The width is another one.
    """
    if width not in _DUMPS:
        raise DataError(
            f"{where} has no header line and {width} columns (only Binance's trades of 7 and aggregate trades of 8 are known without)",
            "add a first line such as time,id,side,price,qty",
        )
    return ColumnMap(positions=dict(_DUMPS[width]), time_name="time")


def _asked_positions(names: list[str], asked: tuple[tuple[str, str], ...], where: str) -> dict[str, int]:
    positions: dict[str, int] = {}
    for ours, theirs in asked:
        if ours not in OURS:
            raise DataError(
                f"--column {one_line(ours)}={one_line(theirs)}: no such column of ours",
                f"use one of {', '.join(OURS)}",
            )
        if names.count(theirs) != 1:
            how_often = "no" if theirs not in names else "more than one"
            raise DataError(
                f"{where} has {how_often} column {one_line(theirs)}; it has {_list(names)}",
                f"use --column {ours}=NAME",
            )
        positions[ours] = names.index(theirs)
    return positions


def _find(
    plain: list[str],
    tiers: tuple[tuple[str, ...], ...],
    ours: str,
    names: list[str],
    where: str,
    *,
    is_optional: bool = False,
) -> int | None:
    for known in tiers:
        hits = [index for index, name in enumerate(plain) if name in known]
        if len(hits) > 1:
            candidates = _list([names[index] for index in hits])
            raise DataError(
                f"{where}: the columns {candidates} could each be {ours}", f"choose with --column {ours}=NAME"
            )
        if hits:
            return hits[0]
    if ours in _OPTIONAL or is_optional:
        return None
    raise DataError(
        f"{where} has no column known as {ours}; it has {_list(names)}", f"name it with --column {ours}=NAME"
    )


def _list(names: list[str]) -> str:
    shown = ", ".join(one_line(name, 30) for name in names[:15])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 15 else shown
