"""A stand-in for the parts of ``jax._src`` that plugins published for JAX import to register themselves.

It stands in ``sys.modules`` only while such a plugin's code runs, and afterwards ``sys.modules`` is as before: what the
plugin imported of its own is forgotten too, so that a real ``jax`` which comes later finds the plugin as it would have
without portax. Where the real ``jax`` is there already, only its ``register_plugin`` is exchanged for as long.

What a plugin asks for and the stand-in does not have is remembered, so that its refusal can name it.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import shutil
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from portax_pjrt.jaxlib import versions

BRIDGE = "jax._src.xla_bridge"
Register = Callable[..., Any]
_lock = threading.RLock()


class StandIn(types.ModuleType):
    """A module with these contents, which remembers what else it was asked for."""

    def __init__(self, name: str, missing: list[str], contents: Mapping[str, Any]) -> None:
        super().__init__(name)
        self._missing = missing
        self.__path__: list[str] = []  # a package in which the import system finds nothing
        self.__dict__.update(contents)

    def __getattr__(self, name: str) -> Any:
        whole = f"{self.__name__}.{name}"
        if not name.startswith("__"):
            self._missing.append(whole)
        raise AttributeError(f"portax's stand-in for jax has no {whole}", name=whole, obj=self)


class Setting:
    """A setting of JAX's: plugins read its ``value``."""

    def __init__(self, value: Any) -> None:
        self.value = value


def amd_gpus(stop_at: int | None = None) -> int:
    """How many of AMD's GPUs the system's driver shows."""
    found = 0
    for file in Path("/sys/class/kfd/kfd/topology/nodes").glob("*/gpu_id"):
        try:
            found += file.read_text().strip() not in ("", "0")  # 0 is a node of processors
        except OSError:
            continue
        if stop_at is not None and found >= stop_at:
            break
    return found


def shared_memory() -> float:
    """Size of ``/dev/shm`` in MiB."""
    try:
        return shutil.disk_usage("/dev/shm").total / 2**20
    except OSError:
        return 0.0


def _aliases(platform: str) -> list[str]:
    return {"gpu": ["cuda", "rocm", "oneapi"]}.get(platform, [platform])


def _contents(register: Register) -> dict[str, dict[str, Any]]:
    """What the stand-in has, by module."""
    return {
        "jax": {},
        "jax._src": {},
        BRIDGE: {
            "register_plugin": register,
            "expand_platform_alias": _aliases,
            "CUDA_VISIBLE_DEVICES": Setting("all"),
            "_ROCM_VISIBLE_DEVICES": Setting("all"),
            "_ONEAPI_VISIBLE_DEVICES": Setting("all"),
        },
        "jax._src.lib": {"xla_client": versions.xc, "_jax": versions.bindings},
        "jax._src.config": {"jax_platforms": Setting(os.environ.get("PORTAX_PLATFORMS") or None)},
        "jax._src.hardware_utils": {"num_available_amd_gpus": amd_gpus, "get_shm_size_in_mb": shared_memory},
        "jax._src.interpreters": {},
        # Some append their platform here. Whether arguments are donated is asked of the device itself.
        "jax._src.interpreters.mlir": {"_platforms_with_donation": ["cpu", "cuda", "rocm", "tpu"]},
    }


def _modules(contents: Mapping[str, Mapping[str, Any]], missing: list[str]) -> dict[str, types.ModuleType]:
    """The stand-in modules by name, each an attribute of the one above."""
    modules: dict[str, types.ModuleType] = {n: StandIn(n, missing, inside) for n, inside in contents.items()}
    for name in contents:
        above, _, last = name.rpartition(".")
        if above:
            setattr(modules[above], last, modules[name])
    # For `import jax._src.lib.xla_client as xla_client`.
    return modules | {"jax._src.lib.xla_client": versions.xc}


@contextlib.contextmanager
def standing_in(source: str, register: Register) -> Iterator[list[str]]:
    """A context in which a plugin for JAX registers itself by ``register``.

    Parameters
    ----------
    source : str
        Name of the plugin's module.
    register : callable
        Stands for ``register_plugin``.

    Yields
    ------
    list of str
        Names that were asked for in vain, as the plugin's code runs.
    """
    missing: list[str] = []
    with _lock:
        real = sys.modules.get(BRIDGE)
        if real is not None:
            with _exchanged(real, sys.modules.get(source), register):
                yield missing
            return
        contents, before_names = _contents(register), set(sys.modules)
        hidden = {name: sys.modules.pop(name) for name in before_names if _is_jax(name)}
        sys.modules.update(_modules(contents, missing))
        try:
            yield missing
        finally:
            for name in [name for name in sys.modules if _is_jax(name)]:
                del sys.modules[name]
            sys.modules.update(hidden)
            theirs = (versions.xc, versions.bindings)
            ours = [v for inside in contents.values() for v in inside.values() if not any(v is t for t in theirs)]
            _forget(set(sys.modules) - before_names, source, ours)


@contextlib.contextmanager
def _exchanged(real: Any, plugin: Any, register: Register) -> Iterator[None]:
    """The real ``jax``, and the plugin where it holds the function itself, with another ``register_plugin``."""
    before = real.register_plugin
    holders = [real, *([plugin] if getattr(plugin, "register_plugin", None) is before else [])]
    for holder in holders:
        holder.register_plugin = register
    try:
        yield
    finally:
        for holder in holders:
            holder.register_plugin = before


def _is_jax(name: str) -> bool:
    return name == "jax" or name.startswith("jax.")


def _forget(new: set[str], source: str, ours: list[Any]) -> None:
    """Drop the plugin, what of the newly imported holds on to the stand-in, and all else of the families of both.

    What jaxlib or other libraries brought stays, and so do compiled modules, which do not survive a second import.
    """
    families = {_family(source)} | {_family(name) for name in new if _holds(sys.modules[name], ours)}
    spaces = {f.partition(".")[0] for f in families if "." in f}
    going = [n for n in new if (_family(n) in families or n in spaces) and not _compiled(sys.modules[n])]
    for name in going:
        above, _, last = name.rpartition(".")
        if last in vars(sys.modules.get(above, object)):
            delattr(sys.modules[above], last)
        del sys.modules[name]


def _holds(module: Any, ours: list[Any]) -> bool:
    inside = vars(module).values() if isinstance(module, types.ModuleType) else ()
    return any(isinstance(value, StandIn) or any(value is one for one in ours) for value in inside)


def _family(name: str) -> str:
    """The distribution's part of a name: its top, and in a namespace that distributions share, one more."""
    top, _, rest = name.partition(".")
    return f"{top}.{rest.partition('.')[0]}" if rest and _is_namespace(top) else top


def _is_namespace(top: str) -> bool:
    module = sys.modules.get(top)
    return module is not None and getattr(module, "__file__", None) is None and hasattr(module, "__path__")


def _compiled(module: Any) -> bool:
    return isinstance(getattr(module, "__loader__", None), importlib.machinery.ExtensionFileLoader)
