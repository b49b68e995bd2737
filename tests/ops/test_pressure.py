"""`tidegate pressure` beside a running sidecar, and what the figures make of it."""

from __future__ import annotations

import re

import pytest

from harness.scene import Scene

from .test_drain import Pod


def test_the_operator_sees_sets_and_lets_go(scene: Scene) -> None:
    pod = Pod(scene, bulk=f"topic:{scene.topic}")
    sidecar, ops = pod.sidecar, pod.ops
    scene.produce(200)
    scene.wait_settled(sidecar)
    code, words = pod.command("pressure", "show", lines=8)
    assert code == 0
    assert words.startswith("rung normal\ntarget: could take ")
    assert re.search(r"^behind: 0 records, 0\.0 s; memory \d+%$", words, re.MULTILINE), words
    assert re.search(r"^bulk +[\d.]+ +[\d.]+ +0 +100%$", words, re.MULTILINE), words

    assert pod.command("pressure", "set", "hold", lines=8)[1].startswith("rung ")
    sidecar.wait_until(
        lambda: ops.figures().get("tidegate_lanes_held") == {(("class", "bulk"), ("reason", "operator")): 1}, 10, "held"
    )
    scene.produce(500, start=200)
    sidecar.wait_until(lambda: sum(ops.figures()["tidegate_lane_lag_records"].values()) == 500, 10, "a lag of 500")
    figures = ops.figures()
    assert figures["tidegate_ladder_rung"] == {(): 3}
    assert figures["tidegate_ladder_forced"] == {(): 1}
    assert sum(figures["tidegate_records_polled_total"].values()) == 200
    assert pod.command("pressure", "show", lines=8)[1].startswith("rung hold, set to hold by the operator\n")

    assert pod.command("pressure", "auto", lines=8)[0] == 0
    scene.wait_settled(sidecar)
    sidecar.wait_until(lambda: ops.figures()["tidegate_ladder_rung"] == {(): 0}, 15, "rung NORMAL")
    changed = [line for line in sidecar.stderr.splitlines() if '"event": "the rung changed"' in line]
    assert len(changed) == 2, sidecar.tail()
    assert sidecar.stderr.count("the operator set the rung") == 1
    assert sidecar.stderr.count("the rung is decided again") == 1
    sidecar.stop()
    scene.judge(classes=lambda _: "bulk")


@pytest.mark.parametrize(("rung", "why"), [("defer", "there is no parking topic"), ("sample", "there is no gate")])
def test_a_rung_that_nothing_can_act_on_is_refused(scene: Scene, rung: str, why: str) -> None:
    pod = Pod(scene, ladder_max="hold")
    code, words = pod.command("pressure", "set", rung)
    assert code == 1
    assert words.startswith("not set: ")
    assert why in words
    pod.sidecar.wait_until(lambda: "tidegate_ladder_rung" in pod.ops.figures(), 10)
    assert pod.ops.figures()["tidegate_ladder_forced"] == {(): 0}
    assert pod.command("pressure", "show", lines=8)[1].splitlines()[0] == "rung normal; by itself up to hold"
    pod.sidecar.stop()
