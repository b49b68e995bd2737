"""What visitors of the shop do: a fixed mix of events in the shape of a GA4 export, the same for the same seed.

The usual mix is that of the REES46 data set (94.9 % views, 3.6 % carts, 1.5 % purchases); of those who come for the
sale three times as many put something into a cart and buy. Sessions are lognormal with the mean and deviation of the
OTTO data set, products Zipf. Every event knows its number and when it was sent, so that whoever receives it can say
what is missing and how late it is.
"""

from __future__ import annotations

import math
from bisect import bisect
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

import orjson

from tidegate.types import EventClass

_PRODUCTS = 5000
_ZIPF_EXPONENT = 1.1
_VISITORS_AT_ONCE = 500
_SESSION_MEAN, _SESSION_DEVIATION = 16.8, 33.6  # events
_SESSION_MAX = 500
LARGEST_BYTES = 1000  # no event's key and body together are larger


class Kind(NamedTuple):
    """One type of event: ``share`` of the usual stream in percent, ``items`` the most products it names."""

    name: str
    klass: EventClass
    share: float
    items: int


# The classes are the shop's own view of what matters; tidegate is told nothing and has to come to the same.
KINDS: tuple[Kind, ...] = (
    Kind("page_view", EventClass.BULK, 34, 0),
    Kind("view_item_list", EventClass.BULK, 18, 4),
    Kind("scroll", EventClass.BULK, 12, 0),
    Kind("view_item", EventClass.NORMAL, 26, 1),
    Kind("search", EventClass.NORMAL, 4.9, 0),
    Kind("add_to_cart", EventClass.HIGH, 2.6, 1),
    Kind("begin_checkout", EventClass.HIGH, 1, 3),
    Kind("purchase", EventClass.CRITICAL, 1.5, 3),
)
_SALE_FACTOR = 3  # of carts and purchases; the others are fewer by as much
CLASS_OF: dict[str, EventClass] = {kind.name: kind.klass for kind in KINDS}

_CITIES = (("DE", "Hamburg"), ("FR", "Lyon"), ("PL", "Gdansk"), ("ES", "Sevilla"), ("NL", "Utrecht"), ("AT", "Graz"))
_DEVICES = (("mobile", "Android", "Chrome"), ("mobile", "iOS", "Safari"), ("desktop", "Windows", "Edge"))
_SOURCES = (("newsletter", "email"), ("google", "cpc"), ("(direct)", "(none)"), ("instagram", "social"))
_CATEGORIES = ("shoes", "jackets", "shirts", "toys", "kitchen", "garden", "books")


class Event(NamedTuple):
    """``number`` is 0, 1, 2, …; ``key`` is the session, ``body`` one JSON object."""

    number: int
    kind: Kind
    key: bytes
    body: bytes


def _sale_shares() -> list[float]:
    dear = (EventClass.CRITICAL, EventClass.HIGH)
    bought = sum(kind.share for kind in KINDS if kind.klass in dear)
    others = (100 - _SALE_FACTOR * bought) / (100 - bought)
    return [kind.share * (_SALE_FACTOR if kind.klass in dear else others) for kind in KINDS]


class _Session:
    __slots__ = ("identity", "left", "profile")

    def __init__(self, identity: str, left: int, profile: dict[str, Any]) -> None:
        self.identity, self.left, self.profile = identity, left, profile


class Visitors:
    """A crowd whose clicks are the stream. Everything but the clock follows from ``seed``."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._number = 0
        self._sessions_begun = 0
        variance = math.log1p((_SESSION_DEVIATION / _SESSION_MEAN) ** 2)
        self._session_shape = (math.log(_SESSION_MEAN) - variance / 2, math.sqrt(variance))
        self._usual = list(accumulate(kind.share for kind in KINDS))
        self._sale = list(accumulate(_sale_shares()))
        self._products = list(accumulate((rank + 1) ** -_ZIPF_EXPONENT for rank in range(_PRODUCTS)))
        self._sessions = [self._begin() for _ in range(_VISITORS_AT_ONCE)]

    def next(self, now: float, kind: Kind | None = None, *, sale: float = 0.0) -> Event:
        """The next event, sent at ``now`` (seconds since the epoch); ``kind`` instead of a random one. ``sale``: the
        share of the crowd that has come for the sale."""
        mix = self._sale if sale and self._random.random() < sale else self._usual
        kind = kind or KINDS[bisect(mix, self._random.random() * mix[-1])]
        session = self._click()
        items = [self._item() for _ in range(self._random.randint(1, kind.items))] if kind.items else []
        content: dict[str, Any] = {
            "event_id": f"{self._seed}-{self._number}",
            "event_name": kind.name,
            "event_timestamp": int(now * 1e6),
            **session.profile,
            "page_location": self._page(kind, items),
        }
        if items:
            content["items"] = items
        if kind.klass is EventClass.CRITICAL:
            value = sum(item["price"] for item in items)
            content["ecommerce"] = {
                "transaction_id": f"T{self._random.getrandbits(40):012x}",
                "value": round(value, 2),
                "tax": round(value * 0.19, 2),
                "currency": "EUR",
            }
        event = Event(self._number, kind, session.identity.encode(), orjson.dumps(content))
        self._number += 1
        return event

    def _click(self) -> _Session:
        at = self._random.randrange(_VISITORS_AT_ONCE)
        session = self._sessions[at]
        session.left -= 1
        if session.left <= 0:
            self._sessions[at] = self._begin()
        return session

    def _begin(self) -> _Session:
        pick = self._random.choice
        (country, city), (category, system, browser), (source, medium) = pick(_CITIES), pick(_DEVICES), pick(_SOURCES)
        self._sessions_begun += 1
        identity = f"{self._seed}.{self._sessions_begun}"
        profile = {
            "user_pseudo_id": f"{self._random.getrandbits(64):016x}",
            "ga_session_id": identity,
            "device": {"category": category, "operating_system": system, "browser": browser},
            "geo": {"country": country, "city": city},
            "traffic_source": {"source": source, "medium": medium},
        }
        length = math.ceil(self._random.lognormvariate(*self._session_shape))
        return _Session(identity, min(length, _SESSION_MAX), profile)

    def _item(self) -> dict[str, Any]:
        product = bisect(self._products, self._random.random() * self._products[-1])
        return {
            "item_id": f"P{product:05d}",
            "item_category": _CATEGORIES[product % len(_CATEGORIES)],
            "price": round(5 + product * 37 % 195 + 0.99, 2),
            "quantity": 1,
        }

    def _page(self, kind: Kind, items: list[dict[str, Any]]) -> str:
        if kind.klass in (EventClass.HIGH, EventClass.CRITICAL):
            return f"https://shop.example/checkout/{kind.name}"
        if kind.name == "search":
            return f"https://shop.example/search?q={self._random.choice(_CATEGORIES)}&page=1"
        if kind.name == "view_item":
            return f"https://shop.example/product/{items[0]['item_id']}"
        return f"https://shop.example/black-friday/{self._random.choice(_CATEGORIES)}?utm_campaign=bf"


def number_of(event_id: str) -> int:
    """The number in an ``event_id``. Raises ValueError where there is none."""
    return int(event_id.rpartition("-")[2])
