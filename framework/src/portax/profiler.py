"""What ran when: traces that Perfetto and Chrome open, and the memory that arrays hold.

A trace is a list of spans of time: functions traced, programs written and compiled, operations and programs run, and
what the program annotates itself. While one is taken, each run is waited for, so that its span is its own.
"""

from __future__ import annotations

import datetime
import functools
import gc
import gzip
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ContextDecorator, contextmanager
from pathlib import Path
from typing import Any

from portax import monitoring
from portax.core.config import config
from portax.errors import ArgumentError
from portax.runtime.array import ConcreteArray

__all__ = [
    "StepTraceAnnotation",
    "TraceAnnotation",
    "annotate_function",
    "device_memory_profile",
    "save_device_memory_profile",
    "start_trace",
    "stop_trace",
    "trace",
]

_lock = threading.Lock()
_running: _Recording | None = None


class _Recording:
    """The spans of one trace."""

    def __init__(self, folder: Path, link: bool, second: bool) -> None:
        self.folder, self.link, self.second = folder, link, second
        self.spans: list[dict[str, Any]] = []
        self.before = config.profiling

    def add(self, event: str, start: float, end: float, **known: Any) -> None:
        """A listener of time spans."""
        name = known.pop("fun_name", "")
        self.spans.append(
            {
                "name": name or event,
                "cat": event.rpartition("/")[2],
                "ph": "X",
                "ts": start * 1e6,
                "dur": (end - start) * 1e6,
                "pid": os.getpid(),
                "tid": threading.get_ident(),
                "args": {k: v if isinstance(v, int | float | str | bool) else repr(v) for k, v in known.items()},
            }
        )


def start_trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: Any = None,
) -> None:
    """Begin to record what runs when.

    Parameters
    ----------
    log_dir : path
        ``stop_trace`` writes into it: ``plugins/profile/TIME/HOST.trace.json.gz``.
    create_perfetto_link : bool
        Say where the trace is and where to open it.
    create_perfetto_trace : bool
        Write it also as ``perfetto_trace.json.gz``; the content is the same.
    profiler_options : optional
        Kept for programs that give it: there is nothing to choose.

    Raises
    ------
    ArgumentError
        A trace is being taken already.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import portax
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     portax.profiler.start_trace(folder)
    ...     x = portax.numpy.ones(4) + 1
    ...     portax.profiler.stop_trace()
    ...     os.listdir(os.path.join(folder, "plugins"))
    ['profile']
    """
    global _running
    del profiler_options
    with _lock:
        if _running is not None:
            raise ArgumentError(
                wrong="start_trace was called while a trace is being taken", fix="Call stop_trace first, or use trace()"
            )
        _running = recording = _Recording(Path(log_dir), create_perfetto_link, create_perfetto_trace)
    monitoring.register_event_time_span_listener(recording.add)
    config.update("profiling", True)


def stop_trace() -> None:
    """End the trace, and write it.

    Raises
    ------
    ArgumentError
        No trace is being taken.

    Examples
    --------
    >>> import tempfile
    >>> import portax
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     portax.profiler.start_trace(folder)
    ...     portax.profiler.stop_trace()
    """
    global _running
    with _lock:
        recording, _running = _running, None
    if recording is None:
        raise ArgumentError(wrong="stop_trace was called, and no trace is being taken", fix="Call start_trace first")
    monitoring.unregister_event_time_span_listener(recording.add)
    config.update("profiling", recording.before)
    moment = datetime.datetime.now().strftime("%Y_%m_%d_%H_%M_%S_%f")
    folder = recording.folder / "plugins" / "profile" / moment
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"displayTimeUnit": "ms", "traceEvents": recording.spans}).encode()
    written = [folder / f"{socket.gethostname()}.trace.json.gz"]
    if recording.second:
        written.append(folder / "perfetto_trace.json.gz")
    for file in written:
        _write(file, gzip.compress(text))
    if recording.link:
        print(f"Open https://ui.perfetto.dev and give it {written[-1]}")


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    handle, unfinished = tempfile.mkstemp(dir=file.parent)
    with open(handle, "wb") as out:
        out.write(data)
    os.replace(unfinished, file)


@contextmanager
def trace(
    log_dir: str | os.PathLike[str],
    create_perfetto_link: bool = False,
    create_perfetto_trace: bool = False,
    profiler_options: Any = None,
) -> Generator[None]:
    """A context that takes a trace of what runs inside it, and writes it at the end.

    Examples
    --------
    >>> import tempfile, pathlib, portax, portax.numpy as pnp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with portax.profiler.trace(folder):
    ...         _ = portax.jit(pnp.sin)(1.0)
    ...     [file.suffixes[-2:] for file in pathlib.Path(folder).rglob("*.gz")]
    [['.json', '.gz']]
    """
    start_trace(log_dir, create_perfetto_link, create_perfetto_trace, profiler_options)
    try:
        yield
    finally:
        stop_trace()


class TraceAnnotation(ContextDecorator):
    """A named part of the program, shown as a span in the trace.

    Parameters
    ----------
    name : str
    **kwargs
        What else is known of it.

    Examples
    --------
    >>> import portax
    >>> with portax.profiler.TraceAnnotation("load the batch", size=32):
    ...     batch = list(range(32))
    """

    event = "/portax/annotation"

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name, self.known = name, kwargs
        self._began: list[float] = []

    @staticmethod
    def is_enabled() -> bool:
        """Whether a trace is being taken."""
        return _running is not None

    def set_metadata(self, **kwargs: Any) -> None:
        """Add to what is known of the part."""
        self.known.update(kwargs)

    def __enter__(self) -> TraceAnnotation:
        self._began.append(time.time())
        return self

    def __exit__(self, *exc: object) -> None:
        began = self._began.pop()
        if _running is not None:
            monitoring.record_event_time_span(self.event, began, time.time(), fun_name=self.name, **self.known)


class StepTraceAnnotation(TraceAnnotation):
    """A step of training, numbered by ``step_num``.

    Examples
    --------
    >>> import portax
    >>> with portax.profiler.StepTraceAnnotation("train", step_num=3):
    ...     pass
    """

    event = "/portax/step"


def annotate_function(func: Callable[..., Any], name: str | None = None, **decorator_kwargs: Any) -> Callable[..., Any]:
    """``func``, each call of which is a span in the trace.

    Examples
    --------
    >>> import portax
    >>> portax.profiler.annotate_function(len)([1, 2])
    2
    """
    known = name or getattr(func, "__qualname__", repr(func))

    @functools.wraps(func)
    def annotated(*args: Any, **kwargs: Any) -> Any:
        with TraceAnnotation(known, **decorator_kwargs):
            return func(*args, **kwargs)

    return annotated


def device_memory_profile(backend: str | None = None) -> bytes:
    """The arrays that are alive, by device, shape and dtype, as gzipped JSON; of a divided one the part on each device.

    Parameters
    ----------
    backend : str, optional
        Of this one only.

    Examples
    --------
    >>> import gzip
    >>> import json
    >>> import portax
    >>> x = portax.numpy.ones(4)
    >>> isinstance(json.loads(gzip.decompress(portax.profiler.device_memory_profile())), dict)
    True
    """
    held: dict[tuple[str, str], list[int]] = {}
    for x in gc.get_objects():
        if type(x) is not ConcreteArray:
            continue
        part = x.aval.update(shape=x.sharding.shard_shape(x.shape))
        for device in x.devices():
            if backend is None or device.platform == backend:
                entry = held.setdefault((repr(device), str(part)), [0, 0])
                entry[0] += 1
                entry[1] += part.size * part.dtype.itemsize
    rows = [{"device": d, "array": a, "count": n, "bytes": b} for (d, a), (n, b) in sorted(held.items())]
    return gzip.compress(json.dumps({"arrays": rows}).encode())


def save_device_memory_profile(filename: str | os.PathLike[str], backend: str | None = None) -> None:
    """Write ``device_memory_profile`` to a file.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import portax
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "memory.json.gz")
    ...     portax.profiler.save_device_memory_profile(file)
    ...     os.path.getsize(file) > 0
    True
    """
    _write(Path(filename), device_memory_profile(backend))
