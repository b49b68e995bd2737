"""What pressure may do to a class: TIDEGATE_<CLASS>_ON_PRESSURE, a list of keep, defer and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.types import CLASSES, EventClass

KEEP, DEFER, SAMPLE = "keep", "defer", "sample"

DEFAULTS: Mapping[EventClass, str] = {
    EventClass.CRITICAL: KEEP,
    EventClass.HIGH: f"{KEEP},{DEFER}",
    EventClass.NORMAL: DEFER,
    EventClass.BULK: DEFER,
}
_MAY: Mapping[EventClass, frozenset[str]] = {
    EventClass.CRITICAL: frozenset({KEEP}),
    EventClass.HIGH: frozenset({KEEP, DEFER}),
    EventClass.NORMAL: frozenset({KEEP, DEFER, SAMPLE}),
    EventClass.BULK: frozenset({KEEP, DEFER, SAMPLE}),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be done to a class that cannot be served at once. Neither: it is protected.

    Attributes:
        defer: park it, or leave it in Kafka.
        sample: let a share in, with its weight, and drop the rest: the operator's opt-in.
    """

    defer: bool = False
    sample: bool = False

    @classmethod
    def parse(cls, klass: EventClass, text: str) -> Policy:
        """Raises ValueError: an unknown word, none at all, or one that the class may not bear."""
        words = [word.strip() for word in text.split(",")]
        for word in words:
            if word not in (KEEP, DEFER, SAMPLE):
                raise ValueError(f"has {word!r}, which is none of keep, defer and sample")
            if word not in _MAY[klass]:
                may = ", ".join(one for one in (KEEP, DEFER, SAMPLE) if one in _MAY[klass])
                raise ValueError(f"has {word}, which {klass.label} events are never to bear: only {may}")
        return cls(defer=DEFER in words, sample=SAMPLE in words)


def policies(texts: Mapping[EventClass, str] = DEFAULTS) -> tuple[Policy, ...]:
    """By class; what is left out has its default. Raises ValueError as Policy.parse."""
    return tuple(Policy.parse(klass, texts.get(klass, DEFAULTS[klass])) for klass in CLASSES)
