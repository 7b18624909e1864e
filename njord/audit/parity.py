"""Would a backtest have done what the session did? A session's folder in; what matched, and the gap in profit, out.

The backtest is made of the session's own events and settings, so that it must do the same: any difference is a fault.
With other settings, or over other data, the gap says what they would have cost or earned, part by part.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from njord.adapters.config_errors import MASK
from njord.adapters.config_loader import explain, load_config
from njord.audit.parity_gap import Parts, Share, Sides, gap, shares
from njord.audit.parity_match import Pair, pair_up
from njord.audit.parity_runs import Script, read_session, run_again
from njord.audit.parity_witness import LIQUIDATION, Decision, Witness
from njord.backtest.market_open import RecordedMarket
from njord.backtest.recorded_run import RecordedRun, open_run
from njord.backtest.utc import at
from njord.core.config import Config
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, NS_PER_MINUTE, plain
from njord.storage.journal_reader import scan

LARGEST_MAX = 10
_NOTHING = "nothing"
Progress = Callable[[int, int], None]


class Largest(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision has contributed to the gap.

    Attributes:
        ask: The command that tells the session's story of it, or of the moment at which it did nothing.
        session: The session's intent; null if it had none.
        backtest: The backtest's.
    """

    ask: str
    session: str | None
    backtest: str | None
    strategy_id: str
    symbol: str
    wish: str
    ts_ns: int
    total: Decimal
    parts: Parts


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """A session beside the backtest of what it saw. Money is in `report_asset`.

    Attributes:
        complete: The session was closed in order; else it is compared so far.
        n_rows: Messages of the market that are compared.
        changed: Settings of the backtest that are not the session's.
        data: Names of the data that the backtest saw in place of the session's.
        n_matched_decisions: Equal in strategy, instrument, side, type, quantity, prices, flags and time.
        n_alike_decisions: The same wish of both, at another time, in another size or on other terms.
        decision_match_pct: Of the side that has more; rounded down, so that 100 is all of them.
        n_matched_fills: Fills of one decision that are equal in price, quantity and both times.
        gap: session_pnl - backtest_pnl, which `parts` add up to.
        largest: The decisions that contributed most, the largest first.
        first_difference: In words; empty if there is none.
        notes: What else should be known, in sentences.
    """

    session: str
    kind: str
    run_id: str
    complete: bool
    n_messages: int
    n_rows: int
    changed: dict[str, str]
    data: tuple[str, ...]
    n_session_decisions: int
    n_backtest_decisions: int
    n_matched_decisions: int
    n_alike_decisions: int
    decision_match_pct: float
    n_session_fills: int
    n_backtest_fills: int
    n_matched_fills: int
    fill_match_pct: float
    report_asset: str
    session_pnl: Decimal
    backtest_pnl: Decimal
    gap: Decimal
    parts: Parts
    largest: tuple[Largest, ...]
    first_difference: str
    notes: tuple[str, ...]

    @property
    def is_match(self) -> bool:
        """Whether both did the same, and nothing is between them."""
        n_decisions = max(self.n_session_decisions, self.n_backtest_decisions)
        n_fills = max(self.n_session_fills, self.n_backtest_fills)
        matched = (self.n_matched_decisions, self.n_matched_fills)
        return matched == (n_decisions, n_fills) and not any(msgspec.structs.astuple(self.parts))


def parity(
    folder: Path,
    settings: Mapping[str, str],
    data: tuple[Path, ...] = (),
    progress: Progress = lambda done, total: None,
) -> Parity:
    """Compare the session in `folder`, or the backtest, with a backtest of what it saw.

    Args:
        folder: Holds `session.json` or `run.json`, and the journal.
        settings: Dotted keys and texts: what the backtest is to have otherwise.
        data: What the backtest is to see in place of the session's data.
        progress: Told how many rows have passed, of how many.

    Raises:
        UserError: Strategy, settings or data are not fit, or have changed; one line names them.
        JournalError: The journal can not be trusted, or was cut off though it is a backtest's.
        InvariantError: A promise of the engine is broken, or the parts do not add up.
    """
    run = open_run(folder)
    config = _changed(run, settings)
    session, backtest = Witness(run.spec()), Witness(run.spec(config))
    state = scan(run.journal)
    with run.open_market() as market:
        done = min(state.last_seq, market.n_events or state.last_seq)  # A feed does not know how many it has.
        total = 2 * done
        script = read_session(run, state, market, session, lambda n_rows: progress(n_rows, total))
        if not data:
            _again(run, config, market, script, backtest, lambda n_rows: progress(done + n_rows, total))
            return _compared(run, settings, script, Sides(session, backtest, True), market, ())
    with run.open_market(data) as other:
        _check_instruments(other.instruments, session.instruments)
        _again(run, config, other, script, backtest, lambda n_rows: progress(done + n_rows, total), True)
        names = tuple(source.name for source in other.sources)
        return _compared(run, settings, script, Sides(session, backtest, False), other, names)


# The loader knows what a key's text means, and refuses what is none; only what was asked for is taken from it.
def _changed(run: RecordedRun, settings: Mapping[str, str]) -> Config | None:
    if not settings:
        return None
    loaded = load_config(run.folder, settings, {})
    tree: dict[str, Any] = run.config().model_dump()
    wanted = loaded.config.model_dump()
    for key, origin in loaded.origins.items():
        if not origin.startswith("flag"):
            continue
        *path, last = key.split(".")
        node, source = tree, wanted
        for name in path:
            node, source = node.setdefault(name, {}), source[name]
        node[last] = source[last]
    return Config.model_validate(tree)


def _again(
    run: RecordedRun,
    changed: Config | None,
    market: RecordedMarket,
    script: Script,
    witness: Witness,
    on_rows: Callable[[int], None],
    by_time: bool = False,
) -> None:
    if by_time or changed is not None:
        script = replace(script, n_last=None)
    run_again(run.spec(changed), changed or run.config(), market, script, witness, on_rows, by_time)


def _check_instruments(others: Sequence[Instrument], instruments: Sequence[Instrument]) -> None:
    if [each.symbol for each in others] != [each.symbol for each in instruments]:
        raise ConfigError(
            f"--data has {', '.join(each.symbol for each in others)}, the session traded "
            f"{', '.join(each.symbol for each in instruments)}",
            "give data of the same symbols in the same order",
        )
    for other, instrument in zip(others, instruments, strict=True):
        steps, own = (other.tick_size, other.lot_size), (instrument.tick_size, instrument.lot_size)
        if steps != own:
            raise ConfigError(
                f"--data gives {other.symbol} ticks of {steps[0]:f} and lots of {steps[1]:f}, the session had "
                f"{own[0]:f} and {own[1]:f}",
                "import the data with the session's --tick and --lot",
            )


# A secret has no part in a backtest, and is not repeated.
def _shown(run: RecordedRun, settings: Mapping[str, str]) -> dict[str, str]:
    if not settings:
        return {}
    known = explain(load_config(run.folder, settings, {}))
    hidden = {key for key, text, _ in known if text == MASK}
    return {key: MASK if key in hidden else text for key, text in settings.items()}


def _compared(
    run: RecordedRun,
    settings: Mapping[str, str],
    script: Script,
    sides: Sides,
    market: RecordedMarket,
    data: tuple[str, ...],
) -> Parity:
    session, backtest = sides.session, sides.backtest
    pairs = pair_up(session.decisions, backtest.decisions, _window_ns(market))
    every = shares(pairs, sides)
    parts = gap(every, sides)
    ours, theirs = (sum(map(_is_intent, witness.decisions)) for witness in sides[:2])
    n_same = sum(pair.is_same and _is_intent(pair.either) for pair in pairs)
    n_alike = sum(pair.is_both and _is_intent(pair.either) for pair in pairs) - n_same
    n_fills = sum(_n_same_fills(pair, sides) for pair in pairs)
    return Parity(
        session=run.folder.name,
        kind=run.facts.kind,
        run_id=run.started.run_id,
        complete=script.is_complete,
        n_messages=script.n_messages,
        n_rows=script.n_rows,
        changed=_shown(run, settings),
        data=data,
        n_session_decisions=ours,
        n_backtest_decisions=theirs,
        n_matched_decisions=n_same,
        n_alike_decisions=n_alike,
        decision_match_pct=_percent(n_same, max(ours, theirs)),
        n_session_fills=session.n_fills,
        n_backtest_fills=backtest.n_fills,
        n_matched_fills=n_fills,
        fill_match_pct=_percent(n_fills, max(session.n_fills, backtest.n_fills)),
        report_asset=session.report_asset,
        session_pnl=session.profit,
        backtest_pnl=backtest.profit,
        gap=EXACT.subtract(session.profit, backtest.profit),
        parts=parts,
        largest=_largest(every, run.folder.name, session.instruments),
        first_difference=_first_difference(pairs, sides),
        notes=run.notes(),
    )


# Two bars, or a minute: so far a decision may move and still be the same one.
def _window_ns(market: RecordedMarket) -> int:
    return max(NS_PER_MINUTE, 2 * max(source.interval_ns for source in market.sources))


def _is_intent(decision: Decision) -> bool:
    return not decision.wish.startswith(LIQUIDATION)


def _percent(n_same: int, n_all: int) -> float:
    return 10_000 * n_same // n_all / 100 if n_all else 100.0


def _fill_counts(witness: Witness, decision: Decision | None) -> Counter[tuple[object, ...]]:
    fills = [] if decision is None else witness.fills.get(decision.intent_id, [])
    return Counter(
        (fill.ts_ns, fill.ts_venue_ns, fill.lots, fill.price_ticks, fill.is_maker) for fill in fills
    )


def _n_same_fills(pair: Pair, sides: Sides) -> int:
    if pair.session is None or pair.backtest is None:
        return 0
    ours = _fill_counts(sides.session, pair.session)
    return (ours & _fill_counts(sides.backtest, pair.backtest)).total()


def _largest(every: Sequence[Share], name: str, instruments: Sequence[Instrument]) -> tuple[Largest, ...]:
    ranked = sorted(every, key=lambda share: share.parts.total.copy_abs(), reverse=True)
    found = []
    for share in ranked[:LARGEST_MAX]:
        session, backtest, either = share.pair.session, share.pair.backtest, share.pair.either
        found.append(
            Largest(
                ask=_ask(session, either, name),
                session=None if session is None else session.intent_id,
                backtest=None if backtest is None else backtest.intent_id,
                strategy_id=either.strategy_id,
                symbol=instruments[either.instrument].symbol,
                wish=either.wish,
                ts_ns=either.ts_ns,
                total=share.parts.total,
                parts=share.parts,
            )
        )
    return tuple(found)


def _ask(session: Decision | None, either: Decision, name: str) -> str:
    if session is None:
        return f"njord why --at {at(either.ts_ns)} --strategy {either.strategy_id} --session {name}"
    return f"njord why {session.intent_id} --session {name}"


def _first_difference(pairs: Sequence[Pair], sides: Sides) -> str:
    for pair in pairs:
        session, backtest = pair.session, pair.backtest
        if not pair.is_same:
            said = [_said(each, sides.session.instruments) for each in (session, backtest)]
            return f"session: {said[0]}; backtest: {said[1]}"
        if session is not None and _fill_counts(sides.session, session) != _fill_counts(
            sides.backtest, backtest
        ):
            return f"{_said(session, sides.session.instruments)}: both decided it, its fills differ"
    return ""


def _said(decision: Decision | None, instruments: Sequence[Instrument]) -> str:
    if decision is None:
        return _NOTHING
    instrument = instruments[decision.instrument]
    size = f" {plain(instrument.qty(decision.qty_lots))}" if decision.qty_lots else ""
    return f"{decision.intent_id} {decision.wish}{size} {instrument.symbol} at {at(decision.ts_ns)}"
