"""Solutions of linear systems of which only products with vectors are known: cg, bicgstab, gmres.

The solution is differentiated by the system and not by the steps: its tangent and cotangent solve such systems again.
Vectors may be trees of arrays; inside they are one flat vector.

References
----------
Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. NBS 49, 1952.
van der Vorst, Bi-CGSTAB, SIAM J. Sci. Stat. Comput. 13(2), 1992.
Saad and Schultz, GMRES, SIAM J. Sci. Stat. Comput. 7(3), 1986.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes, tree
from portax.errors import ArgumentError, ShapeError
from portax.higher_order import fori_loop, while_loop
from portax.higher_order.solving import custom_linear_solve
from portax.lax.linalg import qr, triangular_solve
from portax.numpy.promotion import as_array

Vector = Any
Operator = Callable[[Vector], Vector]


class System(NamedTuple):
    """A system on flat vectors.

    Attributes
    ----------
    b, x0 : arrays of one axis
    restore : from such an array to the user's tree
    matvec, precondition : from such an array to another
    """

    b: Any
    x0: Any
    restore: Callable[[Any], Any]
    flatten: Callable[[Any], Any]
    matvec: Operator
    precondition: Operator


def _operator(name: str, what: str, a: Any) -> Callable[[Any], Any]:
    """A function of the user's trees."""
    if a is None:
        return lambda x: x
    if callable(a):
        return a
    if not hasattr(a, "shape"):
        raise ArgumentError(wrong=f"{name} was given {what}={a!r}", fix="Give a function or an array of two axes")
    m = as_array(a, name)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ShapeError(wrong=f"{name} was given {what}: {m.aval}", fix="Give a square matrix")
    return lambda x: pnp.dot(m, x)


def _system(name: str, A: Any, b: Any, x0: Any, M: Any) -> System:
    leaves, structure = tree.flatten(b)
    arrays = [as_array(x, name) for x in leaves]
    if not arrays:
        raise ArgumentError(wrong=f"{name} was given a b without arrays", fix="Give an array, or a tree of them")
    dtype = dtypes.to_inexact(pnp.result_type(*[x.dtype for x in arrays]))
    shapes, kinds = [x.shape for x in arrays], [dtypes.to_inexact(x.dtype) for x in arrays]
    places = np.cumsum([0, *[int(np.prod(s)) for s in shapes]])

    def flatten(x: Any) -> Any:
        found, form = tree.flatten(x)
        if form != structure or [np.shape(v) for v in found] != shapes:
            raise ShapeError(
                wrong=f"{name} needs vectors like b, of shapes {shapes}, got {[np.shape(v) for v in found]}",
                fix="Give x0, and let A give, what has the structure and shapes of b",
            )
        return pnp.concatenate([pnp.ravel(as_array(v, name)).astype(dtype) for v in found])

    def restore(v: Any) -> Any:
        parts = [
            _as_kind(v[start:stop], k).reshape(s)
            for start, stop, s, k in zip(places[:-1], places[1:], shapes, kinds, strict=True)
        ]
        return tree.unflatten(structure, parts)

    a, m = _operator(name, "A", A), _operator(name, "M", M)
    flat = flatten(b)
    return System(
        flat, pnp.zeros_like(flat) if x0 is None else flatten(x0), restore, flatten,
        lambda v: flatten(a(restore(v))), (lambda v: v) if M is None else lambda v: flatten(m(restore(v))),
    )  # fmt: skip


def _as_kind(v: Any, dtype: Any) -> Any:
    if dtypes.is_complex(v.dtype) and not dtypes.is_complex(dtype):
        v = v.real
    return v.astype(dtype)


def _squared(v: Any) -> Any:
    return pnp.vdot(v, v).real


def _solved(system: System, steps: Callable[[Operator, Any], Any], symmetric: bool) -> Any:
    """The user's solution: ``steps(matvec, b)`` solves a system on flat vectors."""
    x = custom_linear_solve(system.matvec, system.b, steps, steps, symmetric=symmetric)
    return system.restore(x)


def _bound(b: Any, tol: Any, atol: Any) -> Any:
    """The square of the greatest residual that will do."""
    return pnp.maximum(tol**2 * _squared(b), atol**2)


_DOC = """{what}

    Parameters
    ----------
    A : function from a tree of arrays to one like it, linear; or a square matrix
        {which}
    b : tree of arrays
    x0 : tree of arrays like ``b``, optional
        Where to start, default 0.
    tol, atol : float
        Stop when the residual is no longer than ``max(tol * |b|, atol)``.
    maxiter : int, optional
        Steps at most, default ten for each unknown.
    M : function or matrix, optional
        Near to the inverse of ``A``: it makes for fewer steps.{more}

    Returns
    -------
    x : tree of arrays like ``b``
    info : {info}

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.sparse.linalg import {name}
    >>> x, _ = {name}(lambda x: pnp.array([2.0, 4.0]) * x, pnp.array([2.0, 2.0]))
    >>> pnp.round(x, 3).tolist()
    [1.0, 0.5]
    """


def cg(
    A: Any, b: Any, x0: Any = None, *, tol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None, M: Any = None
) -> tuple[Any, None]:
    system = _system("cg", A, b, x0, M)
    most = 10 * system.b.size if maxiter is None else maxiter

    def steps(matvec: Operator, b: Any) -> Any:
        bound = _bound(b, tol, atol)
        r = b - matvec(system.x0)
        z = system.precondition(r)

        def unfinished(state: Any) -> Any:
            _, r, gamma, _, k = state
            # Without a preconditioner gamma is the residual's square.
            return ((gamma.real if M is None else _squared(r)) > bound) & (k < most)

        def step(state: Any) -> Any:
            x, r, gamma, p, k = state
            ap = matvec(p)
            alpha = gamma / pnp.vdot(p, ap).astype(b.dtype)
            x, r = x + alpha * p, r - alpha * ap
            z = system.precondition(r)
            again = pnp.vdot(r, z).astype(b.dtype)
            return x, r, again, z + (again / gamma) * p, k + 1

        return while_loop(unfinished, step, (system.x0, r, pnp.vdot(r, z).astype(b.dtype), z, 0))[0]

    return _solved(system, steps, symmetric=not dtypes.is_complex(system.b.dtype)), None


cg.__doc__ = _DOC.format(
    name="cg", what="The solution of ``A x = b`` by conjugate gradients.", more="", info="None",
    which="Hermitian and positive definite.",
)  # fmt: skip


def bicgstab(
    A: Any, b: Any, x0: Any = None, *, tol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None, M: Any = None
) -> tuple[Any, None]:
    system = _system("bicgstab", A, b, x0, M)
    most = 10 * system.b.size if maxiter is None else maxiter

    def steps(matvec: Operator, b: Any) -> Any:
        bound = _bound(b, tol, atol)
        r = b - matvec(system.x0)
        shadow, one = r, pnp.ones((), b.dtype)

        def unfinished(state: Any) -> Any:
            r, k, going = state[1], state[-2], state[-1]
            return (_squared(r) > bound) & (k < most) & going

        def step(state: Any) -> Any:
            x, r, p, q, alpha, omega, rho, k, _ = state
            rho_new = pnp.vdot(shadow, r).astype(b.dtype)
            beta = rho_new / rho * alpha / omega
            p = r + beta * (p - omega * q)
            p_near = system.precondition(p)
            q = matvec(p_near)
            alpha = rho_new / pnp.vdot(shadow, q).astype(b.dtype)
            s = r - alpha * q
            early = _squared(s) <= bound
            s_near = system.precondition(s)
            t = matvec(s_near)
            omega = (pnp.vdot(t, s) / pnp.vdot(t, t)).astype(b.dtype)
            x = pnp.where(early, x + alpha * p_near, x + alpha * p_near + omega * s_near)
            r = pnp.where(early, s, s - omega * t)
            # Where one of these is 0 the method breaks down, and stays where it is.
            going = early | ((omega != 0) & (alpha != 0) & (rho_new != 0))
            return x, r, p, q, alpha, omega, rho_new, k + 1, going

        nothing = pnp.zeros_like(r)
        start = (system.x0, r, nothing, nothing, one, one, one, 0, pnp.asarray(True))
        return while_loop(unfinished, step, start)[0]

    return _solved(system, steps, symmetric=False), None


bicgstab.__doc__ = _DOC.format(
    name="bicgstab", what="The solution of ``A x = b`` by stabilised biconjugate gradients.", more="", info="None",
    which="Any that is regular.",
)  # fmt: skip


def gmres(
    A: Any, b: Any, x0: Any = None, *, tol: float = 1e-5, atol: float = 0.0, restart: int = 20,
    maxiter: int | None = None, M: Any = None, solve_method: str = "batched",
) -> tuple[Any, Any]:  # fmt: skip
    if solve_method not in ("batched", "incremental"):
        raise ArgumentError(
            wrong=f"gmres has no solve_method {solve_method!r}", fix="Give 'batched' or 'incremental'"
        )
    system = _system("gmres", A, b, x0, M)
    most = 10 * system.b.size if maxiter is None else maxiter
    width = min(restart, system.b.size)

    def steps(matvec: Operator, b: Any) -> Any:
        size = pnp.sqrt(_squared(b))
        wanted = pnp.maximum(tol * size, atol)
        near = pnp.sqrt(_squared(system.precondition(b)))
        wanted = near * pnp.minimum(1.0, wanted / pnp.where(size == 0, 1, size))

        def residual(x: Any) -> tuple[Any, Any]:
            r = system.precondition(b - matvec(x))
            length = pnp.sqrt(_squared(r))
            return r / pnp.where(length == 0, 1, length), length

        def round_(state: Any) -> Any:
            x, k, unit, length = state
            x = x + _least(lambda v: system.precondition(matvec(v)), unit, length, width)
            return x, k + 1, *residual(x)

        def unfinished(state: Any) -> Any:
            # NaN is not above what is wanted: it is let into the solution, where it is seen.
            return (state[1] < most) & ((state[3] > wanted) | (pnp.isnan(state[3]) & (state[1] == 0)))

        return while_loop(unfinished, round_, (system.x0, 0, *residual(system.x0)))[0]

    x = _solved(system, steps, symmetric=False)
    failed = pnp.isnan(pnp.sum(system.flatten(x)))
    return x, pnp.where(failed, -1, 0)


gmres.__doc__ = _DOC.format(
    name="gmres", what="The solution of ``A x = b`` with the least residual in spaces that grow.",
    which="Any that is regular.", info="array of int, 0, or -1 where the solution is NaN",
    more="""
    restart : int
        How far a space grows, before the next one is begun from there; ``maxiter`` counts spaces.
    solve_method : "batched" or "incremental"
        There for JAX's sake: both are solved when the space is full.""",
)  # fmt: skip


def _least(matvec: Operator, unit: Any, length: Any, width: int) -> Any:
    """In the space of ``unit`` and its images, the step that leaves the least of the residual ``length * unit``."""
    n, dtype = unit.shape[0], unit.dtype
    basis = pnp.zeros((width + 1, n), dtype).at[0].set(unit)
    images = pnp.zeros((width, width + 1), dtype)
    eps = float(dtypes.finfo(dtype).eps)

    def grow(j: Any, state: Any) -> Any:
        basis, images = state
        w = matvec(basis[j])
        before = pnp.sqrt(_squared(w))
        total = pnp.zeros(width + 1, dtype)
        for _ in range(2):  # once more, since rounding leaves a part behind
            h = pnp.conj(basis) @ w
            w, total = w - h @ basis, total + h
        rest = pnp.sqrt(_squared(w))
        full = rest <= eps * before
        rest = pnp.where(full, 0, rest)
        w = w / pnp.where(full, 1, rest) * pnp.where(full, 0, 1)
        return basis.at[j + 1].set(w.astype(dtype)), images.at[j].set(total.at[j + 1].set(rest.astype(dtype)))

    basis, images = fori_loop(0, width, grow, (basis, images))
    q, r = qr(images.T, full_matrices=False)
    aim = pnp.conj(q[0]) * length.astype(dtype)
    # A space that was full earlier has images of nothing at the end: they get nothing.
    size = pnp.abs(pnp.diagonal(r))
    idle = size <= eps * pnp.max(size)
    r = r + pnp.diag(pnp.where(idle, 1, 0).astype(dtype))
    y = triangular_solve(r, pnp.where(idle, 0, aim)[:, None], left_side=True, lower=False)[:, 0]
    return y @ basis[:-1]
