"""TCP ports that a server can come back to after it was killed."""

from __future__ import annotations

import random
import socket

# Below the range that the kernel hands out to clients: while a server is down, no connection of anybody's takes it.
_LOW, _HIGH = 15_000, 32_000
_random = random.SystemRandom()  # concurrent test runs must not try the same sequence


def free_ports(count: int) -> list[int]:
    """``count`` different ports on 127.0.0.1 that nobody listens on. Another process may still be quicker."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", _random.randrange(_LOW, _HIGH)))
            except OSError:
                candidate.close()
                continue
            held.append(candidate)
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()
