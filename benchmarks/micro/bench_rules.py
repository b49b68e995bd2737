"""What a verdict costs beside the scan, and that the number of rules does not count.

Run: pytest benchmarks/micro/bench_rules.py --benchmark-only. `ns_per_event` and, for the scan alone,
`scan_ns_per_event` stand in each result's extra_info, as medians of rounds taken in turns; `verdict_ns` is the
difference of their minima.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from tidegate.core.rules import RuleTable
from tidegate.vocabulary import DEFAULT_TYPE_FIELDS, resolve_rules

EVENTS = 2000  # different ones, so that the branch predictor cannot know them by heart
ROUNDS = 10
REPEATS = 40

Benchmark = Callable[..., Any]


def shop_events(types: list[str], weights: list[float] | None = None, extra: str = "") -> list[bytes]:
    """Events of about 261 bytes, as in the REES46 data set."""
    rng = random.Random(1)
    return [
        (
            f'{{"event_time":"2019-10-01 00:{rng.randrange(60):02}:{rng.randrange(60):02} UTC",'
            f'"event_type":"{rng.choices(types, weights)[0]}","product_id":{rng.randrange(10**7, 10**8)},'
            f'"category_id":{rng.randrange(10**18, 10**19)},"category_code":"electronics.smartphone",'
            f'"brand":"shiseido","price":{rng.randrange(1000, 9999) / 100},"user_id":{rng.randrange(10**8, 10**9)},'
            f"{extra and extra % rng.randrange(10**6)}"
            f'"user_session":"{rng.randrange(16**8):08x}-8bb3-4e00-8c23-{rng.randrange(16**12):012x}"}}'
        ).encode()
        for _ in range(EVENTS)
    ]


def measure(benchmark: Benchmark, table: RuleTable, events: list[bytes]) -> None:
    pairs = [(table.bench(events, ROUNDS, scan_only=True), table.bench(events, ROUNDS)) for _ in range(REPEATS)]
    scans, judged = zip(*pairs, strict=True)
    benchmark.extra_info["scan_ns_per_event"] = round(median(scans), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["ns_per_event"] = round(median(judged), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["verdict_ns"] = round(min(judged) - min(scans), 1)  # type: ignore[attr-defined]
    benchmark.pedantic(table.bench, (events, ROUNDS), rounds=5)  # type: ignore[attr-defined]


def test_default_vocabulary(benchmark: Benchmark) -> None:
    events = shop_events(["view", "cart", "purchase"], [94.9, 3.6, 1.5])
    measure(benchmark, RuleTable(resolve_rules({}), DEFAULT_TYPE_FIELDS), events)


def rules_of_all_sorts(number: int) -> list[tuple[int, str]]:
    """Words, beginnings, ends, middles and globs in equal shares."""
    rng = random.Random(2)
    forms = ["{}", "{}*", "*{}", "*{}*", "{}*{}"]
    made: dict[str, int] = {"view": 2}
    while len(made) < number:
        form = forms[len(made) % len(forms)]
        made[form.format(f"{rng.randrange(16**6):06x}", f"{rng.randrange(16**3):03x}")] = len(made) % 4
    return [(klass, text) for text, klass in made.items()]


@pytest.mark.parametrize("number", [10, 100, 1000])
def test_number_of_rules(benchmark: Benchmark, number: int) -> None:
    measure(benchmark, RuleTable(rules_of_all_sorts(number), ["json:/event_type"]), shop_events(["view", "cart"]))


@pytest.mark.parametrize("number", [10, 100, 1000])
def test_number_of_rules_where_no_value_comes_twice(benchmark: Benchmark, number: int) -> None:
    """The worst case: /name never matches and never repeats, so that the memo is of no use."""
    events = shop_events(["view"], extra='"name":"Jane Doe %06d",')
    table = RuleTable(rules_of_all_sorts(number), ["json:/name", "json:/event_type"])
    measure(benchmark, table, events)
