"""Convolutions: paddings by name, dimension numbers as strings, and the forms made of one primitive."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portax import primitives as p
from portax.core.aval import Aval
from portax.core.dtypes import user_dtype
from portax.core.lazy import lazy
from portax.errors import ArgumentError, ShapeError
from portax.lax.creation import broadcasted_iota
from portax.lax.elementwise import convert_element_type, eq
from portax.lax.operands import as_operand, shape_of
from portax.lax.products import dot_general
from portax.lax.shaping import reshape, rev, transpose
from portax.primitives.convolution import ConvDimensionNumbers
from portax.primitives.dot_algorithms import DotAlgorithm, DotAlgorithmPreset
from portax.primitives.windows import reach

laying = lazy("portax.higher_order.laying")

Operand = Any
Pads = Any
DimensionNumbers = Any

ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]


def padtype_to_pads(
    in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """The padding of each axis that a name stands for.

    Parameters
    ----------
    in_shape, window_shape, window_strides : sequences of int
    padding : str
        "VALID": none. "SAME": as much as gives ``ceil(n / stride)`` windows, an odd place more at the end.
        "SAME_LOWER": the same, an odd place more at the start.

    Examples
    --------
    >>> from portax import lax
    >>> lax.padtype_to_pads((5,), (2,), (1,), "SAME")
    [(0, 1)]
    """
    name = padding.upper() if isinstance(padding, str) else padding
    if name not in ("VALID", "SAME", "SAME_LOWER"):
        raise ArgumentError(wrong=f"there is no padding {padding!r}", fix="Give 'VALID', 'SAME' or 'SAME_LOWER'")
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    pads: list[tuple[int, int]] = []
    for n, k, s in zip(in_shape, window_shape, window_strides, strict=True):
        total = max((-(-int(n) // int(s)) - 1) * int(s) + int(k) - int(n), 0)
        less = total // 2
        pads.append((less, total - less) if name == "SAME" else (total - less, less))
    return pads


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: DimensionNumbers
) -> ConvDimensionNumbers:
    """Where the axes of a convolution lie, in numbers.

    Parameters
    ----------
    lhs_shape, rhs_shape : shapes of the operands
    dimension_numbers : None, ConvDimensionNumbers, or three strings
        For ``lhs``, ``rhs`` and the result, a letter for each axis: ``N`` batch, ``C`` feature, ``O`` feature out,
        ``I`` feature in, all others spatial axes, in the order they have for ``rhs``. None is ``N C`` and ``O I``
        first.

    Examples
    --------
    >>> from portax import lax
    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), ("NHWC", "HWIO", "NHWC")).rhs_spec
    (3, 2, 0, 1)
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if len(lhs_shape) != len(rhs_shape):
        raise ShapeError(
            wrong=f"a convolution needs operands of one rank, got shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}",
            fix="Give both a batch or output axis, a feature axis, and the same number of spatial axes",
        )
    if dimension_numbers is None:
        order = tuple(range(len(lhs_shape)))
        return ConvDimensionNumbers(order, order, order)
    given = tuple(dimension_numbers) if isinstance(dimension_numbers, tuple | list) else None
    if given is None or len(given) != 3 or not all(isinstance(s, str) for s in given):
        raise ArgumentError(
            wrong=f"dimension_numbers are three strings, got {dimension_numbers!r}",
            fix='Such as ("NHWC", "HWIO", "NHWC")',
        )
    if any(len(s) != len(lhs_shape) for s in given):
        raise ArgumentError(
            wrong=f"dimension_numbers {given} do not fit operands of {len(lhs_shape)} axes",
            fix="Give each string a letter for each axis",
        )
    return ConvDimensionNumbers(*_permutations(given))


@functools.lru_cache(maxsize=256)
def _permutations(given: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    return conv_general_permutations(given)


def conv_general_permutations(dimension_numbers: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The axes of ``lhs``, ``rhs`` and the result that strings name, batch or output features first.

    Examples
    --------
    >>> from portax import lax
    >>> lax.conv_general_permutations(("NHWC", "HWIO", "NCHW"))
    ((0, 3, 1, 2), (3, 2, 0, 1), (0, 1, 2, 3))
    """
    lhs, rhs, out = dimension_numbers
    fixed = ("N", "C"), ("O", "I"), ("N", "C")
    order = [c for c in rhs if c not in "OI"]
    for letters, (a, b) in zip((lhs, rhs, out), fixed, strict=True):
        if letters.count(a) != 1 or letters.count(b) != 1 or len(set(letters)) != len(letters):
            raise ArgumentError(
                wrong=f"the dimension numbers {letters!r} must have {a!r} and {b!r} once, and no letter twice",
                fix="Such as 'NHWC' for lhs and result, 'HWIO' for rhs",
            )
        if set(letters) - {a, b} != set(order):
            raise ArgumentError(
                wrong=f"the dimension numbers {tuple(dimension_numbers)} have different spatial letters",
                fix="Use the same letters for the spatial axes of all three",
            )
    return tuple(
        (s.index(a), s.index(b), *[s.index(c) for c in order]) for s, (a, b) in zip((lhs, rhs, out), fixed, strict=True)
    )


def conv_general_dilated(
    lhs: Operand, rhs: Operand, window_strides: Sequence[int], padding: Pads, lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None, dimension_numbers: DimensionNumbers = None,
    feature_group_count: int = 1, batch_group_count: int = 1, precision: Any = None, preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """Sums of products of ``rhs`` with every window of ``lhs``.

    As in machine learning the window is not flipped.

    Parameters
    ----------
    lhs : array
        Of a batch, features, and spatial axes.
    rhs : array of the dtype and rank of ``lhs``
        Features out, features in, and as many spatial axes.
    window_strides : sequence of int, one for each spatial axis
    padding : "VALID", "SAME", "SAME_LOWER", or a sequence of (low, high)
        A negative one cuts off.
    lhs_dilation, rhs_dilation : sequences of int, optional
        How far neighbours lie apart; between them are zeros.
    dimension_numbers : three strings, ConvDimensionNumbers or None
        Where axes lie, as for `conv_dimension_numbers`; None has batch and features first.
    feature_group_count, batch_group_count : int
        Into how many groups features or batch fall that do not see each other.
    precision : Precision, str, pair of them, or None
        None is the precision of the dtypes.
    preferred_element_type : dtype, optional
        Of the result and of the sums.

    Returns
    -------
    array

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> x, k = pnp.arange(5.0).reshape(1, 1, 5), pnp.array([[[1.0, -1.0]]])
    >>> lax.conv_general_dilated(x, k, (1,), "VALID").tolist()
    [[[-1.0, -1.0, -1.0, -1.0]]]
    """
    if out_sharding is not None:
        return laying.laid(
            conv_general_dilated(
                lhs,
                rhs,
                window_strides,
                padding,
                lhs_dilation,
                rhs_dilation,
                dimension_numbers,
                feature_group_count,
                batch_group_count,
                precision,
                preferred_element_type,
            ),
            out_sharding,
        )
    x, w = as_operand(lhs, "conv_general_dilated"), as_operand(rhs, "conv_general_dilated")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    space = x.ndim - 2
    base = (1,) * space if lhs_dilation is None else shape_of(lhs_dilation)
    spread = (1,) * space if rhs_dilation is None else shape_of(rhs_dilation)
    strides = shape_of(window_strides)
    if isinstance(padding, str) and any(d != 1 for d in base):
        raise ArgumentError(
            wrong=f"padding {padding!r} says nothing of an lhs spread by lhs_dilation {base}",
            fix="Give (low, high) for each spatial axis, or use conv_transpose",
        )
    if isinstance(padding, str) and len(strides) == len(spread) == space:
        sizes = [x.shape[d] for d in numbers.lhs_spec[2:]]
        window = [reach(w.shape[d], s) for d, s in zip(numbers.rhs_spec[2:], spread, strict=True)]
        padding = padtype_to_pads(sizes, window, strides, padding)
    elif isinstance(padding, str):
        padding = ((0, 0),) * space  # the primitive says which of the others is wrong
    preferred = None if preferred_element_type is None else user_dtype(preferred_element_type, "conv_general_dilated")
    exact = p.canonical_precision(precision)
    if isinstance(exact, DotAlgorithm | DotAlgorithmPreset):
        raise ArgumentError(
            wrong=f"convolutions have no dot algorithm, and were given {precision}",
            fix="Give a Precision, or convert the operands",
        )
    return p.conv_general_dilated(
        x, w, window_strides=strides, padding=tuple([shape_of(pair) for pair in padding]), lhs_dilation=base,
        rhs_dilation=spread, dimension_numbers=ConvDimensionNumbers(*[shape_of(s) for s in numbers]),
        feature_group_count=operator.index(feature_group_count), batch_group_count=operator.index(batch_group_count),
        precision=exact, preferred_element_type=preferred, out_sharding=None,
    )  # fmt: skip


def conv(
    lhs: Operand, rhs: Operand, window_strides: Sequence[int], padding: str, precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """A convolution with batch and features first and nothing dilated: `conv_general_dilated` has the parameters.

    Examples
    --------
    >>> lax.conv(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32), (1, 1), "VALID").shape
    (1, 1, 2, 2)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: Operand, rhs: Operand, window_strides: Sequence[int], padding: Pads, lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None, precision: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """A convolution with batch and features first: `conv_general_dilated` has the parameters.

    Examples
    --------
    >>> image, kernel = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    >>> lax.conv_with_general_padding(image, kernel, (1, 1), "SAME", None, None).shape
    (1, 1, 4, 4)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation=lhs_dilation, rhs_dilation=rhs_dilation, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_transpose(
    lhs: Operand, rhs: Operand, strides: Sequence[int], padding: Pads, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None, transpose_kernel: bool = False, precision: Any = None,
    preferred_element_type: Any = None, use_consistent_padding: bool = False,
) -> Any:  # fmt: skip
    """A convolution whose stride is between the elements of ``lhs``: it makes ``stride`` times as many.

    Parameters
    ----------
    lhs, rhs : arrays, as for `conv_general_dilated`
    strides : sequence of int, one for each spatial axis
    padding : "SAME", "VALID", or a sequence of (low, high)
        "SAME" gives ``n * stride`` elements, "VALID" also those at the rim that a window sees in part.
    rhs_dilation : sequence of int, optional
    dimension_numbers : three strings, ConvDimensionNumbers or None
        None has features last: "NHWC", "HWIO", "NHWC" for two spatial axes.
    transpose_kernel : bool
        Turn ``rhs`` round and exchange its features: with the kernel of a convolution this is that one's gradient.
    precision, preferred_element_type
        As for `conv_general_dilated`.
    use_consistent_padding : bool
        Pairs are those of the convolution that this one is the gradient of, not those of ``lhs`` itself.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> x, k = pnp.ones((1, 3, 1)), pnp.ones((2, 1, 1))
    >>> lax.conv_transpose(x, k, (2,), "SAME").shape
    (1, 6, 1)
    """
    x, w = as_operand(lhs, "conv_transpose"), as_operand(rhs, "conv_transpose")
    space = x.ndim - 2
    if dimension_numbers is None:
        first = (0, space + 1, *range(1, space + 1))
        dimension_numbers = ConvDimensionNumbers(first, (space + 1, space, *range(space)), first)
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    steps = shape_of(strides)
    spread = (1,) * space if rhs_dilation is None else shape_of(rhs_dilation)
    window = [reach(w.shape[d], s) for d, s in zip(numbers.rhs_spec[2:], spread, strict=True)]
    pads = _transposed_pads(window, steps, padding, use_consistent_padding)
    if transpose_kernel:
        w = rev(w, tuple(numbers.rhs_spec[2:]))
        order = list(range(w.ndim))
        o, i = numbers.rhs_spec[:2]
        order[o], order[i] = i, o
        w = transpose(w, order)
    return conv_general_dilated(
        x, w, (1,) * space, pads, steps, spread, numbers, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _transposed_pads(window: Sequence[int], strides: Sequence[int], padding: Pads, consistent: bool) -> Pads:
    """The padding of the dilated operand of a transposed convolution."""
    if not isinstance(padding, str):
        if not consistent:
            return padding
        return [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, padding, strict=True)]
    if padding not in ("SAME", "VALID"):
        raise ArgumentError(
            wrong=f"a transposed convolution has no padding {padding!r}",
            fix="Give 'SAME', 'VALID', or (low, high) for each axis",
        )
    pads: list[tuple[int, int]] = []
    for k, s in zip(window, strides, strict=True):
        total = k + s - 2 + (max(k - s, 0) if padding == "VALID" else 0)
        low = k - 1 if padding == "VALID" or s > k - 1 else -(-total // 2)
        pads.append((low, total - low))
    return pads


def conv_general_dilated_patches(
    lhs: Operand, filter_shape: Sequence[int], window_strides: Sequence[int], padding: Pads,
    lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None, precision: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """All windows of ``lhs``, each laid out along the feature axis: for each feature, all places of the window.

    Parameters
    ----------
    lhs : array
    filter_shape : sequence of int
        The window's length along each spatial axis.
    window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision, preferred_element_type
        As for `conv_general_dilated`.

    Returns
    -------
    array with ``features * prod(filter_shape)`` features

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax import lax
    >>> lax.conv_general_dilated_patches(pnp.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")[0].T.tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    x = as_operand(lhs, "conv_general_dilated_patches")
    window = shape_of(filter_shape)
    numbers = conv_dimension_numbers(x.shape, (1, 1, *window), dimension_numbers)
    size, features = math.prod(window), x.shape[numbers.lhs_spec[1]]
    # Window place j picks element j: a kernel of unit vectors, once for each feature.
    which = eq(*[broadcasted_iota(np.int32, (features, size, size), d) for d in (1, 2)])
    kernel = reshape(convert_element_type(which, x.dtype), (features * size, 1, *window))
    kernel = transpose(kernel, [int(d) for d in np.argsort(numbers.rhs_spec)])
    return conv_general_dilated(
        x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers, feature_group_count=features,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_general_dilated_local(
    lhs: Operand, rhs: Operand, window_strides: Sequence[int], padding: Pads, filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None, precision: Any = None,
) -> Any:  # fmt: skip
    """A convolution whose kernel is another one at each place.

    Parameters
    ----------
    lhs : array
    rhs : array
        Features out, features in times ``prod(filter_shape)`` (the feature first), and as spatial axes those of the
        result.
    window_strides, padding : as for `conv_general_dilated`
    filter_shape : sequence of int
        The window's length along each spatial axis.
    lhs_dilation, rhs_dilation, dimension_numbers, precision
        As for `conv_general_dilated`.

    Examples
    --------
    >>> signal, kernels = np.ones((1, 1, 4), np.float32), np.ones((1, 2, 3), np.float32)
    >>> lax.conv_general_dilated_local(signal, kernels, (1,), "VALID", (2,))
    Array([[[2., 2., 2.]]], dtype=float32)
    """
    x, w = as_operand(lhs, "conv_general_dilated_local"), as_operand(rhs, "conv_general_dilated_local")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    patches = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation,
        ConvDimensionNumbers(numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec), precision,
    )  # fmt: skip
    out, kernel = numbers.out_spec, numbers.rhs_spec
    sums = dot_general(patches, w, (((out[1],), (kernel[1],)), (tuple(out[2:]), tuple(kernel[2:]))), precision)
    # sums: (spatial axes, batch, features)
    space = len(out) - 2
    order = [0] * (space + 2)
    for place, axis in zip(out, (space, space + 1, *range(space)), strict=True):
        order[place] = axis
    return transpose(sums, order)


# -- shapes -----------------------------------------------------------------------------------------------------------
def conv_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], strides: Sequence[int], pads: Pads, batch_group_count: int = 1
) -> tuple[int, ...]:
    """The shape of a convolution with batch and features first.

    Examples
    --------
    >>> lax.conv_shape_tuple((1, 1, 4, 4), (8, 1, 3, 3), (1, 1), "VALID")
    (1, 8, 2, 2)
    """
    return _general_shape(lhs_shape, rhs_shape, strides, pads, None, batch_group_count)


def conv_general_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int], padding: Pads,
    dimension_numbers: DimensionNumbers,
) -> tuple[int, ...]:  # fmt: skip
    """The shape of a convolution without dilation.

    Examples
    --------
    >>> lax.conv_general_shape_tuple((1, 4, 4, 1), (3, 3, 1, 8), (1, 1), "SAME", ("NHWC", "HWIO", "NHWC"))
    (1, 4, 4, 8)
    """
    return _general_shape(lhs_shape, rhs_shape, window_strides, padding, dimension_numbers, 1)


def _general_shape(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int], padding: Pads,
    dimension_numbers: DimensionNumbers, batch_group_count: int,
) -> tuple[int, ...]:  # fmt: skip
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    sizes, window = [lhs_shape[d] for d in numbers.lhs_spec[2:]], [rhs_shape[d] for d in numbers.rhs_spec[2:]]
    pads = padtype_to_pads(sizes, window, window_strides, padding) if isinstance(padding, str) else padding
    return _shape(lhs_shape, rhs_shape, shape_of(window_strides), pads, (1,) * len(sizes), numbers, batch_group_count)


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int], padding: Pads,
    dimension_numbers: DimensionNumbers,
) -> tuple[int, ...]:  # fmt: skip
    """The shape of a transposed convolution.

    Examples
    --------
    >>> lax.conv_transpose_shape_tuple((1, 4, 4, 1), (3, 3, 1, 8), (2, 2), "SAME", ("NHWC", "HWIO", "NHWC"))
    (1, 8, 8, 8)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    steps = shape_of(window_strides)
    pads = _transposed_pads([rhs_shape[d] for d in numbers.rhs_spec[2:]], steps, padding, False)
    return _shape(lhs_shape, rhs_shape, (1,) * len(steps), pads, steps, numbers, 1)


def _shape(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], strides: Sequence[int], pads: Pads, base: Sequence[int],
    numbers: ConvDimensionNumbers, batch_group_count: int,
) -> tuple[int, ...]:  # fmt: skip
    avals = [Aval(shape_of(s), np.dtype(np.float32)) for s in (lhs_shape, rhs_shape)]
    return p.conv_general_dilated.shape(
        *avals, window_strides=strides, padding=tuple([shape_of(pair) for pair in pads]), lhs_dilation=tuple(base),
        rhs_dilation=(1,) * len(strides), dimension_numbers=numbers, feature_group_count=1,
        batch_group_count=batch_group_count,
    )  # fmt: skip
