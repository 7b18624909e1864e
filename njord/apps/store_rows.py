"""How do rows become a state of the store? Rows and what their importer saw in; a graded, committed dataset out.

The certificate is that of the whole dataset as it will be, computed from the very rows that are committed. What
importers mended can not be seen in them any more: it is carried on from the certificate before, each source once.
"""

from collections.abc import Callable, Iterable

import msgspec

from njord.core.instrument import Instrument
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import Certificate, encode_certificate
from njord.storage.certificate.facts import NO_FACTS, Place, Seen, SourceFacts
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import Columns, DataKind
from njord.storage.store.manifest import Manifest, SourceFile, read_certificate
from njord.storage.store.rules import FeeTier, InstrumentRules
from njord.storage.store.store import Commit, Store

Show = Callable[[int, int], None]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows come from.

    Attributes:
        name: The file's name, or what was asked of a venue.
        sha256: Of its bytes: a source that was imported before adds no faults a second time.
        facts: What its importer saw.
        assumptions: What its importer took for granted.
    """

    name: str
    sha256: str
    facts: SourceFacts = NO_FACTS
    assumptions: tuple[str, ...] = ()


class StoredRows(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit did."""

    path: str
    n_rows: int
    n_added: int
    n_known: int
    n_replaced: int
    hash: str
    certificate: Certificate


def store_rows(
    store: Store,
    key: DatasetKey,
    instrument: Instrument,
    rows: Iterable[Columns],
    source: Source,
    *,
    interval_ns: int = 0,
    replace: bool = False,
    rules: tuple[InstrumentRules, ...] | None = None,
    fees: tuple[FeeTier, ...] | None = None,
    show: Show = lambda done, total: None,
) -> StoredRows:
    """Add `rows` to the dataset `key`, grade the whole, and commit it.

    Args:
        store: Where.
        key: Which dataset; it need not exist.
        instrument: Gives the steps.
        rows: Blocks in the order of time.
        source: Where they come from.
        interval_ns: Length of a bar.
        replace: Rows that contradict stored ones win.
        rules: The instrument's rules from which time on; None keeps what is stored.
        fees: Its fees, likewise.
        show: Told how many of the merged rows are graded, of how many.

    Raises:
        DataError: The rows contradict stored ones, another writer is at work, or the disk refuses; the old state stands.
    """
    with store.begin(key, instrument=instrument, interval_ns=interval_ns, replace=replace) as commit:
        for block in rows:
            commit.append(block)
        old = commit.manifest_before
        facts = _all_facts(old, source)
        checks = checks_for(key.kind.value, commit.instrument, interval_ns)
        n_done, n_total = 0, commit.n_rows_after_merge
        for block in commit.rows_after_merge():
            checks.add(block)
            n_done += len(next(iter(block.values())))
            show(n_done, n_total)
        if key.kind is DataKind.BOOK:
            facts = _compared_with_quotes(store, key, commit, facts)
        certificate = checks.finish(commit.hash_after_merge, facts)
        file = SourceFile(name=source.name, sha256=source.sha256, facts=_counts(source.facts))
        stored = commit.commit(
            source=file,
            certificate=encode_certificate(certificate),
            assumptions=source.assumptions,
            rules=rules,
            fees=fees,
        )
    with stored:
        return StoredRows(
            path=stored.path,
            n_rows=stored.n_rows,
            n_added=commit.n_added,
            n_known=commit.n_known,
            n_replaced=commit.n_replaced,
            hash=stored.hash,
            certificate=certificate,
        )


def _all_facts(old: Manifest | None, source: Source) -> SourceFacts:
    before = read_certificate(old) if old is not None else None
    if old is None or before is None:
        return source.facts
    is_known = any(each.sha256 == source.sha256 for each in old.sources)
    return before.facts if is_known else before.facts.merged(source.facts)


# Of the whole book, not of this source: what was found before is found again.
def _compared_with_quotes(store: Store, key: DatasetKey, commit: Commit, facts: SourceFacts) -> SourceFacts:
    quotes = DatasetKey(DataKind.QUOTES, key.venue, key.symbol)
    if not (store.root / quotes.path).is_dir():
        return facts
    from njord.data.book_replay import check_quotes  # Compiled: only a book needs it.

    with store.open(quotes) as stored:
        found = check_quotes(commit.rows_after_merge(), stored.chunks())
    places = tuple(
        Place(each.ts_ns, detail=f"update {each.update_id}: book {each.book}, quote {each.quote}")
        for each in found.mismatches
    )
    return msgspec.structs.replace(facts, quote_mismatches=Seen(found.n_both - found.n_equal, places))


def _counts(facts: SourceFacts) -> dict[str, int]:
    seen = ((name, getattr(facts, name).n) for name in facts.__struct_fields__)
    return {f"n_{name}": n for name, n in seen if n}
