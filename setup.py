"""Builds the native core. Metadata lives in pyproject.toml; here are only the extensions.

TIDEGATE_DEBUG=1                       -O1, assertions, Cython bounds checks
TIDEGATE_SANITIZE=address,undefined    instrumented objects (see `make asan`)
TIDEGATE_WERROR=1                      warnings are errors (CI)
"""

import os
import sys
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("TIDEGATE_DEBUG", "") not in ("", "0")
SANITIZE = os.environ.get("TIDEGATE_SANITIZE", "")
CHECKED = DEBUG or bool(SANITIZE)

compile_args = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type", "-Wno-sign-compare"]
link_args: list[str] = []
if SANITIZE:
    # Python's own flags carry -fwrapv, which would hide signed overflow from UBSan.
    compile_args += ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}", "-fno-wrapv"]
    compile_args += ["-fno-sanitize-recover=all"]
    link_args += [f"-fsanitize={SANITIZE}"]
elif DEBUG:
    compile_args += ["-O1", "-g"]
else:
    compile_args += ["-O3", "-g1", "-DNDEBUG"]
if os.environ.get("TIDEGATE_WERROR", "") not in ("", "0"):
    compile_args += ["-Werror"]
if sys.platform.startswith("linux"):
    link_args += ["-ldl"]

# C sources beside the Cython module that owns them; everything else reaches them through its .pxd.
C_SOURCES = {
    "scan": sorted(glob("csrc/tg_scan*.c")),
    "rules": sorted(glob("csrc/tg_scan*.c")),
    "rule_fill": ["csrc/tg_scan_plan.c", "csrc/tg_scan_escape.c"],
    "sample_key": ["csrc/tg_scan_plan.c", "csrc/tg_scan_escape.c"],
    "gate": ["csrc/tg_scan_escape.c"],
    "admission": ["csrc/tg_parked.c"],
    "encode": ["csrc/tg_scan_utf8.c"],
    "parked": ["csrc/tg_parked.c"],
    "producer": ["csrc/tg_parked.c"],
    "eviction": ["csrc/tg_parked.c"],
    "rdkafka": ["csrc/tg_rdkafka.c"],
}


def extension(name: str, source: str, *more: str) -> Extension:
    return Extension(
        name,
        [source, *more],
        include_dirs=["csrc"],
        depends=sorted(glob("csrc/*.h") + glob("src/tidegate/core/*.pxd")),
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


extensions = [
    extension(f"tidegate.core.{Path(source).stem}", source, *C_SOURCES.get(Path(source).stem, []))
    for source in sorted(glob("src/tidegate/core/*.pyx"))
]
if SANITIZE:  # errs on purpose: `make asan` shows with it that the sanitizers bite
    extensions.append(extension("tidegate_canary", "csrc/tests/canary.pyx"))

# Neither a source distribution nor metadata needs a line of C.
UNBUILT = bool({"sdist", "egg_info", "dist_info"} & set(sys.argv[1:]))

setup(
    ext_modules=extensions
    if UNBUILT
    else cythonize(
        extensions,
        include_path=["src"],
        # Cython looks at dates only: C code with and without bounds checks must not share a place.
        build_dir="build/cython-checked" if CHECKED else "build/cython",
        compiler_directives={
            "language_level": 3,
            "binding": True,
            "embedsignature": False,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "legacy_implicit_noexcept": False,
        },
    )
)
