"""Leaf: what an ImportError says of the installation. Imported only where one ends the process."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

from tidegate.errors import NativeLibraryError

_CORE = "tidegate.core."
_HERE = Path(__file__).parent
_OLD_LIBRARY = "tidegate needs librdkafka"  # what core/rdkafka.pyx begins with


def explain(error: ImportError) -> NativeLibraryError | None:
    """The error for one screen; None: it is a bug, and its traceback is what helps."""
    if str(error).startswith(_OLD_LIBRARY):
        words, _, _ = str(error).partition(" Install ")
        return NativeLibraryError(
            words.rstrip("."), code="librdkafka-version", hint=_install("-U 'confluent-kafka>=2.15'")
        )
    name = error.name or ""
    if error.path is not None and Path(error.path).parent == _HERE / "core":  # the loader names it without its package
        name = _CORE + Path(error.path).name.partition(".")[0]
    if name == "tidegate.core" or name.startswith(_CORE):
        return _core(name, error)
    package = name.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package and package not in ("tidegate", *sys.stdlib_module_names):
        what = f"the package that has the module {name} is not installed for {_python()}"
        return NativeLibraryError(what, code="dependency-missing", hint=_install("tidegate"))
    return None


def _core(name: str, error: ImportError) -> NativeLibraryError | None:
    module = name.removeprefix(_CORE)
    core = _HERE / "core"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = sorted(path.name.partition(".")[2] for path in core.glob("*.so"))
    hint = "In a clone: make build. " + _install("--force-reinstall tidegate", "Elsewhere")
    if (core / f"{module}{suffix}").exists():
        return NativeLibraryError(f"the native core cannot be loaded: {error}", code="native-core", hint=hint)
    if not (core / f"{module}.pyx").exists() and not built:
        return None  # no part of the core has this name
    if built:
        others = ", ".join(sorted({other.removesuffix(".so") for other in built}))
        what = f"the native core was built for another Python ({others}), and this is {_python()}"
    else:
        what = f"the native core is not built: {core} has no {module}{suffix}"
    return NativeLibraryError(what, code="native-core", hint=hint)


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"


def _install(what: str, where: str = "Run") -> str:
    return f"{where}: {sys.executable} -m pip install {what}"
