"""From settings to the compiled rules: the operator's lists over the built-in vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.config import Settings
    from tidegate.core.rules import RuleTable


def type_fields(settings: Settings) -> tuple[str, ...]:
    """Where an event's type is looked for, in order; the word ``default`` stands for the built-in list."""
    from tidegate.vocabulary import DEFAULT_TYPE_FIELDS

    return _places(settings.type_fields, DEFAULT_TYPE_FIELDS)


def sample_key(settings: Settings) -> tuple[str, ...]:
    """Where an event's sampling key is looked for, in order; ``default`` as above."""
    from tidegate.vocabulary import DEFAULT_SAMPLE_KEY

    return _places(settings.sample_key, DEFAULT_SAMPLE_KEY)


def _places(given: tuple[str, ...] | None, built_in: tuple[str, ...]) -> tuple[str, ...]:
    from tidegate.vocabulary import is_default

    entries = given if given is not None else ("default",)
    return tuple(dict.fromkeys(p for entry in entries for p in (built_in if is_default(entry) else (entry,))))


def rule_table(settings: Settings) -> RuleTable:
    """Compile the rules in force.

    Raises:
        RuleError: a rule or a type field cannot be understood.
    """
    from tidegate.errors import ConfigError, RuleError

    try:
        from tidegate.core.rules import RuleTable
    except ValueError as error:  # of the scanner: this processor cannot do it
        raise ConfigError(f"TIDEGATE_SIMD: {error}", code="simd", hint="Unset it: the best is chosen then.") from None
    from tidegate.vocabulary import resolve_rules

    lists = {**settings.rule_overrides, "type_fields": settings.type_fields, "sample_key": settings.sample_key}
    try:
        return RuleTable(resolve_rules(settings.rule_overrides), type_fields(settings), sample_key(settings))
    except RuleError as error:
        # The table knows the rule, not the variable it was written in.
        variables = [f"TIDEGATE_{name.upper()}" for name, given in lists.items() if given and error.rule in given]
        if variables:
            error.message = f"{' and '.join(variables)}: {error.message}"
        raise
