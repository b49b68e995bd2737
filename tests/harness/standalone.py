"""``make kafka``: the tests' Apache Kafka in the foreground, to try tidegate on. ``python -m harness.standalone``

It listens on 127.0.0.1 alone, keeps its data in a temporary directory, and leaves nothing when it is asked to end.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import time
from collections.abc import Sequence
from types import FrameType

from harness.install import VERSION, KafkaUnavailableError
from harness.kafka import KafkaServer

# Those of the tests are for members that are killed every second; here a laptop may sleep.
PROPERTIES = {"group.consumer.session.timeout.ms": "45000", "group.consumer.heartbeat.interval.ms": "5000"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make kafka", description="An Apache Kafka of one node, to try things on.")
    parser.add_argument("topics", nargs="*", help="topics to create")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--partitions", type=int, default=4, help="of each topic")
    options = parser.parse_args(arguments)
    for how in (signal.SIGINT, signal.SIGTERM):  # a shell that starts it with & has switched the first one off
        signal.signal(how, _interrupt)
    begun = time.monotonic()
    try:
        if _taken(options.port):
            print(
                f"make kafka: port {options.port} on 127.0.0.1 is in use: a Kafka may be running there already.\n"
                f"  Another port: make kafka KAFKA_PORT={options.port + 1}",
                file=sys.stderr,
            )
            return 1
        print(f"Starting Apache Kafka {VERSION} (the first time Maven fetches it) …", file=sys.stderr)
        with KafkaServer(port=options.port, properties=PROPERTIES) as server:
            for topic in options.topics:
                server.create_topic(topic, options.partitions)
            _tell(server.bootstrap_servers, options.topics, options.partitions, time.monotonic() - begun)
            while server.pid is not None:
                time.sleep(0.2)
            print(f"make kafka: the broker has ended; the end of its log:\n{server.log_tail()}", file=sys.stderr)
            return 1
    except KafkaUnavailableError as error:
        print(
            f"make kafka: {error}.\n"
            "  Install it (Debian: apt install openjdk-17-jre-headless maven), or take a Kafka from elsewhere:\n"
            f"  docker run --rm -p {options.port}:9092 apache/kafka:{VERSION}",
            file=sys.stderr,
        )
        return 1
    except RuntimeError as error:  # Maven, or the broker's own log
        print(f"make kafka: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ended, and nothing is left of it", file=sys.stderr)
        return 0


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _tell(servers: str, topics: Sequence[str], partitions: int, seconds: float) -> None:
    print(f"Kafka {VERSION} is ready at {servers} after {seconds:.0f} s; Ctrl-C ends it. In another terminal:\n")
    print(f"export TIDEGATE_KAFKA_BOOTSTRAP_SERVERS={servers}")
    if topics:
        print(f"export TIDEGATE_TOPICS={','.join(topics)}  # {partitions} partitions each")
    sys.stdout.flush()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
