"""How a primitive of one's own is written as the call of a function of another language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portax.ffi.calls import spelled


def ffi_lowering(
    call_target_name: str, *, operand_layouts: Sequence[Any] | None = None,
    result_layouts: Sequence[Any] | None = None, backend_config: Mapping[str, Any] | str | None = None,
    skip_ffi_layout_processing: bool = False, **lowering_args: Any,
) -> Callable[..., Any]:  # fmt: skip
    """A lowering rule that calls a registered function, for ``interpreters.mlir.register_lowering``.

    Parameters
    ----------
    call_target_name : str
        As given to ``register_ffi_target``.
    operand_layouts, result_layouts : sequences, optional
        For each array its axes in the order in which they lie in memory, outermost first; None for row-major.
    backend_config : mapping or str, optional
        Attributes besides the parameters of the primitive, or what an old interface is given in their place.
    skip_ffi_layout_processing : bool
        The layouts are given minor first.
    **lowering_args
        ``has_side_effect``, ``api_version`` and ``operand_output_aliases``, a mapping from operand to result.

    Returns
    -------
    callable
        ``(context, *operands, **params)``. The parameters become attributes.

    Examples
    --------
    >>> import portax
    >>> callable(portax.ffi.ffi_lowering("my_rms_norm"))
    True
    """
    aliases = lowering_args.pop("operand_output_aliases", None)

    def rule(context: Any, *operands: Any, **params: Any) -> Any:
        given = backend_config
        if not isinstance(given, str):
            given = {k: spelled(v, k) for k, v in sorted({**(given or {}), **params}.items())}
        layouts = [
            _minor_first(asked, avals, skip_ffi_layout_processing)
            for asked, avals in ((operand_layouts, context.avals_in), (result_layouts, context.avals_out))
        ]
        context.builder.module.foreign.append(call_target_name)
        return context.builder.custom_call(
            call_target_name, operands, context.avals_out, backend_config=given, operand_layouts=layouts[0],
            result_layouts=layouts[1], aliases=aliases, **lowering_args,
        )  # fmt: skip

    return rule


def _minor_first(asked: Sequence[Any] | None, avals: Sequence[Any], already: bool) -> list[tuple[int, ...]]:
    found = []
    for axes, aval in zip(asked or [None] * len(avals), avals, strict=True):
        axes = tuple(range(aval.ndim))[:: -1 if already else 1] if axes is None else tuple(axes)
        found.append(axes if already else axes[::-1])
    return found


#: The same rule; JAX tells apart one that gives the operation and one that gives its results.
build_ffi_lowering_function = ffi_lowering
