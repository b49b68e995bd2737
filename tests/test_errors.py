from __future__ import annotations

import pytest

from tidegate.errors import BrokerError, ConfigError, NativeLibraryError, RuleError, SinkError, TidegateError


@pytest.mark.parametrize(
    ("kind", "exit_code", "code"),
    [
        (TidegateError, 1, "failed"),
        (ConfigError, 2, "configuration"),
        (BrokerError, 1, "broker"),
        (SinkError, 1, "sink"),
        (NativeLibraryError, 1, "native-library"),
    ],
)
def test_codes(kind: type[TidegateError], exit_code: int, code: str) -> None:
    error = kind("It broke.", hint="Mend it.")
    assert (error.exit_code, error.code) == (exit_code, code)
    assert str(error) == "It broke.\n  Mend it."
    assert kind("It broke.", code="other").code == "other"


def test_a_rule_error_points_at_the_character() -> None:
    error = RuleError("No such kind of rule", rule="purchase:foo", position=8, hint=r"Write \: for a colon.")
    assert str(error).splitlines() == [
        "No such kind of rule",
        "  purchase:foo",
        "          ^",
        r"  Write \: for a colon.",
    ]
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2


@pytest.mark.parametrize("position", [-1, 0, 7, 299, 300, 10_000])
def test_a_long_rule_is_shown_around_the_fault(position: int) -> None:
    rule = "".join(chr(0x21 + i % 90) for i in range(300))
    error = RuleError("Too long", rule=rule, position=position)
    _, shown, caret = str(error).splitlines()
    assert len(shown) <= 62
    pointed = (shown + " ")[caret.index("^")]
    assert pointed == (rule + " ")[error.position]


def test_control_characters_do_not_shift_the_caret_or_reach_the_terminal() -> None:
    _, shown, caret = str(RuleError("Bad", rule="a\n\x1b[31mb", position=7)).splitlines()
    assert shown == "  a??[31mb"
    assert shown[caret.index("^")] == "b"
