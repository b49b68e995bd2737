"""Typed face of sample_key.pyx. Its C face is in sample_key.pxd."""

from collections.abc import Sequence

class SampleKey:
    """Where an event's sampling key is looked for: the first place that has a value gives it. Immutable.

    Args:
        places: ``"header:NAME"`` and ``"json:/POINTER"`` entries, in order.
        rule_pointers, all_pointers: what the table's own scans look for beside it.

    Raises:
        RuleError: a text is wrong, or more than 64 pointers are wanted.
    """

    def __init__(self, places: Sequence[str], rule_pointers: list[bytes], all_pointers: list[bytes]) -> None: ...
    @property
    def places(self) -> tuple[str, ...]:
        """As given, without repeats."""
    @property
    def needs_headers(self) -> bool:
        """There are headers among them."""
    @property
    def needs_payload(self) -> bool:
        """There are pointers among them."""
