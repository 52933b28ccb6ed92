"""The words of errors about indexes and shapes."""

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import errors

CASES = {
    "list": (lambda x: x[[0, 1]], TypeError, r"a list cannot be an index: \[0, 1\]"),
    "string": (lambda x: x["a"], TypeError, "a string cannot be an index: 'a'"),
    "float": (lambda x: x[1.5], TypeError, "must be integer or bool, not float"),
    "float-array": (lambda x: x[x], TypeError, "must be integer or bool, not float32"),
    "object": (lambda x: x[{}], IndexError, "of type dict cannot be an index"),
    "too-many": (lambda x: x[0, 0, 0], IndexError, "the index has 3 entries, but the array has 2 axes"),
    "two-ellipses": (lambda x: x[..., ...], IndexError, "two ellipses"),
    "mask": (lambda x: x[np.array([True, False])], IndexError, r"a mask of shape \(2,\) cannot pick .* \(4,\)"),
    "step": (lambda x: x[::0], ValueError, "has step 0"),
    "slice-bound": (lambda x: x[1.5:], TypeError, "bounds must be integers or None"),
    "empty-axis": (lambda x: x[:0][0], IndexError, "axis 0 of the array .* has length 0"),
    "misfit": (lambda x: x[np.arange(2), np.arange(3)], IndexError, r"\(2,\) and \(3,\) do not fit together"),
    "huge": (lambda x: x[2**40], OverflowError, "too large to convert to int32"),
    "mode": (lambda x: x.at[0].get(mode="nearest"), ValueError, "there is no gather mode 'nearest'"),
    "values": (lambda x: x.at[0].set(pnp.ones(5)), ValueError, r"cannot write values of shape \(5,\)"),
    "bool-add": (lambda x: (x > 0).at[0].add(True), TypeError, "add does not take bool"),
    "apply": (lambda x: x.at[0].apply(lambda v: pnp.ones(2)), ValueError, "maps a scalar to shape"),
    "assign": (lambda x: x.__setitem__(0, 1), TypeError, r"x\.at\[i\]\.set"),
    "reshape": (lambda x: pnp.reshape(x, (5, -1)), TypeError, "cannot put the 24 elements"),
    "concatenate": (lambda x: pnp.concatenate([x, x[:, :2]]), ValueError, "along axis 0"),
    "split": (lambda x: pnp.split(x, 3), ValueError, "equal division"),
    "axis": (lambda x: pnp.flip(x, 5), ValueError, "axis 5, which is out of bounds"),
    "pad": (lambda x: pnp.pad(x, -1), ValueError, "negative values"),
    "put": (lambda x: pnp.put(x, 0, 1), ValueError, "inplace=False"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_says_what_was_wrong(name):
    f, kind, words = CASES[name]
    with pytest.raises(kind, match=words):
        f(pnp.ones((4, 6)))


def test_a_traced_mask_is_refused_with_the_way_around_it():
    with pytest.raises(errors.NonConcreteBooleanIndexError, match=r"pnp\.where\(mask, x, 0\)"):
        portax.jit(lambda x: x[x > 0])(pnp.ones(3))


def test_a_traced_bound_of_a_slice_is_refused_with_the_way_around_it():
    with pytest.raises(errors.NonConcreteSliceError, match=r"lax\.dynamic_slice"):
        portax.jit(lambda x, i: x[i:])(pnp.ones(3), 1)


def test_traced_repeats_need_a_length():
    with pytest.raises(errors.ConcretizationTypeError, match="total_repeat_length"):
        portax.jit(pnp.repeat)(pnp.ones(2), np.array([1, 2]))


def test_values_that_may_lose_what_they_are_warn():
    with pytest.warns(FutureWarning, match="from float32 to int32"):
        pnp.zeros(2, "int32").at[0].set(pnp.float32(1.5))
