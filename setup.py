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

compile_args = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type"]
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
    "encode": ["csrc/tg_scan_utf8.c"],
    "rdkafka": ["csrc/tg_rdkafka.c"],
}

extensions = [
    Extension(
        f"tidegate.core.{Path(source).stem}",
        [source, *C_SOURCES.get(Path(source).stem, [])],
        include_dirs=["csrc"],
        depends=sorted(glob("csrc/*.h") + glob("src/tidegate/core/*.pxd")),
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for source in sorted(glob("src/tidegate/core/*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "binding": True,
            "embedsignature": False,
            "boundscheck": DEBUG or bool(SANITIZE),
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "legacy_implicit_noexcept": False,
        },
    )
)
