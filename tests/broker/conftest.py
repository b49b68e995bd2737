"""A broker that refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.fixtures import require_java
from harness.kafka import KafkaServer


@pytest.fixture
def guarded() -> Iterator[str]:
    """A broker that allows what no rule speaks of, until there is a rule."""
    require_java()
    authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    properties = {"authorizer.class.name": authorizer, "allow.everyone.if.no.acl.found": "true"}
    with KafkaServer(properties=properties) as server:
        yield server.bootstrap_servers
