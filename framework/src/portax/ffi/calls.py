"""Calling a registered function from a program: one operation, whose meaning only the function itself knows.

So the operation is no part of the opset, has no derivative, and runs where the function is registered and nowhere else.
What can be said of any such function (how a batch calls it, in which order the axes of its arrays lie in memory, which
result may take the memory of which operand) the caller says. Attributes are kept as the text they have in the program,
which is exact about their types, and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portax import errors
from portax.core import dtypes
from portax.core.aval import Aval, aval_of
from portax.core.effects import FOREIGN
from portax.core.jaxpr import NO_EFFECTS, Effects
from portax.core.stablehlo.literals import dense, scalar_literal
from portax.core.stablehlo.types import element_type
from portax.higher_order.callbacks import METHODS, PureCallback
from portax.higher_order.calls import compiled_operation
from portax.higher_order.closures import avals_of

Layout = tuple[int, ...]


class FfiCall(PureCallback):
    """The results of a function of another language; batched as a ``pure_callback`` is.

    Parameters
    ----------
    *operands : Arrays
    target_name : str
    result_avals : tuple of Aval
    attributes : tuple of (str, str)
        As they stand in the program.
    has_side_effect : bool
    vmap_method : str or None
    input_layouts, output_layouts : tuples of tuples of axes, minor first
    input_output_aliases : tuple of (operand, result)
    custom_call_api_version : int
    legacy_backend_config : str or None
    """

    name = "ffi_call"
    on_host = False
    words = "an ffi_call"

    def effects(self, *, has_side_effect: bool, **_: Any) -> Effects:
        return frozenset({FOREIGN}) if has_side_effect else NO_EFFECTS

    def reference(self, *values: Any, target_name: str, **_: Any) -> Any:
        raise errors.GapError(
            wrong=f"the function {target_name!r} was called where primitives run one by one, by their NumPy meaning",
            fix="Run it on a device whose programs can call it, and not with effort='interpret'",
        )

    def impl(self, *operands: Any, **params: Any) -> Any:
        return compiled_operation(self, operands, params, tuple(aval_of(x) for x in operands), None, False)

    def stablehlo(
        self, b: Any, *values: Any, target_name: str, result_avals: Any, attributes: Any, has_side_effect: bool,
        input_layouts: Any, output_layouts: Any, input_output_aliases: Any, custom_call_api_version: int,
        legacy_backend_config: str | None, vmap_method: Any,
    ) -> Any:  # fmt: skip
        del vmap_method
        b.module.foreign.append(target_name)
        return b.custom_call(
            target_name, values, result_avals,
            backend_config=legacy_backend_config if custom_call_api_version < 4 else dict(attributes),
            api_version=custom_call_api_version, has_side_effect=has_side_effect, operand_layouts=input_layouts,
            result_layouts=output_layouts, aliases=dict(input_output_aliases),
        )  # fmt: skip

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, target_name: str, **params: Any) -> Any:
        raise errors.NotDifferentiableError(
            wrong=f"the ffi_call of {target_name!r} was differentiated, and nothing is known of its derivative",
            fix="Give the function that calls it a rule with custom_jvp or custom_vjp, or stop_gradient its arguments",
        )

    def batch(
        self, batched: Sequence[bool], *operands: Any, vmap_method: Any, input_layouts: Any, output_layouts: Any,
        **params: Any,
    ) -> Any:  # fmt: skip
        if vmap_method is None:
            raise errors.NotBatchableError(
                wrong=f"the ffi_call of {params['target_name']!r} was batched, and it has no vmap_method",
                fix=f"Give ffi_call(..., vmap_method=), one of: {', '.join(METHODS)}",
            )
        if not vmap_method.startswith("sequential"):
            every = vmap_method != "legacy_vectorized"
            input_layouts = tuple(_outer(x) if b or every else x for x, b in zip(input_layouts, batched, strict=True))
            output_layouts = tuple(map(_outer, output_layouts))
        return super().batch(
            batched, *operands, vmap_method=vmap_method, input_layouts=input_layouts, output_layouts=output_layouts,
            **params,
        )  # fmt: skip


def _outer(layout: Layout) -> Layout:
    """The layout of an array with one more axis in front, outermost in memory too."""
    return (*[axis + 1 for axis in layout], 0)


#: Not in the registry: what it means is the user's, and no driver is asked for it.
ffi_call_p = FfiCall()


def ffi_call(
    target_name: str, result_shape_dtypes: Any, *, has_side_effect: bool = False, vmap_method: str | None = None,
    input_layouts: Sequence[Sequence[int] | None] | None = None,
    output_layouts: Sequence[int] | Sequence[Sequence[int] | None] | None = None,
    input_output_aliases: Mapping[int, int] | None = None, custom_call_api_version: int = 4,
    legacy_backend_config: str | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """A Python function that calls a registered function of another language.

    Parameters
    ----------
    target_name : str
        As given to ``register_ffi_target``.
    result_shape_dtypes : ShapeDtypeStruct, or a sequence of them
        What it computes: one array, or a list or tuple of arrays.
    has_side_effect : bool
        It does something besides: it is called even where nobody reads its results.
    vmap_method : str, optional
        How ``vmap`` calls it, as for ``pure_callback``: ``"sequential"``, ``"sequential_unrolled"``,
        ``"expand_dims"``, ``"broadcast_all"`` or ``"legacy_vectorized"``. Left out, it cannot be batched.
    input_layouts, output_layouts : sequences, optional
        For each operand, or result, the axes in the order in which they lie in memory, outermost first; None for
        row-major. ``output_layouts`` of one result is its axes themselves.
    input_output_aliases : mapping from operand to result, optional
        The result is written over the operand; a copy of it, where it is needed afterwards.
    custom_call_api_version : int
        4 for XLA's typed interface; less than that for the old ones.
    legacy_backend_config : str, optional
        What the old interfaces are given instead of attributes.

    Returns
    -------
    callable
        ``(*arrays, **attributes)``. Attributes are numbers (Python's are 64 bits wide, NumPy's as wide as they are),
        strings, bools, dtypes, NumPy arrays, and tuples and dictionaries of these.

    Raises
    ------
    ArgumentError
        A layout, an alias or an attribute does not fit.
    GapError
        When it is called, or compiled: the device's programs cannot call it.

    Examples
    --------
    >>> import portax
    >>> f = portax.ffi.ffi_call("my_rms_norm", portax.ShapeDtypeStruct((4,), "float32"), vmap_method="broadcast_all")
    >>> portax.eval_shape(lambda x: f(x, eps=1e-5), portax.ShapeDtypeStruct((4,), "float32")).shape
    (4,)
    """
    if vmap_method is not None and vmap_method not in METHODS:
        raise errors.ArgumentError(
            wrong=f"ffi_call knows no vmap_method {vmap_method!r}", fix=f"Give one of: {', '.join(METHODS)}"
        )
    if legacy_backend_config is not None and custom_call_api_version >= 4:
        raise errors.ArgumentError(
            wrong="ffi_call was given a legacy_backend_config for the typed interface",
            fix="Pass attributes by name to the call, or ask for custom_call_api_version=2",
        )
    many = isinstance(result_shape_dtypes, Sequence)
    structs = tuple(result_shape_dtypes) if many else (result_shape_dtypes,)
    avals = tuple(Aval(tuple(s.shape), dtypes.canonicalize_dtype(s.dtype)) for s in structs)
    if not many and output_layouts is not None:
        output_layouts = [output_layouts]  # pyright: ignore[reportAssignmentType]
    results = _layouts("output_layouts", output_layouts, avals)  # pyright: ignore[reportArgumentType]

    def call(*operands: Any, **attributes: Any) -> Any:
        given = avals_of(operands, "ffi_call")
        if attributes and custom_call_api_version < 4:
            raise errors.ArgumentError(
                wrong=f"the ffi_call of {target_name!r} was given attributes, which the old interfaces do not have",
                fix="Use legacy_backend_config, or custom_call_api_version=4",
            )
        outs = ffi_call_p.bind(
            *operands, target_name=target_name, result_avals=avals, has_side_effect=bool(has_side_effect),
            attributes=tuple((k, spelled(v, k)) for k, v in sorted(attributes.items())), vmap_method=vmap_method,
            input_layouts=_layouts("input_layouts", input_layouts, given), output_layouts=results,
            input_output_aliases=_aliases(input_output_aliases, given, avals),
            custom_call_api_version=custom_call_api_version, legacy_backend_config=legacy_backend_config,
        )  # fmt: skip
        if not many:
            return outs[0]
        return tuple(outs) if isinstance(result_shape_dtypes, tuple) else list(outs)

    return call


def _layouts(name: str, layouts: Sequence[Sequence[int] | None] | None, avals: Sequence[Aval]) -> tuple[Layout, ...]:
    """For each array its axes, minor first."""
    if layouts is None:
        layouts = [None] * len(avals)
    if len(layouts) != len(avals):
        raise errors.ArgumentError(
            wrong=f"ffi_call was given {len(layouts)} {name} for {len(avals)} arrays", fix="Give one for each"
        )
    found: list[Layout] = []
    for axes, aval in zip(layouts, avals, strict=True):
        axes = tuple(range(aval.ndim)) if axes is None else tuple(axes)
        if sorted(axes) != list(range(aval.ndim)):
            raise errors.ArgumentError(
                wrong=f"ffi_call was given the layout {axes} for {aval}",
                fix=f"Give the axes 0 to {aval.ndim - 1} in the order in which they lie in memory, outermost first",
            )
        found.append(axes[::-1])
    return tuple(found)


def _aliases(
    aliases: Mapping[int, int] | None, operands: Sequence[Aval], results: Sequence[Aval]
) -> tuple[tuple[int, int], ...]:
    for i, j in (aliases or {}).items():
        if not (0 <= i < len(operands) and 0 <= j < len(results)):
            raise errors.ArgumentError(
                wrong=f"ffi_call was given the alias {i}: {j}, and there are {len(operands)} operands and "
                f"{len(results)} results",
                fix="Give {operand: result}, both counted from 0",
            )
        if (operands[i].shape, operands[i].dtype) != (results[j].shape, results[j].dtype):
            raise errors.ArgumentError(
                wrong=f"ffi_call was to write result {j}, {results[j]}, over operand {i}, {operands[i]}",
                fix="Alias arrays of one shape and dtype",
            )
    return tuple((aliases or {}).items())


def spelled(value: Any, name: str) -> str:
    """An attribute as it stands in a program."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, str | bytes):
        text = value if isinstance(value, bytes) else value.encode()
        return '"' + "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\{c:02X}" for c in text) + '"'
    if isinstance(value, int):
        return f"{value} : i64"
    if isinstance(value, float):
        return _scalar(np.float64(value))
    if isinstance(value, np.generic) and value.dtype.kind != "c":
        return _scalar(value)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return element_type(np.dtype(value))
    if isinstance(value, np.ndarray) and value.dtype.kind != "c":
        shape = "".join([f"{n}x" for n in value.shape])
        return f"dense<{dense(value)}> : tensor<{shape}{element_type(value.dtype)}>"
    if isinstance(value, tuple):
        return "[" + ", ".join([spelled(v, name) for v in value]) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join([f"{k} = {spelled(v, name)}" for k, v in sorted(value.items())]) + "}"
    raise errors.ArgumentError(
        wrong=f"the attribute {name} of an ffi_call is {value!r}, which has no spelling in a program",
        fix="Give a number, a string, a dtype, a NumPy array, or a tuple or dictionary of these; arrays of portax go "
        "by position",
    )


def _scalar(value: Any) -> str:
    return f"{scalar_literal(np.asarray(value))} : {element_type(value.dtype)}"
