"""`njord data resample`: trades to bars, or bars to longer ones, into the store or into a file."""

from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from njord.apps.resample import ResampleCounts, resample
from njord.apps.resample_file import write_activity_bars
from njord.apps.store_rows import Source, store_rows
from njord.cli import EXIT_OK
from njord.cli.data_import import print_stored, stored_row
from njord.cli.data_store import open_store, print_json, range_of
from njord.cli.flags import parse_number
from njord.cli.progress import Progress, counted
from njord.cli.summary import make_console
from njord.core.errors import ConfigError
from njord.storage.bars_text import one_line, show_interval, show_time
from njord.storage.export import export, format_of_name
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store, StoredDataset


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags as they were typed."""

    timeframe: str | None = None
    ticks: int | None = None
    volume: str | None = None
    notional: str | None = None
    gaps: str = "hole"
    late: str = "drop"
    out: Path | None = None
    force: bool = False
    start: str | None = None
    end: str | None = None


def run(dataset: str, flags: Flags, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    _one_of("--gaps", flags.gaps, ("hole", "flat"))
    _one_of("--late", flags.late, ("drop", "refuse"))
    if flags.timeframe is None and flags.out is None:
        raise ConfigError(
            "bars by trades, volume or value have no timeframe to be stored under", "name a file with --out"
        )
    opened = open_store(store, root)
    with opened.open(dataset) as stored:
        document, counts = _resample(opened, stored, flags, json_out)
    if json_out:
        print_json(document | {"counts": counts})
    else:
        _print_counts(counts)
    return EXIT_OK


def _resample(
    store: Store, stored: StoredDataset, flags: Flags, json_out: bool
) -> tuple[dict[str, Any], ResampleCounts]:
    kind, start_ns, end_ns = stored.key.kind, *range_of(flags.start, flags.end)
    if kind not in (DataKind.TRADES, DataKind.BARS):
        raise ConfigError(f"{stored.path} holds {kind.value}", "bars are made of trades or of shorter bars")
    with Progress("rows") as progress:
        bars = resample(
            counted(stored.chunks(start_ns, end_ns), stored.n_rows, progress.show),
            stored.instrument,
            timeframe=flags.timeframe,
            ticks=flags.ticks,
            volume=parse_number("--volume", flags.volume),
            notional=parse_number("--notional", flags.notional),
            gaps=cast(Literal["hole", "flat"], flags.gaps),
            late=cast(Literal["drop", "refuse"], flags.late),
            interval_ns=stored.interval_ns,
        )
        if flags.out is not None:
            if bars.interval_ns:
                form = format_of_name(flags.out.name)
                done = export(
                    bars, DataKind.BARS, stored.instrument, bars.interval_ns, flags.out, form, force=flags.force
                )  # fmt: skip
                n_rows = done.n_rows
            else:
                n_rows = write_activity_bars(bars, stored.instrument, flags.out, flags.force)
            if not json_out:
                make_console().print(f"{n_rows:,} bars to {flags.out}", highlight=False, soft_wrap=True)
            return {"file": str(flags.out), "n_rows": n_rows}, bars.counts
        key = DatasetKey(DataKind.BARS, stored.key.venue, stored.key.symbol, show_interval(bars.interval_ns))
        source = Source(
            name=f"{stored.path} resampled",
            sha256=stored.hash.removeprefix("sha256:"),
            assumptions=(f"Made of {stored.path}, gaps {flags.gaps}, late trades {flags.late}.",),
        )
        made = store_rows(
            store, key, stored.instrument, bars, source, interval_ns=bars.interval_ns, show=progress.show
        )
    if not json_out:
        print_stored(made)
    return stored_row(made), bars.counts


def _one_of(flag: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"{flag} takes {' or '.join(known)}, was {one_line(value)!r}", f"for example {flag} {known[0]}"
        )


def _print_counts(counts: ResampleCounts) -> None:
    said = [f"{counts.n_rows:,} rows read, {counts.n_bars:,} bars made"]
    if counts.n_flat:
        said.append(f"{counts.n_flat:,} of them flat, where there was silence")
    if counts.n_late and counts.first_late_ns is not None:
        said.append(f"{counts.n_late:,} late trades dropped, the first at {show_time(counts.first_late_ns)}")
    if counts.n_partial:
        said.append("the last, unfinished bar left out")
    make_console().print("  " + "; ".join(said), highlight=False)
