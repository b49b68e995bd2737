"""The admin listener: who may ask, and how."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tidegate.errors import ConfigError
from tidegate.ops.admin import HEADER, AdminServer
from tidegate.ops.drain import Drain
from tidegate.ops.guard import Limits
from tidegate.ops.http import listen
from tidegate.ops.pressure import PressureDesk
from tidegate.pressure.orders import Rung
from tidegate.probes import who

from .snapshots import PRESSURE

GOOD = {"Host": "localhost", HEADER: "drain", "Content-Type": "application/json", "Content-Length": "0"}


WHO = who(group="shop", ops_port=9400)


class Admin:
    """A started listener; `begun` counts what it asked for."""

    def __init__(self) -> None:
        self.begun = 0
        self.drain = Drain(lambda: {0: (1, 10, 2)})
        limits = Limits(connections=4, head_seconds=0.5)
        self.forced: list[Rung | None] = []
        self.replayed: list[float | None] = []
        self.server = AdminServer(
            listen(("127.0.0.1", 0), "admin"),
            who=WHO,
            begin=self._begin,
            drain=self.drain,
            pressure=PressureDesk(
                lambda: replace(PRESSURE, forced=self.forced[-1] if self.forced else None),
                self._force,
                self._replay,
            ),
            limits=limits,
        )

    def _begin(self) -> None:
        self.begun += 1

    def _force(self, rung: Rung | None) -> None:
        if rung is Rung.DEFER:
            raise ValueError("there is no parking topic")
        self.forced.append(rung)

    def _replay(self, rate: float | None) -> None:
        if rate == 1:
            raise ValueError("there is no parking topic")
        self.replayed.append(rate)

    async def ask(self, request: str = "POST /drain", **change: str | None) -> tuple[int, str]:
        headers = {**GOOD, **{name.replace("_", "-"): value for name, value in change.items()}}
        lines = [f"{request} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
        reader, writer = await asyncio.open_connection(*self.server.address)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(5):
            answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    made = Admin()
    await made.server.start()
    yield made
    await made.server.close()


async def test_a_drain_is_asked_for_and_told_of(admin: Admin) -> None:
    status, body = await admin.ask()
    assert (status, admin.begun) == (202, 1)
    assert '"state":"reading","buffered_records":1,"in_flight_records":2' in body
    admin.drain.begin()
    assert (await admin.ask())[0] == 202
    admin.drain.end()
    status, body = await admin.ask(Content_Type="Application/JSON; charset=utf-8", Host="127.0.0.1:9401")
    assert status == 200
    assert '"state":"drained"' in body
    assert (await admin.ask(Host="[::1]:9401"))[0] == (await admin.ask(Host="[::1]"))[0] == 200


async def test_the_rung_is_told_of_and_set(admin: Admin) -> None:
    status, body = await admin.ask("POST /pressure")
    told = json.loads(body)
    assert (status, told["rung"], told["forced"], admin.forced) == (200, "hold", None, [])
    assert told["classes"]["bulk"] == {"offered": 4.0, "completed": 2.0, "queued": 0, "keep": 0.25}
    assert json.loads((await admin.ask("POST /pressure?rung=pause"))[1])["forced"] == "pause"
    assert json.loads((await admin.ask("POST /pressure?rung=auto"))[1])["forced"] is None
    assert await admin.ask("POST /pressure?rung=defer") == (409, "there is no parking topic\n")
    assert (await admin.ask("POST /pressure?rung=low"))[0] == 400
    for rate, wanted in (("500", 500.0), ("0", 0.0), ("auto", None)):
        assert (await admin.ask(f"POST /pressure?replay={rate}"))[0] == 200
        assert admin.replayed[-1] == wanted
    assert await admin.ask("POST /pressure?replay=1") == (409, "there is no parking topic\n")
    for rate in ("fast", "-1", "nan", "inf", ""):
        assert (await admin.ask(f"POST /pressure?replay={rate}"))[0] == 400
    assert len(admin.replayed) == 3
    assert (admin.forced, admin.begun) == ([Rung.PAUSE, None], 0)


@pytest.mark.parametrize(
    ("request_line", "change", "status"),
    [
        ("POST /drain", {"Host": "evil.example"}, 421),  # DNS rebinding
        ("POST /drain", {"Host": "evil.example:9401"}, 421),
        ("POST /drain", {"Host": "127.0.0.1.evil.example"}, 421),
        ("POST /drain", {"Host": None}, 400),
        ("POST /drain", {HEADER: None}, 403),
        ("POST /drain", {"Origin": "http://localhost:9401"}, 403),
        ("POST /drain", {"Origin": "null"}, 403),
        ("POST /drain", {"Content-Type": "text/plain"}, 415),  # what a form can send
        ("POST /drain", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST /drain", {"Content-Type": None}, 415),
        ("GET /drain", {}, 405),
        ("OPTIONS /drain", {}, 405),  # a preflight gets no leave
        ("POST /", {}, 404),
        ("POST /pressure?rung=pause", {HEADER: None}, 403),
        ("POST /pressure?rung=pause", {"Origin": "null"}, 403),
        ("GET /pressure", {}, 405),
        ("GET /metrics", {}, 404),
        ("POST /drain", {"Content-Length": "65537"}, 413),
        ("POST /drain", {"X-Long": "a" * 9000}, 431),
    ],
)
async def test_anything_else_is_refused(
    admin: Admin, request_line: str, change: dict[str, str | None], status: int
) -> None:
    assert (await admin.ask(request_line, **change))[0] == status
    assert (admin.begun, admin.forced) == (0, [])


async def test_a_sidecar_of_the_same_host_is_not_taken_for_another(admin: Admin) -> None:
    assert (await admin.ask(X_Tidegate_Group="shop", X_Tidegate_Ops_Port="9400"))[0] == 202
    assert (await admin.ask(X_Tidegate_Group="shop"))[0] == 202
    for other in ({"X_Tidegate_Ops_Port": "9410"}, {"X_Tidegate_Group": "stock", "X_Tidegate_Ops_Port": "9400"}):
        status, body = await admin.ask(**other)
        assert status == 409
        assert "another sidecar is here" in body
    assert admin.begun == 2


async def test_a_host_in_the_request_line_is_no_way_around(admin: Admin) -> None:
    assert (await admin.ask("POST http://localhost/drain", Host="evil.example"))[0] == 421
    assert admin.begun == 0


def test_an_address_in_use() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"TIDEGATE_ADMIN_ADDRESS: 127\.0\.0\.1:[0-9]+ is in use") as caught,
    ):
        listen(taken.getsockname(), "admin")
    assert caught.value.code == "admin-address"
