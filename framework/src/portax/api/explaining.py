"""What becomes of a function on a device, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from portax.api.staging import make_jaxpr
from portax.runtime import devices
from portax.runtime.programs import Options, prepare


def explain(f: Callable[..., Any], *args: Any, device: Any = None, **kwargs: Any) -> str:
    """What a device makes of ``f`` at these arguments, for people to read.

    Of a device that is driven by kernels: the kernels in order, with the operations that each does, what it reads
    and writes, and into how many work-items it is divided; loops that are decided on the host; and primitives that
    were taken apart since the device has no kernel for them.

    Parameters
    ----------
    f : callable
    *args, **kwargs
        As ``f`` takes them.
    device : Device or str, optional
        Where it would run; by default the default device.

    Returns
    -------
    str, of several lines

    Examples
    --------
    >>> import portax
    >>> print(portax.explain(lambda x: x * x + 1, 3.0, device="reference"))
    reference:0 runs the primitives one by one, by their NumPy meaning: add, mul
    """
    target = devices.default_device() if device is None else devices.as_device(device)
    closed = make_jaxpr(f)(*args, **kwargs)
    program = prepare(closed, target, Options(getattr(f, "__name__", "f")))
    if program.executable is None:
        names = ", ".join(sorted({eqn.primitive.name for eqn in closed.eqns})) or "none"
        return f"{target} runs the primitives one by one, by their NumPy meaning: {names}"
    told = program.executable.report()
    if told:
        return f"{target} runs\n{told}"
    counts = Counter(eqn.primitive.name for eqn in closed.eqns)
    listed = ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in sorted(counts.items())) or "nothing"
    return f"{target} is given one program for its own compiler: {listed}"
