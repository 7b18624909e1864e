"""Which column is which? In: the column names of a file. Out: for each of ours, the position of theirs.

Names are compared in lower case with every run of other characters as one underscore, so `Open time`, `open_time`
and `<OPEN>` are what they look like. What could be two things is never guessed: the error names the flag.
"""

import re

import msgspec

from njord.core.errors import DataError
from njord.storage.bars_text import one_line

OURS = ("time", "open", "high", "low", "close", "volume")

# Each tier is tried only when the one before found nothing; two hits inside a tier are ambiguous.
_TIME_TIERS = (
    ("open_time", "time_open", "opentime", "timestamp_open", "open_timestamp", "time_period_start", "start_time", "start"),
    ("timestamp", "datetime", "date", "time", "ts", "t", "unix", "unix_timestamp", "epoch", "timestamp_ms", "timestamp_ns",
     "timestamp_us", "ts_ns", "ts_ms", "ts_us", "date_time", "time_utc", "ts_open_ns"),
    ("close_time", "time_close", "closetime", "timestamp_close", "close_timestamp", "time_period_end", "end_time", "end"),
)  # fmt: skip
_PRICE_TIERS: dict[str, tuple[tuple[str, ...], ...]] = {
    name: ((name,), (name[0],), (f"{name}_price", f"price_{name}"))
    for name in ("open", "high", "low", "close")
}
_VOLUME_TIERS = (
    ("volume",),
    ("vol", "v"),
    ("base_volume", "volume_base", "basevolume", "volumefrom", "volume_traded", "base_asset_volume"),
)
KLINE_WIDTH = 12


class ColumnMap(msgspec.Struct, frozen=True, kw_only=True):
    """Positions of our columns in a file.

    Attributes:
        positions: Our name -> position; `volume` may be absent.
        time_name: The file's name for the timestamp.
        time_is_close: The name says that the timestamp is the bar's end.
    """

    positions: dict[str, int]
    time_name: str
    time_is_close: bool = False


def recognise(
    names: list[str], asked: tuple[tuple[str, str], ...], where: str, volume_asset: str | None = None
) -> ColumnMap:
    """Return which of `names` are time, open, high, low, close and volume.

    Args:
        names: The file's columns, in order.
        asked: Our name -> theirs, as given by `--column`; wins over recognition.
        where: The file's name, for messages.
        volume_asset: The base asset, to choose between `Volume BTC` and `Volume USD`.

    Raises:
        DataError: A column is missing or could be several, or `asked` names one that is not there.
    """
    positions = _asked_positions(names, asked, where)
    plain = [_normal(name) for name in names]
    is_close = False
    if "time" not in positions:
        positions["time"], tier = _find(plain, _time_tiers(plain), "time", names, where)
        is_close = tier == len(_TIME_TIERS) - 1
    for ours, tiers in _PRICE_TIERS.items():
        if ours not in positions:
            positions[ours], _ = _find(plain, tiers, ours, names, where)
    if "volume" not in positions:
        tiers = _volume_tiers(plain, volume_asset)
        if any(name in tier for tier in tiers for name in plain):
            positions["volume"], _ = _find(plain, tiers, "volume", names, where)
    if len(set(positions.values())) < len(positions):
        raise DataError(
            f"{where}: one column is asked to be two things", "name six different columns with --column"
        )
    return ColumnMap(positions=positions, time_name=names[positions["time"]], time_is_close=is_close)


def kline_columns(width: int, where: str) -> ColumnMap:
    """Return the columns of a file without a header line: only Binance's 12-column klines are known.

    Raises:
        DataError: The width is another one.
    """
    if width != KLINE_WIDTH:
        raise DataError(
            f"{where} has no header line and {width} columns (only Binance's {KLINE_WIDTH}-column klines are known without)",
            "add a first line such as time,open,high,low,close,volume",
        )
    return ColumnMap(positions={name: index for index, name in enumerate(OURS)}, time_name="open_time")


def looks_headerless(fields: list[str]) -> bool:
    """Return whether a first line holds a bar rather than names: every field after the first is a number."""
    return len(fields) > 4 and all(
        re.fullmatch(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*", text) for text in fields[1:]
    )


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
    plain: list[str], tiers: tuple[tuple[str, ...], ...], ours: str, names: list[str], where: str
) -> tuple[int, int]:
    for tier, known in enumerate(tiers):
        hits = [index for index, name in enumerate(plain) if name in known]
        if len(hits) > 1:
            candidates = _list([names[index] for index in hits])
            raise DataError(
                f"{where}: the columns {candidates} could each be {ours}", f"choose with --column {ours}=NAME"
            )
        if hits:
            return hits[0], tier
    raise DataError(
        f"{where} has no column known as {ours}; it has {_list(names)}", f"name it with --column {ours}=NAME"
    )


def _time_tiers(plain: list[str]) -> tuple[tuple[str, ...], ...]:
    # Where `unix` and `date` stand side by side (CryptoDataDownload), they show the same moment twice.
    if "unix" in plain and "date" in plain:
        return (_TIME_TIERS[0], tuple(name for name in _TIME_TIERS[1] if name != "date"), _TIME_TIERS[2])
    return _TIME_TIERS


def _volume_tiers(plain: list[str], volume_asset: str | None) -> tuple[tuple[str, ...], ...]:
    by_asset = tuple(name for name in plain if name.startswith("volume_") and name not in _VOLUME_TIERS[2])
    ours = tuple(name for name in by_asset if volume_asset and name == f"volume_{volume_asset.lower()}")
    return (*_VOLUME_TIERS, ours, by_asset)


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _list(names: list[str]) -> str:
    shown = ", ".join(one_line(name, 30) for name in names[:15])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 15 else shown
