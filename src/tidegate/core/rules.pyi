"""Typed face of rules.pyx. Its C face, for the reader, is in rules.pxd."""

from collections.abc import Iterable, Sequence

from tidegate.core.sample_key import SampleKey
from tidegate.core.verdict import Verdict as Verdict

__all__ = ["RuleTable", "Verdict", "xxh64"]

def xxh64(data: bytes, seed: int = 0) -> int:
    """XXH64 of ``data`` with a seed of 64 bits."""

class RuleTable:
    """Rules compiled once. Immutable; its methods may be called while a reader thread uses the table.

    Args:
        rules: (class, rule text) pairs; the class as `tidegate.types.EventClass` or its number. Order matters
            only between rules that are alike in everything else, the class included.
        type_fields: ``"header:NAME"`` and ``"json:/POINTER"`` entries. Headers are looked at before the payload,
            each group in the given order; at most 64 pointers in all, those of ``json:`` rules included.
        sample_key: places in the same words; the first that has a value gives an event's sampling key. Their
            pointers count among the 64 as well.

    Raises:
        RuleError: a text is wrong, or more than 64 pointers are wanted.
        ValueError: an unknown class.
    """

    def __init__(
        self, rules: Sequence[tuple[int, str]], type_fields: Sequence[str], sample_key: Sequence[str] = ()
    ) -> None: ...
    @property
    def needs_headers(self) -> bool:
        """A ``header:`` rule, or a type field that is a header, can decide."""
    @property
    def needs_key(self) -> bool:
        """There are ``key:`` rules."""
    @property
    def needs_payload(self) -> bool:
        """A ``json:`` rule, or a type field in the payload, can decide."""
    @property
    def keyed(self) -> bool:
        """There are places to look for a sampling key."""
    @property
    def sample_key(self) -> SampleKey:
        """Those places."""
    def topic(self, topic: str) -> tuple[int, int] | None:
        """(class, index of the rule) where a ``topic:`` rule decides all of the topic."""
    def rule_text(self, index: int) -> str:
        """The rule's text as given to the constructor. Raises IndexError."""
    def place(self, where: int) -> str:
        """Name of a place as the C verdict numbers them, such as ``"json:/event"``. Raises IndexError."""
    def classify(
        self,
        topic: str,
        key: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
        value: bytes | None,
        *,
        as_reader: bool = False,
        as_line: bool = False,
    ) -> Verdict:
        """Judges one event with its whole grammar checked.

        The type is looked for even where a topic or header rule decides, and ``valid`` is meant as in a JSON
        array. With ``as_line`` the payload decides where its structure alone is right, as it does for the reader
        when events travel as lines; ``valid`` means the same. ``as_reader`` takes the reader's way: only the
        structure is checked, as for lines of JSON, and the type is only looked for while nothing else has decided.
        """
    def bench(self, values: list[bytes], rounds: int, *, scan_only: bool = False, keyed: bool = False) -> float:
        """Nanoseconds for each of ``rounds`` × ``len(values)`` events, judged natively as the reader does it.

        With ``scan_only`` the payload is scanned for the same fields and nothing is looked up; with ``keyed`` the
        sampling key is looked for as well.
        """
