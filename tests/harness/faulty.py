"""A process with probes and one planted fault, to try the watchers on: ``python -m harness.faulty run``.

``TIDEGATE_FAULT`` is none, memory, books, silent, dead, slow-end, bad-end or gone; ``TIDEGATE_OPS_ADDRESS`` is where it
listens. The fault shows FAULT_AFTER_SECONDS after the start.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULT_AFTER_SECONDS = 1.5
_FAULT = os.environ.get("TIDEGATE_FAULT", "none")
_BEGUN = time.monotonic()


def shows(fault: str) -> bool:
    return fault == _FAULT and time.monotonic() - _BEGUN > FAULT_AFTER_SECONDS


class Probes(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if shows("silent"):
            time.sleep(60)
        status, text = 200, "live\n"
        if self.path == "/livez" and shows("dead"):
            status, text = 503, "the reader has not moved for 31 s\n"
        if self.path == "/metrics":
            wrong = {"high": int(shows("books"))}
            text = "".join(
                f'tidegate_conservation_error{{class="{c}"}} {float(wrong.get(c, 0))}\n' for c in ("critical", "high")
            )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def end(*_: object) -> None:
    if _FAULT == "slow-end":
        time.sleep(60)
    os._exit(3 if _FAULT == "bad-end" else 0)


def main() -> None:
    host, _, port = os.environ["TIDEGATE_OPS_ADDRESS"].rpartition(":")
    signal.signal(signal.SIGTERM, end)
    server = ThreadingHTTPServer((host, int(port)), Probes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    time.sleep(FAULT_AFTER_SECONDS)
    if _FAULT == "gone":
        os._exit(0 if os.environ.get("TIDEGATE_CODE") is None else int(os.environ["TIDEGATE_CODE"]))
    held = bytearray(os.urandom(1 << 20)) * 40 if _FAULT == "memory" else None
    time.sleep(0.2)
    del held  # a peak that is over again
    signal.pause()
    signal.pause()


if __name__ == "__main__":
    main()
