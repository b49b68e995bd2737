"""Fills a topic with shop events of about 266 bytes, as fast as one Python process can."""

from __future__ import annotations

import random
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

DISTINCT = 20_000  # events that are repeated; enough that no predictor learns them
PARTITIONS = 8
CATEGORIES = ("electronics.smartphone", "appliances.kitchen.washer", "computers.notebook", "apparel.shoes.keds")
BRANDS = ("samsung", "apple", "xiaomi", "huawei", "bosch", "sony", "lucente")


def events(count: int = DISTINCT, seed: int = 1) -> list[tuple[bytes, bytes]]:
    """(key, value): 87 % view, 10 % cart, 3 % purchase, the shape of the REES46 data set."""
    dice = random.Random(seed)
    made = []
    for _ in range(count):
        kind = dice.choices(("view", "cart", "purchase"), (87, 10, 3))[0]
        user = 512_000_000 + dice.randrange(3_000_000)
        value = (
            f'{{"event_time":"2019-10-01T00:00:00.123Z","event_type":"{kind}",'
            f'"product_id":{1_000_000 + dice.randrange(9_000_000)},'
            f'"category_id":{2053013552259662037 + dice.randrange(1 << 20)},'
            f'"category_code":"{dice.choice(CATEGORIES)}","brand":"{dice.choice(BRANDS)}",'
            f'"price":{dice.randrange(100, 150_000) / 100:.2f},"user_id":{user},'
            f'"user_session":"{uuid.UUID(int=dice.getrandbits(128))}"}}'
        )
        made.append((b"%d" % user, value.encode()))
    return made


def create(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
        future.result()


def fill(bootstrap: str, topic: str, records: int) -> None:
    """`records` events, lz4, acknowledged."""
    create(bootstrap, topic)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1 << 18,
            "queue.buffering.max.messages": 400_000,
        }
    )
    pool, failed = events(), []
    for n in range(records):
        key, value = pool[n % DISTINCT]
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.05)
    left = producer.flush(120)
    if left or failed:
        raise RuntimeError(f"{left} events were not acknowledged")
