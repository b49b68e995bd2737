"""What the rules say of one event, in Python's words."""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """Class of one event and why.

    ``type`` is the value of the type field that matched, else of the first one present, as it stands in the
    event with escapes decoded; ``where`` the place of the deciding match (``"topic"``, ``"header:ce_type"``,
    ``"json:/event_type"``, ``"key"``), else that of the type; ``rule`` the text of the deciding rule.
    ``valid``: the payload is one JSON value; an empty one stands for ``null``. ``status``: what the scanner says of it.
    ``sample_key``: what the event is sampled by, escapes decoded, and ``sample_place`` where it stands; None where the
    table looks for none, or the event has none.
    """

    klass: int
    unclassified: bool
    type: str | None
    where: str | None
    rule: str | None
    valid: bool
    status: str
    sample_key: bytes | None = None
    sample_place: str | None = None
