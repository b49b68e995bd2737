"""tidegate's producer of the parking topic: one thread parks, as the reader would, another drains the reports.

    python park_loop.py BOOTSTRAP TOPIC RECORDS FILE

FILE as rawpark.c has it, but with payloads in place of envelopes.
"""

from __future__ import annotations

import json
import select
import struct
import sys
import threading
import time
from pathlib import Path

from tidegate import allocator


def main() -> None:
    from tidegate.core.ledger_face import LedgerFace
    from tidegate.core.producer_face import ProducerFace

    bootstrap, topic, records, file = sys.argv[1:]
    data = Path(file).read_bytes()
    keys, payloads, at = [], [], 0
    while at < len(data):
        key_len, payload_len = struct.unpack_from("=II", data, at)
        keys.append(data[at + 8 : at + 8 + key_len])
        payloads.append(data[at + 8 + key_len : at + 8 + key_len + payload_len])
        at = (at + 8 + key_len + payload_len + 3) & ~3
    ledger = LedgerFace()
    ledger.add_lane("shop.events")
    slot = ledger.test_open(0, 0, 0)
    producer = ProducerFace({"bootstrap.servers": bootstrap}, topic, ledger)
    full: list[tuple[int, int]] = []
    cpu: list[float] = []

    def park() -> None:
        full.append(producer.test_park_many(slot, keys, payloads, int(records)))
        cpu.append(time.thread_time())

    reader = threading.Thread(target=park, daemon=True)
    before = time.process_time()
    begun = time.monotonic()
    reader.start()
    while reader.is_alive() or any(ledger.parking()):
        select.select([producer.fileno()], [], [], 0.1)
        for failure in producer.drain():
            sys.exit(str(failure))
    seconds = time.monotonic() - begun
    stands = ledger.test_slot(slot)
    assert stands["frontier"] == int(records), stands
    micros = {"reader": cpu[0], "loop": time.thread_time(), "start": before, "all": time.process_time()}
    told = {f"{name}_us": round(seconds * 1e6 / int(records), 3) for name, seconds in micros.items()}
    print(json.dumps({"n": stands["settled"], "seconds": seconds, "full": full[0][0], **told, **producer.stats()}))


if __name__ == "__main__":
    allocator.begin_again()  # as `tidegate run` does
    allocator.catch_up()
    main()
