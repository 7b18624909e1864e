"""A local exchange in trouble: the same exchange behind every fault of a plan, and a dial to change the plan.

What the way does, what the answers say and what the streams carry is changed here; what the world does to an account is
asked of the exchange's operator, so that the truth ledger has it. `GET /njord/faults` lists the faults and how often each
has struck, `POST` adds one (its `from_s` counts from now), `DELETE` ends all.
"""

import heapq
from collections.abc import Mapping
from random import Random
from typing import Any, Final

import msgspec

from njord.core.errors import ConfigError
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.exchange import nemesis_answers, nemesis_market, nemesis_streams, nemesis_way, nemesis_world
from njord.exchange.exchange import CONTROL, Exchange
from njord.exchange.fault_plan import FaultPlan, FaultSpec, spec_of
from njord.exchange.nemesis import Setting, Trouble
from njord.exchange.wire import JSON_HEADERS, UNTROUBLED, Fate, Frame, Request, Response

FAULTS_PATH: Final = CONTROL + "faults"

TROUBLES: Final[Mapping[str, type[Trouble]]] = {
    "A1": nemesis_way.LostAnswer,
    "A2": nemesis_way.LostOrder,
    "A3": nemesis_way.LateOrder,
    "A4": nemesis_answers.ServerError,
    "A5": nemesis_answers.BadBody,
    "A6": nemesis_way.SlowCancel,
    "A7": nemesis_answers.UnknownCancel,
    "A8": nemesis_world.VenueCancel,
    "A9": nemesis_streams.DoubleReport,
    "A10": nemesis_streams.MissingReport,
    "A11": nemesis_streams.LateReport,
    "A12": nemesis_world.OtherFees,
    "A13": nemesis_streams.SilentStream,
    "A14": nemesis_streams.FlappingStream,
    "A15": nemesis_streams.EarlyExpiry,
    "A16": nemesis_answers.RateLimit,
    "A17": nemesis_world.WrongClock,
    "A18": nemesis_way.Outage,
    "A19": nemesis_world.ChangedSymbol,
    "A20": nemesis_world.LostKey,
    "A21": nemesis_world.OwnersHand,
    "A22": nemesis_way.BrokenWay,
    "A23": nemesis_answers.WrongSnapshot,
    "A24": nemesis_answers.WrongOpenOrders,
    "B1": nemesis_market.BookTrouble,
    "B2": nemesis_market.TradeTrouble,
    "B3": nemesis_market.PriceTrouble,
    "B4": nemesis_market.FrozenMarket,
    "B5": nemesis_market.Flood,
    "B6": nemesis_market.RevisedBar,
}


class _Window(msgspec.Struct):
    """A fault of the plan with its time; `is_on` between its edges."""

    trouble: Trouble
    from_ns: int
    to_ns: int
    is_on: bool = False
    is_over: bool = False

    @property
    def next_ns(self) -> int:
        if self.is_over:
            return FOREVER_NS
        return min(self.to_ns, self.trouble.wake_ns) if self.is_on else self.from_ns


class Nemesis:
    """A `Served` that wraps an exchange in the faults of a plan.

    Args:
        exchange: What it wraps.
        plan: Its times count from `begin_ns`.
        seed: Every fault draws from its own generator, made of this and its place in the plan.
        begin_ns: The plan's beginning, epoch ns.
        accounts: Their names, of which faults choose.
        keys: Likewise, of all accounts.
    """

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        seed: int,
        begin_ns: int,
        accounts: tuple[str, ...],
        keys: tuple[str, ...],
    ) -> None:
        self._exchange = exchange
        self._seed = seed
        self._now_ns = begin_ns
        self._setting = Setting(
            exchange=exchange,
            accounts=accounts,
            keys=keys,
            instruments=tuple(exchange.market.instruments),
            later=self._later,
            is_user=self._is_user,
        )
        self._windows: list[_Window] = []
        self._late: list[tuple[int, int, Frame]] = []
        self._n_late = 0
        self._open: dict[int, bool] = {}  # Whether the connection carries an account's events.
        for spec in plan.faults:
            self._add(spec, begin_ns)

    def _add(self, spec: FaultSpec, begin_ns: int) -> None:
        random = Random(f"{self._seed} {len(self._windows)} {spec.fault}")
        from_ns = begin_ns + round(spec.from_s * NS_PER_S)
        to_ns = from_ns + round(spec.for_s * NS_PER_S) if spec.for_s else FOREVER_NS
        self._windows.append(_Window(TROUBLES[spec.fault](spec, random, self._setting), from_ns, to_ns))

    def _later(self, due_ns: int, frame: Frame) -> None:
        self._n_late += 1
        heapq.heappush(self._late, (due_ns, self._n_late, frame))

    def _is_user(self, connection: int) -> bool:
        return self._open.get(connection, False)

    # --- the dial ---

    def struck(self) -> dict[str, int]:
        """Return how often each fault has struck, by its id."""
        counts: dict[str, int] = {}
        for window in self._windows:
            trouble = window.trouble
            counts[trouble.spec.fault] = counts.get(trouble.spec.fault, 0) + trouble.n_struck
        return counts

    def add(self, spec: FaultSpec) -> None:
        """Add a fault; its `from_s` counts from now."""
        self._add(spec, self._now_ns)
        self._pass_edges(self._now_ns)

    def clear(self) -> None:
        """End every fault now, and those to come."""
        for window in self._windows:
            self._end(window, self._now_ns)

    def _end(self, window: _Window, now_ns: int) -> None:
        if window.is_on:
            window.trouble.end(now_ns)
        window.is_on, window.is_over = False, True

    def _control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.clear()
        elif request.method == "POST":
            try:
                self.add(spec_of(msgspec.json.decode(request.body), "POST /njord/faults"))
            except (ConfigError, msgspec.DecodeError) as error:
                return _json(400, {"error": str(error)})
        return _json(200, {"faults": self.listed()})

    def listed(self) -> list[dict[str, Any]]:
        """Return every fault of the plan as plain values, with how often it struck and whether it is on."""
        return [
            {
                **msgspec.to_builtins(window.trouble.spec),
                "meaning": window.trouble.spec.kind.meaning,
                "is_on": window.is_on,
                "n_struck": window.trouble.n_struck,
            }
            for window in self._windows
        ]

    # --- time ---

    @property
    def next_ns(self) -> int:
        """When something happens next by itself."""
        late_ns = self._late[0][0] if self._late else FOREVER_NS
        return min(self._exchange.next_ns, self._edge_ns(), late_ns)

    def _edge_ns(self) -> int:
        return min((window.next_ns for window in self._windows), default=FOREVER_NS)

    def advance(self, now_ns: int) -> None:
        """Let everything happen until `now_ns`, each fault's beginning and end at its own time."""
        while (edge_ns := self._edge_ns()) <= now_ns:
            self._exchange.advance(edge_ns)
            self._now_ns = max(self._now_ns, edge_ns)
            self._pass_edges(edge_ns)
        self._exchange.advance(now_ns)
        self._now_ns = max(self._now_ns, now_ns)

    def _pass_edges(self, now_ns: int) -> None:
        for window in self._windows:
            if window.is_over:
                continue
            trouble = window.trouble
            if not window.is_on and window.from_ns <= now_ns:
                window.is_on = True
                trouble.begin(now_ns)
            if window.is_on and window.to_ns <= now_ns:
                self._end(window, now_ns)
            elif window.is_on and trouble.wake_ns <= now_ns:
                trouble.wake_ns = FOREVER_NS
                trouble.wake(now_ns)

    def _on(self) -> list[Trouble]:
        return [window.trouble for window in self._windows if window.is_on]

    # --- requests ---

    def fate(self, request: Request, now_ns: int) -> Fate:
        """Say what the way does to a request."""
        fate = UNTROUBLED
        if not request.path.startswith(CONTROL):
            for trouble in self._on():
                fate = trouble.fate(request, fate, now_ns)
        return fate

    def request(self, request: Request, now_ns: int) -> Response:
        """Answer a request, or keep it from the exchange, or change what it is told."""
        if request.path == FAULTS_PATH:
            return self._control(request)
        if request.path.startswith(CONTROL):
            return self._exchange.request(request, now_ns)
        on = self._on()
        for trouble in on:
            answer = trouble.before(request, now_ns)
            if answer is not None:
                return answer
        response = self._exchange.request(request, now_ns)
        for trouble in on:
            response = trouble.after(request, response, now_ns)
        return response

    # --- streams ---

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        """Take a connection, unless a fault turns it away."""
        if not all(trouble.opens(path, now_ns) for trouble in self._on()):
            return False
        is_taken = self._exchange.opened(connection, path, query, address, now_ns)
        if is_taken:
            self._open[connection] = _is_users(path, query)
        return is_taken

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Pass on what a connection said."""
        self._exchange.said(connection, text, now_ns)

    def closed(self, connection: int, now_ns: int) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)
        self._exchange.closed(connection, now_ns)

    def frames(self) -> list[Frame]:
        """Return what is to be sent: what was held back and is due, then what is new, as the faults leave it."""
        now_ns, sent = self._now_ns, list[Frame]()
        while self._late and self._late[0][0] <= now_ns:
            sent.append(heapq.heappop(self._late)[2])
        fresh = self._exchange.frames()
        for trouble in self._on():
            fresh = [told for frame in fresh for told in trouble.frame(frame, now_ns)]
        sent += fresh
        told = [frame for frame in sent if frame.connection in self._open]
        for frame in told:
            if frame.text is None:
                self._open.pop(frame.connection, None)
        return told


# A listen key is long, and stands among the names of streams; those of the market have an "@".
def _is_users(path: str, query: str) -> bool:
    names = (*path.split("/"), *query.rpartition("=")[2].split("/"))
    return path.startswith("/ws-api") or any(len(name) >= 32 and "@" not in name for name in names)


def _json(status: int, value: object) -> Response:
    return Response(status=status, body=msgspec.json.encode(value), headers=JSON_HEADERS)
