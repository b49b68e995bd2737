"""Compiles rules to the flat arrays that csrc/tg_match.h walks.

All matches of a kind are compared by one number, the rank: the rules of a table are put in the order exact,
longer pattern, higher class, earlier rule, and of several matches the lowest rank wins. A matcher holds the
patterns of one field, each filed where it costs nothing unless the value comes near it:

* exact words in a hash table;
* ``abc*`` in a trie, ``*abc`` in a trie of reversed words, ``*abc*`` in an Aho-Corasick automaton
  (Aho and Corasick, "Efficient string matching", CACM 1975), whose nodes carry the rank;
* every other pattern as a glob, hung at the trie node of its literal beginning or end or at the automaton's node of
  a literal between, and compared only when the walk comes by: where the fewest others share that literal, or
  ``com.*.paid`` and 999 more would all be compared with every value that begins with ``com.``. Patterns without any
  literal are compared always; there can be few of them.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tidegate.core.rule_text import ANY_ONE, ANY_RUN, Pattern, Rule, fold

NONE = 0xFFFFFFFF
ROW_HEADER = 3  # rank, first glob, next row in the chain of endings that has globs

_CROWD = 4  # globs that one literal may bring before a rarer one is worth a walk of the automaton

_BYTES = [fold(bytes([c]))[0] for c in range(256)]


@dataclass(slots=True)
class Trie:
    """Rows of 32-bit cells: the header, then one cell for each byte class: the next row's place, 0 for none."""

    cells: bytes = b""
    classes: bytes = b""  # 256: byte as it stands in an event → class; folding is part of it


@dataclass(slots=True)
class Matcher:
    """The patterns of one field. Globs: four 32-bit numbers each: rank, next glob + 1, start and length of the code."""

    words: list[tuple[bytes, int]] = field(default_factory=list)
    head: Trie = field(default_factory=Trie)
    tail: Trie = field(default_factory=Trie)
    inner: Trie = field(default_factory=Trie)
    globs: bytes = b""
    code: bytes = b""  # 16-bit tokens
    bare: int = 0  # first glob + 1


def ranks(rules: Sequence[tuple[int, Rule]]) -> list[int]:
    """Indices of the (class, rule) pairs, best first. Of exact rules the words' lengths say nothing."""

    def order(index: int) -> tuple[bool, int, int, int]:
        klass, rule = rules[index]
        return (not rule.exact, 0 if rule.exact else -rule.literals, klass, index)

    return sorted(range(len(rules)), key=order)


def compile_matcher(patterns: Iterable[tuple[int, Pattern]]) -> Matcher:
    """Builds a matcher from (rank, pattern) pairs."""
    head, tail, inner = _Builder(), _Builder(), _Builder()
    words: dict[bytes, int] = {}
    globs: list[tuple[int, Pattern]] = []
    for rank, pattern in sorted(patterns):
        runs = _literal_runs(pattern)
        first, last = runs[0], runs[-1]
        longest = max(runs, key=len)
        if len(runs) == 1:
            words.setdefault(first, rank)
        elif pattern == (*first, ANY_RUN):
            head.accept(first, rank)
        elif pattern == (ANY_RUN, *last):
            tail.accept(last[::-1], rank)
        elif pattern == (ANY_RUN, *longest, ANY_RUN):
            inner.accept(longest, rank)
        else:
            globs.append((rank, pattern))
    bare = _hang(globs, head, tail, inner)
    chains: dict[int, int] = {}
    matcher = Matcher(sorted(words.items()), head.trie(chains), tail.trie(chains), inner.automaton(chains))
    matcher.bare = _chain(bare, chains)
    code = array("H")
    table = array("I")
    for glob, (rank, pattern) in enumerate(globs):
        table.extend((rank, chains.get(glob, 0), len(code), len(pattern)))
        code.extend(pattern)
    matcher.globs, matcher.code = table.tobytes(), code.tobytes()
    return matcher


def _literal_runs(pattern: Pattern) -> list[bytes]:
    """Literals between wildcards, empty ones at the ends included; one run only: an exact word."""
    runs = [bytearray()]
    for token in pattern:
        if token in (ANY_ONE, ANY_RUN):
            runs.append(bytearray())
        else:
            runs[-1].append(token)
    return [bytes(run) for run in runs]


def _hang(globs: Sequence[tuple[int, Pattern]], head: _Builder, tail: _Builder, inner: _Builder) -> list[int]:
    """Files each glob under the literal that fewest others have; returns those that have none."""
    places: list[list[tuple[_Builder, bytes]]] = []
    for _, pattern in globs:
        first, *between, last = _literal_runs(pattern)
        found = [(head, first), (tail, last[::-1]), *((inner, run) for run in between)]
        places.append([(where, literal) for where, literal in found if literal])
    shared = Counter((id(where), literal) for found in places for where, literal in found)

    def cost(place: tuple[_Builder, bytes]) -> tuple[int, bool, int]:
        where, literal = place
        crowd = shared[id(where), literal]
        return (crowd if crowd > _CROWD else 0, where is inner, -len(literal))

    bare: list[int] = []
    for glob, found in enumerate(places):
        if found:
            where, literal = min(found, key=cost)
            where.hang(literal, glob)
        else:
            bare.append(glob)
    return bare


def _chain(globs: list[int], chains: dict[int, int]) -> int:
    """Links globs (ascending, so best rank first) and returns the first + 1, 0 for none."""
    for glob, after in pairwise(globs):
        chains[glob] = after + 1
    return globs[0] + 1 if globs else 0


class _Builder:
    def __init__(self) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.best: list[int] = [NONE]
        self.hung: list[list[int]] = [[]]

    def node(self, word: bytes) -> int:
        at = 0
        for byte in word:
            if byte not in self.children[at]:
                self.children[at][byte] = len(self.children)
                self.children.append({})
                self.best.append(NONE)
                self.hung.append([])
            at = self.children[at][byte]
        return at

    def accept(self, word: bytes, rank: int) -> None:
        at = self.node(word)
        self.best[at] = min(self.best[at], rank)

    def hang(self, word: bytes, glob: int) -> None:
        self.hung[self.node(word)].append(glob)

    def trie(self, chains: dict[int, int]) -> Trie:
        """Cell 0 is "no child": nothing leads back to the root."""
        return self._flat(self.children, self.best, [0] * len(self.children), chains)

    def automaton(self, chains: dict[int, int]) -> Trie:
        """Every cell leads on: where there is no child, to the longest ending that is a beginning."""
        fail = [0] * len(self.children)
        link = [0] * len(self.children)
        best = list(self.best)
        moves: list[dict[int, int]] = [dict(self.children[0])] + [{} for _ in self.children[1:]]
        queue = list(self.children[0].values())
        for at in queue:  # grows while it is walked: breadth first
            back = fail[at]
            best[at] = min(best[at], best[back])
            link[at] = back if self.hung[back] else link[back]
            moves[at] = {**moves[back], **self.children[at]}
            for byte, child in self.children[at].items():
                fail[child] = moves[back].get(byte, 0)
                queue.append(child)
        return self._flat(moves, best, link, chains)

    def _flat(self, moves: list[dict[int, int]], best: list[int], link: list[int], chains: dict[int, int]) -> Trie:
        if len(self.children) == 1 and self.best[0] == NONE and not self.hung[0]:
            return Trie()
        columns = {byte: i + 1 for i, byte in enumerate(sorted({b for row in self.children for b in row}))}
        stride = ROW_HEADER + 1 + len(columns)
        cells = array("I", bytes(4 * stride * len(moves)))
        for at, row in enumerate(moves):
            base = at * stride
            cells[base] = best[at]
            cells[base + 1] = _chain(self.hung[at], chains)
            cells[base + 2] = link[at] * stride
            for byte, child in row.items():
                cells[base + ROW_HEADER + columns[byte]] = child * stride
        return Trie(cells.tobytes(), bytes(columns.get(_BYTES[c], 0) for c in range(256)))
