"""What functions of neural networks refuse, in words."""

from __future__ import annotations

import pytest

import portax.numpy as pnp
from portax import errors, nn, random, vmap
from portax.nn import initializers

KEY = random.key(0)
Q, K = pnp.ones((2, 3, 4, 8)), pnp.ones((2, 5, 2, 8))
WIDE = pnp.ones((2, 40))
MX, NV = (nn.get_scaled_dot_general_config(mode) for mode in ("mxfp8", "nvfp4"))


def attend(query=Q, key=K, value=K, **given):
    return nn.dot_product_attention(query, key, value, **given)


def scaled(*shapes):
    return nn.scaled_matmul(*[pnp.ones(s) for s in shapes])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: attend(implementation="cudnn"), errors.GapError, "no implementation by cuDNN"),
        (lambda: attend(implementation="fast"), errors.ArgumentError, "no implementation 'fast'"),
        (lambda: attend(query=pnp.ones((3, 8))), errors.ShapeError, "query of 3 or 4 axes, got float32[3,8]"),
        (lambda: attend(key=pnp.ones((5, 2, 8))), errors.ShapeError, "key of 4 axes"),
        (lambda: attend(value=pnp.ones((2, 5, 2, 4))), errors.ShapeError, "value of shape (2, 5, 2, 8)"),
        (lambda: attend(value=K.astype("float16")), errors.DtypeError, "value of the dtype of query, float32"),
        (lambda: attend(query=pnp.ones((2, 3, 3, 8))), errors.ShapeError, "share 2 heads of keys among 3 heads"),
        (lambda: attend(bias=pnp.ones((3, 4))), errors.ShapeError, "bias that broadcasts to (2, 4, 3, 5)"),
        (lambda: attend(mask=pnp.ones((3, 5))), errors.DtypeError, "a mask of bool"),
        (lambda: attend(query_seq_lengths=pnp.ones(2)), errors.DtypeError, "query_seq_lengths of int32"),
        (lambda: attend(key_value_seq_lengths=pnp.ones(3, int)), errors.ShapeError, "of shape (2,), got int32[3]"),
        (lambda: nn.standardize(Q, algorithm="slow"), errors.ArgumentError, "no algorithm 'slow'"),
        (lambda: nn.one_hot(pnp.arange(3), 3, axis=2), errors.AxisError, "axis 2"),
        (
            lambda: vmap(lambda x: nn.one_hot(x, 3, axis="i"), axis_name="i")(pnp.arange(2)),
            errors.ShapeError, "3 classes along the axis 'i', which has 2 places",
        ),
        (lambda: nn.get_scaled_dot_general_config("int8"), errors.ArgumentError, "knows no mode 'int8'"),
        (lambda: nn.get_scaled_dot_general_config("mxfp8", 1), errors.ArgumentError, "has no global_scale"),
        (lambda: scaled((2, 8), (1, 2, 8), (1, 2, 2), (1, 2, 2)), errors.ShapeError, "arrays of three axes"),
        (lambda: scaled((1, 2, 8), (1, 2, 4), (1, 2, 2), (1, 2, 2)), errors.ShapeError, "one length of rows"),
        (lambda: scaled((1, 2, 8), (1, 3, 8), (1, 2, 2), (1, 3, 4)), errors.ShapeError, "equal blocks of each row"),
        (
            lambda: nn.scaled_dot_general(WIDE, WIDE, (((1,), (1,)), ((), ())), configs=[MX] * 3),
            errors.ShapeError, "mxfp8 needs contractions whose length is a multiple of 32",
        ),
        (lambda: initializers.zeros(KEY, (2,), out_sharding=1), errors.ArgumentError, "out_sharding has 1 in it"),
        (lambda: initializers.he_normal()(KEY, (3,)), errors.ShapeError, "shape (3,) have no axis -2 of inputs"),
        (lambda: initializers.he_normal(in_axis=4)(KEY, (3, 2)), errors.ShapeError, "have not all of the axes"),
        (lambda: initializers.variance_scaling(1, "fan", "normal")(KEY, (2, 2)), errors.ArgumentError, "mode 'fan'"),
        (
            lambda: initializers.variance_scaling(1, "fan_in", "cauchy")(KEY, (2, 2)),
            errors.ArgumentError, "distribution 'cauchy'",
        ),
        (lambda: initializers.uniform()(KEY, (2,), int), errors.DtypeError, "gives a floating dtype"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused_in_words(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    assert words in str(refusal.value)


def test_a_block_of_zeros_stays_zeros():
    x = pnp.zeros((1, 32))
    for config in (MX, NV):
        out = nn.scaled_dot_general(x, x, (((1,), (1,)), ((), ())), configs=[config] * 3)
        assert out.tolist() == [[0.0]]
