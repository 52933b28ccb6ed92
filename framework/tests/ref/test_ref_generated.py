"""Programs made at random of reads, writes, loops, branches and calls, beside the same program on a list in Python.

The oracle knows nothing of references, tracing or derivatives: it walks the program with NumPy, and its derivative is a
central difference in float64.
"""

import random

import numpy as np
import pytest

import portax
import portax.numpy as pnp
from portax import lax

REFS, LENGTH, PROGRAMS = 3, 2, 10


# -- programs --------------------------------------------------------------------------------------------------------
def expression(rng, depth=2):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice([("ref", rng.randrange(REFS)), ("x",), ("turn",), ("number", rng.choice([0.5, -0.3, 0.8]))])
    kind = rng.choice(["add", "mul", "tanh"])
    return (kind, *(expression(rng, depth - 1) for _ in range(1 if kind == "tanh" else 2)))


def statement(rng, depth):
    kinds = ["write", "write", "place", "add", "swap"]
    if depth:
        kinds += ["fori", "scan", "while", "cond", "jit", "checkpoint"]
    kind, r = rng.choice(kinds), rng.randrange(REFS)
    if kind in ("write", "place", "add"):
        return kind, r, rng.randrange(LENGTH), expression(rng)
    if kind == "swap":
        return kind, r, rng.randrange(REFS)
    if kind == "cond":
        return kind, r, block(rng, depth - 1), block(rng, depth - 1)
    return kind, rng.randrange(4), block(rng, depth - 1)


def block(rng, depth):
    return [statement(rng, depth) for _ in range(rng.randrange(1, 4))]


# -- the oracle ------------------------------------------------------------------------------------------------------
def plainly(program, values, x):
    one = np.ones(LENGTH)

    def value(e, turn):
        match e:
            case ("ref", r):
                return values[r]
            case ("x",):
                return x * one
            case ("turn",):
                return 0.25 * turn * one
            case ("number", c):
                return c * one
            case ("add", a, b):
                return value(a, turn) + value(b, turn)
            case ("mul", a, b):
                return value(a, turn) * value(b, turn)
            case ("tanh", a):
                return np.tanh(value(a, turn))

    def run(statements, turn):
        for s in statements:
            match s:
                case ("write", r, _, e):
                    values[r] = np.tanh(value(e, turn))
                case ("place", r, i, e):
                    values[r] = np.where(np.arange(LENGTH) == i, value(e, turn), values[r])
                case ("add", r, _, e):
                    values[r] = np.tanh(values[r] + value(e, turn))
                case ("swap", a, b):
                    values[a], values[b] = values[b], values[a]
                case ("cond", r, yes, no):
                    run(yes if values[r].sum() > 0.2 else no, turn)
                case ("jit" | "checkpoint", _, body):
                    run(body, turn)
                case ("scan", n, body):
                    for i in range(n):
                        run(body, n - 1 - i)
                case (_, n, body):
                    for i in range(n):
                        run(body, i)

    run(program, 0)
    return values


# -- with references -------------------------------------------------------------------------------------------------
def with_references(program, refs, x):
    def value(e, turn):
        match e:
            case ("ref", r):
                return refs[r][...]
            case ("x",):
                return x * pnp.ones(LENGTH)
            case ("turn",):
                return 0.25 * turn * pnp.ones(LENGTH)
            case ("number", c):
                return c * pnp.ones(LENGTH)
            case ("add", a, b):
                return value(a, turn) + value(b, turn)
            case ("mul", a, b):
                return value(a, turn) * value(b, turn)
            case ("tanh", a):
                return pnp.tanh(value(a, turn))

    def run(statements, turn):
        for s in statements:
            match s:
                case ("write", r, _, e):
                    refs[r][...] = pnp.tanh(value(e, turn))
                case ("place", r, i, e):
                    refs[r].at[i].set(value(e, turn)[i])
                case ("add", r, _, e):
                    refs[r].addupdate(value(e, turn))
                    refs[r][:] = pnp.tanh(refs[r][:])
                case ("swap", a, b):
                    refs[b][...] = portax.ref.swap(refs[a], None, refs[b][...])
                case ("cond", r, yes, no):
                    lax.cond(refs[r][...].sum() > 0.2, lambda y=yes: run(y, turn), lambda n=no: run(n, turn))
                case ("jit", _, body):
                    portax.jit(lambda t, body=body: run(body, t))(turn)
                case ("checkpoint", _, body):
                    portax.checkpoint(lambda t, body=body: run(body, t))(turn)
                case ("fori", n, body):
                    lax.fori_loop(0, n, lambda i, c, body=body: run(body, i), None)
                case ("scan", n, body):
                    lax.scan(lambda c, i, body=body: (c, run(body, i)), None, pnp.arange(n), reverse=True)
                case ("while", n, body):
                    lax.while_loop(lambda i, n=n: i < n, lambda i, body=body: (run(body, i), i + 1)[1], pnp.asarray(0))

    run(program, 0)
    return [r[...] for r in refs]


def made_inside(program):
    def f(x):
        return with_references(program, [portax.new_ref(x * pnp.asarray(v, x.dtype)) for v in START], x)

    return f


START = np.array([[0.5, -0.2], [0.1, 0.9], [-0.7, 0.3]])
X = 0.6
programs = pytest.mark.parametrize("seed", range(PROGRAMS))


def program_of(seed, loops=True):
    found = block(random.Random(seed), 3)
    return found if loops else without_while(found)


def without_while(statements):
    """Reverse mode needs to know the number of turns."""
    changed = []
    for s in statements:
        parts = [without_while(p) if isinstance(p, list) else p for p in s]
        changed.append(("fori" if s[0] == "while" else s[0], *parts[1:]))
    return changed


def expected(program, x=X):
    return plainly(program, [x * v for v in START], x)


@programs
@pytest.mark.parametrize("wrap", [lambda f: f, portax.jit], ids=["eager", "jit"])
def test_references_made_inside_hold_what_the_list_holds(seed, wrap):
    program = program_of(seed)
    got = wrap(made_inside(program))(pnp.float32(X))
    np.testing.assert_allclose(got, expected(program), rtol=2e-4, atol=1e-5)


@programs
def test_references_given_and_closed_over_hold_what_the_list_holds(seed):
    program = program_of(seed)
    refs = [portax.new_ref(pnp.asarray(X * v, "float32")) for v in START]
    f = portax.jit(lambda given, x: with_references(program, [refs[0], *given], x))
    values = [X * v for v in START]
    for x in (X, -X):
        got = f(refs[1:], pnp.float32(x))
        plainly(program, values, x)
        np.testing.assert_allclose(got, values, rtol=5e-4, atol=2e-5)
        np.testing.assert_allclose([r[...] for r in refs], values, rtol=5e-4, atol=2e-5)


@programs
def test_rows_hold_what_lists_hold(seed):
    program = program_of(seed)
    xs = np.array([X, -0.4, 1.1])
    got = portax.vmap(made_inside(program))(pnp.asarray(xs, "float32"))
    want = np.stack([np.stack(expected(program, x)) for x in xs], axis=1)
    np.testing.assert_allclose(np.stack([np.asarray(g) for g in got]), want, rtol=5e-4, atol=2e-5)


@programs
def test_the_derivative_is_the_slope(seed):
    program = program_of(seed, loops=False)
    # Not every program is smooth: where a branch turns over between the two points there is no slope to compare with.
    step = 1e-5
    high, low = (np.sum(expected(program, X + s)) for s in (step, -step))
    near, far = (high - low) / (2 * step), (np.sum(expected(program, X + 7 * step)) - low) / (8 * step)
    assert abs(near - far) < 1e-2 * (1 + abs(near)), "choose another seed: this program jumps at X"
    total = lambda x: sum(v.sum() for v in made_inside(program)(x))
    for f in (portax.grad(total), portax.jit(portax.grad(total)), portax.grad(portax.jit(total))):
        np.testing.assert_allclose(f(pnp.float32(X)), near, rtol=5e-3, atol=5e-4)
