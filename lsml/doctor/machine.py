"""Checks of this machine: Python, the libraries of the recipe's adapters, the device of models, memory."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lsml.adapters import get_adapter, install_hint, is_installed
from lsml.doctor.findings import Finding, failed, passed, warned
from lsml.recipe import Recipe

_LEAST_MEMORY = 500e6  # free bytes; with less, a model library may not load


def examine_machine(recipe: Recipe) -> Iterator[Finding]:
    """Check Python, each adapter's library, torch and its devices, and memory."""
    yield passed("python", f"{platform.python_version()} at {sys.executable}")
    adapters = [get_adapter(name) for name in recipe.adapters]
    for adapter in adapters:
        if is_installed(adapter):
            needs = f", with {', '.join(map(_versioned, adapter.requires))}" if adapter.requires else ""
            yield passed(f"adapter {adapter.name}", f"installed{needs}")
        else:
            yield failed(f"adapter {adapter.name}", "its library is not installed", f"{install_hint(adapter)}")
    if any(is_installed(adapter) and _uses_torch(adapter.requires) for adapter in adapters):
        yield _torch()
    yield _memory()


def _versioned(module: str) -> str:
    try:
        return f"{module} {version(module)}"
    except PackageNotFoundError:
        return module


def _uses_torch(modules: tuple[str, ...]) -> bool:
    return any(module in ("torch", "ultralytics", "transformers") for module in modules)


def _torch() -> Finding:
    try:
        torch = import_module("torch")
    except ImportError as error:
        return failed("torch", f"cannot be imported: {error}", "reinstall it: pip install --force-reinstall torch")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
        return passed("torch", f"{torch.__version__}, on {names}")
    if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
        return passed("torch", f"{torch.__version__}, on the GPU of this Mac")
    if torch.version.cuda is not None:
        return warned(
            "torch", f"{torch.__version__} was built for CUDA {torch.version.cuda} and finds no device, so models "
                     "use the CPU", "on a machine with a GPU, check `nvidia-smi`; start a container with --gpus all",
        )  # fmt: skip
    return passed("torch", f"{torch.__version__}, on the CPU")


def _memory() -> Finding:
    free = free_memory()
    if free is None:
        return passed("memory", "this system does not report the free memory")
    if free < _LEAST_MEMORY:
        return warned(
            "memory", f"{free / 1e6:,.0f} MB are free", "close other programs, or give the container more; loading a "
                                                        "model library may exhaust the memory"
        )  # fmt: skip
    return passed("memory", f"{free / 1e9:.1f} GB are free")


def free_memory() -> float | None:
    """Return the bytes of free memory, within a container's limit; None where the system does not tell."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
        free = 1024.0 * int(told.partition("MemAvailable:")[2].split()[0])
    except (OSError, ValueError, IndexError):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii").strip()
        free = min(free, float(int(limit) - int(used)))
    except (OSError, ValueError):
        pass
    return free
