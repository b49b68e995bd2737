"""Under `make asan` deliberate errors must end the process with a report; if they do not, its green means nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    "TIDEGATE_TEST_SANITIZED" not in os.environ, reason="only in the sanitized build: make asan"
)


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import tidegate_canary; {code}; print('survived')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "report"),
    [
        ("tidegate_canary.read_behind(16)", "AddressSanitizer: heap-buffer-overflow"),
        ("tidegate_canary.overflow(2**31 - 1)", "signed integer overflow"),
    ],
)
def test_an_error_is_reported_and_ends_the_process(code: str, report: str) -> None:
    done = _run(code)
    assert done.returncode != 0, done.stdout + done.stderr
    assert report in done.stderr
    assert "survived" not in done.stdout


def test_the_canary_itself_runs() -> None:
    assert _run("assert tidegate_canary.overflow(1) == 2").stdout == "survived\n"


def test_the_core_under_test_is_the_sanitized_one() -> None:
    import tidegate_canary

    import tidegate

    assert os.path.dirname(os.path.dirname(tidegate.__file__)) == os.path.dirname(tidegate_canary.__file__)
