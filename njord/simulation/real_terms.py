"""What happens in one run of real processes, and how are they set up? A fault, or a seed, in; terms and settings out.

A single fault has most of the run for itself; a mix is what the same seed is in the simulation (`world.py`), with its
kills and trips, but that faults whose chances are few take all of them: a mix that nothing struck shows nothing. The
market of `njord venue` is deeper than the simulation's: orders are as many times as large, so that they still fill in
parts.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from njord.core.units import plain
from njord.exchange.fault_plan import CATALOGUE, FAULTS, FaultPlan, FaultSpec
from njord.simulation.world import WorldTerms, terms_of

CAPITAL: Final = Decimal(250_000)
POSITION_CAP: Final = Decimal(50_000)
ORDER_CAP: Final = Decimal(15_000)
LOTS_MAX: Final = 25_000  # Of BTC, worth about the cap.
ORDERS_PER_MINUTE: Final = 90
SHARE: Final = 0.3  # Of the public trades, that the strategy acts on.
BNB_HELD: Final = Decimal(1)  # For fees; the books learn of it from the venue.
_THIRD: Final = "BNB"
_FROM: Final = 0.1  # Of a run; its only fault lasts on until the run ends it.
_RARE: Final = frozenset({"A6", "A8", "A23", "A24", "B6"})  # Their chances are few: they take them all.
_BOOKS: Final = frozenset(
    {"B1", "B2", "B3", "B4", "B5"}
)  # `njord md` is beside the node: it hears what they spoil.
_BARS: Final = frozenset({"B6"})


class RealTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        name: Of the fault, or `mix SEED`.
        world: What happens; its `settle_s` is the patience with which books and truth are waited for.
        must_strike: Faults without whose strike the run shows nothing; of a mix it is enough that any of its faults
            struck.
    """

    name: str
    world: WorldTerms
    must_strike: tuple[str, ...] = ()

    def lacks(self, struck: Mapping[str, int]) -> tuple[str, ...]:
        """Return the faults whose strikes the run still lacks to show anything, by how often each has struck."""
        lacking = tuple(fault for fault in self.must_strike if not struck.get(fault))
        if not self.must_strike and not any(struck.values()):
            return tuple(sorted(self.kinds))
        return lacking

    @property
    def kinds(self) -> frozenset[str]:
        """The faults of its plan."""
        return frozenset(spec.fault for spec in self.world.plan.faults)

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded."""
        return ("BTC/USDT", f"{_THIRD}/USDT") if "A12" in self.kinds else ("BTC/USDT",)

    @property
    def opening(self) -> dict[str, Decimal]:
        """What the account holds at first beside the quote."""
        return {_THIRD: BNB_HELD} if len(self.symbols) > 1 else {}

    @property
    def balances(self) -> str:
        """What the account holds at first, as `njord venue` takes it."""
        return ",".join(f"{asset}={plain(qty)}" for asset, qty in {"USDT": CAPITAL, **self.opening}.items())

    @property
    def records_market(self) -> bool:
        """Whether `njord md` runs beside the node."""
        return bool(self.kinds & _BOOKS)

    @property
    def hears_bars(self) -> bool:
        """Whether somebody listens to the venue's bars, which a node makes by itself."""
        return bool(self.kinds & _BARS)

    @property
    def leaves_orders(self) -> bool:
        """Whether orders rest on when the node stops."""
        return not self.world.cancels

    def words_again(self, program: str) -> str:
        """Return the words that run it alone."""
        of_mix = self.name.startswith("mix ")
        which = f"--faults none --seeds {self.world.seed}" if of_mix else f"--faults {self.name} --seeds none"
        return f"{program} {which} --seconds {self.world.duration_s:g}"


def single(fault: str, duration_s: float) -> RealTerms:
    """Return the run of one fault alone."""
    kind = CATALOGUE[fault]
    share = 1.0 if fault in _RARE else round(sum(kind.share) / 2, 3)
    return together((fault,), FAULTS.index(fault) + 1, duration_s, {fault: share})


def together(
    faults: Sequence[str], seed: int, duration_s: float, shares: dict[str, float] | None = None
) -> RealTerms:
    """Return a run in which some faults strike at the same time, each of them at least once."""
    specs = tuple(
        FaultSpec(
            fault=fault,
            from_s=round(_FROM * duration_s, 3),
            share=(shares or {}).get(fault, 1.0),
        )
        for fault in faults
    )
    world = WorldTerms(seed=seed, plan=FaultPlan(specs), duration_s=duration_s, cancels=seed % 2 == 0)
    return RealTerms(name="+".join(faults), world=world, must_strike=tuple(faults))


def mix(seed: int, duration_s: float) -> RealTerms:
    """Return what a seed stands for: a random subset of the faults, kills, and trips."""
    world = terms_of(seed, FAULTS, duration_s)
    plan = FaultPlan(tuple(_to_the_end(spec) if spec.fault in _RARE else spec for spec in world.plan.faults))
    return RealTerms(name=f"mix {seed}", world=replace(world, plan=plan))


def _to_the_end(spec: FaultSpec) -> FaultSpec:
    return replace(spec, share=1.0, for_s=0.0)


def settings_of(terms: RealTerms) -> dict[str, dict[str, Any]]:
    """Return what the node is told beyond what every seeded trader is, by section; see `processes.lay_out`."""
    return {
        "rules": {"max_order_notional": {"cap_notional": plain(ORDER_CAP), "cap_equity_fraction": 1}},
        "exchange": {"symbols": list(terms.symbols)},
        "live": {
            "user_stream": terms.world.stream.value,
            "stop_policy": "leave" if terms.leaves_orders else "cancel",
            "reconcile_every_s": 20,
        },
        "risk": {
            "live_micro_cap_usd": plain(ORDER_CAP),
            "live_micro_cap_reason": "toy money at a local exchange",
        },
    }
