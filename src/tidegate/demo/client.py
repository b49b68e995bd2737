"""Asking the shop, over one kept connection and past any proxy of the environment."""

from __future__ import annotations

import http.client
from typing import Any

import orjson

from tidegate.errors import TidegateError

_TIMEOUT_SECONDS = 5.0


class ShopClient:
    """GET from the shop at a port of 127.0.0.1. Raises TidegateError when it does not answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/events"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def stats(self) -> dict[str, Any]:
        """As ``Counts.report``, and ``busy``: requests not yet answered."""
        stats: dict[str, Any] = orjson.loads(self._get("/stats"))
        return stats

    def seen(self) -> bytes:
        """By event number, 1 where the event was worked off."""
        return self._get("/seen")

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _get(self, path: str) -> bytes:
        for last in (False, True):
            try:
                self._connection.request("GET", path)
                return self._connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()  # the next request opens it anew
                if last:
                    raise TidegateError(f"the demo's shop does not answer: {error}", code="demo-shop-silent") from None
        raise AssertionError
