"""What a user forbids while programs run: numbers that are not finite, transfers, running at all.

All of it is off in most programs, so none of it may cost them anything. ``config.guarded`` is one derived setting that
is False where every guard is off; the hot paths come here only where it is True. Guards are part of the settings'
epoch, so a call that was prepared under none of them is not taken for one that is guarded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from portax import monitoring
from portax.core import dtypes
from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr, Literal
from portax.core.trace import state
from portax.errors import DisallowedError, NonFiniteError, TransferError
from portax.runtime import logs
from portax.runtime.array import ConcreteArray


def before_running(name: str) -> None:
    """Raise where nothing may run."""
    if config.no_execution:
        raise DisallowedError(
            wrong=f"{name} was to run, and the setting no_execution forbids it",
            fix="Leave the block with no_execution(True), or only trace and compile there",
        )


# When things run.

RUN = "/portax/run"


@contextmanager
def noted(name: str) -> Generator[Callable[[Iterable[Any]], None]]:
    """While profiling, record the time the block takes: it is given the results, which are waited for."""
    began = time.time()

    def done(outs: Iterable[Any]) -> None:
        if config.profiling:
            for x in outs:
                if isinstance(x, ConcreteArray):
                    x.block_until_ready()
            monitoring.record_event_time_span(RUN, began, time.time(), fun_name=name)

    yield done


# Transfers.


class _Asked(threading.local):
    explicit = False


_asked = _Asked()


@contextmanager
def explicitly() -> Generator[None, None, None]:
    """Transfers inside the block are what the program asked for, with device_put or device_get."""
    before, _asked.explicit = _asked.explicit, True
    try:
        yield
    finally:
        _asked.explicit = before


def transfer(direction: str, what: Any) -> None:
    """Log a transfer or raise, as the guard of its direction says.

    Parameters
    ----------
    direction : "host_to_device", "device_to_host" or "device_to_device"
    what : Aval, or anything that shows which array is meant
    """
    explicit = _asked.explicit
    rule = getattr(config, f"transfer_guard_{direction}") or config.transfer_guard
    if rule in (None, "allow"):
        return
    word = direction.replace("_", " ")
    if rule == "log_explicit" or (rule == "log" and not explicit):
        logs.transferred(word, what)
    elif rule == "disallow_explicit" or (rule == "disallow" and not explicit):
        raise TransferError(
            wrong=f"{what} would go from {word}, and the transfer guard forbids it",
            fix="Make the transfer outside the guarded block"
            + ("" if explicit else ", or ask for it, with device_put or device_get"),
        )


# Numbers that are not finite.


def not_finite(values: Iterable[Any]) -> str:
    """What is in the arrays that a setting forbids: "NaN", "an infinity", or nothing."""
    for x in values:
        if not isinstance(x, ConcreteArray) or not dtypes.is_inexact(x.aval.dtype):
            continue
        host = x.host()
        host = host if host.dtype.kind in "fc" else host.astype(np.float32)
        if config.debug_nans and np.isnan(host).any():
            return "NaN"
        if config.debug_infs and np.isinf(host).any():
            return "an infinity"
    return ""


def check_results(name: str, outs: Sequence[Any]) -> None:
    """Raise where a forbidden number is in the results of an operation."""
    found = not_finite(outs)
    if found:
        shown = ", ".join(str(x.aval) for x in outs if isinstance(x, ConcreteArray))
        raise NonFiniteError(
            wrong=f"{name} made {found} in its result {shown}",
            fix="Keep its operands inside the function's domain, or turn debug_nans and debug_infs off",
        )


def find_in(name: str, closed: ClosedJaxpr, operands: Sequence[Any], outs: Sequence[Any]) -> None:
    """``check_results`` of a program; where it fails, run it again one equation at a time, to name the guilty one."""
    if not_finite(outs):
        _walk(closed, operands)
        check_results(name, outs)


def _walk(closed: ClosedJaxpr, operands: Sequence[Any]) -> None:
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(closed.jaxpr.invars, operands, strict=True))
    for eqn in closed.jaxpr.eqns:
        given = tuple([a.val if isinstance(a, Literal) else values[a] for a in eqn.invars])
        try:
            outs = state.trace.process(eqn.primitive, given, eqn.params)
        except NonFiniteError as error:
            if eqn.source is not None and "jaxpr" not in eqn.params:  # a program inside has found its own line
                error.where = (eqn.source.file, eqn.source.line, eqn.source.function)
            raise
        values.update(zip(eqn.outvars, outs if eqn.primitive.multiple_results else [outs], strict=True))
