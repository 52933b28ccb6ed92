"""What all elementwise primitives share; a family's file is a table of rows made from this.

``out[i] = f(x[i], y[i], ...)``. Operands have one dtype and one shape, except that a scalar (rank 0) may stand beside
arrays: it is read at every element. So a constant never has to be spread, in no trace and in no program text. The price
is paid here once: a scalar's tangent is spread, its cotangent summed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.core import dtypes
from portax.core.aval import Aval, aval_of, weak_scalar
from portax.core.primitive import Primitive, Refusal, Sample, Undefined, registry
from portax.errors import DtypeError, ShapeError
from portax.primitives.broadcasting import broadcast_in_dim, broadcast_to, reduce_sum

NUMERIC = ("int", "uint", "float", "complex")
REAL = ("int", "uint", "float")
INEXACT = ("float", "complex")
ALL = ("bool", "int", "uint", "float", "complex")


def same_dtype(*avals: Aval, **_: Any) -> Any:
    """The rule for most: the result has the operands' dtype."""
    return avals[0].dtype


def bool_dtype(*avals: Aval, **_: Any) -> Any:
    """The rule for comparisons and tests."""
    return _BOOL


_BOOL = np.dtype(bool)
_ONE_OF_EACH = (_BOOL, np.dtype(np.float32), np.dtype(np.complex64))


class Elementwise(Primitive):
    """A row of a family's table.

    Parameters
    ----------
    name : str
    reference : function of NumPy arrays, such as ``np.sin``
    arity : int
    doc : str
        The meaning, in the form of a primitive's docstring.
    kinds : tuple of str
        Kinds of dtype it takes.
    result : function of avals giving the dtype of the result
    derivatives, transpose, linear_in, decompose, budget, required, numpy_until
        As in ``Primitive``. ``transpose`` answers for each operand, as if none were a scalar.
    stablehlo : str or function
        The operation's name, or ``(b, *values, **params)``.
    domain : tuple of (low, high), one for each operand, or one for all
        Where samples are drawn from.
    params : tuple of dict
        Static parameters to try it with.
    mixed : bool
        The operands may differ in dtype (``select_n`` and its like check their own).
    """

    def __init__(
        self,
        name: str,
        reference: Callable[..., Any],
        *,
        arity: int = 1,
        doc: str = "",
        kinds: tuple[str, ...] = NUMERIC,
        result: Callable[..., Any] = same_dtype,
        derivatives: Sequence[Callable[..., Any] | None] | None = None,
        transpose: Callable[..., Any] | None = None,
        linear_in: tuple[int, ...] = (),
        decompose: Callable[..., Any] | None = None,
        stablehlo: str | Callable[..., Any] | None = None,
        domain: Any = (-3.0, 3.0),
        params: Sequence[dict[str, Any]] = ({},),
        budget: dict[str, float] | None = None,
        required: bool = False,
        mixed: bool = False,
        numpy_until: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.arity, self.dtypes, self.result = name, arity, kinds, result
        self.__doc__ = doc
        self.reference = reference
        self.derivatives, self.linear_in = derivatives, linear_in
        if derivatives is None:
            self.jvp = None
        if transpose is not None:
            self._adjoint = transpose
            self.transpose = self._transpose
        if decompose is not None:
            self.decompose = decompose
        if stablehlo is not None:
            self._op = stablehlo
            self.stablehlo = self._named_op if isinstance(stablehlo, str) else stablehlo
        self.domain, self.sample_params = domain, params
        self.budget = budget or {}
        self.required, self.mixed = required, mixed
        self.numpy_until = numpy_until

    # -- what comes out -----------------------------------------------------------------------------------------------
    def abstract(self, *avals: Aval, **params: Any) -> Aval:
        shape = ()
        weak = True
        for a in avals:
            weak = weak and a.weak_type
            if a.shape != shape and a.shape:
                if shape:
                    raise self._shapes_differ(avals)
                shape = a.shape
        if not self.mixed:
            self._check_dtypes(avals)
        return Aval(shape, self.result(*avals, **params), weak and self.result is not bool_dtype)

    def _check_dtypes(self, avals: Sequence[Aval]) -> None:
        first = avals[0].dtype
        for a in avals:
            if a.dtype != first:
                given = ", ".join(str(a) for a in avals)
                raise DtypeError(
                    wrong=f"{self.name} needs operands of one dtype, got {given}",
                    fix="Convert one with .astype, or use the function of portax.numpy, which promotes",
                )
        if dtypes.kind(first) not in self.dtypes:
            raise DtypeError(
                wrong=f"{self.name} does not take {first.name}",
                fix=f"Give operands of kind {', '.join(self.dtypes)}",
            )

    def _shapes_differ(self, avals: Sequence[Aval]) -> ShapeError:
        given = ", ".join(str(a) for a in avals)
        return ShapeError(
            wrong=f"{self.name} needs operands of one shape (or scalars), got {given}",
            fix="Broadcast them first, or use the function of portax.numpy, which broadcasts",
        )

    # -- derivatives --------------------------------------------------------------------------------------------------
    def _by_derivatives(self, primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = self.bind(*primals, **params)
        total = None
        assert self.derivatives is not None
        for rule, t in zip(self.derivatives, tangents, strict=True):
            if t is None or rule is None:
                continue
            term = rule(t, out, *primals, **params)
            if term is None:
                continue
            if len(primals) > 1:
                term = broadcast_to(term, aval_of(out).shape)
            total = term if total is None else registry["add_any"](total, term)
        if total is not None and len(primals) > 1 and aval_of(total).weak_type and not aval_of(out).weak_type:
            # Beside a firm operand a weak one was made firm, and its tangent with it.
            dtype = aval_of(out).dtype
            total = registry["convert_element_type"](total, new_dtype=dtype, weak_type=False, sharding=None)
        return out, total

    jvp: Any = _by_derivatives

    def _transpose(self, ct: Any, *operands: Any, **params: Any) -> Any:
        back = self._adjoint(ct, *operands, **params)
        if self.arity == 1 and len(operands) == 1:
            return back
        # Beside a firm operand a weak one was made firm, and beside a factor a weak cotangent.
        mixed = not all(aval_of(x).weak_type for x in operands)
        keeps = len(self.linear_in) == self.arity
        return tuple(
            None if c is None or type(x) is not Undefined else _as_operand(c, x.aval, mixed, keeps)
            for c, x in zip(back, operands, strict=True)
        )

    # -- batching -----------------------------------------------------------------------------------------------------
    def batch(self, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        if len(operands) == 1:
            return self.bind(*operands, **params)
        avals = [aval_of(x) for x in operands]
        ranks = [a.ndim - b for a, b in zip(avals, batched, strict=True)]
        rank = max(ranks)
        if all(r == rank if b else r == 0 for r, b in zip(ranks, batched, strict=True)):
            return self.bind(*operands, **params)
        size = next(a.shape[0] for a, b in zip(avals, batched, strict=True) if b)
        row = next(a.shape[int(b) :] for a, b, r in zip(avals, batched, ranks, strict=True) if r == rank)
        shape = (size, *row)
        aligned: list[Any] = []
        for x, a, b, r in zip(operands, avals, batched, ranks, strict=True):
            if (a.shape == shape and (b or rank == 0)) or (not b and r == 0):
                aligned.append(x)
            elif b:
                dims = (0,) if r == 0 else tuple(range(rank + 1))
                aligned.append(broadcast_in_dim(x, shape=shape, broadcast_dimensions=dims))
            else:
                aligned.append(broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(1, rank + 1))))
        return self.bind(*aligned, **params)

    # -- lowering -----------------------------------------------------------------------------------------------------
    def _named_op(self, b: Any, *values: Any, **params: Any) -> Any:
        if len(values) == 1:
            return b.unary(self._op, values[0])
        assert len(values) == 2
        return b.binary(self._op, *values)

    # -- how it is tried ----------------------------------------------------------------------------------------------
    def operands(self, make: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Operands of ``shapes``, drawn from the domain."""
        domains = self.domain if isinstance(self.domain[0], tuple) else (self.domain,) * self.arity
        return [make(s, low=low, high=high) for s, (low, high) in zip(shapes, domains, strict=True)]

    def samples(self, make: Any) -> Any:
        for i, params in enumerate(self.sample_params):
            tail = f"-{i}" if len(self.sample_params) > 1 else ""
            for name, shape in (("scalar", ()), ("vector", (5,)), ("matrix", (3, 4)), ("empty", (0, 2))):
                yield Sample(*self.operands(make, [shape] * self.arity), id=name + tail, **params)
            if self.arity == 2:
                yield Sample(*self.operands(make, [(), (3,)]), id="scalar-left" + tail, **params)
                yield Sample(*self.operands(make, [(2, 3), ()]), id="scalar-right" + tail, **params)

    def refusals(self, make: Any) -> Any:
        params = self.sample_params[0]
        if self.arity == 2 and not self.mixed:
            yield Refusal(Sample(make((3,)), make((2,)), **params), ShapeError, "operands of one shape")
        refused = next((d for d in _ONE_OF_EACH if dtypes.kind(d) not in self.dtypes), None)
        if refused is not None and not self.mixed:
            wrong = Sample(*[np.zeros(3, refused)] * self.arity, **params)
            yield Refusal(wrong, DtypeError, f"{self.name} does not take {refused.name}")


def _as_operand(ct: Any, x: Aval, mixed: bool, keeps: bool) -> Any:
    """The cotangent of an operand beside others: summed if that is a scalar, weak or firm as that is."""
    given = aval_of(ct)
    if given.ndim and not x.ndim:
        ct = reduce_sum(ct, axes=tuple(range(given.ndim)))
    if (mixed and x.weak_type and not given.weak_type) or (given.weak_type and not x.weak_type and not keeps):
        return registry["convert_element_type"](ct, new_dtype=x.dtype, weak_type=x.weak_type, sharding=None)
    return ct


_literals: dict[Any, np.ndarray] = {}


def like(x: Any, value: float) -> np.ndarray:
    """The scalar ``value`` in the dtype of ``x``, weak where that is: for constants inside rules."""
    aval = aval_of(x)
    key = (aval.dtype, aval.weak_type, value)
    known = _literals.get(key)
    if known is None:
        make = weak_scalar if aval.weak_type else np.asarray
        known = _literals[key] = make(value, aval.dtype)
    return known
