"""The gate in plain Python: with fractions for weights, and no code shared with the native one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

import xxhash

ALL = 2**56


def randomness(key: bytes, seed: int) -> int:
    return xxhash.xxh64_intdigest(key, seed) % ALL


def place_randomness(topic: bytes, partition: int, offset: int, seed: int) -> int:
    place = (partition % 2**32).to_bytes(4, "little") + (offset % 2**64).to_bytes(8, "little")
    return randomness(place, xxhash.xxh64_intdigest(topic, seed))


@dataclass(frozen=True)
class Sample:
    r: int | None = None
    t: int = 0
    factor: Fraction = Fraction(1)

    @property
    def weight(self) -> Fraction:
        return self.factor * Fraction(ALL, ALL - self.t)

    def settled(self, own: int) -> Sample:
        if self.r is None:
            return Sample(own, 0, self.weight)
        return replace(self, t=0) if self.r < self.t else self


def read(tracestate: str) -> Sample:
    """th and rv of the first ``ot`` entry, as its grammar has them."""
    for entry in re.split(",", tracestate):
        name, _, value = entry.strip(" \t").partition("=")
        if name != "ot":
            continue
        pairs = [pair.partition(":") for pair in value.split(";")]
        names = [name for name, _, _ in pairs]
        right = all(re.fullmatch("[a-z][a-z0-9]*", n) and c and re.fullmatch("[A-Za-z0-9._-]*", v) for n, c, v in pairs)
        if not right or len(value) > 256 or any(names.count(n) > 1 for n in ("th", "rv")):
            return Sample()
        found = {n: v for n, _, v in pairs}
        th = re.fullmatch("[0-9a-fA-F]{1,14}", found.get("th", ""))
        rv = re.fullmatch("[0-9a-fA-F]{14}", found.get("rv", ""))
        return Sample(int(rv[0], 16) if rv else None, int(th[0].ljust(14, "0"), 16) if th else 0)
    return Sample()
