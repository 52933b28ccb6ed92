"""Programs of a driver's language, kept on disk as its compiler's bytes.

They are entries of the compile cache (``runtime.cache``) as the executables of other drivers are: one folder, one limit
and one switch for both, and a damaged or foreign entry is never used. A driver gives bytes and takes them back
(``Launcher.compile``, ``Launcher.load``) and says on what they depend (``Launcher.cache_key``); the rest is here. The
machine's processor is in every key: a driver forgets it easily, and compilers look at it.

Invariant: what is kept has been loaded from the same bytes by the process that wrote it.
"""

from __future__ import annotations

import functools
import itertools
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

from portax.runtime.cache import DiskCache, disk_cache, entry_key, kept

if TYPE_CHECKING:
    from portax.backend.kernels.device import KernelDevice


class _Built(NamedTuple):
    """A program, and the bytes it was loaded from where there are any."""

    program: Any
    binary: bytes | None


def built(device: KernelDevice, text: str) -> Any:
    """A program that ``device`` can launch: from the cache on disk, or compiled and put there."""
    cache, launcher = disk_cache(), device.launcher
    if cache is None or not device.toolchain:
        return launcher.build(text)
    options = repr(("kernels", processor(), launcher.kind, device.toolchain)).encode()
    key = entry_key(text, options, device.backend.cache_key())
    return kept(
        cache,
        key,
        lambda blob: _Built(launcher.load(blob), None),
        lambda: _compiled(device, text, cache),
        lambda made: made.binary,
    ).program


def _compiled(device: KernelDevice, text: str, cache: DiskCache) -> _Built:
    launcher = device.launcher
    binary = launcher.compile(text)
    if binary is not None:
        try:
            return _Built(launcher.load(binary), binary)
        except Exception as error:  # the program can be had without the cache, and then is
            cache.stats.problem = f"{device} does not load what its compiler made, so it is not kept: {error}"
    return _Built(launcher.build(text), None)


#: Of what Linux tells of a processor, what says which it is and can do; the rest changes by the minute.
_LASTING = frozenset(
    {"vendor_id", "cpu family", "model", "model name", "stepping", "flags", "isa", "uarch", "Features",
     "CPU implementer", "CPU architecture", "CPU variant", "CPU part"}
)  # fmt: skip


@functools.cache
def processor() -> str:
    """This machine's processor and what it can do. A cache may be in a folder that several machines share."""
    told = [platform.machine(), platform.processor()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = itertools.takewhile(str.strip, file)  # the first core, up to an empty line
            told += [line.strip() for line in first if line.partition(":")[0].strip() in _LASTING]
    except OSError:  # no Linux
        pass
    return "\n".join(told)
