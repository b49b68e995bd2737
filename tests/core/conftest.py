"""How long Hypothesis looks: a little each time, longer by HYPOTHESIS_PROFILE=large, least under a sanitizer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent)]  # what the tests of this directory share, and the harness

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("moderate", deadline=None, max_examples=60, suppress_health_check=_SLOW)
settings.register_profile("large", deadline=None, max_examples=3_000, stateful_step_count=100, print_blob=True)
settings.register_profile("sanitized", deadline=None, max_examples=25, suppress_health_check=_SLOW)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("sanitized" if "TIDEGATE_TEST_SANITIZED" in os.environ else "moderate")
)
