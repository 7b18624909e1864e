"""The simulated way to the exchange: late, lossy as it is told to be, each call answered once, each stream in order."""

from random import Random

import pytest

from njord.core.errors import InvariantError
from njord.core.units import FOREVER_NS, NS_PER_MS, NS_PER_S
from njord.exchange.wire import UNTROUBLED, Fate, Frame, Request, Response
from njord.simulation.link import ExchangeLink, LinkTerms
from njord.simulation.virtual_time import VirtualTime
from njord.venues.broker_wire import Answer, NoAnswer

PING = Request(method="GET", path="/api/v3/ping")


class Echo:
    """Answers every request with its time, and sends a numbered frame every 10 ms to who is connected."""

    def __init__(self, fate: Fate = UNTROUBLED, takes: bool = True) -> None:
        self.way = fate
        self.takes = takes
        self.next_ns = FOREVER_NS
        self.arrived: list[int] = []
        self.closed_connections: list[int] = []
        self._open: list[int] = []
        self._out: list[Frame] = []
        self._n_sent = 0

    def advance(self, now_ns: int) -> None:
        while self.next_ns <= now_ns:
            self._n_sent += 1
            self._out += [Frame(connection, str(self._n_sent)) for connection in self._open]
            self.next_ns += 10 * NS_PER_MS

    def fate(self, request: Request, now_ns: int) -> Fate:
        return self.way

    def request(self, request: Request, now_ns: int) -> Response:
        self.arrived.append(now_ns)
        return Response(status=200, body=b"x" * 100)

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        if self.takes:
            self._open.append(connection)
            self.next_ns = now_ns
        return self.takes

    def said(self, connection: int, text: str, now_ns: int) -> None:
        self._out.append(Frame(connection, None if text == "go" else f"said {text}"))

    def closed(self, connection: int, now_ns: int) -> None:
        self._open.remove(connection)
        self.closed_connections.append(connection)

    def frames(self) -> list[Frame]:
        out, self._out = self._out, []
        return out


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.is_open = False
        self.texts: list[str] = []
        self.ends: list[str] = []

    def opened(self) -> None:
        self.is_open = True

    def heard(self, text: str) -> None:
        self.texts.append(text)

    def closed(self, detail: str) -> None:
        self.ends.append(detail)


def way(served: Echo, seed: int = 1) -> tuple[VirtualTime, ExchangeLink]:
    time = VirtualTime(0)
    link = ExchangeLink(time, served, Random(seed), LinkTerms(spike_share=0.2, spike_ms=300.0))
    link.start()
    return time, link


def asked(fate: Fate) -> tuple[list[Answer | NoAnswer], list[int], Echo]:
    served = Echo(fate)
    time, link = way(served)
    answers: list[Answer | NoAnswer] = []
    when: list[int] = []

    def answered(answer: Answer | NoAnswer) -> None:
        answers.append(answer)
        when.append(time.now_ns())

    link.send(PING, 5 * NS_PER_S, answered)
    time.run(200 * NS_PER_S)
    return answers, when, served


def test_a_request_takes_its_time_both_ways() -> None:
    answers, when, served = asked(UNTROUBLED)
    assert isinstance(answers[0], Answer)
    assert 0 < served.arrived[0] < when[0]


def test_a_lost_request_never_arrives_and_ends_at_its_deadline() -> None:
    answers, when, served = asked(Fate(loses_request=True))
    assert answers == [NoAnswer(was_sent=True, detail="no answer in time")]
    assert when == [5 * NS_PER_S]
    assert served.arrived == []


def test_a_lost_answer_leaves_what_was_asked_done() -> None:
    answers, when, served = asked(Fate(loses_response=True))
    assert isinstance(answers[0], NoAnswer)
    assert when == [5 * NS_PER_S]
    assert len(served.arrived) == 1


def test_a_late_request_arrives_after_its_sender_gave_up_and_its_answer_is_told_to_nobody() -> None:
    answers, _, served = asked(Fate(request_delay_ns=40 * NS_PER_S))
    assert len(answers) == 1
    assert isinstance(answers[0], NoAnswer)
    assert served.arrived[0] > 40 * NS_PER_S


def test_a_broken_off_answer_is_none() -> None:
    answers, _, _ = asked(Fate(cuts_at=10))
    assert answers == [NoAnswer(was_sent=True, detail="the answer broke off after 10 bytes")]


def test_an_answer_of_a_byte_a_second_is_too_late() -> None:
    answers, _, served = asked(Fate(bytes_per_s=1))
    assert isinstance(answers[0], NoAnswer)
    assert len(served.arrived) == 1


def test_a_stream_is_heard_late_whole_and_in_order() -> None:
    served, ear = Echo(), Listener()
    time, link = way(served)
    link.connect("/ws", "", ear)
    time.run(10 * NS_PER_S)
    assert ear.is_open
    assert len(ear.texts) > 900
    assert ear.texts == [str(number) for number in range(1, len(ear.texts) + 1)]


def test_who_has_left_hears_nothing_more() -> None:
    served, ear = Echo(), Listener()
    time, link = way(served)
    number = link.connect("/ws", "", ear)
    time.run(NS_PER_S)
    n_heard = len(ear.texts)
    link.leave(number)
    time.run(3 * NS_PER_S)
    assert n_heard
    assert len(ear.texts) == n_heard
    assert served.closed_connections == [number]
    assert not ear.ends


def test_a_connection_that_the_exchange_closes_ends_once() -> None:
    served, ear = Echo(), Listener()
    time, link = way(served)
    number = link.connect("/ws", "", ear)
    time.run(NS_PER_S)
    link.say(number, "go")
    time.run(3 * NS_PER_S)
    assert ear.ends == ["closed by the exchange (1000)"]
    assert served.closed_connections == [number]


def test_a_connection_that_is_turned_away_says_so() -> None:
    ear = Listener()
    time, link = way(Echo(takes=False))
    link.connect("/ws", "", ear)
    time.run(NS_PER_S)
    assert ear.ends == ["turned away"]
    assert not ear.is_open


def test_the_same_seed_is_the_same_way() -> None:
    def heard_at(seed: int) -> list[int]:
        served = Echo()
        time, link = way(served, seed)
        for number in range(50):
            link.send(PING, (number + 5) * NS_PER_S, lambda answer: None)
        time.run(60 * NS_PER_S)
        return served.arrived

    assert heard_at(1) == heard_at(1) != heard_at(2)


def test_what_is_due_at_one_instant_happens_in_the_order_in_which_it_was_asked_for() -> None:
    time, happened = VirtualTime(100), list[str]()
    time.at(300, lambda: happened.append("late"))
    time.at(200, lambda: happened.append("first"))
    time.at(200, lambda: happened.append("second"))
    time.at(0, lambda: happened.append("at once"))
    time.run(250)
    assert happened == ["at once", "first", "second"]
    assert time.now_ns() == 250


def test_an_instant_that_does_not_end_is_an_error() -> None:
    time = VirtualTime(100)

    def again() -> None:
        time.at(time.now_ns(), again)

    time.at(200, again)
    with pytest.raises(InvariantError, match="does not come to rest"):
        time.run(300)
