"""A batch as sinks see it, without the native core."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.types import EventClass


@dataclass(eq=False, slots=True)
class PlainBatch:
    body: bytes = b'{"n":1}\n'
    klass: int = int(EventClass.NORMAL)
    records: int = 1
    content_type: str = "application/x-ndjson"
    headers: dict[str, str] = field(default_factory=dict)
    attempts: int = 0

    def __post_init__(self) -> None:
        self.headers = {
            "Content-Type": self.content_type,
            "Idempotency-Key": f"key-{id(self):x}",
            "X-Tidegate-Class": EventClass(self.klass).label,
            "X-Tidegate-Records": str(self.records),
            **self.headers,
        }
