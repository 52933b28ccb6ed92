"""From elements of arrays to statements: what a kernel computes, written where it is needed.

``element(value, indices)`` is the heart: it gives the scalars of one element, by loading it where the value has a
buffer, else by the rule of the operation that computes it. Layout operations only change indices, so chains of any
length melt into one loop nest. What an element is needed for twice at the same place is computed once, and outside
every loop it does not depend on.

Values that must not be computed in place (results of sorts, sums needed in an inner loop, long chains needed at several
places) are *demanded*: they get a buffer, and the schedule sees to it that another kernel fills it first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from portax.backend.kernels import nest, scalars
from portax.backend.kernels.dialect import Dialect
from portax.backend.kernels.indexes import Atom, Index, Indices, Place, place
from portax.backend.kernels.nest import Element, Let, Names, Scalar, Scope
from portax.backend.kernels.program import Value
from portax.core import dtypes
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr, Literal
from portax.core.primitive import Primitive
from portax.primitives.elementwise import Elementwise
from portax.runtime.reference import host_value

UINT64 = np.dtype(np.uint64)
INT64 = np.dtype(np.int64)

#: ``(emitter, value, indices) -> element``, by primitive; filled by the modules of rules.
RULES: dict[str, Callable[[Any, Value, Indices], Element]] = {}


def rule(*names: str) -> Callable[[Any], Any]:
    """Register a rule for primitives."""

    def register(f: Any) -> Any:
        for name in names:
            RULES[name] = f
        return f

    return register


def numbers_of(dtype: Any) -> tuple[Any, int]:
    """How an array lies in memory: the dtype of its numbers, and how many make an element."""
    if dtypes.is_key(dtype):
        return UINT64, 2 if dtype.wide else 1
    if dtypes.is_complex(dtype):
        return dtypes.real_dtype(dtype), 2
    return dtype, 1


class Functions:
    """The functions of scalars that the kernels of one program call, each written once.

    Parameters
    ----------
    dialect : Dialect

    Attributes
    ----------
    twice : set of dtype names
        Of which tiles round each product and each sum, as the device cannot do both at once.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.names = dialect, Names()
        self.twice: set[str] = set()
        #: Rows of the tiles of a product.
        self.rows: Callable[[Any], int] = lambda op: dialect.tile
        self.written: list[nest.Function] = []
        self._known: dict[Any, str] = {}

    def name_of(self, primitive: Primitive, params: dict[str, Any], given: Sequence[Any], closed: ClosedJaxpr) -> str:
        """The name of the function that computes a primitive of scalars."""
        key = (primitive.name, tuple(given), repr(sorted(params.items())))
        known = self._known.get(key)
        if known is None:
            stem = f"px_{primitive.name.replace('-', '_')}_{given[0].name}"
            known = f"{stem}_{len(self.written)}" if params else stem
            em = Emitter(self)
            arguments = [(f"x{i}", dtype) for i, dtype in enumerate(given)]
            (out,) = em.run_scalar(closed, [(Scalar(name, dtype, em.root),) for name, dtype in arguments])
            self._known[key] = known
            self.written.append(nest.Function(known, arguments, out.dtype, em.root.body, out.text))
        return known


class Row(NamedTuple):
    """An array of one work-item's own, which a loop fills.

    Attributes
    ----------
    name : str
    scope : Scope
        In which it may be read once it is full.
    key : tuple
        As what it is known there.
    """

    name: str
    scope: Scope
    key: tuple[Any, ...]

    def put(self, index: Index, x: Scalar, scope: Scope) -> None:
        """Write an element of it."""
        scope.body.append(nest.Store(self.name, x.dtype, index.text(), x.text))

    def is_full(self) -> None:
        """From here on it is read in place of what was put there."""
        self.scope.known[self.key] = self.name


class Emitter:
    """Writes one kernel.

    Attributes
    ----------
    root : Scope
    parameters : dict of Value number to Parameter
        The buffers it is given, in order.
    demanded : dict of number to Value
        Those that other kernels must have computed.
    """

    def __init__(
        self, functions: Functions, stored: Callable[[Value], bool] | None = None, rows: Collection[int] = ()
    ) -> None:
        self.functions, self.root, self.names = functions, Scope(), Names()
        self.parameters: dict[int, nest.Parameter] = {}
        self.values: dict[int, Value] = {}
        self.demanded: dict[int, Value] = {}
        self._stored = stored
        #: Numbers of values of which a row is kept that a reduction has taken in.
        self._kept_rows = rows
        #: Values that this kernel computes, and the indices at which it stores them.
        self.own: dict[int, Indices] = {}
        #: It may run as several work-items, which all do what stands outside its loop over rows.
        self.divided = False
        #: Into how many work-items it can be divided.
        self.rows = 1
        #: The loop over rows that is being written: its body, its variable and its turns.
        self.open_rows: tuple[Scope, Atom, int] | None = None
        #: The body of its innermost loop, and whether that may still be cut into blocks of lanes.
        self.innermost: Scope | None = None
        self.may_block = False
        #: The scope in which it is known where what an inner loop reads begins: loads in the loop are from pointers.
        self.outside: Scope | None = None
        #: A product in tiles, the indices at which the kernel has its elements at hand, and such an element.
        self.tile: tuple[Value, Indices, Element] | None = None

    # -- operations ---------------------------------------------------------------------------------------------------
    def literal(self, value: Any, dtype: Any) -> Scalar:
        """A number."""
        value = value.item() if isinstance(value, np.ndarray | np.generic) else value
        if dtypes.is_integer(dtype):
            value = int(value)
        return Scalar(self.functions.dialect.literal(value, dtype), dtype, self.root, value)

    def constant(self, value: np.ndarray, dtype: Any) -> Element:
        """A constant of rank 0."""
        number, count = numbers_of(dtype)
        if count == 1 and not dtypes.is_key(dtype):
            return (self.literal(value, dtype),)
        return tuple(self.literal(x, number) for x in np.ascontiguousarray(value).reshape(1).view(number))

    def op(self, name: str, dtype: Any, *args: Scalar) -> Scalar:
        """One operation, in the innermost scope of its operands."""
        scope = nest.deepest(*(a.scope for a in args)) if args else self.root
        key = (name, dtype, *(a.text for a in args))
        known = scope.known.get(key)
        if known is None:
            known = scope.known[key] = Scalar(self.names("v"), dtype, scope)
            given = args[0].dtype if args else dtype
            scope.body.append(Let(known.text, dtype, name, tuple(a.text for a in args), given))
        return known

    def select(self, which: Scalar, on_true: Scalar, on_false: Scalar) -> Scalar:
        """One of two numbers."""
        return on_true if on_true.text == on_false.text else self.op("select", on_true.dtype, which, on_true, on_false)

    def call(
        self, primitive: Primitive, params: dict[str, Any], xs: Sequence[Scalar], closed: ClosedJaxpr, out: Any
    ) -> Scalar:
        """A primitive of scalars as the call of a function."""
        name = self.functions.name_of(primitive, params, [x.dtype for x in xs], closed)
        return self.op(name, out, *xs)

    def run_scalar(self, closed: ClosedJaxpr, xs: Sequence[Element]) -> Element:
        """The only result of a program of scalars, written in place."""
        return self.run_scalars(closed, xs)[0]

    def run_scalars(self, closed: ClosedJaxpr, xs: Sequence[Element]) -> list[Element]:
        """The results of a program of scalars, written in place."""
        jaxpr = closed.jaxpr
        known: dict[Any, Element] = dict(zip(jaxpr.invars, xs, strict=True))
        for var, const in zip(jaxpr.constvars, closed.consts, strict=True):
            known[var] = self.constant(host_value(const), var.aval.dtype)

        def read(atom: Any) -> Element:
            return self.constant(host_value(atom.val), atom.aval.dtype) if isinstance(atom, Literal) else known[atom]

        for eqn in jaxpr.eqns:
            operands = [read(a) for a in eqn.invars]
            name = eqn.primitive.name
            if name == "while":
                known.update(zip(eqn.outvars, self._scalar_loop(operands, **eqn.params), strict=True))
            elif name in ("jit", "custom_jvp_call", "custom_vjp_call"):
                inner = eqn.params["jaxpr" if name == "jit" else "call_jaxpr"]
                known.update(zip(eqn.outvars, self.run_scalars(inner, operands), strict=True))
            elif isinstance(eqn.primitive, Elementwise):
                avals = [a.aval for a in eqn.invars]
                out = eqn.outvars[0].aval.dtype
                known[eqn.outvars[0]] = scalars.elementwise(self, eqn.primitive, eqn.params, operands, avals, out)
            else:  # of scalars, what only moves elements is the identity
                assert name in ("broadcast_in_dim", "reshape", "squeeze", "transpose", "optimization_barrier"), name
                known.update(zip(eqn.outvars, operands, strict=True))
        return [read(a) for a in jaxpr.outvars]

    def _scalar_loop(
        self, xs: Sequence[Element], cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int
    ) -> list[Element]:
        """``while`` of scalars: each element turns as often as it needs."""
        first = cond_nconsts + body_nconsts
        cond_consts, body_consts, carry = xs[:cond_nconsts], xs[cond_nconsts:first], xs[first:]
        outer = nest.deepest(*(x.scope for e in xs for x in e)) if xs else self.root
        changing = [tuple(self.variable(outer, x) for x in element) for element in carry]
        inside = Scope(outer)
        now = [tuple(Scalar(x.text, x.dtype, inside) for x in element) for element in changing]
        (go_on,) = self.run_scalar(cond_jaxpr, [*cond_consts, *now])
        inside.body.append(nest.Leave(go_on.text))
        then = self.run_scalars(body_jaxpr, [*body_consts, *now])
        # First all are computed, then all change.
        fresh = [self.read(new.text, new.dtype, inside) for element in then for new in element]
        for old, new in zip((x for element in changing for x in element), fresh, strict=True):
            inside.body.append(nest.Assign(old.text, new.text))
        outer.body.append(nest.Forever(inside.body))
        return list(changing)

    def variable(self, scope: Scope, start: Scalar) -> Scalar:
        """A number that will change, starting from ``start``."""
        name = self.names("a")
        scope.body.append(nest.Variable(name, start.dtype, start.text))
        return Scalar(name, start.dtype, scope)

    def loop(self, atom: Atom, body: Scope) -> nest.Loop:
        """The loop of an atom over a body."""
        return nest.Loop(atom.name, "0", str(atom.high + 1), body.body)

    def divide(self, n: int) -> tuple[Scope, Atom]:
        """A loop that is divided among work-items: its body and its variable. ``close_rows`` ends it."""
        scope = Scope(self.root, n)
        self.rows = max(self.rows, n)
        row = nest.loop_atom(self.names("i"), n, scope)
        self.open_rows = scope, row, n
        return scope, row

    def close_rows(self) -> None:
        """End the loop over rows: work-item ``w`` of ``n`` does its share."""
        assert self.open_rows is not None
        scope, row, n = self.open_rows
        if self.functions.dialect.strided:
            self.root.body.append(nest.Loop(row.name, "w", str(n), scope.body, "n"))
            return
        first, last = self.names("r"), self.names("r")
        self.root.body += [nest.Whole(first, f"w * {n} / n"), nest.Whole(last, f"(w + 1) * {n} / n")]
        self.root.body.append(nest.Loop(row.name, first, last, scope.body))

    def read(self, text: str, dtype: Any, scope: Scope) -> Scalar:
        """What a variable is now, by a name of its own."""
        now = Scalar(self.names("v"), dtype, scope)
        scope.body.append(Let(now.text, dtype, "copy", (text,), dtype))
        return now

    # -- indices ------------------------------------------------------------------------------------------------------
    def divmod(self, index: Index, n: int) -> tuple[Index, Index]:
        """Quotient and rest of an index that is not negative."""
        quotient, rest = index.divided(n)
        if rest.low >= 0 and rest.high < n:
            return quotient, rest
        if rest.low < 0 or quotient.low < 0:
            quotient, rest = Index(), index
        scope = nest.scope_of((rest,), self.root)
        key = ("divmod", rest.key, n)
        known = scope.known.get(key)
        if known is None:
            name = self.names("q")
            scope.body.append(nest.Whole(name, f"({rest.text()}) / {n}"))
            high = Atom(name, 0, rest.high // n, scope)
            low = Atom(self.names("m"), 0, n - 1, scope)
            scope.body.append(nest.Whole(low.name, f"({rest.text()}) - {n} * {name}"))
            known = scope.known[key] = (high, low)
        return quotient + Index([(known[0], 1)]), Index([(known[1], 1)])

    def indices_of(self, linear: Index, shape: Sequence[int]) -> Indices:
        """The indices of the element at a place."""
        out: list[Index] = []
        for n in reversed(shape):
            if n == 1:
                out.append(Index())
                continue
            linear, rest = self.divmod(linear, n) if linear.high >= n else (Index(), linear)
            out.append(rest)
        return tuple(reversed(out))

    def whole(self, text: str, low: int, high: int, scope: Scope) -> Index:
        """A whole number computed in a scope, as an index."""
        key = ("whole", text)
        known = scope.known.get(key)
        if known is None:
            known = scope.known[key] = Atom(self.names("i"), low, high, scope)
            scope.body.append(nest.Whole(known.name, text))
        return Index([(known, 1)])

    def clamped(self, index: Index, low: int, high: int) -> Index:
        """The nearest index within ``[low, high]``."""
        if low <= index.low and index.high <= high:
            return index
        if high <= low:
            return Index((), low)
        scope = nest.scope_of((index,), self.root)
        text = f"({index.text()})"
        return self.whole(f"{text} < {low} ? {low} : {text} > {high} ? {high} : {text}", low, high, scope)

    def test(self, text: str, scope: Scope) -> Scalar:
        """A comparison of indices as a bool."""
        key = ("test", text)
        known = scope.known.get(key)
        if known is None:
            known = scope.known[key] = Scalar(self.names("t"), scalars.BOOL, scope)
            scope.body.append(nest.Whole(known.text, text))
        return known

    def within(self, index: Index, low: int, high: int) -> Scalar | None:
        """Whether ``low <= index < high``; None where it always is."""
        scope, text, parts = nest.scope_of((index,), self.root), f"({index.text()})", []
        if index.low < low:
            parts.append(f"{text} >= {low}")
        if index.high >= high:
            parts.append(f"{text} < {high}")
        return self.test(f"({' && '.join(parts)})", scope) if parts else None

    def as_index(self, x: Scalar, low: int, high: int) -> Index:
        """A number read from memory as an index, brought within ``[low, high]``."""
        if x.value is not None:
            return Index((), min(max(x.value, low), high))
        if high <= low:
            return Index((), low)
        cast = f"({self.functions.dialect.index}){x.text}"
        if x.dtype == UINT64:  # beyond what a signed integer holds is beyond every array
            cast = f"({x.text} > 0x7ffffffffffffffful ? 0x7fffffffffffffffl : {cast})"
        whole = self.whole(cast, -(1 << 63), (1 << 63) - 1, x.scope)
        return self.clamped(whole, low, high)

    def number(self, index: Index, dtype: Any) -> Scalar:
        """An index as a number."""
        if not index.terms:
            return self.literal(index.const, INT64)
        scope = nest.scope_of((index,), self.root)
        if len(index.terms) == 1 and index.terms[0][1] == 1 and not index.const:
            return Scalar(index.terms[0][0].name, INT64, scope)
        ((atom, _),) = self.whole(index.text(), index.low, index.high, scope).terms
        return Scalar(atom.name, INT64, scope)

    # -- elements -----------------------------------------------------------------------------------------------------
    def element(self, value: Value, indices: Indices) -> Element:
        """The scalars of one element."""
        scope = nest.scope_of(indices, self.root)
        key = (value.number, *(i.key for i in indices))
        known = scope.known.get(key)
        if known is None:
            known = scope.known[key] = self._element(value, indices, scope)
        return known

    def _element(self, value: Value, indices: Indices, scope: Scope) -> Element:
        if value.constant is not None and not value.shape:
            return self.constant(value.constant, value.dtype)
        op = value.source
        own = self.own.get(value.number)
        if own is not None and _same(own, indices):
            assert op is not None
            return self.computed(value, indices)
        if own is not None:  # at another place than where this kernel computes it: the schedule takes them apart
            self.demanded[value.number] = value
        if op is None or own is not None or (self._stored is not None and self._stored(value)):
            return self.load(value, indices, scope)
        if value.number in self._kept_rows:
            lead = indices[:-1]
            name = nest.scope_of(lead, self.root).known.get(("row", value.number, *(i.key for i in lead)))
            if name is not None:
                x = Scalar(self.names("v"), value.dtype, scope)
                scope.body.append(nest.Load(x.text, value.dtype, name, indices[-1].text()))
                return (x,)
        return self.computed(value, indices)

    def computed(self, value: Value, indices: Indices) -> Element:
        """An element by the rule of the operation that computes it."""
        op = value.source
        assert op is not None
        known = RULES.get(op.name)
        if known is not None:
            return known(self, value, indices)
        order = list(range(len(op.operands)))
        if self._kept_rows:  # what a row was reduced to comes first: then the row is there
            order.sort(key=lambda i: _name(op.operands[i]) != "broadcast_in_dim")
        found = {i: self.element(op.operands[i], indices if op.operands[i].shape else ()) for i in order}
        xs = [found[i] for i in range(len(op.operands))]
        avals = [Aval((), x.dtype) for x in op.operands]
        return scalars.elementwise(self, op.primitive, op.params, xs, avals, value.dtype)

    def row(self, value: Value, indices: Indices) -> Row | None:
        """A place for the row of a value at some indices, the last left out, if it is one to keep."""
        scope, key = nest.scope_of(indices, self.root), ("row", value.number, *(i.key for i in indices))
        lanes = any(atom.lane for index in indices for atom, _ in index.terms)  # each would need a row of its own
        if value.number not in self._kept_rows or lanes or key in scope.known:
            return None
        row = Row(self.names("e"), scope, key)
        self.root.body.append(nest.Variable(row.name, value.dtype, "", value.shape[-1]))
        return row

    def parameter(self, value: Value, written: bool = False) -> nest.Parameter:
        """The buffer of a value."""
        known = self.parameters.get(value.number)
        if known is None:
            name = f"{'out' if written else 'in'}{len(self.parameters)}"
            known = self.parameters[value.number] = nest.Parameter(name, numbers_of(value.dtype)[0], written)
            self.values[value.number] = value
            if value.source is not None and not written:
                self.demanded[value.number] = value
        return known

    def load(self, value: Value, indices: Indices, scope: Scope | None = None) -> Element:
        """An element from the value's buffer."""
        scope = nest.scope_of(indices, self.root) if scope is None else scope
        parameter = self.parameter(value)
        at = indices[0] if type(indices) is Place else place(indices, value.shape)
        number, count = numbers_of(value.dtype)
        name = parameter.name
        if self.outside is not None and scope.depth > self.outside.depth:
            name, at = self._pointer(parameter, at, count)
        out = []
        for j in range(count):
            x = Scalar(self.names("v"), number, scope)
            scope.body.append(nest.Load(x.text, number, name, (at * count + j).text()))
            out.append(x)
        return tuple(out)

    def _pointer(self, parameter: nest.Parameter, at: Index, count: int) -> tuple[str, Index]:
        """Where a parameter's elements begin as far as it is known outside of the inner loop, and the place from there.

        Compilers that add up all of it inside make vectors of the places of several rows, and take them apart again.
        """
        assert self.outside is not None
        depth = self.outside.depth
        first = Index([(a, f) for a, f in at.terms if a.scope.depth <= depth], at.const)
        rest = Index([(a, f) for a, f in at.terms if a.scope.depth > depth])
        if not first.terms and not first.const:
            return parameter.name, rest
        key = ("pointer", parameter.name, first.key)
        name = self.outside.known.get(key)
        if name is None:
            name = self.outside.known[key] = self.names("x")
            place = (first * count).text()
            self.outside.body.append(nest.Pointer(name, parameter.dtype, parameter.name, place))
        return name, rest

    def store(self, value: Value, indices: Indices, element: Element, scope: Scope) -> None:
        """Write an element into the value's buffer."""
        parameter = self.parameter(value, written=True)
        at = indices[0] if type(indices) is Place else place(indices, value.shape)
        past = 0 < self.functions.dialect.streamed <= value.size * len(element) * parameter.dtype.itemsize
        for j, x in enumerate(element):
            text = (at * len(element) + j).text()
            scope.body.append(nest.Store(parameter.name, parameter.dtype, text, x.text, past))


def _name(value: Value) -> str:
    return "" if value.source is None else value.source.name


def _same(xs: Indices, ys: Indices) -> bool:
    return len(xs) == len(ys) and all(x.key == y.key for x, y in zip(xs, ys, strict=True))
