"""Moves partitions' leaders while every broker is well: another order of the replicas, then the preferred election.

confluent-kafka's admin client elects but cannot reassign, so that request (AlterPartitionReassignments, version 0) is
written here byte by byte; the broker that gets it hands it to the controller.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import PartitionMetadata

_API_KEY, _VERSION, _CORRELATION = 45, 0, 1
_TIMEOUT_SECONDS = 20.0


def reassign(servers: str, topic: str, replicas: Mapping[int, Sequence[int]]) -> None:
    """Gives partitions of ``topic`` these replicas, the preferred leader first. Raises RuntimeError where refused."""
    host, _, port = servers.split(",")[0].rpartition(":")
    body = struct.pack(">i", int(_TIMEOUT_SECONDS * 1000)) + _array([_text(topic) + _partitions(replicas) + b"\0"])
    head = struct.pack(">hhih", _API_KEY, _VERSION, _CORRELATION, -1) + b"\0"
    request = head + body + b"\0"
    with socket.create_connection((host, int(port)), _TIMEOUT_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            (length,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(length)
    # Correlation, tags, throttle time, then the error of the whole: a partition's own shows as a leader that stays.
    (code,) = struct.unpack_from(">h", answer, 9)
    if code:
        raise RuntimeError(f"reassignment of {topic} refused: error {code}")


def move_leaders(servers: str, topic: str) -> int:
    """Each partition's leader becomes the next of its replicas; returns how many moved. Raises TimeoutError."""
    admin = AdminClient({"bootstrap.servers": servers})
    wanted = {}
    for number, partition in _found(admin, topic).items():
        nodes = sorted(partition.replicas)
        at = (nodes.index(partition.leader) + 1) % len(nodes) if partition.leader in nodes else 0
        wanted[number] = nodes[at:] + nodes[:at]
    reassign(servers, topic, wanted)
    prefer_leaders(servers, topic)
    return len(wanted)


def prefer_leaders(servers: str, topic: str) -> None:
    """Each partition's first replica leads it again. Raises TimeoutError."""
    admin = AdminClient({"bootstrap.servers": servers})
    places = [TopicPartition(topic, number) for number in _found(admin, topic)]
    admin.elect_leaders(ElectionType.PREFERRED, places).result(_TIMEOUT_SECONDS)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    # The broker that is asked may not have heard of it yet.
    while any(partition.leader != partition.replicas[0] for partition in _found(admin, topic).values()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the leaders of {topic} have not moved within {_TIMEOUT_SECONDS} s")
        time.sleep(0.05)


def _found(admin: AdminClient, topic: str) -> dict[int, PartitionMetadata]:
    return admin.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions


def _partitions(replicas: Mapping[int, Sequence[int]]) -> bytes:
    return _array(
        [
            struct.pack(">i", number) + _array([struct.pack(">i", node) for node in nodes]) + b"\0"
            for number, nodes in replicas.items()
        ]
    )


def _array(items: Sequence[bytes]) -> bytes:
    """A compact array: length + 1 as one byte of a varint, which is all that tests need."""
    assert len(items) < 127
    return bytes([len(items) + 1]) + b"".join(items)


def _text(value: str) -> bytes:
    return _array([bytes([byte]) for byte in value.encode()])
