"""Small sound markets for the tests of the certificate: columns as the store keeps them, of a seeded random walk."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import Certificate
from njord.storage.certificate.facts import NO_FACTS, SourceFacts

IntArray = NDArray[np.int64]
Columns = dict[str, IntArray]

START_NS = 1_640_995_200 * NS_PER_S
HASH = "sha256:" + "0" * 64


def instrument() -> Instrument:
    """Return an instrument of tick 0.01 and lot 0.0001."""
    return Instrument(
        symbol="BTC/USDT",
        venue="sim",
        base="BTC",
        quote="USDT",
        kind=InstrumentKind.SPOT,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
    )


def walk(n: int, seed: int = 1) -> IntArray:
    """Return prices around 10,000 ticks that move by about 10 at a time."""
    steps = np.random.default_rng(seed).normal(0, 10, n)
    return (10_000 + np.cumsum(steps)).astype(np.int64)


def bars(n: int = 300, seed: int = 1) -> Columns:
    """Return sound 1-minute bars."""
    chance = np.random.default_rng(seed + 100)
    close = walk(n, seed)
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) + chance.integers(0, 8, n)
    low = np.minimum(opened, close) - chance.integers(0, 8, n)
    volume = chance.integers(1_000, 1_000_000, n)
    ts_ns = START_NS + np.arange(n) * NS_PER_MINUTE
    names = ("ts_open_ns", "open", "high", "low", "close", "volume_lots")
    return dict(zip(names, (ts_ns, opened, high, low, close, volume), strict=True))


def trades(n: int = 400, seed: int = 2, offset_ms: int = 20) -> Columns:
    """Return sound trades, one every second or so, known `offset_ms` after they happened, give or take 2 ms."""
    chance = np.random.default_rng(seed)
    venue_ns = START_NS + np.cumsum(chance.integers(100, 2_000, n)) * NS_PER_MS
    ts_ns = np.maximum.accumulate(venue_ns + (offset_ms + chance.integers(-2, 3, n)) * NS_PER_MS)
    side = chance.choice(np.array([-1, 1]), n)
    names = ("ts_ns", "ts_venue_ns", "trade_id", "side", "price_ticks", "qty_lots")
    values = (ts_ns, venue_ns, np.arange(n) + 500, side, walk(n, seed), chance.integers(1, 900, n))
    return dict(zip(names, values, strict=True))


def quotes(n: int = 400, seed: int = 3) -> Columns:
    """Return sound quotes with a spread of 2 to 5 ticks."""
    chance = np.random.default_rng(seed)
    ts_ns = START_NS + np.cumsum(chance.integers(10, 2_000, n)) * NS_PER_MS
    bid = walk(n, seed)
    names = ("ts_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
    lots = chance.integers(1, 900, (2, n))
    values = (ts_ns, 7_000 + 3 * np.arange(n), bid, lots[0], bid + chance.integers(2, 6, n), lots[1])
    return dict(zip(names, values, strict=True))


# (ts, venue ts, first id, last id, flags without EVENT_END, [(1 = bid or 2 = ask, price, lots)])
Event = tuple[int, int, int, int, int, list[tuple[int, int, int]]]


def events(n: int = 200, seed: int = 4, offset_ms: int = 20) -> list[Event]:
    """Return a snapshot and `n` sound changes of it, 100 ms apart, of one to three ids each."""
    chance = np.random.default_rng(seed)
    levels = [(1, 9_990 - i, 50 + i) for i in range(20)] + [(2, 10_010 + i, 50 + i) for i in range(20)]
    made: list[Event] = [(START_NS, START_NS, 1_000, 1_000, 4, levels)]
    last = 1_000
    for i in range(1, n + 1):
        venue_ns = START_NS + i * 100 * NS_PER_MS
        ts_ns = venue_ns + (offset_ms + int(chance.integers(-2, 3))) * NS_PER_MS
        first, last = last + 1, last + int(chance.integers(1, 4))
        changes = [
            (1, 9_990 - int(chance.integers(0, 20)), int(chance.integers(0, 90))),
            (2, 10_010 + int(chance.integers(0, 20)), int(chance.integers(0, 90))),
        ]
        made.append((ts_ns, venue_ns, first, last, 0, changes))
    return made


def book(made: list[Event]) -> Columns:
    """Return events as rows."""
    rows = []
    for ts_ns, venue_ns, first, last, flags, levels in made:
        for index, (side, price, qty) in enumerate(levels or [(0, 0, 0)]):
            end = 8 if index == max(len(levels), 1) - 1 else 0
            rows.append((ts_ns, venue_ns, first, last, flags | side | end, price, qty))
    names = ("ts_ns", "ts_venue_ns", "first_update_id", "last_update_id", "flags", "price_ticks", "qty_lots")
    return dict(zip(names, np.array(rows, dtype=np.int64).T.copy(), strict=True))


def certify(kind: str, columns: Columns, facts: SourceFacts = NO_FACTS) -> Certificate:
    """Return the certificate of all rows at once."""
    checks = checks_for(kind, instrument(), NS_PER_MINUTE)
    checks.add(columns)
    return checks.finish(HASH, facts)


def certify_pieces(
    kind: str, columns: Columns, cuts: list[int], facts: SourceFacts = NO_FACTS
) -> Certificate:
    """Return the certificate of rows that come in the pieces between `cuts`."""
    checks = checks_for(kind, instrument(), NS_PER_MINUTE)
    n = len(next(iter(columns.values())))
    edges = [0, *sorted(min(cut, n) for cut in cuts), n]
    for start, end in pairwise(edges):
        checks.add({name: column[start:end] for name, column in columns.items()})
    return checks.finish(HASH, facts)


def without(columns: Columns, start: int, end: int) -> Columns:
    """Return the columns without rows [start, end)."""
    return {name: np.delete(column, np.arange(start, end)) for name, column in columns.items()}


def faults(certificate: Certificate) -> dict[str, int]:
    """Return what was found: check -> how many."""
    return {finding.check: finding.n for finding in certificate.faults()}
