"""What a release adds to the distributions: the list of what they stand on; and what its workflows are made of."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from .building import ROOT, locked, run
from .test_wheel import VERSION

WORKFLOWS = ROOT / ".github" / "workflows"


def test_the_bill_of_materials_has_every_locked_component_and_its_hashes(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    run("make", "sbom", f"DIST={tmp_path}", cwd=ROOT, environment=environment)
    bill = json.loads((tmp_path / "tidegate.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "tidegate")
    assert bill["metadata"]["component"]["version"] == VERSION
    assert {f"{one['name']}=={one['version']}" for one in bill["components"]} == set(locked("run"))
    for one in bill["components"]:
        assert one["purl"].startswith("pkg:pypi/")
        assert one["externalReferences"][0]["hashes"]


def test_every_action_is_pinned_to_a_commit() -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", "\n".join(map(Path.read_text, WORKFLOWS.glob("*.yml"))), re.MULTILINE)
    foreign = [one for one in used if not one.startswith("./")]
    assert foreign
    for one in foreign:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", one), one
    # The same version everywhere.
    assert len(set(foreign)) == len({one.partition("@")[0] for one in foreign})
