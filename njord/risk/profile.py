"""From a profile's rule names and parameters to rules that can be asked. Unknown names are refused."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from njord.core.errors import ConfigError
from njord.risk.rules import MANDATORY, RULES, RiskRule


def build_rules(profile: str, configured: Mapping[str, Mapping[str, Any]]) -> tuple[RiskRule, ...]:
    """Return the profile's rules in the order of `RULES`, the mandatory ones included.

    Args:
        profile: The profile's name, for messages.
        configured: Rule name -> parameters.

    Raises:
        ConfigError: An unknown rule or parameter, or a value that the rule refuses.
    """
    known = {rule.name: rule for rule in RULES}
    for name in configured:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"risk profile {profile} names an unknown rule {name!r}",
                f"did you mean {close[0]!r}?" if close else f"known rules: {', '.join(sorted(known))}",
            )
    return tuple(
        rule(_params(profile, rule, configured.get(rule.name, {})))
        for rule in RULES
        if rule.name in configured or rule.name in MANDATORY
    )


def _params(profile: str, rule: type[RiskRule], values: Mapping[str, Any]) -> Any:
    where = f"risk.profiles.{profile}.rules.{rule.name}"
    fields = rule.Params.__struct_fields__
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            known = f"did you mean {close[0]!r}?" if close else f"it takes: {', '.join(fields) or 'nothing'}"
            raise ConfigError(f"unknown parameter {where}.{key}", known)
    try:
        return msgspec.convert(dict(values), rule.Params, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{where}: {error}", "correct it in the configuration") from None


def describe(rules: Sequence[RiskRule]) -> dict[str, dict[str, Any]]:
    """Return rule name -> parameters as plain values, for reports and hashes."""
    return {rule.name: msgspec.to_builtins(rule.params) for rule in rules}
