"""Contractions, convolutions, Fourier transforms, factorisations, random bits, and calls out of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from portax.core.aval import Aval
from portax.core.stablehlo.control import Control
from portax.core.stablehlo.literals import scalar_literal
from portax.core.stablehlo.types import (
    TOKEN,
    Value,
    array_attribute,
    dtype_of,
    element_type,
    joined_types,
    list_attribute,
    type_of,
)

__all__ = ["Linear"]

_COMPLEX_OF = {"f32": np.dtype(np.complex64), "f64": np.dtype(np.complex128)}
_REAL_OF = {"complex<f32>": np.dtype(np.float32), "complex<f64>": np.dtype(np.float64)}
_TRANSPOSES = {None: "NO_TRANSPOSE", "N": "NO_TRANSPOSE", "T": "TRANSPOSE", "C": "ADJOINT"}


def _precision_pair(precision: Any, dtypes: Sequence[Any]) -> tuple[str, str]:
    """Give the words for both operands.

    None means what the dtype itself can hold, on every device: XLA's own default would let a device round float32 to
    fewer bits. Narrower dtypes lose nothing by it.
    """
    pair = precision if isinstance(precision, (tuple, list)) else (precision, precision)
    first, second = [_precision_word(p, dtype) for p, dtype in zip(pair, dtypes, strict=True)]
    return first, second


def _precision_word(precision: Any, dtype: Any) -> str:
    if precision is None:
        return "HIGHEST" if element_type(dtype) in ("f32", "f64", "complex<f32>", "complex<f64>") else "DEFAULT"
    word = str(getattr(precision, "name", precision)).upper()
    return {"FASTEST": "DEFAULT", "BFLOAT16": "DEFAULT", "TENSORFLOAT32": "HIGH", "FLOAT32": "HIGHEST"}.get(word, word)


@lru_cache(1 << 12)
def _dot_form(x: Aval, y: Aval, dimension_numbers: Any, precision: Any, preferred: Any) -> tuple[Aval, str]:
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    x_gone, y_gone = {*x_sum, *x_batch}, {*y_sum, *y_batch}
    shape = (
        *[x.shape[i] for i in x_batch],
        *[n for i, n in enumerate(x.shape) if i not in x_gone],
        *[n for i, n in enumerate(y.shape) if i not in y_gone],
    )
    out = Aval(shape, x.dtype if preferred is None else dtype_of(preferred))
    batching = f", batching_dims = {list_attribute(x_batch)} x {list_attribute(y_batch)}" if len(x_batch) else ""
    first, second = _precision_pair(precision, (x.dtype, y.dtype))
    return out, (
        f"{batching}, contracting_dims = {list_attribute(x_sum)} x {list_attribute(y_sum)}, "
        f"precision = [{first}, {second}] : ({type_of(x)}, {type_of(y)}) -> {type_of(out)}"
    )


class Linear(Control):
    """The ops of a `Builder` for linear algebra and for what lies outside StableHLO."""

    __slots__ = ()

    def dot_general(
        self, x: Value, y: Value, dimension_numbers: Any, precision: Any = None, preferred: Any = None
    ) -> Value:
        """Append the sum of products of ``x`` and ``y`` over their contracting axes.

        Parameters
        ----------
        x, y : Value
        dimension_numbers : ((x contracting, y contracting), (x batch, y batch))
        precision : None, str, object with ``name``, or a pair of these
            None is the full precision of the dtypes.
        preferred : dtype, optional
            Of the result and of the sum; default that of ``x``.
        """
        try:
            aval, after = _dot_form(x.aval, y.aval, dimension_numbers, precision, preferred)
        except TypeError:  # lists are no keys
            aval, after = _dot_form.__wrapped__(x.aval, y.aval, dimension_numbers, precision, preferred)
        return self.emit(aval, f"stablehlo.dot_general {x.name}, {y.name}{after}")

    def convolution(
        self,
        x: Value,
        kernel: Value,
        dimension_numbers: tuple[Sequence[int], Sequence[int], Sequence[int]],
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[tuple[int, int]] | None = None,
        x_dilation: Sequence[int] | None = None,
        kernel_dilation: Sequence[int] | None = None,
        reverse: Sequence[bool] | None = None,
        feature_groups: int = 1,
        batch_groups: int = 1,
        precision: Any = None,
        preferred: Any = None,
    ) -> Value:
        """Append the convolution (in the sense of machine learning: no flip) of ``x`` with ``kernel``.

        Parameters
        ----------
        dimension_numbers : three sequences of axes
            Of ``x``: (batch, feature, *spatial); of the kernel: (output feature, input feature, *spatial); of the
            result: (batch, feature, *spatial), as `lax.ConvDimensionNumbers`.
        strides, x_dilation, kernel_dilation : int for each spatial axis, default 1
        padding : (low, high) for each spatial axis, default none
        reverse : bool for each spatial axis
            Whether the kernel is flipped along it.
        feature_groups, batch_groups : int
        precision, preferred
            As for `dot_general`.
        """
        x_axes, k_axes, out_axes = dimension_numbers
        rank = len(x_axes) - 2
        steps = tuple(strides or (1,) * rank)
        pads = tuple(padding or ((0, 0),) * rank)
        x_spread = tuple(x_dilation or (1,) * rank)
        k_spread = tuple(kernel_dilation or (1,) * rank)
        sizes = [0] * (rank + 2)
        sizes[out_axes[0]] = x.aval.shape[x_axes[0]] // batch_groups
        sizes[out_axes[1]] = kernel.aval.shape[k_axes[0]]
        for i in range(rank):
            n, k = x.aval.shape[x_axes[i + 2]], kernel.aval.shape[k_axes[i + 2]]
            padded = (0 if n == 0 else (n - 1) * x_spread[i] + 1) + sum(pads[i])
            reach = 0 if k == 0 else (k - 1) * k_spread[i] + 1
            sizes[out_axes[i + 2]] = 0 if padded <= 0 or reach > padded else (padded - reach) // steps[i] + 1
        aval = Aval(tuple(sizes), x.aval.dtype if preferred is None else dtype_of(preferred))
        first, second = _precision_pair(precision, (x.aval.dtype, kernel.aval.dtype))
        numbers = f"{_layout('bf', x_axes)}x{_layout('oi', k_axes)}->{_layout('bf', out_axes)}"
        flips = ", ".join([str(bool(flip)).lower() for flip in reverse or (False,) * rank])
        pairs = ", ".join([f"[{low}, {high}]" for low, high in pads])
        [out] = self.generic(
            "stablehlo.convolution",
            (x, kernel),
            (aval,),
            f"window_strides = {array_attribute(steps)}, "
            f"padding = dense<{f'[{pairs}]' if pairs else ''}> : tensor<{rank}x2xi64>, "
            f"lhs_dilation = {array_attribute(x_spread)}, rhs_dilation = {array_attribute(k_spread)}, "
            f"window_reversal = {f'array<i1: {flips}>' if rank else 'array<i1>'}, "
            f"dimension_numbers = #stablehlo.conv<{numbers}>, "
            f"feature_group_count = {feature_groups} : i64, batch_group_count = {batch_groups} : i64, "
            f"precision_config = [#stablehlo<precision {first}>, #stablehlo<precision {second}>]",
        )
        return out

    def fft(self, x: Value, kind: str, lengths: Sequence[int]) -> Value:
        """Append the discrete Fourier transform over the last ``len(lengths)`` axes.

        ``kind`` is FFT, IFFT, RFFT or IRFFT. ``lengths`` are the sizes of the transformed axes where they are not
        halved: RFFT gives ``lengths[-1] // 2 + 1``.
        """
        shape, dtype = list(x.aval.shape), x.aval.dtype
        if kind == "RFFT":
            shape[-1], dtype = (lengths[-1] // 2 + 1 if lengths[-1] else 0), _COMPLEX_OF[element_type(dtype)]
        elif kind == "IRFFT":
            shape[-1], dtype = lengths[-1], _REAL_OF[element_type(dtype)]
        aval = Aval(tuple(shape), dtype)
        return self.emit(
            aval,
            f"stablehlo.fft {x.name}, type = {kind}, length = {list_attribute(lengths)} : "
            f"({x.type}) -> {type_of(aval)}",
        )

    def cholesky(self, x: Value, lower: bool = True) -> Value:
        """Append the Cholesky factor of the last two axes; the other triangle of the result is not defined."""
        return self.emit(x.aval, f"stablehlo.cholesky {x.name}, lower = {str(lower).lower()} : {x.type}")

    def triangular_solve(
        self,
        a: Value,
        y: Value,
        *,
        left_side: bool = True,
        lower: bool = True,
        transpose: str | None = None,
        unit_diagonal: bool = False,
    ) -> Value:
        """Append the ``x`` with ``op(a) x = y``, or ``x op(a) = y`` unless ``left_side``.

        ``transpose`` is None, "T" or "C": ``op(a)`` is ``a``, its transpose or its adjoint.
        """
        [out] = self.generic(
            "stablehlo.triangular_solve",
            (a, y),
            (y.aval,),
            f"left_side = {str(left_side).lower()}, lower = {str(lower).lower()}, "
            f"unit_diagonal = {str(unit_diagonal).lower()}, "
            f"transpose_a = #stablehlo<transpose {_TRANSPOSES.get(transpose, transpose)}>",
        )
        return out

    def rng_bit_generator(
        self, state: Value, shape: Sequence[int], dtype: Any, algorithm: str = "DEFAULT"
    ) -> tuple[Value, Value]:
        """Append the next state and random bits.

        ``algorithm`` is DEFAULT, THREE_FRY or PHILOX; ``state`` is uint64[2], for PHILOX uint64[2] or uint64[3].
        """
        bits = Aval(tuple(shape), dtype_of(dtype))
        after, out = self.emit_many(
            (state.aval, bits),
            f"stablehlo.rng_bit_generator {state.name}, algorithm = {algorithm} : "
            f"({state.type}) -> ({state.type}, {type_of(bits)})",
        )
        return after, out

    # ----------------------------------------------------------------------------------- calls out of the program
    def custom_call(
        self,
        target: str,
        operands: Sequence[Value],
        result_avals: Sequence[Any],
        *,
        backend_config: str | Mapping[str, Any] | None = None,
        api_version: int = 4,
        has_side_effect: bool = False,
        operand_layouts: Sequence[Sequence[int] | None] | None = None,
        result_layouts: Sequence[Sequence[int] | None] | None = None,
        aliases: Mapping[int, int] | None = None,
        attributes: str = "",
    ) -> tuple[Value, ...]:
        """Append a call of a function known to the runtime by name.

        Parameters
        ----------
        target : str
        operands : sequence of Value
        result_avals : sequence of Aval or TOKEN
        backend_config : str or mapping
            The values of a mapping: Python numbers are i64, f64 and bool; ``np.uint8(86)`` keeps its dtype; a string is
            an attribute spelled already.
        api_version : int
            4 for typed FFI.
        has_side_effect : bool
        operand_layouts, result_layouts : sequences of axes, minor first
            None in place of the axes is row-major.
        aliases : mapping from operand to result
        attributes : str
            Any others, spelled.
        """
        parts = [f"api_version = {api_version} : i32"]
        if backend_config is not None:
            parts.append(f"backend_config = {_config(backend_config)}")
        if has_side_effect:
            parts.append("has_side_effect = true")
        if operand_layouts is not None or result_layouts is not None:
            parts.append(f"operand_layouts = {_layouts(operand_layouts, [v.aval for v in operands])}")
            parts.append(f"result_layouts = {_layouts(result_layouts, result_avals)}")
        if aliases:
            single = len(result_avals) == 1
            parts.append(
                "output_operand_aliases = ["
                + ", ".join(
                    f"#stablehlo.output_operand_alias<output_tuple_indices = {[] if single else [result]}, "
                    f"operand_index = {operand}, operand_tuple_indices = []>"
                    for operand, result in aliases.items()
                )
                + "]"
            )
        if attributes:
            parts.append(attributes)
        name = target if target.replace("_", "a").replace(".", "a").isalnum() else f'"{_escaped(target)}"'
        results = ", ".join([type_of(a) for a in result_avals])
        return self.emit_many(
            result_avals,
            f"stablehlo.custom_call @{name}({', '.join([v.name for v in operands])}) {{{', '.join(parts)}}} : "
            f"({joined_types(operands)}) -> {results if len(result_avals) == 1 else f'({results})'}",
        )

    def create_token(self) -> Value:
        """Append the start of a chain of side effects."""
        return self.emit(TOKEN, "stablehlo.create_token : !stablehlo.token")

    def after_all(self, *tokens: Value) -> Value:
        """Append the token that comes after all of ``tokens``."""
        if not tokens:
            return self.create_token()
        return self.emit(TOKEN, f"stablehlo.after_all {', '.join([t.name for t in tokens])} : !stablehlo.token")


def _layout(letters: str, axes: Sequence[int]) -> str:
    names = [""] * len(axes)
    for name, axis in zip([*letters, *map(str, range(len(axes) - 2))], axes, strict=True):
        names[axis] = name
    return f"[{', '.join(names)}]"


def _layouts(layouts: Sequence[Sequence[int] | None] | None, avals: Sequence[Any]) -> str:
    out = []
    for layout, aval in zip(layouts or [None] * len(avals), avals, strict=True):
        rank = len(aval.shape)
        minor = tuple(reversed(range(rank))) if layout is None else tuple(layout)
        out.append(f"dense<{list(minor) if rank else ''}> : tensor<{rank}xindex>")
    return f"[{', '.join(out)}]"


def _escaped(text: str) -> str:
    return "".join(
        [c if " " <= c <= "~" and c not in '"\\' else "".join([f"\\{byte:02X}" for byte in c.encode()]) for c in text]
    )


def _config(config: str | Mapping[str, Any]) -> str:
    if isinstance(config, str):
        return f'"{_escaped(config)}"'
    return f"{{{', '.join([f'{name} = {_config_value(value)}' for name, value in config.items()])}}}"


def _config_value(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, int):
        return f"{value} : i64"
    if isinstance(value, float):
        return f"{scalar_literal(np.asarray(value))} : f64"
    if isinstance(value, np.generic):
        return f"{scalar_literal(np.asarray(value))} : {element_type(value.dtype)}"
    return str(value)
