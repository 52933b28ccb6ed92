"""vectorize: a function of scalars, or of small arrays, made a function of whole arrays."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from portax.errors import ArgumentError, ShapeError
from portax.numpy.promotion import as_array
from portax.numpy.shaping import broadcast_shapes, reshape
from portax.primitives.broadcasting import broadcast_in_dim
from portax.transforms.batch import batch, materialize

_NAME = r"\w+"
_CORE = rf"\((?:{_NAME}(?:,{_NAME})*)?\)"
_SIGNATURE = re.compile(rf"^{_CORE}(?:,{_CORE})*->{_CORE}(?:,{_CORE})*$")

Cores = list[tuple[str, ...]]


def _parsed(signature: str) -> tuple[Cores, Cores]:
    """The names of core axes of each argument, and of each result."""
    if not _SIGNATURE.match(signature.replace(" ", "")):
        raise ArgumentError(
            wrong=f"vectorize does not understand the signature {signature!r}",
            fix="Write it like '(n,m),(m)->(n)'",
        )
    sides = [
        [tuple(re.findall(_NAME, core)) for core in re.findall(_CORE, side)]
        for side in signature.replace(" ", "").split("->")
    ]
    return sides[0], sides[1]


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Iterable[int | str] = frozenset(), signature: str | None = None
) -> Callable[..., Any]:
    """A function that applies ``pyfunc`` over the leading axes of its arguments, which broadcast.

    Parameters
    ----------
    pyfunc : callable
        Of scalars, or of arrays of the axes that ``signature`` names.
    excluded : set of int and str, optional
        Positions and names of arguments that are passed on as they are.
    signature : str, optional
        The core axes, such as ``"(n,m),(m)->(n)"``; a name stands for one length everywhere.

    Returns
    -------
    callable

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> f = pnp.vectorize(lambda v: v.sum(), signature="(n)->()")
    >>> f(pnp.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    excluded = frozenset(excluded)
    if any(not isinstance(e, (int, str)) or (isinstance(e, int) and e < 0) for e in excluded):
        raise ArgumentError(
            wrong=f"vectorize was given excluded={set(excluded)!r}", fix="Give positions from 0 on, and names"
        )
    cores = None if signature is None else _parsed(signature)

    @functools.wraps(pyfunc)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inner, args, kwargs = _without_excluded(pyfunc, args, kwargs, excluded)
        names = list(kwargs)
        given = [*args, *kwargs.values()]
        present = [k for k, x in enumerate(given) if x is not None]
        arrays = [as_array(given[k], "vectorize") for k in present]
        if cores is not None and len(cores[0]) != len(given):
            raise ArgumentError(
                wrong=f"vectorize was given {len(given)} arrays for the signature {signature!r}",
                fix="Give as many as it names",
            )

        def f(*xs: Any) -> Any:
            full: list[Any] = [None] * len(given)
            for k, x in zip(present, xs, strict=True):
                full[k] = x
            return inner(*full[: len(args)], **dict(zip(names, full[len(args) :], strict=True)))

        inputs = [cores[0][k] for k in present] if cores is not None else [() for _ in arrays]
        return _apply(f, arrays, inputs, cores[1] if cores is not None else None, signature)

    return wrapped


def _without_excluded(
    pyfunc: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], excluded: frozenset[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    fixed = {k: args[k] for k in range(len(args)) if k in excluded}
    named = {k: v for k, v in kwargs.items() if k in excluded}
    total = len(args)

    def inner(*moving: Any, **rest: Any) -> Any:
        it = iter(moving)
        full = [fixed[k] if k in fixed else next(it) for k in range(total)]
        return pyfunc(*full, **rest, **named)

    kept = tuple(x for k, x in enumerate(args) if k not in fixed)
    return inner, kept, {k: v for k, v in kwargs.items() if k not in named}


def _apply(
    f: Callable[..., Any], arrays: list[Any], inputs: Cores, outputs: Cores | None, signature: str | None
) -> Any:
    lengths: dict[str, int] = {}
    leads: list[tuple[int, ...]] = []
    for x, core in zip(arrays, inputs, strict=True):
        if x.ndim < len(core):
            raise ShapeError(
                wrong=f"vectorize was given {x.aval} for the core axes {core} of {signature!r}",
                fix="Give an array that has them",
            )
        split = x.ndim - len(core)
        leads.append(x.shape[:split])
        _agree(lengths, core, x.shape[split:], signature)
    lead = broadcast_shapes(*leads) if leads else ()
    size = math.prod(lead)

    def checked(*xs: Any) -> list[Any]:
        out = f(*xs)
        many = isinstance(out, (tuple, list))
        outs = [as_array(o, "vectorize") for o in (out if many else [out])]
        if outputs is not None:
            if len(outs) != len(outputs):
                raise ArgumentError(
                    wrong=f"the function gave {len(outs)} results for the signature {signature!r}",
                    fix="Let it give as many as the signature names",
                )
            for o, core in zip(outs, outputs, strict=True):
                if o.ndim != len(core):
                    raise ShapeError(
                        wrong=f"the function gave {o.aval} for the core axes {core} of {signature!r}",
                        fix="Let it give an array of these axes",
                    )
                _agree(lengths, core, o.shape, signature)
        form[:] = [many]
        return outs

    form: list[bool] = []
    if not lead:
        outs = checked(*arrays)
        return tuple(outs) if form[0] else outs[0]
    # Each argument is batched over the axes of its own: what it does not vary along is not repeated.
    flags = [bool(own) for own in leads]
    rows = []
    for x, own in zip(arrays, leads, strict=True):
        if not own:
            rows.append(x)
            continue
        wide = x
        if own != lead:
            shape = (*(1,) * (len(lead) - len(own)), *x.shape)
            wide = reshape(x, shape)
            wide = _spread(wide, (*lead, *x.shape[len(own) :]))
        rows.append(reshape(wide, (size, *x.shape[len(own) :])))
    outs, varies = batch(checked, rows, flags, size)
    results = []
    for out, v in zip(outs, varies, strict=True):
        out = materialize(out, v, size)
        results.append(reshape(out, (*lead, *out.shape[1:])))
    return tuple(results) if form[0] else results[0]


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    return broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(len(shape))), sharding=None)


def _agree(lengths: dict[str, int], core: tuple[str, ...], shape: tuple[int, ...], signature: str | None) -> None:
    for name, n in zip(core, shape, strict=True):
        known = int(name) if name.isdigit() else lengths.setdefault(name, n)
        if known != n:
            raise ShapeError(
                wrong=f"vectorize found the core axis {name!r} of {signature!r} with the lengths {known} and {n}",
                fix="Give arrays in which one name has one length",
            )
