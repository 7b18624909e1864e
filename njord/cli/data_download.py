"""`njord data download`: a venue's history into the store, with progress, and what the venue does not have."""

import sys
from pathlib import Path

import msgspec

from njord.apps.download_report import DownloadProgress, DownloadReport, DownloadRequest
from njord.apps.download_venue import download_from
from njord.cli import EXIT_INTERRUPTED, EXIT_OK
from njord.cli.data_store import GRADE_STYLES, open_store, print_json
from njord.cli.flags import parse_time
from njord.cli.progress import Progress
from njord.cli.summary import make_console
from njord.storage.bars_symbol import parse_symbol
from njord.storage.interval import parse_timeframe
from njord.storage.store.manifest import read_certificate
from njord.storage.store.store import Store


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags as they were typed."""

    venue: str
    symbol: str
    timeframe: str
    trades: bool
    start: str
    end: str | None
    endpoint: str | None


def run(flags: Flags, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    start_ns = parse_time("--start", flags.start)
    assert start_ns is not None  # The flag is required.
    request = DownloadRequest(
        symbol=parse_symbol(flags.symbol),
        start_ns=start_ns,
        end_ns=parse_time("--end", flags.end),
        interval_ns=0 if flags.trades else parse_timeframe(flags.timeframe),
    )
    with Progress("trades" if flags.trades else "bars") as shown:

        def show(progress: DownloadProgress) -> None:
            shown.show(progress.n_done, progress.n_total)

        shown.say(f"asking {flags.venue}")
        report, path = download_from(
            flags.venue, request, lambda: open_store(store, root, create=True), flags.endpoint, show
        )
    _print(open_store(store, root), report, path, json_out)
    if not report.is_complete:
        print("njord: interrupted; what has come is kept, the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_OK


def _print(store: Store, report: DownloadReport, path: str, json_out: bool) -> None:
    certificate, digest, n_rows = None, "", 0
    if (store.root / path).exists():
        with store.open(path) as stored:
            certificate, digest, n_rows = read_certificate(stored.manifest), stored.hash, stored.n_rows
    if json_out:
        print_json(
            {"path": path, "n_rows": n_rows, "hash": digest, "report": report, "certificate": certificate}
        )
        return
    console = make_console()
    console.print(
        f"[bold]{path}[/bold]  {n_rows:,} rows ({report.n_rows:,} fetched in {report.n_pages:,} answers,"
        f" {report.n_known:,} were there)",
        highlight=False,
    )
    for note in report.notes():
        console.print(f"  {note}", highlight=False, markup=False)
    if certificate is not None:
        style = GRADE_STYLES[certificate.grade]
        console.print(f"  grade [{style}]{certificate.grade}[/]: {certificate.because}", highlight=False)
        console.print(f"  hash {digest}", highlight=False)
        console.print(f"  next: njord data show {path}", highlight=False)
