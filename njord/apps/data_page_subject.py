"""What is to be shown of a dataset? A stored one or a file of rows in; facts, certificate and coverage out.

The certificate is the stored one. Where there is none, as of a file, the rows are graded in the same pass that counts
them, by the same rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from njord.apps.data_coverage import Courses, Coverage, CoverageCells
from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import Certificate
from njord.storage.store.kinds import COLUMNS, Columns, DataKind
from njord.storage.store.manifest import Part, SourceFile, read_certificate
from njord.storage.store.rows_hash import rows_hash
from njord.storage.store.rules import FeeTier, InstrumentRules
from njord.storage.store.stored import StoredDataset

Show = Callable[[int, int], None]


class _Follower(Protocol):
    def add(self, columns: Columns) -> None: ...


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset as it is shown.

    Attributes:
        name: Its path in the store, or the file's name.
        kind: What it holds.
        instrument: Gives the steps.
        interval_ns: Length of a bar; 0 for the other kinds.
        n_rows: How many rows it has.
        n_bytes: Size of its parts, or of the file.
        hash: Of the canonical rows.
        certificate: What it is worth.
        is_graded_now: The certificate was made for this look and is stored nowhere.
        coverage: Rows per cell of time.
        courses: Prices and clocks per cell, if they were asked for.
        assumptions: What importers took for granted.
        parts: Of the store; none of a file.
        sources: What was imported; none of a file.
        rules: What the instrument traded like, each from when on.
        fees: What a trade cost, each from when on.
    """

    name: str
    kind: DataKind
    instrument: Instrument
    interval_ns: int
    n_rows: int
    n_bytes: int
    hash: str
    certificate: Certificate
    is_graded_now: bool
    coverage: Coverage
    courses: Courses | None
    assumptions: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    sources: tuple[SourceFile, ...] = ()
    rules: tuple[InstrumentRules, ...] = ()
    fees: tuple[FeeTier, ...] = ()


def subject_of_stored(
    dataset: StoredDataset, with_courses: bool, show: Show = lambda done, total: None
) -> Subject:
    """Return what is shown of a stored dataset; only the columns that are needed are read.

    Raises:
        DataError: A part is missing or damaged, or the certificate can not be read.
    """
    manifest = dataset.manifest
    given = read_certificate(manifest)
    checks = checks_for(dataset.key.kind.value, dataset.instrument, dataset.interval_ns)
    cells = CoverageCells(dataset.key.kind, dataset.interval_ns, with_courses)
    if given is not None:
        _follow(dataset.chunks(columns=cells.columns), manifest.n_rows, [cells], show)
    else:
        _follow(dataset.chunks(), manifest.n_rows, [cells, checks], show)
    certificate = given if given is not None else checks.finish(dataset.hash)
    coverage, courses = cells.finish(certificate.bad_range_array())
    return Subject(
        name=dataset.path,
        kind=dataset.key.kind,
        instrument=dataset.instrument,
        interval_ns=dataset.interval_ns,
        n_rows=manifest.n_rows,
        n_bytes=sum(part.n_bytes for part in manifest.parts),
        hash=dataset.hash,
        certificate=certificate,
        is_graded_now=given is None,
        coverage=coverage,
        courses=courses,
        assumptions=manifest.assumptions,
        parts=manifest.parts,
        sources=manifest.sources,
        rules=manifest.rules,
        fees=manifest.fees,
    )


def subject_of_file(
    path: Path,
    instruments: Mapping[str, Instrument],
    with_courses: bool,
    show: Show = lambda done, total: None,
) -> Subject:
    """Return what is shown of a file of bars, trades, books or quotes that is in no store.

    Args:
        path: CSV, Parquet, Feather or NDJSON.
        instruments: Configured instruments by symbol.
        with_courses: Also look at prices and clocks.
        show: Told how many rows of how many are counted.

    Raises:
        DataError: The file is damaged, can not be understood, or is a capture, which holds several datasets.
    """
    from njord.apps.data_sources import is_capture, open_table  # Brings Numba, which stored data do without.

    if is_capture(path):
        raise DataError(
            f"{one_line(path.name, 80)} is a raw capture, which can hold several datasets",
            "import it with: njord data import FILE, and show what that names",
        )
    with open_table(path, None, BarOptions(repair=True), instruments) as rows:
        kind, instrument, interval_ns = rows.kind, rows.instrument, rows.interval_ns
        cells = CoverageCells(kind, interval_ns, with_courses)
        checks, digest = (
            checks_for(kind.value, instrument, interval_ns),
            rows_hash(kind, instrument, interval_ns),
        )

        def hashed() -> Iterable[Columns]:
            for block in rows.blocks:
                digest.add([block[name] for name in COLUMNS[kind]])
                yield block

        _follow(hashed(), rows.n_rows, [cells, checks], show)
        certificate = checks.finish(digest.text(), rows.facts)
        coverage, courses = cells.finish(certificate.bad_range_array())
        return Subject(
            name=path.name,
            kind=kind,
            instrument=instrument,
            interval_ns=interval_ns,
            n_rows=rows.n_rows,
            n_bytes=path.stat().st_size,
            hash=digest.text(),
            certificate=certificate,
            is_graded_now=True,
            coverage=coverage,
            courses=courses,
            assumptions=rows.assumptions,
        )


def _follow(blocks: Iterable[Columns], n_rows: int, followers: Sequence[_Follower], show: Show) -> None:
    n_done = 0
    for block in blocks:
        for follower in followers:
            follower.add(block)
        n_done += len(next(iter(block.values())))
        show(n_done, n_rows)
