"""Which trouble, when and how much: a plan of faults, from YAML or JSON, from HTTP, or drawn from a seed.

The ids are those of the fault catalogue (A: venue and network, B: market data). A fault has a window of time, the
share of its opportunities that it takes, and parameters of its own; what it then does stands in `nemesis_*.py`.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import yaml

from njord.core.errors import ConfigError

BYTES_MAX: Final = 1 << 20
SECONDS_MAX: Final = 10**8
RANDOM: Final = "random"  # A form that is drawn anew at every stroke.
Value = float | str


class FaultKind(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the catalogue.

    Attributes:
        meaning: One sentence.
        forms: Its kinds of trouble, if it has several; `random` draws one at every stroke.
        numbers: Its numeric parameters: default, and the range that a swarm draws from.
        lasts_s: The window that a swarm draws from, in seconds.
        share: The range of shares that a swarm draws from.
        is_single: Whether it happens once, at its beginning, and not to a share of what passes by.
    """

    meaning: str
    forms: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[float, float, float]] = {}
    lasts_s: tuple[float, float] = (30.0, 240.0)
    share: tuple[float, float] = (0.1, 0.7)
    is_single: bool = False


_DELAY: Final = (40.0, 2.0, 45.0)
CATALOGUE: Final[Mapping[str, FaultKind]] = {
    "A1": FaultKind(meaning="An order is placed, and the answer is lost."),
    "A2": FaultKind(meaning="An order never arrives."),
    "A3": FaultKind(meaning="An order arrives long after its sender gave up.", numbers={"delay_s": _DELAY}),
    "A4": FaultKind(
        meaning="The server answers an order or a cancel with a 5xx, having done it or not.",
        numbers={"done_share": (0.5, 0.0, 1.0)},
    ),
    "A5": FaultKind(
        meaning="An answer is HTML, empty, truncated, of another shape, or breaks off; what was asked was done.",
        forms=("html", "empty", "truncated", "shape", "cut", "huge"),
    ),
    "A6": FaultKind(
        meaning="Cancels are slow, so that fills overtake them.", numbers={"hold_s": (2.0, 0.2, 4.0)}
    ),
    "A7": FaultKind(meaning="A cancel is refused as unknown, although the order works."),
    "A8": FaultKind(meaning="The venue cancels what is left of an order that has filled in part."),
    "A9": FaultKind(
        meaning="Execution reports come twice, and once more later.", numbers={"again_s": (5.0, 0.5, 30.0)}
    ),
    "A10": FaultKind(meaning="Execution reports are missing from a healthy stream.", share=(0.05, 0.6)),
    "A11": FaultKind(meaning="Execution reports come in another order.", numbers={"hold_s": (1.0, 0.1, 5.0)}),
    "A12": FaultKind(
        meaning="Fees are charged in a third asset, or are a rebate.",
        forms=("third_asset", "rebate"),
        numbers={"rate_bps": (7.5, 1.0, 20.0)},
        is_single=True,
    ),
    "A13": FaultKind(
        meaning="Streams stay open and say nothing.", forms=("user", "market", "all"), lasts_s=(20.0, 120.0)
    ),
    "A14": FaultKind(
        meaning="Streams are cut again and again.", numbers={"every_s": (2.0, 1.0, 8.0)}, lasts_s=(20.0, 60.0)
    ),
    "A15": FaultKind(meaning="The listen key of the user stream ends early.", is_single=True),
    "A16": FaultKind(
        meaning="The venue answers 429 with Retry-After; who does not wait is banned with 418.",
        numbers={"wait_s": (5.0, 1.0, 20.0), "ban_s": (30.0, 5.0, 60.0)},
        share=(0.05, 0.3),
        lasts_s=(10.0, 60.0),
    ),
    "A17": FaultKind(
        meaning="The venue's clock is wrong, either way.",
        numbers={"offset_s": (8.0, -20.0, 20.0)},
        is_single=True,
    ),
    "A18": FaultKind(
        meaning="The venue is gone.", forms=("silent", "refused"), lasts_s=(20.0, 300.0), share=(1.0, 1.0)
    ),
    "A19": FaultKind(
        meaning="A symbol is halted, or its filters change.", forms=("halt", "filters"), is_single=True
    ),
    "A20": FaultKind(
        meaning="The key is revoked, or may no longer trade.", forms=("revoke", "forbid"), is_single=True
    ),
    "A21": FaultKind(
        meaning="The account's owner trades, deposits or withdraws by hand.",
        forms=("order", "withdraw", "deposit"),
        numbers={"every_s": (20.0, 10.0, 60.0)},
    ),
    "A22": FaultKind(
        meaning="The way fails: no address, no certificate, or a byte a second.",
        forms=("unreachable", "slow"),
        lasts_s=(10.0, 90.0),
        share=(0.1, 1.0),
    ),
    "A23": FaultKind(
        meaning="A snapshot is stale, or another account's.", forms=("stale", "foreign"), share=(0.2, 1.0)
    ),
    "A24": FaultKind(
        meaning="The list of open orders fails, or comes empty.", forms=("fails", "empty"), share=(0.2, 1.0)
    ),
    "B1": FaultKind(
        meaning="The book's stream has holes, or shows a crossed book.",
        forms=("gap", "crossed"),
        share=(0.01, 0.2),
    ),
    "B2": FaultKind(
        meaning="Public trades come twice, late, out of order, or with a clock that goes back.",
        forms=("double", "late", "back"),
        share=(0.05, 0.5),
    ),
    "B3": FaultKind(
        meaning="A public trade has ten times the price, or none, or a negative one.",
        forms=("spike", "zero", "nan", "negative"),
        share=(0.01, 0.1),
    ),
    "B4": FaultKind(
        meaning="The market's streams say nothing new; heartbeats go on.",
        lasts_s=(20.0, 120.0),
        share=(1.0, 1.0),
    ),
    "B5": FaultKind(
        meaning="Quotes come in a flood.",
        numbers={"copies": (50.0, 10.0, 50.0)},
        lasts_s=(5.0, 20.0),
        share=(0.5, 1.0),
    ),
    "B6": FaultKind(
        meaning="Bars are revised after they were finished, or are missing.",
        forms=("revised", "missing"),
        share=(0.2, 1.0),
    ),
}
FAULTS: Final = tuple(CATALOGUE)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault of a plan.

    Attributes:
        fault: Its id, such as A1.
        from_s: When it begins, in seconds after the plan does.
        for_s: How long it lasts, in seconds; 0 = to the end.
        share: Which share of its opportunities it takes, 0 to 1.
        count: How often at most; 0 = without bound.
        params: Its own: `form`, and the numbers of its kind.
    """

    fault: str
    from_s: float = 0.0
    for_s: float = 0.0
    share: float = 1.0
    count: int = 0
    params: Mapping[str, Value] = {}

    @property
    def kind(self) -> FaultKind:
        """What the catalogue says of it."""
        return CATALOGUE[self.fault]

    def number(self, name: str) -> float:
        """Return a numeric parameter, by default the catalogue's."""
        return float(self.params.get(name, self.kind.numbers[name][0]))

    def form(self, random: Random) -> str:
        """Return which of its forms it takes this time."""
        form = str(self.params.get("form", RANDOM))
        return random.choice(self.kind.forms) if form == RANDOM else form


class FaultPlan(msgspec.Struct, frozen=True):
    """Faults, in the order in which they touch what passes by."""

    faults: tuple[FaultSpec, ...] = ()

    @property
    def end_s(self) -> float:
        """When the last fault that ends has ended."""
        return max((spec.from_s + spec.for_s for spec in self.faults), default=0.0)


def spec_of(values: object, where: str) -> FaultSpec:
    """Return one fault from plain values.

    Args:
        values: A mapping as YAML or JSON gives it.
        where: For messages: what it stands in.

    Raises:
        ConfigError: One line: an unknown fault, field or parameter, or a value out of its range.
    """
    try:
        spec = msgspec.convert(values, FaultSpec, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(
            f"{where}: {_one_line(error)}", f"a fault has {', '.join(FaultSpec.__struct_fields__)}"
        ) from None
    if spec.fault not in CATALOGUE:
        raise ConfigError(f"{where}: no fault is called {spec.fault!r}", f"there are {_listed(FAULTS)}")
    for name, number, low, high in (
        ("from_s", spec.from_s, 0, SECONDS_MAX),
        ("for_s", spec.for_s, 0, SECONDS_MAX),
        ("share", spec.share, 0, 1),
        ("count", spec.count, 0, SECONDS_MAX),
    ):
        if not low <= number <= high:
            raise ConfigError(f"{where}: {name} is {number:g}", f"write a number from {low:g} to {high:g}")
    for name, value in spec.params.items():
        _check_param(spec, name, value, where)
    return spec


def _check_param(spec: FaultSpec, name: str, value: Value, where: str) -> None:
    kind = spec.kind
    if name == "form" and kind.forms:
        if value != RANDOM and value not in kind.forms:
            raise ConfigError(
                f"{where}: {spec.fault} has no form {value!r}",
                f"write one of {_listed((*kind.forms, RANDOM))}",
            )
        return
    if name not in kind.numbers:
        known = (("form",) if kind.forms else ()) + tuple(kind.numbers)
        close = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"it has {_listed(known) or 'none'}"
        raise ConfigError(f"{where}: {spec.fault} has no parameter {name!r}", remedy)
    _, lowest, _ = kind.numbers[name]
    least = -SECONDS_MAX if lowest < 0 else 0  # Where a swarm draws no negative number, it has no meaning.
    if isinstance(value, str) or not least <= value <= SECONDS_MAX:
        raise ConfigError(
            f"{where}: {spec.fault}.{name} is {value!r}", f"write a number from {least:g} to {SECONDS_MAX:g}"
        )


def plan_of(values: object, where: str) -> FaultPlan:
    """Return a plan from plain values: a list of faults, or a mapping with the list under `faults`.

    Raises:
        ConfigError: One line that names the fault by its place.
    """
    if isinstance(values, Mapping):
        extra = [str(key) for key in values if key != "faults"]
        if extra or "faults" not in values:
            raise ConfigError(
                f"{where} has the keys {_listed([str(key) for key in values]) or 'none'}",
                "write faults: [...]",
            )
        values = values["faults"]
    if values is None:
        values = []
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConfigError(
            f"{where} is no list of faults", "write faults: [{fault: A1, from_s: 10, for_s: 60}]"
        )
    return FaultPlan(tuple(spec_of(each, f"{where}, fault {n}") for n, each in enumerate(values, 1)))


def read_plan(path: Path) -> FaultPlan:
    """Return the plan in a YAML or JSON file.

    Raises:
        ConfigError: The file can not be read or is no plan; one line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} can not be read ({error.strerror})", "name a YAML or JSON file") from None
    if len(raw) > BYTES_MAX:
        raise ConfigError(f"{path} is larger than {BYTES_MAX >> 20} MiB", "a plan is a page or two")
    try:
        text = raw.decode("utf-8-sig")
        values: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise ConfigError(f"{path} is not {kind}: {_one_line(error)}", "look at the brackets") from None
    return plan_of(values, str(path))


def swarm(seed: int, duration_s: float, faults: Sequence[str] = FAULTS) -> FaultPlan:
    """Return a random subset of the faults, at random times and rates, all over by `duration_s`.

    A few at a time let each of them do its work; the subset differs from seed to seed, so that rare pairs meet.
    """
    random = Random(f"swarm {seed}")
    n_faults = min(len(faults), 1 + int(random.expovariate(1 / 3.0)))
    return FaultPlan(
        tuple(_drawn(fault, duration_s, random) for fault in random.sample(list(faults), n_faults))
    )


def _drawn(fault: str, duration_s: float, random: Random) -> FaultSpec:
    kind = CATALOGUE[fault]
    for_s = min(random.uniform(*kind.lasts_s), duration_s / 2)
    params: dict[str, Value] = {
        name: round(random.uniform(low, high), 3) for name, (_, low, high) in kind.numbers.items()
    }
    if kind.forms:
        params["form"] = random.choice((*kind.forms, RANDOM))
    return FaultSpec(
        fault=fault,
        from_s=round(random.uniform(0, duration_s - for_s), 3),
        for_s=round(for_s, 3),
        share=round(random.uniform(*kind.share), 3),
        params=params,
    )


def plain(plan: FaultPlan) -> list[dict[str, Any]]:
    """Return the plan as plain values: what `plan_of` reads."""
    return [msgspec.to_builtins(spec) for spec in plan.faults]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
