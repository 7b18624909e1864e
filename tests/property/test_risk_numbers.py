"""What rules tell of themselves, for any sequence of intents: the numbers of every decision, and how much is used."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from njord.core.accounts import AccountTerms
from njord.core.contracts import AmendIntent, Message, OrderIntent, RiskDecision
from njord.core.types import OrderType, TradingState
from njord.risk.profile import build_rules
from njord.risk.rules.base import Answer, LimitUse, Refusal, latest_ns
from tests.property.risk_harness import Harness
from tests.property.risk_profiles import PROFILES, TERMS
from tests.property.test_risk_gate import ACT, AMEND, ANSWER, BRACKET, CANCEL, IS_READY, LINK, UPDATE, WISH

ZERO = Decimal(0)
LOTS_FILL = st.tuples(
    st.just("fill"), st.integers(0, 20), st.sampled_from([1, 2, 4, 4]), st.just(0), st.just(ZERO)
)
SHORT_WAIT = st.tuples(
    st.just("wait"), st.sampled_from(["a second", "30 s", "59.999999999 s", "a minute"]), st.just(True)
)
CALM = st.sampled_from(
    [WISH] * 5 + [LINK] * 3 + [BRACKET, AMEND, ANSWER, CANCEL, UPDATE] + [LOTS_FILL] * 4 + [SHORT_WAIT]
).flatmap(lambda kind: kind)


class Listener(Harness):
    """Asks every rule for its numbers just before the gate decides, and compares them with what the gate then says."""

    def __init__(self, profile: str, terms: AccountTerms = TERMS[0]) -> None:
        super().__init__(profile, terms)
        self.rules = build_rules(profile, PROFILES[profile])
        self.decision: RiskDecision | None = None

    def step(self, message: Message) -> list[Message]:
        answers = self.gate.hear(message) if isinstance(message, AmendIntent) else ()
        done = super().step(message)
        self.decision = next((each for each in done if isinstance(each, RiskDecision)), None)
        if answers:
            self.check_answers(answers)
        return done

    def decide(self, intent: OrderIntent) -> None:
        answers = self.gate.hear(intent)
        told = {answer.rule: answer.numbers for answer in answers}
        super().decide(intent)
        self.check_answers(answers)
        assert all(name and text for pairs in told.values() for name, text in pairs)
        assert self.decision is not None
        if self.decision.allowed and intent.type is OrderType.MARKET and not intent.group_id:
            self.check_used(intent, {name: dict(pairs) for name, pairs in told.items()})

    def check_answers(self, answers: tuple[Answer, ...]) -> None:
        """The first refusal is the gate's own, and the numbers hold its evidence."""
        assert self.decision is not None
        first = next((answer for answer in answers if answer.refusal is not None), None)
        said = (first.rule, first.refusal) if first is not None else ("", None)
        reason = self.decision.reason
        assert said == (
            self.decision.rule,
            None if reason is None else Refusal(reason, self.decision.evidence),
        )
        if first is not None:
            assert set(self.decision.evidence) <= set(first.numbers), self.decision

    def check_used(self, intent: OrderIntent, told: dict[str, dict[str, str]]) -> None:
        """What is used once an order is approved is what the rules said that it would use."""
        used = {
            (use.rule, use.strategy_id, use.instrument): (use.used, use.cap)
            for use in self.usage()
            if use.instrument in (-1, intent.instrument)
        }
        for name, value, index in (
            ("max_position", "position_notional", intent.instrument),
            ("max_gross", "gross_notional", -1),
        ):
            numbers = told.get(name, {})
            if numbers.get("grows") == "true":
                assert used[(name, "", index)] == (Decimal(numbers[value]), Decimal(numbers["cap"]))
        for name, value, limit in (
            ("open_orders", "open_orders", "cap"),
            ("order_rate", "orders", "per_minute"),
        ):
            if name in told:
                expected = Decimal(told[name][value]) + 1, Decimal(told[name][limit])
                if name == "open_orders" or intent.ts_ns == latest_ns(self.exposure):
                    assert used[(name, "", -1)] == expected

    def ready(self) -> None:
        self.kill_switch("file", TradingState.ACTIVE, 10**9, 0)
        self.bar(0, 40)
        self.bar(1, 40)

    def usage(self) -> list[LimitUse]:
        return [use for rule in self.rules for use in rule.usage(self.exposure)]


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(TERMS), IS_READY, st.lists(ACT, max_size=30))
def test_the_numbers_of_a_rule_hold_the_evidence_of_its_refusal_and_asking_changes_nothing(
    profile: str, terms: AccountTerms, is_ready: bool, acts: list[tuple[Any, ...]]
) -> None:
    listener = Listener(profile, terms)
    if is_ready:
        listener.ready()
    for name, *arguments in acts:
        getattr(listener, name)(*arguments)
        listener.usage()


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(TERMS), st.lists(CALM, max_size=30))
def test_while_prices_stand_still_no_accepted_sequence_of_orders_uses_more_than_a_limit(
    profile: str, terms: AccountTerms, acts: list[tuple[Any, ...]]
) -> None:
    listener = Listener(profile, terms)
    listener.ready()
    for name, *arguments in acts:
        getattr(listener, name)(*arguments)
        for use in listener.usage():
            assert ZERO <= use.used <= use.cap, use
