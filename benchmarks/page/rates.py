"""How fast a backlog is read, and read and delivered: here, and beside the programs of `peers`."""

from __future__ import annotations

from benchmarks.page.results import Peers, Report, Results
from benchmarks.page.words import (
    OURS,
    Section,
    better,
    measured,
    millions,
    paragraphs,
    picture,
    ranked,
    rates_table,
    times,
    turns,
    upper,
)
from tidegate.demo import chart

ADDED = "make bench-e2e ARGS='--add \"franz-go + gjson=env N=10000000 $PEERS_HOME/bin/franzcount\"'"


def bars(title: str, results: Report, note: str) -> str:
    medians = getattr(results, "medians")  # noqa: B009  # of each that comes here
    rows = {name: [row.records_per_second] for name, row in ranked(medians)}
    return chart.bars(title, rows, highlight=[name for name in rows if name.startswith(OURS)], note=note)


def drain(results: Results) -> Section:
    found = results.drain
    mine, python = found.medians[OURS], found.medians["confluent-kafka + orjson"]
    raw = found.medians["raw C loop"]
    drawn = bars(
        "Events per second read, classified and committed",
        found,
        f"{upper(turns(found.rows))}; broker and program on {found.machine.cores} cores.",
    )
    seen = (
        f"tidegate reads, classifies, batches and commits {millions(mine.records_per_second)} events a second, "
        f"{times(mine.records_per_second, python.records_per_second)} times a tuned Python loop, for "
        f"{mine.cpu_us_per_record / raw.cpu_us_per_record:.2f} of the CPU of a C loop that only reads."
    )
    return Section(
        paragraphs(
            "## Reading a backlog",
            seen,
            picture("bench-drain.svg", "Events per second of tidegate, a raw C loop and other clients"),
            f"{upper(found.title)}; {turns(found.rows)}, CPU of the whole process, its start included.",
            rates_table("read, classify, batch, acknowledge, commit", found.medians),
            f"{better(found.medians)} The raw loop only reads and frees, on the C library's allocator; tidegate runs "
            "on mimalloc, an extra that `make build` installs ([why](adr/0001-allocator.md)). franz-go's loop looks "
            "one field up; it classifies, batches and settles nothing. The Python loops do what a Python app would do.",
            measured(results, found, ADDED),
        ),
        {"bench-drain.svg": drawn},
    )


def push(results: Results) -> Section:
    found = results.push
    mine = found.medians["tidegate ndjson"]
    others = {name: row for name, row in found.medians.items() if not name.startswith(OURS)}
    name, best = ranked(others)[0]
    drawn = bars(
        "Events per second delivered to an HTTP app",
        found,
        f"Batches of 500; {turns(found.rows)}; broker, program and app on {found.machine.cores} cores.",
    )
    return Section(
        paragraphs(
            "## Delivering a backlog over HTTP",
            f"To an app that answers at once tidegate delivers {millions(mine.records_per_second)} events a second, "
            f"{times(mine.records_per_second, best.records_per_second)} times {name}, with "
            f"{mine.cpu_us_per_record / best.cpu_us_per_record:.2f} of its CPU.",
            picture("bench-push.svg", "Events per second delivered to an HTTP app"),
            f"{upper(found.title)}; {turns(found.rows)}, batches of 500, 8 requests at once.",
            rates_table("to an HTTP app", found.medians),
            better(found.medians, "tidegate ndjson"),
            measured(results, found, "make bench-e2e"),
        ),
        {"bench-push.svg": drawn},
    )


def peers_text(found: Peers) -> str:
    """Their versions, and who came to nothing."""
    failed = sorted({str(row["contender"]) for row in found.rows if "error" in row})
    versions = dict.fromkeys(one for each in found.peers.values() for one in each.split(", "))
    return f"Versions: {', '.join(versions)}." + (f" Without a result: {', '.join(failed)}." if failed else "")


def backlog(sent: Peers) -> str:
    """What the defaults make of a backlog without an end to the run."""
    plain, held = sent.medians["tidegate"], sent.medians.get("tidegate pause-only")
    if held is None:
        return ""
    return (
        "A backlog is a surge to tidegate: with its defaults it parks of the lower classes what does not fit its "
        "buffers, brings it back in its own time, and has all of it at the app at "
        f"{millions(plain.records_per_second)} events a second; `TIDEGATE_PARKING_TOPIC=none` (pause-only) leaves it "
        f"in its topic, {millions(held.records_per_second)}."
    )


def peers(results: Results) -> Section:
    read, sent = results.peers_drain, results.peers_push
    note = "{}; broker, program and app on {} cores."
    pictures = {
        "bench-peers-drain.svg": bars(
            "Read and count: events per second", read, note.format(upper(turns(read.rows)), read.machine.cores)
        ),
        "bench-peers-push.svg": bars(
            "Push to a fast HTTP app: events per second", sent, note.format(upper(turns(sent.rows)), sent.machine.cores)
        ),
    }
    duplicates = [row["contender"] for row in sent.rows if row.get("twice")]
    missing = [row["contender"] for row in sent.rows if row.get("missing")]
    return Section(
        paragraphs(
            "## Beside other programs",
            "The same two jobs by another runner, with a generator and an app in Go: programs of other projects beside "
            "tidegate, each as small as it can be, with default settings where its name does not say otherwise. In the "
            "first stage the others parse an event, or look its type up, and count it; tidegate classifies and batches "
            "it, and commits what was acknowledged. CPU includes the start of the process.",
            picture("bench-peers-drain.svg", "Events per second read and counted, tidegate beside other programs"),
            rates_table("read and count", read.medians),
            better(read.medians),
            peers_text(read),
            measured(results, read, "make bench-peers"),
            picture("bench-peers-push.svg", "Events per second pushed to an HTTP app, tidegate beside other programs"),
            rates_table("push, batches of 500", sent.medians),
            backlog(sent),
            better(sent.medians),
            ("Events came twice from " + ", ".join(sorted(set(map(str, duplicates)))) + "." if duplicates else "")
            + (" Not all came from " + ", ".join(sorted(set(map(str, missing)))) + "." if missing else ""),
            peers_text(sent),
            measured(results, sent, "make bench-peers"),
            "What the others have that tidegate has not: Redpanda Connect and Dapr speak to far more than Kafka and "
            "HTTP and run anywhere as one binary, parallel-consumer keeps the order of each key while it works on "
            "many, arroyo and FastStream run your code in their process, and franz-go and rdkafka are libraries that "
            "leave everything to you.",
        ),
        pictures,
    )
