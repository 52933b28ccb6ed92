"""A function made functional returns its first error beside its result, whatever surrounds the check."""

from __future__ import annotations

import numpy as np
import pytest

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.errors import ArgumentError, CheckError
from portax.experimental import checkify
from portax.experimental.checkify import check


def positive(x):
    check(x > 0, "x must be positive, got {}", x)
    return pnp.log(x)


def told(f, *args, errors=checkify.user_checks):
    """What a function says, at once and compiled, and its result."""
    error, out = checkify.checkify(f, errors)(*args)
    compiled, again = px.jit(checkify.checkify(f, errors))(*args)
    assert error.get() == compiled.get()
    for a, b in zip(px.tree.leaves(out), px.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    return error.get()


SAYS = "x must be positive, got -1.0 (`check` failed)"


def looped(x):
    return lax.fori_loop(0, 3, lambda i, c: c + positive(x - i), 0.0)


def scanned(xs):
    return lax.scan(lambda c, x: (c + positive(x), positive(x)), 0.0, xs)


def halved(x):
    def cond(x):
        check(x > -4, "the condition met {x}", x=x)
        return x < 2

    def body(x):
        check(x != 1, "the body met {}", x)
        return x + 1

    return lax.while_loop(cond, body, x)


def chosen(i, x):
    return lax.switch(i, [positive, lambda x: x, lambda x: positive(positive(x))], x)


PROGRAMS = {
    "alone": (positive, (-1.0,), SAYS),
    "alone, holds": (positive, (1.0,), None),
    "first of two": (lambda x: positive(x) + positive(x - 5), (-1.0,), SAYS),
    "second of two": (lambda x: positive(x) + positive(-x), (1.0,), SAYS),
    "jit": (lambda x: px.jit(positive)(x), (-1.0,), SAYS),
    "nested jit": (lambda x: positive(3.0) + px.jit(lambda x: px.jit(positive)(x))(x), (-1.0,), SAYS),
    "fori_loop": (looped, (1.0,), "x must be positive, got 0.0 (`check` failed)"),
    "fori_loop, holds": (looped, (5.0,), None),
    "scan": (scanned, (np.array([1.0, 2.0, -1.0, -2.0], np.float32),), SAYS),
    "scan, holds": (scanned, (np.array([1.0, 2.0], np.float32),), None),
    "while, condition": (halved, (-4.0,), "the condition met -4.0 (`check` failed)"),
    "while, body": (halved, (-1.0,), "the body met 1.0 (`check` failed)"),
    "while, holds": (halved, (1.5,), None),
    "cond": (chosen, (0, -1.0), SAYS),
    "cond, other branch": (chosen, (1, -1.0), None),
    "cond, last branch": (chosen, (2, 1.0), "x must be positive, got 0.0 (`check` failed)"),
    "checkpoint": (px.checkpoint(positive), (-1.0,), SAYS),
    "vmap": (lambda xs: px.vmap(positive)(xs), (np.array([1.0, -1.0, -2.0], np.float32),), SAYS),
    "grad": (lambda x: px.grad(positive)(x), (-1.0,), SAYS),
    "jvp": (lambda x: px.jvp(positive, (x,), (1.0,)), (-1.0,), SAYS),
    "grad of scan": (lambda xs: px.grad(lambda xs: scanned(xs)[0])(xs), (np.array([1.0, -1.0], np.float32),), SAYS),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_first_check_that_fails_is_told(name):
    f, args, says = PROGRAMS[name]
    assert told(f, *args) == says


def test_a_check_raises_at_once_and_names_the_line():
    with pytest.raises(CheckError, match=r"x must be positive, got -1\.0"):
        positive(-1.0)
    assert float(positive(1.0)) == 0.0
    error, _ = checkify.checkify(positive)(-1.0)
    with pytest.raises(CheckError, match="x must be positive") as caught:
        error.throw()
    assert caught.value.where[1:] == (positive.__code__.co_firstlineno + 1, "positive")
    assert isinstance(error.get_exception(), CheckError)
    fine, _ = checkify.checkify(positive)(1.0)
    assert fine.get() is None and fine.get_exception() is None
    fine.throw()


def test_a_compiled_program_cannot_raise_and_says_so():
    with px.default_device(px.devices()[0]):
        f = px.jit(positive)
        if px.devices()[0].platform == "reference":
            with pytest.raises(CheckError):
                f(-1.0)
        else:
            with pytest.raises(ArgumentError, match="a compiled program cannot raise, and has the check 'x must"):
                f(1.0)
    debugged = px.jit(lambda x: (checkify.debug_check(x > 0, "dropped"), x + 1)[1])
    assert float(debugged(-1.0)) == 0.0
    assert told(lambda x: (checkify.debug_check(x > 0, "kept"), x)[1], -1.0) == "kept (`check` failed)"


def test_a_batch_of_errors_names_its_rows():
    xs = np.array([1.0, -1.0, 2.0, -3.0], np.float32)
    error, out = px.vmap(checkify.checkify(positive))(xs)
    assert error.get() == (
        "at mapped index 1: x must be positive, got -1.0 (`check` failed)\n"
        "at mapped index 3: x must be positive, got -3.0 (`check` failed)"
    )
    assert out.shape == (4,)
    with pytest.raises(ArgumentError, match=r"the errors of a batch of shape \(4,\)"):
        checkify.check_error(error)


def test_an_error_can_be_raised_again_inside_another_program():
    def outer(x):
        error, y = checkify.checkify(positive)(x)
        checkify.check_error(error)
        return y

    assert told(outer, -1.0) == SAYS
    assert told(outer, 1.0) is None
    with pytest.raises(CheckError, match="x must be positive"):
        outer(-1.0)


def test_an_error_passes_through_programs_as_a_tree():
    error, _ = checkify.checkify(positive)(-1.0)
    leaves, structure = px.tree.flatten(error)
    assert px.tree.unflatten(structure, leaves).get() == SAYS
    assert px.jit(lambda e: e)(error).get() == SAYS


AUTOMATIC = {
    "nan": (lambda x: pnp.log(x) + 1, (-1.0,), "nan generated by primitive: log."),
    "nan in a loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: pnp.sqrt(c - 1), x), (2.5,), "nan generated by"),
    "div": (lambda x, y: x / y, (1.0, 0.0), "division by zero"),
    "integer div": (lambda x, y: x // y, (1, 0), "division by zero"),
    "index": (lambda x, i: x[i], (np.ones((3, 2)), 3), "index 3 is out of bounds for axis 0 with size 3."),
    "second axis": (lambda x, i: x[0, i], (np.ones((3, 2)), 7), "index 7 is out of bounds for axis 1 with size 2."),
    "index array": (lambda x, i: x[i], (np.ones(3), np.array([0, 2, 5])), "index 5 is out of bounds for axis 0"),
    "set": (lambda x, i: x.at[i].set(1.0), (np.ones(3), 4), "index 4 is out of bounds for axis 0 with size 3."),
    "add": (lambda x, i: x.at[i].add(1.0), (np.ones(3), np.array([1, 9])), "index 9 is out of bounds for axis 0"),
    "slice": (lambda x, i: lax.dynamic_slice(x, (i,), (2,)), (np.ones(3), 2), "index 2 is out of bounds for axis 0"),
    "all is well": (lambda x, i: (pnp.log(x) / 2)[i], (np.ones(3), -1), None),
}


@pytest.mark.parametrize("name", AUTOMATIC)
def test_what_no_one_wrote_is_checked_too(name):
    f, args, says = AUTOMATIC[name]
    found = told(f, *args, errors=checkify.all_checks)
    assert (found is None) if says is None else says in found
    assert told(f, *args) is None


def test_kinds_are_chosen():
    f = lambda x: pnp.log(x) / 0.0
    assert "log" in told(f, -1.0, errors=checkify.nan_checks)
    assert told(f, -1.0, errors=checkify.div_checks) == "division by zero"
    assert told(f, 2.0, errors=checkify.nan_checks | checkify.index_checks) is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check(True, 3), ArgumentError, "check needs words to fail with, got 3"),
        (lambda: check(np.ones(2, bool), "no"), TypeError, r"check needs one bool, got bool\[2\]"),
        (lambda: checkify.checkify(positive, frozenset({"typo"})), ArgumentError, "knows no checks called 'typo'"),
    ],
)
def test_a_wrong_call_says_so(call, error, words):
    with pytest.raises(error, match=words):
        call()
