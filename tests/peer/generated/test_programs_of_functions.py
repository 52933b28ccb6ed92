"""Functions of functions: transformations, loops and branches, callbacks, references; signals and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peer_cases.checking import check
from peer_cases.draws import arr, choice, fixed, flag, index, matrix, num
from peer_cases.rows import Row, row

pytestmark = pytest.mark.peer

STILL: dict[str, Any] = {"moving": False}
x = arr()
same = arr(shape=lambda draw: draw.first().shape)
SLOW = {"rough": 1e-5}


def poly(lib: Any) -> Any:
    """A function with a product, a sine and a sum in it."""
    return lambda v: lib.numpy.sin(v) * v + 0.5 * v


def total(lib: Any) -> Any:
    return lambda v: (poly(lib)(v) * v).sum()


TRANSFORMED = [
    *row("grad value_and_grad", x, call=lambda lib, f, a: f(total(lib))(a), kinds="f", **SLOW),
    *row("jacfwd jacrev jacobian", x, call=lambda lib, f, a: f(poly(lib))(a), kinds="f", shapes=((3,), (), (2, 2), (0,), (4,)), **SLOW),
    *row("hessian", x, call=lambda lib, f, a: f(total(lib))(a), kinds="F", shapes=((3,), (), (2, 2), (1,)), second=False, **SLOW),
    *row("jvp", x, same, call=lambda lib, f, a, t: f(poly(lib), (a,), (t,)), kinds="fc", **SLOW),
    *row("vjp", x, same, call=lambda lib, f, a, t: (lambda o, back: (o, back(t)))(*f(poly(lib), a)), kinds="fc", **SLOW),
    *row("linearize", x, same, call=lambda lib, f, a, t: (lambda o, lin: (o, lin(t)))(*f(poly(lib), a)), kinds="fc", **SLOW),
    *row("linear_transpose", x, same, call=lambda lib, f, a, t: f(lambda v: 3 * v, a)(t), kinds="fc"),
    *row("fwd_and_bwd", x, same, kinds="F", **SLOW,
         call=lambda lib, f, a, t: (lambda fwd, bwd: (lambda o, r: (o, bwd(r, t)))(*fwd(a)))(*f(poly(lib), argnums=0))),
    *row("vmap", x, num(0, -1), num(0, -1), call=lambda lib, f, a, i, o: f(poly(lib), in_axes=i, out_axes=o)(a), kinds="fic"),
    *row("jit checkpoint remat named_call", x,
         call=lambda lib, f, a: f(poly(lib))(a), kinds="fic"),
    *row("named_scope", x, call=lambda lib, f, a: _under(f("here"), poly(lib), a), kinds="fic"),
    *row("eval_shape", x, call=lambda lib, f, a: (lambda o: (o.shape, str(o.dtype)))(f(poly(lib), a)), kinds="fic", batch=False, **STILL),
    *row("typeof", x, call=lambda lib, f, a: (f(a).shape, str(f(a).dtype)), kinds="fic", batch=False, **STILL),
    *row("block_until_ready", x, kinds="fic", eager=True, **STILL),
    *row("device_get device_put", x, kinds="fic", eager=True, call=lambda lib, f, a: lib.numpy.asarray(f(a)), **STILL),
    *row("custom_gradient custom_derivatives.custom_gradient", x, kinds="F", second=False,
         call=lambda lib, f, a: f(lambda v: (v * v, lambda ct: (ct * 3 * v,)))(a)),
    *row("closure_convert", x, kinds="F", call=lambda lib, f, a: (lambda g, c: g(a, *c))(*f(lambda v: v * 2, a))),
    *row("custom_batching:sequential_vmap", x, call=lambda lib, f, a: f(lambda v: v * 2)(a), kinds="fi", **STILL),
    *row("pure_callback", x, kinds="fi", **STILL,
         call=lambda lib, f, a: f(lambda v: np.asarray(v) * 2, lib.ShapeDtypeStruct(a.shape, a.dtype), a, vmap_method="sequential")),
    *row("ad_checkpoint:checkpoint_name", x, fixed("here"), kinds="fic"),
    *row("flatten_util:ravel_pytree", x, same, call=lambda lib, f, a, b: (lambda v, un: (v, un(v)))(*f({"a": a, "b": b})), kinds="fi"),
    *row("make_jaxpr", x, kinds="F", call=lambda lib, f, a: len(f(lambda v: v + v)(a).eqns), batch=False, **STILL),
]  # fmt: skip


def _under(scope: Any, f: Any, a: Any) -> Any:
    with scope:
        return f(a)


LOOPS = [
    *row("lax:scan", x, num(2, 3), reverse=flag, unroll=num(1, 2), kinds="f", **SLOW,
         call=lambda lib, f, a, n, **k: f(lambda c, _: (lib.numpy.sin(c) + c, c), a, None, length=n, **k)),
    *row("lax:scan", arr(shape=(2, 3)), kinds="fic", variant="over", **SLOW,
         call=lambda lib, f, a: f(lambda c, v: ((c + v).astype(c.dtype), c * v), a[0], a)),
    *row("lax:fori_loop", x, num(0, 1), num(3, 2), kinds="fi", **SLOW,
         call=lambda lib, f, a, lo, hi: f(lo, hi, lambda i, c: (c * 2 + i).astype(c.dtype), a)),
    *row("lax:while_loop", x, kinds="fi", **STILL,
         call=lambda lib, f, a: f(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, a))),
    *row("lax:cond", arr("b", ()), arr("fi"), kinds="fi",
         call=lambda lib, f, p, a: f(p, lambda v: v * 2, lambda v: v + 1, a)),
    *row("lax:switch", index((), 2), arr("fi"), kinds="i",
         call=lambda lib, f, i, a: f(i, [lambda v: v * 2, lambda v: v + 1, lambda v: -v], a)),
    *row("lax:map", x, batch_size=num(None, 2), call=lambda lib, f, a, **k: f(lambda v: v * v, a, **k), kinds="fi"),
    *row("lax:platform_dependent", x, call=lambda lib, f, a: f(a, default=lambda v: v * 2), kinds="fi", **STILL),
    *row("lax:custom_linear_solve", matrix(2, what="spd", batch=((),)), arr(shape=(2,)), kinds="F", rough=1e-4, second=False,
         call=lambda lib, f, m, b: f(lambda v: m @ v, b, lambda mv, v: lib.numpy.linalg.solve(m, v), symmetric=True)),
    *row("lax:custom_root", arr(low=1, high=4), kinds="F", rough=1e-4, second=False,
         call=lambda lib, f, a: f(lambda v: v * v - a, a, lambda g, v: lib.numpy.sqrt(a), lambda g, y: y / g(lib.numpy.ones_like(y)))),
    *row("lax:composite", x, call=lambda lib, f, a: f(lambda v: v * 2, name="my.double")(a), kinds="F", **STILL),
]  # fmt: skip

AXES: dict[str, Any] = {"kinds": "fi", "shapes": ((2, 3), (3,), (2, 1, 2), (2, 2), (1, 3))}


def named(lib: Any, f: Any, a: Any, **k: Any) -> Any:
    return lib.vmap(lambda v: f(v, "n", **k), axis_name="n")(a)


COLLECTIVE = [
    *row("lax:psum pmean pmax pmin all_gather", x, call=named, second=False, **{**AXES, "moving": True}),
    *row("lax:axis_index axis_size", x, call=lambda lib, f, a: lib.vmap(lambda v: f("n") + v * 0, axis_name="n")(a), **AXES, **STILL),
    *row("lax:ppermute", arr(shape=(2, 3)), call=lambda lib, f, a: lib.vmap(lambda v: f(v, "n", [(0, 1), (1, 0)]), axis_name="n")(a),
         kinds="fi"),
    *row("lax:pshuffle", arr(shape=(2, 3)), call=lambda lib, f, a: lib.vmap(lambda v: f(v, "n", [1, 0]), axis_name="n")(a), kinds="fi"),
    *row("lax:all_to_all", arr(shape=(2, 2, 3)), call=lambda lib, f, a: lib.vmap(lambda v: f(v, "n", 0, 0), axis_name="n")(a), kinds="fi"),
    *row("lax:pswapaxes", arr(shape=(2, 2, 3)), call=lambda lib, f, a: lib.vmap(lambda v: f(v, "n", 0), axis_name="n")(a), kinds="fi"),
    *row("lax:psum_scatter", arr(shape=(2, 2, 3)), call=named, kinds="fi"),
]  # fmt: skip

SIGNALS = [
    *row("scipy.signal:convolve correlate", arr(shape=lambda d: d.turn([(4,), (3, 4)])), arr(shape=lambda d: d.first().shape),
         mode=choice("full", "same", "valid"), method=choice("direct", "fft"), kinds="F", rough=1e-4, styles=("smooth", "ties"),
         signatures=16, second=False),
    *row("scipy.signal:convolve2d correlate2d", arr(shape=(4, 3)), arr(shape=(2, 3)), mode=choice("full", "same", "valid"),
         boundary=fixed("fill"), kinds="F", rough=1e-4, styles=("smooth", "ties", "wide"), signatures=10, second=False),
    *row("scipy.signal:fftconvolve", arr(shape=(5,)), arr(shape=(3,)), mode=choice("full", "same", "valid"), kinds="F", rough=1e-4,
         styles=("smooth", "ties", "wide"), signatures=10, second=False),
    *row("scipy.signal:detrend", x, type=choice("linear", "constant"), axis=num(-1, 0), kinds="F", rough=1e-3, shapes=((4,), (3, 5), (6,)),
         styles=("smooth", "ties", "wide"), signatures=10, second=False),
    *row("scipy.signal:stft", arr(shape=(16,)), nperseg=num(4, 8), kinds="F", rough=1e-4, styles=("smooth", "ties", "wide"), signatures=10,
         second=False, batch=False),
    *row("scipy.signal:istft", arr(shape=(5, 4)), nperseg=fixed(8), kinds="c", rough=1e-3, styles=("smooth", "ties", "wide"), signatures=10,
         moving=False, batch=False),
    *row("scipy.signal:welch", arr(shape=(16,)), nperseg=num(4, 8), kinds="F", rough=1e-3, styles=("smooth", "ties", "wide"), signatures=10,
         second=False, batch=False),
    *row("scipy.signal:csd", arr(shape=(16,)), arr(shape=(16,)), nperseg=num(4, 8), kinds="F", rough=1e-3, styles=("smooth", "ties", "wide"),
         signatures=10, second=False, batch=False),
    *row("image:resize", arr(shape=(4, 3)), num((2, 5), (8, 3), (4, 3)), choice("nearest", "linear", "cubic", "lanczos3"), antialias=flag,
         kinds="F", rough=1e-4, styles=("smooth", "ties", "wide"), signatures=10, second=False),
    *row("image:scale_and_translate", arr(shape=(4, 3)), fixed((5, 4)), fixed((0, 1)), fixed(np.array([1.5, 0.7], np.float32)),
         fixed(np.array([0.3, -0.2], np.float32)), choice("linear", "cubic", "lanczos3"), antialias=flag, kinds="F", rough=1e-3,
         styles=("smooth", "ties", "wide"), signatures=10, second=False),
    *row("scipy.ndimage:map_coordinates", arr(shape=(4, 3)), arr("F", (2, 5), low=-1, high=4), num(0, 1),
         mode=choice("nearest", "constant", "wrap", "mirror", "reflect"), kinds="F", rough=1e-4, second=False,
         styles=("smooth", "wide", "again"), signatures=10),
    *row("scipy.cluster.vq:vq", arr(shape=(5, 2)), arr(shape=(3, 2)), kinds="F", rough=1e-4, moving=False, batch=False),
    *row("scipy.sparse.linalg:cg gmres bicgstab", matrix(3, what="spd", batch=((),)), arr(shape=(3,)), kinds="F", rough=1e-2, moving=False,
         styles=("smooth", "wide", "again"), signatures=10, batch=False),
    *row("scipy.optimize:minimize", arr(shape=(3,)), kinds="F", rough=1e-2, moving=False, batch=False,
         call=lambda lib, f, a: f(lambda v: ((v - 1) ** 2).sum(), a, method="BFGS").x, styles=("smooth", "wide", "again"), signatures=10),
]  # fmt: skip


@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x32"])
@pytest.mark.parametrize("drawn", [*TRANSFORMED, *LOOPS, *COLLECTIVE, *SIGNALS], ids=lambda r: r.id)
def test_drawn_cases_are_the_same(drawn: Row, x64: bool) -> None:
    check(drawn, x64)
