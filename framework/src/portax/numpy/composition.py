"""Functions of several primitives that run as one where nothing is traced.

While tracing such a function is the operations it is made of. With concrete arrays it is staged once for their avals;
small arrays then run through the program's references without an array object for each step, and large ones through one
compiled call, which fuses the steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from portax.core.config import config
from portax.core.jaxpr import ClosedJaxpr
from portax.core.trace import state
from portax.higher_order.calls import jit_p
from portax.runtime import devices, eager
from portax.runtime.array import ConcreteArray
from portax.runtime.reference import ReferenceProgram
from portax.transforms.stage import stage_closed

_BOUND = 2048
#: Elements from which one compiled call beats a walk through the references.
LARGE = 1 << 17


class _Program:
    """A composite at some avals: its jaxpr, and the way it is run."""

    __slots__ = ("closed", "many", "out_avals", "reference", "small")

    def __init__(self, f: Callable[..., Any], avals: tuple[Any, ...], static: dict[str, Any]) -> None:
        self.many = False

        def flat(*xs: Any) -> list[Any]:
            out = f(*xs, **static)
            self.many = isinstance(out, tuple)
            return list(out) if self.many else [out]

        self.closed: ClosedJaxpr = stage_closed(flat, avals, f.__name__)
        self.out_avals = self.closed.out_avals
        largest = max((a.size for a in (*avals, *self.out_avals)), default=0)
        self.small = largest < LARGE
        self.reference = ReferenceProgram(self.closed) if self.small else None


def composite(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, run as one operation where all its operands are concrete.

    Parameters
    ----------
    f : function of arrays, and of keyword arguments that can be hashed
        Gives an array or a tuple of them, by primitives alone. Where NumPy has the same function, bit for bit, the
        attribute ``host`` may name it; it gives None for values it would treat otherwise.
    """
    host = getattr(f, "host", None)
    programs: dict[Any, _Program] = {}

    @functools.wraps(f)
    def run(*xs: Any, **static: Any) -> Any:
        if type(state.trace) is not eager.EvalTrace:
            return f(*xs, **static)
        device: Any = None
        values: list[Any] = []
        avals: list[Any] = []
        plain = True
        for x in xs:
            if type(x) is not ConcreteArray:
                return f(*xs, **static)
            value = x._host  # pyright: ignore[reportPrivateUsage]
            if value is None or x.committed:
                plain = False
            elif device is None:
                device = x._device  # pyright: ignore[reportPrivateUsage]
            values.append(value)
            avals.append(x.aval)
        key = (tuple(avals), config.epoch, *static.items())
        program = programs.get(key)
        if program is None:
            if len(programs) >= _BOUND:
                programs.clear()
            program = programs[key] = _Program(f, key[0], static)
        if (
            plain
            and program.reference is not None
            and (device.host_memory if device is not None else devices.default_is_host())
            and config.undisturbed
        ):
            if host is not None:
                out = eager.quietly(host, *values)
                if out is not None:
                    return eager.wrap(out, program.out_avals[0], device, False)
            outs = program.reference(values)
            if not program.many:
                return ConcreteArray(program.out_avals[0], outs[0], None, device)
            return tuple([ConcreteArray(a, x, None, device) for a, x in zip(program.out_avals, outs, strict=True)])
        outs = jit_p.bind(
            *xs, jaxpr=program.closed, name=f.__name__, donated_invars=(False,) * len(xs), keep_unused=False,
            inline=True, effort="full",
        )  # fmt: skip
        return tuple(outs) if program.many else outs[0]

    return run
