"""Which decisions are the same, which are the same at another time or in another size, and which stand alone."""

from njord.audit.parity_match import pair_up
from njord.audit.parity_witness import Decision

WINDOW_NS = 10


def made(ts_ns: int, number: int, qty: int = 5, wish: str = "buy market", strategy: str = "a") -> Decision:
    return Decision(ts_ns, strategy, 0, wish, qty, (), f"{strategy}-{number}")


def paired(session: list[Decision], backtest: list[Decision]) -> list[tuple[str, str]]:
    return [
        (pair.session.intent_id if pair.session else "", pair.backtest.intent_id if pair.backtest else "")
        for pair in pair_up(session, backtest, WINDOW_NS)
    ]


def test_equal_decisions_are_the_same_whatever_their_ids_say() -> None:
    pairs = pair_up([made(1, 1), made(2, 2)], [made(1, 7), made(2, 8)], WINDOW_NS)
    assert [pair.is_same for pair in pairs] == [True, True]
    assert paired([made(1, 1), made(1, 2)], [made(1, 3), made(1, 4)]) == [("a-1", "a-3"), ("a-2", "a-4")]


def test_another_size_or_time_nearby_is_one_decision_that_is_not_the_same() -> None:
    for other in (made(1, 1, qty=6), made(4, 1)):
        (pair,) = pair_up([made(1, 1)], [other], WINDOW_NS)
        assert pair.backtest == other
        assert not pair.is_same


def test_whoever_wants_something_else_stands_alone() -> None:
    for other in (made(1, 1, wish="sell market"), made(1, 1, strategy="b"), made(12, 1)):
        assert paired([made(1, 1)], [other]) == [("a-1", ""), ("", other.intent_id)]


def test_what_is_the_same_is_found_before_what_is_near() -> None:
    assert paired([made(1, 1, qty=6), made(2, 2)], [made(2, 3), made(3, 4)]) == [
        ("a-1", "a-4"),
        ("a-2", "a-3"),
    ]


def test_the_nearest_of_two_is_taken_and_order_is_kept() -> None:
    assert paired([made(1, 1, qty=6), made(5, 2, qty=7)], [made(6, 3)]) == [("a-1", ""), ("a-2", "a-3")]
    assert paired([made(6, 3)], [made(1, 1, qty=6), made(5, 2, qty=7)]) == [("", "a-1"), ("a-3", "a-2")]
    assert paired([made(1, 1, qty=6), made(9, 2, qty=6)], [made(3, 3), made(8, 4)]) == [
        ("a-1", "a-3"),
        ("a-2", "a-4"),
    ]


def test_every_decision_is_told_once() -> None:
    session = [made(3 * number, number, qty=number % 3) for number in range(20)]
    backtest = [made(4 * number, number, qty=number % 2) for number in range(25)]
    told = paired(session, backtest)
    assert sorted(first for first, _ in told if first) == sorted(each.intent_id for each in session)
    assert sorted(second for _, second in told if second) == sorted(each.intent_id for each in backtest)
