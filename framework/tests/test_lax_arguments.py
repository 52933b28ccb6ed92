"""What the structural functions of lax say to arguments that cannot be."""

import numpy as np
import pytest

import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, DtypeError, ShapeError

X = np.zeros((2, 3), np.int32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lax.collapse(X, 2, 1), ArgumentError, "axes from 2 up to 1"),
        (lambda: lax.dynamic_slice(X, (-1, 0), (1, 1), allow_negative_indices=False), ArgumentError, "start index -1"),
        (lambda: lax.reduce_sum(X > 0, (0,)), DtypeError, "the sum of bools is not one"),
        (lambda: lax.dot(X, X.T, preferred_element_type=np.int8), DtypeError, "narrower than int32"),
        (lambda: lax.pad(X, 1.5, ((0, 0, 0),) * 2), DtypeError, "cannot hold it"),
        (lambda: lax.gather(X, X, lax.GatherDimensionNumbers((), (0,), (0,)), (1, 1), mode="wrap"), ArgumentError,
         "no gather mode 'wrap'"),
        (lambda: lax.broadcasted_iota("int32", (2, 3), -1), ShapeError, "cannot count along axis -1"),
        (lambda: lax.iota("int32", -1), ShapeError, r"cannot make an array of shape \(-1,\)"),
    ],
    ids=["collapse", "negative-start", "sum-of-bools", "narrower", "pad", "gather-mode", "iota-axis", "iota-length"],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_sum_asked_for_in_a_lesser_kind_is_made_in_its_own_and_converted():
    x = pnp.array([1.5, 1.5], "float32")
    out = lax.dot(x, x, preferred_element_type=np.int32)
    assert (out.dtype, int(out)) == (np.int32, 4)  # 4.5 cut off, not 1 * 1 + 1 * 1


def test_axes_that_are_collapsed_to_none_leave_one_of_length_1():
    assert lax.collapse(X, 1, 1).shape == (2, 1, 3)


def test_functions_take_their_arguments_by_the_names_that_jax_gives_them():
    assert float(lax.igamma(a=1.0, x=2.0)) == float(lax.igamma(1.0, 2.0))
    assert float(lax.igammac(a=1.0, x=2.0)) == float(lax.igammac(1.0, 2.0))
    assert float(lax.igamma_grad_a(a=1.0, x=2.0)) == float(lax.igamma_grad_a(1.0, 2.0))
    assert float(lax.polygamma(m=1.0, x=2.0)) == float(lax.polygamma(1.0, 2.0))
    assert float(lax.zeta(x=2.0, q=1.0)) == float(lax.zeta(2.0, 1.0))
    assert float(lax.nextafter(x1=1.0, x2=2.0)) > 1
    with pytest.raises(TypeError, match="positional-only"):
        lax.mulhi(x=1, y=2)
