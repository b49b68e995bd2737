"""Builds the native core. Metadata lives in pyproject.toml; here are only the extensions.

TIDEGATE_DEBUG=1                       -O1, assertions, Cython bounds checks
TIDEGATE_SANITIZE=address,undefined    instrumented objects (see `make asan`)
TIDEGATE_WERROR=1                      warnings are errors (CI)
TIDEGATE_NATIVE=0                      no extensions: `make build` compiles them while pip installs
"""

import os
import sys
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group


def is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


SANITIZE = os.environ.get("TIDEGATE_SANITIZE", "")
DEBUG = is_set("TIDEGATE_DEBUG")
CHECKED = DEBUG or bool(SANITIZE)
# Dates are all that is looked at: what was made with other flags must not share a place.
PLACE = "build/sanitized" if SANITIZE else "build/debug" if DEBUG else "build/release"

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
if is_set("TIDEGATE_WERROR"):
    compile_args += ["-Werror"]
if sys.platform.startswith("linux"):
    link_args += ["-ldl"]

# C sources linked into the Cython module that owns them; everything else reaches them through its .pxd.
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
HEADERS = sorted(glob("csrc/*.h"))

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "embedsignature": False,
    "auto_pickle": False,  # a fifth of all generated code otherwise, and nothing here is ever pickled
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "legacy_implicit_noexcept": False,
}


class BuildExt(build_ext):
    """Translates and compiles on all cores, each C source once, and stops at the first that fails."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or min(os.cpu_count() or 1, 8)

    def run(self) -> None:
        from Cython.Build import cythonize  # here and not above: most of what reads this file compiles nothing

        translated = cythonize(
            self.extensions,
            include_path=["src"],
            build_dir=f"{PLACE}/cython",
            nthreads=self.parallel,
            force=self.force or None,
            compiler_directives=DIRECTIVES,
        )
        sources = {extension.name: extension.sources for extension in translated}
        for extension in self.extensions:
            extension.sources = sources[extension.name]
        super().run()

    def build_extensions(self) -> None:
        owned = sorted({source for extension in self.extensions for source in c_sources(extension.name)})
        with ThreadPoolExecutor(self.parallel) as pool:
            finish(pool, [pool.submit(self.build_object, source) for source in owned])
            # The longest begin, so that none of them is what the others have to be waited for at the end.
            self.extensions.sort(key=lambda extension: -Path(extension.sources[0]).stat().st_size)
            for extension in self.extensions:
                extension.extra_objects = [self.object_of(source) for source in c_sources(extension.name)]
            finish(pool, [pool.submit(self.build_extension, extension) for extension in self.extensions])

    def copy_extensions_to_source(self) -> None:
        self.force = True  # or what another mode left there would stay wherever it is newer
        super().copy_extensions_to_source()

    def build_object(self, source: str) -> None:
        if self.force or newer_group([source, *HEADERS, "setup.py"], self.object_of(source)):
            self.compiler.compile(
                [source], output_dir=self.build_temp, include_dirs=["csrc"], extra_postargs=compile_args
            )

    def object_of(self, source: str) -> str:
        return self.compiler.object_filenames([source], output_dir=self.build_temp)[0]


def finish(pool: ThreadPoolExecutor, jobs: "list[Future[None]]") -> None:
    """Waits for all of them; after a failure nothing more begins, so that its words stay the last ones."""
    try:
        wait(jobs, return_when=FIRST_EXCEPTION)
    finally:
        for job in jobs:
            job.cancel()
    wait(jobs)
    for job in jobs:
        if not job.cancelled():
            job.result()


def c_sources(extension: str) -> list[str]:
    return C_SOURCES.get(extension.rpartition(".")[2], [])


def extension(name: str, source: str) -> Extension:
    return Extension(
        name,
        [source],
        include_dirs=["csrc"],
        depends=[*HEADERS, *c_sources(name), "setup.py"],  # a .pxd makes cythonize write the C anew
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


extensions = [
    extension(f"tidegate.core.{Path(source).stem}", source) for source in sorted(glob("src/tidegate/core/*.pyx"))
]
if SANITIZE:  # errs on purpose: `make asan` shows with it that the sanitizers bite
    extensions.append(extension("tidegate_canary", "csrc/tests/canary.pyx"))

if __name__ == "__main__":  # where processes are not forked, those that translate read this file as well
    setup(
        ext_modules=extensions if os.environ.get("TIDEGATE_NATIVE") != "0" else [],
        cmdclass={"build_ext": BuildExt},
        options={"build": {"build_base": PLACE}},
    )
