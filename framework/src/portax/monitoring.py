"""Telling listeners what happens: how long tracing and compiling took, what the compile cache did.

A program registers listeners and is called with each event: a name, and what is known of it as keywords. portax records
events under the names that JAX gives them. Without a listener an event costs one look at an empty list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "clear_event_listeners",
    "record_event",
    "record_event_duration_secs",
    "record_event_time_span",
    "record_scalar",
    "register_event_duration_secs_listener",
    "register_event_listener",
    "register_event_time_span_listener",
    "register_scalar_listener",
    "unregister_event_duration_listener",
    "unregister_event_listener",
    "unregister_event_time_span_listener",
    "unregister_scalar_listener",
]

#: Recorded by portax.
TRACE = "/jax/core/compile/jaxpr_trace_duration"
LOWER = "/jax/core/compile/jaxpr_to_mlir_module_duration"
COMPILE = "/jax/core/compile/backend_compile_duration"
CACHE_HIT = "/jax/compilation_cache/cache_hits"
CACHE_MISS = "/jax/compilation_cache/cache_misses"

_events: list[Callable[..., None]] = []
_durations: list[Callable[..., None]] = []
_spans: list[Callable[..., None]] = []
_scalars: list[Callable[..., None]] = []


def record_event(event: str, **kwargs: Any) -> None:
    """Something happened.

    Examples
    --------
    >>> seen = []
    >>> register_event_listener(lambda event, **known: seen.append((event, known)))
    >>> record_event("/my/program/restart", attempt=2)
    >>> clear_event_listeners()
    >>> seen
    [('/my/program/restart', {'attempt': 2})]
    """
    for listener in tuple(_events):
        listener(event, **kwargs)


def record_event_duration_secs(event: str, duration: float, **kwargs: Any) -> None:
    """Something took ``duration`` seconds.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_duration_secs_listener(listener)
    >>> portax.monitoring.record_event_duration_secs("/app/step", 0.5)
    >>> seen
    [('/app/step', 0.5)]
    >>> portax.monitoring.unregister_event_duration_listener(listener)
    """
    for listener in tuple(_durations):
        listener(event, duration, **kwargs)


def record_event_time_span(event: str, start_time: float, end_time: float, **kwargs: Any) -> None:
    """Something began and ended, at times in seconds as ``time.time`` gives them.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_time_span_listener(listener)
    >>> portax.monitoring.record_event_time_span("/app/step", 1.0, 1.5)
    >>> seen
    [('/app/step', 1.0, 1.5)]
    >>> portax.monitoring.unregister_event_time_span_listener(listener)
    """
    for listener in tuple(_spans):
        listener(event, start_time, end_time, **kwargs)


def record_scalar(event: str, value: float, **kwargs: Any) -> None:
    """Something was measured.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_scalar_listener(listener)
    >>> portax.monitoring.record_scalar("/app/loss", 0.5)
    >>> seen
    [('/app/loss', 0.5)]
    >>> portax.monitoring.unregister_scalar_listener(listener)
    """
    for listener in tuple(_scalars):
        listener(event, value, **kwargs)


def register_event_listener(callback: Callable[..., None]) -> None:
    """Call ``callback(event, **known)`` with each event.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda event, **keywords: seen.append(event)
    >>> portax.monitoring.register_event_listener(listener)
    >>> portax.monitoring.record_event("/app/started")
    >>> seen
    ['/app/started']
    >>> portax.monitoring.unregister_event_listener(listener)
    """
    _events.append(callback)


def register_event_duration_secs_listener(callback: Callable[..., None]) -> None:
    """Call ``callback(event, seconds, **known)`` with each duration.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_duration_secs_listener(listener)
    >>> portax.monitoring.record_event_duration_secs("/app/step", 0.5)
    >>> seen
    [('/app/step', 0.5)]
    >>> portax.monitoring.unregister_event_duration_listener(listener)
    """
    _durations.append(callback)


def register_event_time_span_listener(callback: Callable[..., None]) -> None:
    """Call ``callback(event, start, end, **known)`` with each span of time.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_time_span_listener(listener)
    >>> portax.monitoring.record_event_time_span("/app/step", 1.0, 1.5)
    >>> seen
    [('/app/step', 1.0, 1.5)]
    >>> portax.monitoring.unregister_event_time_span_listener(listener)
    """
    _spans.append(callback)


def register_scalar_listener(callback: Callable[..., None]) -> None:
    """Call ``callback(event, value, **known)`` with each scalar.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_scalar_listener(listener)
    >>> portax.monitoring.record_scalar("/app/loss", 0.5)
    >>> seen
    [('/app/loss', 0.5)]
    >>> portax.monitoring.unregister_scalar_listener(listener)
    """
    _scalars.append(callback)


def unregister_event_listener(callback: Callable[..., None]) -> None:
    """Call it no more. Does nothing if it was not registered.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda event, **keywords: seen.append(event)
    >>> portax.monitoring.register_event_listener(listener)
    >>> portax.monitoring.unregister_event_listener(listener)
    >>> portax.monitoring.record_event("/app/started")
    >>> seen
    []
    """
    _forget(_events, callback)


def unregister_event_duration_listener(callback: Callable[..., None]) -> None:
    """Call it no more. Does nothing if it was not registered.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_duration_secs_listener(listener)
    >>> portax.monitoring.unregister_event_duration_listener(listener)
    >>> portax.monitoring.record_event_duration_secs("/app/step", 0.5)
    >>> seen
    []
    """
    _forget(_durations, callback)


def unregister_event_time_span_listener(callback: Callable[..., None]) -> None:
    """Call it no more. Does nothing if it was not registered.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_event_time_span_listener(listener)
    >>> portax.monitoring.unregister_event_time_span_listener(listener)
    >>> portax.monitoring.record_event_time_span("/app/step", 1.0, 1.5)
    >>> seen
    []
    """
    _forget(_spans, callback)


def unregister_scalar_listener(callback: Callable[..., None]) -> None:
    """Call it no more. Does nothing if it was not registered.

    Examples
    --------
    >>> seen = []
    >>> listener = lambda *given, **keywords: seen.append(given)
    >>> portax.monitoring.register_scalar_listener(listener)
    >>> portax.monitoring.unregister_scalar_listener(listener)
    >>> portax.monitoring.record_scalar("/app/loss", 0.5)
    >>> seen
    []
    """
    _forget(_scalars, callback)


def clear_event_listeners() -> None:
    """Forget all listeners, of every kind.

    Examples
    --------
    >>> portax.monitoring.clear_event_listeners()
    """
    for listeners in (_events, _durations, _spans, _scalars):
        listeners.clear()


def _forget(listeners: list[Callable[..., None]], callback: Callable[..., None]) -> None:
    if callback in listeners:
        listeners.remove(callback)


def elapsed(event: str, start_time: float, end_time: float, **kwargs: Any) -> None:
    """A step of portax's own ended: its span and its duration are recorded."""
    if _durations or _spans:
        record_event_time_span(event, start_time, end_time, **kwargs)
        record_event_duration_secs(event, end_time - start_time, **kwargs)
