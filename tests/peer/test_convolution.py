"""Convolutions beside jax.lax: values, dtypes, both derivatives, batches, shapes, over generated parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax as jlax

import portax
from portax import errors, lax

pytestmark = pytest.mark.peer

generated = settings(max_examples=40, deadline=None, derandomize=True, database=None)
#: As `generated`, where each example is compiled several times by the peer.
fewer = settings(max_examples=12, deadline=None, derandomize=True, database=None)


class Conv(NamedTuple):
    """Parameters of a convolution, and the shapes of its operands."""

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    params: dict[str, Any]

    def operands(self, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(len(self.lhs) + sum(self.lhs) + sum(self.rhs))
        return tuple(draw.integers(-4, 5, s).astype(dtype) for s in (self.lhs, self.rhs))  # type: ignore[return-value]


SPACE = "HWD"


@st.composite
def convs(draw: Any, least: int = 1) -> Conv:
    space = draw(st.integers(1, 2))
    fg = draw(st.sampled_from([1, 1, 2]))
    bg = draw(st.sampled_from([1, 1, 2])) if fg == 1 else 1
    n, i, o = draw(st.integers(least, 2)) * bg, draw(st.integers(1, 2)), draw(st.integers(1, 2)) * fg * bg
    k = [draw(st.integers(1, 3)) for _ in range(space)]
    base = tuple(draw(st.integers(1, 3)) for _ in range(space))
    spread = tuple(draw(st.integers(1, 2)) for _ in range(space))
    x = [draw(st.integers(least, 5)) for _ in range(space)]
    padding = draw(st.sampled_from(["SAME", "VALID", "SAME_LOWER", None, None, None]))
    if padding is not None:
        base = (1,) * space
    else:
        lengths = [(m - 1) * b + 1 for m, b in zip(x, base, strict=True)]
        lows = [draw(st.integers(-min(1, m - 1), 3)) for m in lengths]
        highs = [draw(st.integers(-min(1, m + low - 1), 3)) for m, low in zip(lengths, lows, strict=True)]
        padding = list(zip(lows, highs, strict=True))
    letters = [draw(st.permutations(c + SPACE[:space])) for c in ("NC", "OI", "NC")]
    sizes = {"N": n, "C": i * fg, **dict(zip(SPACE, x, strict=False))}
    kernel = {"O": o, "I": i, **dict(zip(SPACE, k, strict=False))}
    return Conv(
        tuple(sizes[c] for c in letters[0]),
        tuple(kernel[c] for c in letters[1]),
        {
            "window_strides": tuple(draw(st.integers(1, 3)) for _ in range(space)),
            "padding": padding, "lhs_dilation": base, "rhs_dilation": spread,
            "dimension_numbers": tuple("".join(s) for s in letters),
            "feature_group_count": fg, "batch_group_count": bg,
        },
    )  # fmt: skip


def assert_same(got: Any, expected: Any, exact: bool = True) -> None:
    g, e = np.asarray(got), np.asarray(expected)
    assert g.shape == e.shape, f"shape {g.shape}, the peer's {e.shape}"
    assert str(g.dtype) == str(e.dtype), f"dtype {g.dtype}, the peer's {e.dtype}"
    if exact:
        np.testing.assert_array_equal(g, e)
    else:
        np.testing.assert_allclose(g, e, rtol=2e-5, atol=2e-5)


@generated
@given(convs())
def test_values_are_the_peers(conv: Conv) -> None:
    x, w = conv.operands()
    assert_same(lax.conv_general_dilated(x, w, **conv.params), jlax.conv_general_dilated(x, w, **conv.params))


@generated
@given(convs())
def test_cotangents_and_tangents_are_the_peers(conv: Conv) -> None:
    x, w = conv.operands()
    out, back = portax.vjp(lambda x, w: lax.conv_general_dilated(x, w, **conv.params), x, w)
    peer = jax.jit(lambda x, w, c: jax.vjp(lambda x, w: jlax.conv_general_dilated(x, w, **conv.params), x, w)[1](c))
    ct = np.arange(out.size, dtype=np.float32).reshape(out.shape) % 5
    for got, expected in zip(back(ct), peer(x, w, ct), strict=True):
        assert_same(got, expected)
    _, t = portax.jvp(lambda x, w: lax.conv_general_dilated(x, w, **conv.params), (x, w), (x[::-1], w[::-1]))
    moved = jlax.conv_general_dilated(x[::-1], w, **conv.params) + jlax.conv_general_dilated(x, w[::-1], **conv.params)
    assert_same(t, moved)


@fewer
@given(convs())
def test_batches_of_one_operand_or_both_are_the_peers(conv: Conv) -> None:
    x, w = conv.operands()
    xs, ws = np.stack([x, x + 1, -x]), np.stack([w, w - 1, 2 * w])
    for axes in ((0, None), (None, 0), (0, 0), (1, -1)):
        a = x if axes[0] is None else np.moveaxis(xs, 0, axes[0])
        b = w if axes[1] is None else np.moveaxis(ws, 0, axes[1])
        got = portax.vmap(lambda x, w: lax.conv_general_dilated(x, w, **conv.params), axes)(a, b)
        expected = jax.vmap(lambda x, w: jlax.conv_general_dilated(x, w, **conv.params), axes)(a, b)
        assert_same(got, expected)


@fewer
@given(convs())
def test_compiled_derivatives_of_a_batch_are_those_computed_at_once(conv: Conv) -> None:
    x, w = conv.operands()
    xs = np.stack([x, x + 1])

    def loss(w: Any, xs: Any) -> Any:
        return (portax.vmap(lambda x: lax.conv_general_dilated(x, w, **conv.params))(xs) ** 2).sum()

    step = portax.grad(loss)
    assert_same(portax.jit(step)(w, xs), step(w, xs))


DTYPES = ("bool", "int8", "uint8", "int32", "uint32", "float16", "bfloat16", "float32", "complex64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_dtype_gives_the_peers_values(dtype: str) -> None:
    x, w = Conv((1, 2, 6), (3, 2, 2), {}).operands()
    x, w = x.astype(jax.numpy.dtype(dtype)), w.astype(jax.numpy.dtype(dtype))
    assert_same(lax.conv(x, w, (1,), "SAME"), jlax.conv(x, w, (1,), "SAME"))


@pytest.mark.parametrize(("dtype", "preferred"), [("int8", "int32"), ("bfloat16", "float32"), ("float16", "float32")])
def test_sums_are_kept_in_the_preferred_dtype(dtype: str, preferred: str) -> None:
    x, w = (np.full(s, 100, jax.numpy.dtype(dtype)) for s in ((1, 2, 6), (3, 2, 2)))
    params = {"window_strides": (1,), "padding": "VALID", "preferred_element_type": preferred}
    assert_same(lax.conv_general_dilated(x, w, **params), jlax.conv_general_dilated(x, w, **params))


EMPTY = [
    ((0, 2, 5), (3, 2, 2), "SAME"), ((2, 0, 5), (3, 0, 2), "SAME"), ((2, 2, 5), (0, 2, 2), "SAME"),
    ((2, 2, 0), (3, 2, 2), "SAME"), ((2, 2, 0), (3, 2, 2), [(2, 1)]), ((2, 2, 1), (3, 2, 4), "VALID"),
]  # fmt: skip


@pytest.mark.parametrize(("lhs", "rhs", "padding"), EMPTY, ids=str)
def test_axes_of_length_0_are_the_peers(lhs: Any, rhs: Any, padding: Any) -> None:
    x, w = np.ones(lhs, np.float32), np.ones(rhs, np.float32)
    expected = jlax.conv_general_dilated(x, w, (1,), padding)
    assert_same(lax.conv_general_dilated(x, w, (1,), padding), expected)
    out, back = portax.vjp(lambda x, w: lax.conv_general_dilated(x, w, (1,), padding), x, w)
    for cotangent, operand in zip(back(np.ones(out.shape, np.float32)), (x, w), strict=True):
        assert cotangent.shape == operand.shape


# -- forms of it ------------------------------------------------------------------------------------------------------
@generated
@given(
    k=st.integers(1, 4), stride=st.integers(1, 3), spread=st.integers(1, 2), turned=st.booleans(),
    consistent=st.booleans(), padding=st.sampled_from(["SAME", "VALID", [(1, 2)], [(0, 0)]]),
    numbers=st.sampled_from([None, ("NHC", "HIO", "NHC"), ("NCH", "OIH", "NHC")]),
)  # fmt: skip
def test_a_transposed_convolution_is_the_peers(
    k: int, stride: int, spread: int, turned: bool, consistent: bool, padding: Any, numbers: Any
) -> None:
    x = np.arange(2 * 4 * 3, dtype=np.float32).reshape((2, 3, 4) if numbers and numbers[0] == "NCH" else (2, 4, 3))
    i, o = (2, 3) if turned else (3, 2)
    w = np.arange(k * 6, dtype=np.float32).reshape((o, i, k) if numbers and numbers[1] == "OIH" else (k, i, o)) % 7
    args = (stride,), padding, (spread,), numbers, turned
    got = lax.conv_transpose(x, w, *args, use_consistent_padding=consistent)
    assert_same(got, jlax.conv_transpose(x, w, *args, use_consistent_padding=consistent))


@fewer
@given(convs(), st.integers(1, 3))
def test_patches_and_local_kernels_are_the_peers(conv: Conv, features: int) -> None:
    x, _ = conv.operands()
    params = {k: v for k, v in conv.params.items() if "count" not in k}
    numbers = jlax.conv_dimension_numbers(conv.lhs, conv.rhs, params["dimension_numbers"])
    window = tuple(conv.rhs[d] for d in numbers.rhs_spec[2:])
    patches = lax.conv_general_dilated_patches(x, window, **params)
    assert_same(patches, jlax.conv_general_dilated_patches(x, window, **params))
    shape = [0] * len(conv.rhs)
    shape[numbers.rhs_spec[0]] = features
    shape[numbers.rhs_spec[1]] = patches.shape[numbers.out_spec[1]]
    for d, place in zip(numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True):
        shape[d] = patches.shape[place]
    w = (np.arange(np.prod(shape), dtype=np.float32) % 5).reshape(shape)
    args = (x, w, params.pop("window_strides"), params.pop("padding"), window)
    assert_same(lax.conv_general_dilated_local(*args, **params), jlax.conv_general_dilated_local(*args, **params))


@generated
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3),
    st.sampled_from(["SAME", "VALID", "SAME_LOWER", "same", "valid"]),
)
def test_paddings_by_name_are_the_peers(axes: Any, name: str) -> None:
    shape, window, strides = zip(*axes, strict=True)
    assert lax.padtype_to_pads(shape, window, strides, name) == jlax.padtype_to_pads(shape, window, strides, name)


def test_dimension_numbers_and_shapes_are_the_peers() -> None:
    for numbers in (("NHWC", "HWIO", "NHWC"), ("NCWH", "OIHW", "NHWC"), None):
        got = lax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers)
        assert tuple(got) == tuple(jlax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers))
    names = ("NHWC", "HWIO", "NCHW")
    assert lax.conv_general_permutations(names) == tuple(jlax.conv_general_permutations(names))
    for pads in ("SAME", "VALID", ((1, 2),)):
        lhs, rhs = (2, 3, 5), (4, 3, 2)
        assert lax.conv_shape_tuple(lhs, rhs, (2,), pads) == jlax.conv_shape_tuple(lhs, rhs, (2,), pads)
        args = (2, 5, 3), (2, 3, 4), (2,), pads, ("NHC", "HIO", "NHC")
        assert lax.conv_general_shape_tuple(*args) == jlax.conv_general_shape_tuple(*args)
        assert lax.conv_transpose_shape_tuple(*args) == jlax.conv_transpose_shape_tuple(*args)


def test_other_forms_are_the_peers() -> None:
    x, w = Conv((2, 3, 6, 5), (4, 3, 3, 2), {}).operands()
    assert_same(lax.conv(x, w, (1, 2), "SAME"), jlax.conv(x, w, (1, 2), "SAME"))
    args = x, w, (1, 2), [(1, 0), (0, 2)], (2, 1), (1, 2)
    assert_same(lax.conv_with_general_padding(*args), jlax.conv_with_general_padding(*args))


@pytest.mark.parametrize("numbers", [("NHWC", "HWIO"), ("NHWC", "HWIO", "NHXC"), ("NHHC", "HWIO", "NHWC"), "NHWC"])
def test_dimension_numbers_that_mean_nothing_are_refused_as_by_the_peer(numbers: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        jlax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers)
    with pytest.raises(errors.ArgumentError, match=r"dimension.numbers"):
        lax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers)


def test_paddings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(errors.ArgumentError, match="there is no padding 'FULL'"):
        lax.padtype_to_pads((3,), (2,), (1,), "FULL")
    with pytest.raises(errors.ArgumentError, match="transposed convolution has no padding"):
        lax.conv_transpose(np.ones((1, 3, 1)), np.ones((2, 1, 1)), (1,), "SAME_LOWER")
    with pytest.raises(errors.ArgumentError, match="says nothing of an lhs spread by"):
        lax.conv_general_dilated(np.ones((1, 1, 3)), np.ones((1, 1, 2)), (1,), "SAME", (2,))
    with pytest.raises(errors.ShapeError, match="operands of one rank"):
        lax.conv_dimension_numbers((1, 2, 3), (1, 2), None)
