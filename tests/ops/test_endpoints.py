"""The ops endpoints of a real sidecar on the embedded broker."""

from __future__ import annotations

import socket
import time

from harness.ports import free_ports
from harness.produce import Event
from harness.scene import TYPES, Scene

from .conftest import Figures, ops_of

LOOPBACK = "127.0.0.1:0"


def total(figures: Figures, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for found, value in figures.get(name, {}).items() if wanted <= set(found))


def test_every_record_is_in_the_figures(scene: Scene) -> None:
    events = scene.produce(3000)
    scene.send([Event(0, b"k", b"{broken", "view"), Event(0, b"k", b'{"event_type":"new"}')])
    sidecar = scene.sidecar(sink_url="blackhole:", ops_address=LOOPBACK)
    ops = ops_of(sidecar)
    scene.wait_settled(sidecar)
    time.sleep(1.1)  # the text may be a second old
    figures = ops.figures()

    offered = {label: sum(TYPES[event.type] == label for event in events) for label in ("critical", "high", "bulk")}
    offered["high"] += 2  # what no rule knows
    for label, count in offered.items():
        assert count > 0
        assert total(figures, "tidegate_records_polled_total", **{"class": label}) == count
        series = {"class": label, "disposition": "delivered", "topic": scene.topic}
        assert figures["tidegate_records_total"][tuple(sorted(series.items()))] == count
        assert total(figures, "tidegate_records_total", **{"class": label}) == count
    assert set(figures["tidegate_conservation_error"].values()) == {0.0}
    assert len(figures["tidegate_conservation_error"]) == 4
    assert total(figures, "tidegate_records_unclassified_total") == 2
    assert total(figures, "tidegate_records_invalid_total") == 1
    assert total(figures, "tidegate_buffer_records") == 0
    assert total(figures, "tidegate_in_flight_records") == 0
    assert total(figures, "tidegate_partition_position") == 3002
    assert total(figures, "tidegate_partition_stored_offset") == 3002
    assert total(figures, "tidegate_partition_unsettled_offsets") == 0
    assert total(figures, "tidegate_sink_sends_total") == total(figures, "tidegate_sink_acknowledged_total") > 0
    assert total(figures, "tidegate_sink_state", state="open") == 1
    assert 0 <= total(figures, "tidegate_reader_heartbeat_age_seconds") < 1
    assert total(figures, "tidegate_build_info") == 1
    assert total(figures, "process_resident_memory_bytes") > 10e6
    sidecar.stop()


def test_a_target_that_is_down_shows_and_fails_no_probe(scene: Scene) -> None:
    port = free_ports(1)[0]
    scene.produce(500)
    sidecar = scene.sidecar(sink_url=f"http://127.0.0.1:{port}/", ops_address=LOOPBACK)
    ops = ops_of(sidecar)
    sidecar.wait_until(lambda: total(ops.figures(), "tidegate_sink_state", state="down") == 1, what="target down")
    polled = "tidegate_records_polled_total"
    sidecar.wait_until(lambda: total(ops.figures(), polled) == 500, what="all read")
    figures = ops.figures()
    assert total(figures, "tidegate_sink_retries_total", reason="connect-refused") > 0
    held = total(figures, "tidegate_buffer_records") + total(figures, "tidegate_in_flight_records")
    assert held == total(figures, polled) == 500
    assert set(figures["tidegate_conservation_error"].values()) == {0.0}
    assert ops.ask("/livez").status == ops.ask("/readyz").status == 200

    # While it drains: not ready any more, but alive, and its figures can still be had.
    sidecar.terminate()
    sidecar.wait_until(lambda: ops.ask("/readyz").status == 503, what="not ready")
    assert ops.ask("/livez").status == 200
    assert total(ops.figures(), polled) == 500
    assert sidecar.wait() == 0


def test_kafka_that_is_not_there_fails_no_probe(scene: Scene) -> None:
    sidecar = scene.sidecar(
        kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}", sink_url="blackhole:", ops_address=LOOPBACK
    )
    ops = ops_of(sidecar)
    time.sleep(1)
    assert ops.ask("/livez").status == ops.ask("/readyz").status == 200
    assert set(ops.figures()["tidegate_conservation_error"].values()) == {0.0}
    sidecar.stop()


def test_an_address_in_use_is_a_configuration_error(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sidecar = scene.sidecar(sink_url="blackhole:", ops_address=f"127.0.0.1:{port}")
        assert sidecar.wait(10) == 2
    assert f"TIDEGATE_OPS_ADDRESS: 127.0.0.1:{port} is in use" in sidecar.stderr
    assert "Traceback" not in sidecar.stderr


def test_switched_off_it_costs_nothing(scene: Scene) -> None:
    """Neither of the two libraries is loaded, and nobody listens; switched on, prometheus_client waits for a scrape."""

    def loaded(pid: int) -> set[str]:
        with open(f"/proc/{pid}/maps") as maps:
            text = maps.read()
        return {name for name in ("aiohttp/_http_parser", "confluent_kafka") if name in text}

    scene.produce(100)
    off = scene.sidecar(sink_url="blackhole:", ops_address="none", name="off")
    scene.wait_settled(off)
    assert loaded(off.process.pid) == {"confluent_kafka"}
    assert "ops endpoints" not in off.stderr
    off.stop()
    on = scene.sidecar(sink_url="blackhole:", ops_address=LOOPBACK, name="on")
    ops_of(on)
    assert loaded(on.process.pid) == {"confluent_kafka", "aiohttp/_http_parser"}
    on.stop()
