"""Compiled programs, kept on disk between processes.

An entry is what a backend's ``Executable.serialize`` gave, or what the compiler of a driver with kernels made of a
program's text (``backend.kernels.binaries``), under a key that covers all it depends on. Loading native code from a
file is trusting that file, and drivers check nothing, so the invariants are:

1. **A damaged entry is never used**: it carries a checksum and its own key, and what does not match is removed.
2. **An entry is whole or absent**: it is written beside its place and renamed into it, so any number of processes
   may read and write at once.
3. **The cache never fails a program**: a folder that cannot be written means compiling again, not an error.
4. No pickle: an entry is a header of fixed layout and the driver's bytes.

The environment: ``PORTAX_CACHE=0`` turns it off, ``PORTAX_CACHE_DIR`` moves it (default: the user's cache folder),
``PORTAX_CACHE_SIZE`` bounds it, in MiB (default 2048). The least recently used go first. A program may do the same with
the settings ``enable_compilation_cache``, ``compilation_cache_dir`` and ``compilation_cache_max_size`` (bytes).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from portax import monitoring
from portax.core.config import config
from portax.errors import BackendError
from portax.runtime.contract import CompileOptions, Device, Executable

Made = TypeVar("Made")

_MAGIC = b"portaxX1"
_HEADER = struct.Struct("<8s32s32sQ")  # magic with the layout's version, key, checksum of the blob, length of the blob
_SUFFIX = ".exe"
_STALE = 3600.0  # seconds after which an unfinished file belongs to no living writer
_DEFAULT_LIMIT = 2048 << 20


def cache_folder() -> Path:
    """The folder for all that portax keeps between processes: ``PORTAX_CACHE_DIR`` or the user's cache folder."""
    if given := os.environ.get("PORTAX_CACHE_DIR"):
        return Path(given)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "portax"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "portax" / "Cache"
    base = Path("~/Library/Caches") if sys.platform == "darwin" else Path("~/.cache")
    try:
        return base.expanduser() / "portax"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"portax-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def entry_key(program: str, options: bytes, backend: bytes) -> bytes:
    """The 32-byte key of an entry.

    portax's own version is left out on purpose: what it changes it changes in the program's text. A change of what
    surrounds the text is a new ``_MAGIC``.

    Parameters
    ----------
    program : str
        The program's text.
    options : bytes
        ``CompileOptions.key()``, and the ids of the devices; for a program of kernels, the launcher's ``cache_key()``.
    backend : bytes
        ``Backend.cache_key()``.
    """
    digest = hashlib.sha256(_MAGIC)
    for part in (program.encode(), options, backend):
        digest.update(struct.pack("<Q", len(part)))  # so that no two lists of parts run together alike
        digest.update(part)
    return digest.digest()


@dataclasses.dataclass
class CacheStats:
    """What the cache did in this process."""

    hits: int = 0
    misses: int = 0
    written: int = 0
    damaged: int = 0
    problem: str = ""


class DiskCache:
    """A folder of compiled programs.

    Parameters
    ----------
    folder : Path
        Made when the first entry is written.
    limit : int
        Bytes that all entries together may have.
    """

    def __init__(self, folder: Path, limit: int = _DEFAULT_LIMIT) -> None:
        self.folder, self.limit, self.stats = folder, limit, CacheStats()
        self._lock = threading.Lock()
        self._known_size: int | None = None
        self._puts_since_scan = 0

    def get(self, key: bytes) -> bytes | None:
        """The blob kept under ``key``, or None. A damaged entry is removed."""
        file = self._file(key)
        try:
            data = file.read_bytes()
        except OSError:
            self.stats.misses += 1
            return None
        blob = _unpacked(data, key)
        if blob is None:
            self.remove(key)
            self.stats.damaged += 1
            self.stats.misses += 1
            return None
        try:
            os.utime(file)  # the time of use, by which old entries are chosen
        except OSError:
            pass
        self.stats.hits += 1
        return blob

    def put(self, key: bytes, blob: bytes) -> None:
        """Keep ``blob`` under ``key``. Does nothing when it cannot."""
        size = _HEADER.size + len(blob)
        if size > self.limit:
            return
        header = _HEADER.pack(_MAGIC, key, hashlib.sha256(blob).digest(), len(blob))
        unfinished = None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
            with open(handle, "wb") as out:
                out.write(header)
                out.write(blob)
            os.replace(unfinished, self._file(key))
        except OSError as error:
            self.stats.problem = f"{self.folder} cannot be written: {error}"
            if unfinished is not None:
                _unlink(Path(unfinished))
            if config.raise_persistent_cache_errors:
                raise BackendError(
                    wrong=f"the compile cache failed: {self.stats.problem}",
                    fix="Set compilation_cache_dir to a folder of yours, or raise_persistent_cache_errors to False",
                ) from error
            return
        self.stats.written += 1
        self._grown(size)

    def remove(self, key: bytes) -> None:
        """Forget ``key``."""
        _unlink(self._file(key))

    def clear(self) -> None:
        """Remove every entry."""
        for file, _, _ in self._entries():
            _unlink(file)
        self._known_size = None

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, size, _ in self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def _file(self, key: bytes) -> Path:
        return self.folder / (key.hex() + _SUFFIX)

    def _entries(self) -> list[tuple[Path, int, float]]:
        found = []
        try:
            with os.scandir(self.folder) as listing:
                for item in listing:
                    try:
                        info = item.stat()
                    except OSError:  # another process removed it
                        continue
                    if item.name.endswith(_SUFFIX):
                        found.append((Path(item.path), info.st_size, info.st_mtime))
                    elif item.name.endswith(".tmp") and time.time() - info.st_mtime > _STALE:
                        _unlink(Path(item.path))
        except OSError:
            pass
        return found

    def _grown(self, size: int) -> None:
        # Listing the folder costs more than writing an entry, so the sum is carried along, and taken anew now and then
        # because other processes write too.
        with self._lock:
            self._puts_since_scan += 1
            if self._known_size is None or self._puts_since_scan > 64:
                self._known_size, self._puts_since_scan = self.size(), 0
            else:
                self._known_size += size
            if self._known_size > self.limit:
                self._known_size = self._evict()

    def _evict(self) -> int:
        """Remove the least recently used entries until a tenth of the limit is free. Returns the bytes left."""
        entries = sorted(self._entries(), key=lambda entry: entry[2])
        total = sum(size for _, size, _ in entries)
        for file, size, _ in entries:
            if total <= self.limit - self.limit // 10:
                break
            _unlink(file)
            total -= size
        return total


def _unpacked(data: bytes, key: bytes) -> bytes | None:
    if len(data) < _HEADER.size:
        return None
    magic, its_key, checksum, length = _HEADER.unpack_from(data)
    blob = data[_HEADER.size :]
    if magic != _MAGIC or its_key != key or length != len(blob) or hashlib.sha256(blob).digest() != checksum:
        return None
    return blob


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        pass


def disk_cache() -> DiskCache | None:
    """The cache as the settings and the environment have it now. None: it is turned off."""
    if not config.enable_compilation_cache:
        return None
    return opened(config.compilation_cache_dir, config.compilation_cache_max_size)


@functools.cache
def opened(chosen: str | None, limit: int) -> DiskCache | None:
    """The cache in a folder (None: as the environment says) with a limit in bytes (negative: likewise)."""
    if os.environ.get("PORTAX_CACHE", "1").lower() in ("0", "off", "false", "no"):
        return None
    folder = Path(chosen) if chosen else cache_folder() / "compiled"
    if not chosen and "PORTAX_CACHE_DIR" not in os.environ and not _ours(folder):
        return None
    given = os.environ.get("PORTAX_CACHE_SIZE", "")
    if limit < 0:
        limit = int(given) << 20 if given.isdecimal() else _DEFAULT_LIMIT
    return DiskCache(folder, limit)


def _ours(folder: Path) -> bool:
    """Whether nobody else could have put native code there: the folder is new, or the user's own."""
    try:
        return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    except OSError:
        return True


def compile_cached(
    program: str, options: CompileOptions, devices: Sequence[Device], cache: DiskCache | None
) -> Executable:
    """The executable of ``program`` on ``devices`` of one backend, from ``cache`` where it is there."""
    backend = devices[0].backend
    if cache is None or not backend.capabilities.serialization or options.callbacks:
        return backend.compile(program, options, devices)
    placed = options.key() + repr([device.id for device in devices]).encode()
    key = entry_key(program, placed, backend.cache_key())
    return kept(
        cache,
        key,
        lambda blob: backend.deserialize(blob, options, devices),
        lambda: backend.compile(program, options, devices),
        lambda executable: executable.serialize(),
    )


def kept(
    cache: DiskCache,
    key: bytes,
    load: Callable[[bytes], Made],
    make: Callable[[], Made],
    save: Callable[[Made], bytes | None],
) -> Made:
    """What was kept under ``key``, as ``load`` has it; else what ``make`` gives, of which ``save``'s bytes are kept.

    Where ``load`` raises, what was kept is as good as damaged: the entry is removed and made again.
    """
    blob = cache.get(key)
    monitoring.record_event(monitoring.CACHE_MISS if blob is None else monitoring.CACHE_HIT)
    if blob is not None:
        try:
            return load(blob)
        except Exception:  # the driver's own format changed under an equal key
            cache.remove(key)
            cache.stats.damaged += 1
    started = time.perf_counter()
    made = make()
    if time.perf_counter() - started < config.persistent_cache_min_compile_time_secs:
        return made
    blob = save(made)
    if blob is not None and len(blob) >= config.persistent_cache_min_entry_size_bytes:
        cache.put(key, blob)
    return made
