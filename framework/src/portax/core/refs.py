"""Mutable references: cells that hold an array, and whose programs are pure all the same.

A program never contains a cell. Tracing runs a Python function once, in order, so a cell that is read and written while
it runs holds at each moment the value that the program has computed so far: within one trace nothing else is needed. A
function that becomes a program of its own (a jitted one, the body of a loop) is staged with a `Scope`: a cell from
outside that it touches becomes an input of the program, and where it is written, an output too. Whoever binds the
program passes the cell's value, and writes back what comes out.

Invariant: a cell's value means something in the trace that is its home, and all of that trace's operations can read
it. A trace on top of it (a derivative, a batch) reads it as a constant, and may write only what is no value of its own.
"""

from __future__ import annotations

from typing import Any, NoReturn

from portax import errors
from portax.core.aval import Aval, aval_of, aval_readers
from portax.core.trace import State, Trace, Tracer, state


class AbstractRef:
    """What is known of a reference before it holds a value: the aval of that.

    Parameters
    ----------
    inner_aval : Aval
        Of the array it holds.
    memory_space, kind : optional
        Kept for programs that give them; a reference lives where its array does.

    Examples
    --------
    >>> import portax
    >>> portax.new_ref(portax.numpy.zeros(3)).aval
    Ref{float32[3]}
    """

    __slots__ = ("inner_aval", "kind", "memory_space")

    #: Nothing of it changes but the value.
    has_qdd = False
    #: There is no simpler type below it.
    is_high = False

    def __init__(self, inner_aval: Aval, memory_space: Any = None, kind: Any = None) -> None:
        self.inner_aval, self.memory_space, self.kind = inner_aval, memory_space, kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of int: the length of each axis."""
        return self.inner_aval.shape

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self.inner_aval.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.inner_aval.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.inner_aval.size

    @property
    def weak_type(self) -> bool:
        """Whether the array it holds gives way in promotion."""
        return self.inner_aval.weak_type

    @property
    def sharding(self) -> None:
        """None: where the array lives is no part of its type."""
        return None

    def update(self, inner_aval: Any = None, memory_space: Any = None, kind: Any = None) -> AbstractRef:
        """The one that differs from this in what is given."""
        return AbstractRef(
            self.inner_aval if inner_aval is None else inner_aval,
            self.memory_space if memory_space is None else memory_space,
            self.kind if kind is None else kind,
        )

    def update_weak_type(self, weak_type: bool) -> AbstractRef:
        """The same, for a weak or a firm array."""
        return self.update(self.inner_aval.update_weak_type(weak_type))

    def strip_weak_type(self) -> AbstractRef:
        """The same, for a firm array."""
        return self.update_weak_type(False)

    def normalize(self) -> AbstractRef:
        """The same, for a firm array: what two types are compared by."""
        return self.strip_weak_type()

    def to_tangent_aval(self) -> AbstractRef:
        """Of a reference to tangents of such values."""
        return self.update(self.inner_aval.to_tangent_aval())

    def to_ct_aval(self) -> AbstractRef:
        """Of a reference to cotangents of such values."""
        return self.to_tangent_aval()

    def str_short(self, short_dtypes: bool = False, mesh_axis_types: bool = False) -> str:
        """``Ref{float32[2,3]}``, or ``Ref{f32[2,3]}``."""
        del mesh_axis_types
        return f"Ref{{{self.inner_aval.str_short(short_dtypes)}}}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractRef) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.inner_aval, self.memory_space, self.kind

    def __repr__(self) -> str:
        return self.str_short()


class Cell:
    """A place that holds an array. ``portax.Ref`` is the one that users get.

    Attributes
    ----------
    aval : AbstractRef
    home : Trace
        The trace in which it was made: its value is one of that trace's.
    value : Array, None where its memory has been given up
    written : bool
    gone : str
        What took its value away, in words; empty as long as it has one.
    """

    __slots__ = ("__weakref__", "aval", "gone", "home", "value", "written")

    aval: AbstractRef

    def __init__(self, aval: AbstractRef, refs: Any) -> None:  # JAX's name for the value
        self.aval, self.value = aval, refs
        self.home: Trace = state.trace
        self.written, self.gone = False, ""

    def again(self, inner: Aval, value: Any) -> Cell:
        """A cell of the same kind whose home is the current trace: what a traced function gets for an argument."""
        return type(self)(self.aval.update(inner), value)

    def __copy__(self) -> Cell:
        """Another cell that holds the same value now."""
        return self.again(self.aval.inner_aval, self.read())

    def __deepcopy__(self, memo: Any) -> Cell:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise errors.RefError(
            wrong=f"a reference ({self.aval}) was to be pickled, and it means something in this process only",
            fix="Pickle what it holds, ref[...], and make another with new_ref",
        )

    def read(self) -> Any:
        """The value, as the current trace may use it.

        Raises
        ------
        RefError
            It has been freed, its trace has ended, or it may not be touched here.
        """
        trace = state.trace
        return self.value if self.home is trace and not self.gone else _read(self, trace)

    def write(self, value: Any) -> None:
        """Hold ``value``, an array of the cell's aval.

        Raises
        ------
        RefError
            As of ``read``; or the value belongs to a derivative or a batch that the cell is not part of.
        """
        self.read()
        _write(self, value, state.trace)

    def give_up(self, how: str) -> Any:
        """The last value. Any later use is an error that says it was ``how``."""
        value = self.read()
        if _program_of(state.trace) is not _program_of(self.home):
            raise errors.RefError(
                wrong=f"a reference ({self.aval}) was {how} by a function that did not make it",
                fix="Read it there, and free or freeze it where it was made",
            )
        self.gone = how
        if self.home is State.trace:  # in a traced function it may stand for an argument, to which it is written back
            self.value = None
        return value


class Captured:
    """A cell from outside, in a function that is being staged: an input of its program, and what it holds by now."""

    __slots__ = ("cell", "input", "value", "written")

    def __init__(self, cell: Cell, tracer: Any) -> None:
        self.cell, self.input, self.value, self.written = cell, tracer, tracer, False


class Scope:
    """The cells from outside that a function touches while it is staged.

    Attributes
    ----------
    outer : Trace
        Interprets where the function is staged.
    found : dict of Cell to Captured
    """

    __slots__ = ("found", "outer")

    def __init__(self) -> None:
        self.outer: Trace = state.trace
        self.found: dict[Cell, Captured] = {}

    def captured(self) -> list[Captured]:
        """Those that are only read, then those that are written."""
        return sorted(self.found.values(), key=lambda c: c.written)

    @property
    def cells(self) -> list[tuple[Cell, bool]]:
        """The cells in that order, and whether each is written."""
        return [(c.cell, c.written) for c in self.captured()]

    def inputs(self) -> list[Any]:
        """The program's first inputs."""
        return [c.input for c in self.captured()]

    def outputs(self) -> list[Any]:
        """The program's last outputs: what the cells that are written hold in the end."""
        return [c.value for c in self.captured() if c.written]

    def close(self) -> None:
        """Forget all values: they are the trace's, which is about to end."""
        for c in self.found.values():
            c.input = c.value = None


def _program_of(trace: Any) -> Any:
    """The trace at the foot of derivatives and batches: the program that is being staged, or the bottom."""
    while getattr(trace, "parent", None) is not None:
        trace = trace.parent
    return trace


def _read(cell: Cell, trace: Any) -> Any:
    if cell.gone:
        raise errors.RefError(
            wrong=f"a reference ({cell.aval}) was used after it had been {cell.gone}",
            fix="Use the value that freeze returned, or make another with new_ref",
        )
    while cell.home is not trace:
        parent = getattr(trace, "parent", None)
        if parent is None:
            return _capture(cell, trace).value
        trace = parent
    return cell.value


def _capture(cell: Cell, trace: Any) -> Captured:
    if trace is State.trace:
        raise errors.RefError(
            wrong=f"a reference ({cell.aval}) was used after the function that made it had been traced",
            fix="Return its value from that function, with freeze, instead of keeping the reference",
        )
    scope: Scope | None = getattr(trace, "refs", None)
    if scope is None:
        name = getattr(trace, "name", "") or "a function"
        raise errors.RefError(
            wrong=f"a reference ({cell.aval}) from outside was used in {name}, which may not touch one: a rule "
            "of its own, a reduction, or a derivative that runs after the function was staged",
            fix="Read the reference before, and pass its value as an argument; write what the function returns",
        )
    found = scope.found.get(cell)
    if found is None:
        _read(cell, scope.outer)
        found = scope.found[cell] = Captured(cell, trace.argument(cell.aval.inner_aval))
    return found


def _write(cell: Cell, value: Any, trace: Any) -> None:
    while cell.home is not trace:
        parent = getattr(trace, "parent", None)
        if parent is None:
            found = _capture(cell, trace)
            found.value, found.written = value, True
            return
        if isinstance(value, Tracer) and value._trace is trace:  # pyright: ignore[reportPrivateUsage]
            _refuse(cell, trace)
        trace = parent
    cell.value, cell.written = value, True


def _refuse(cell: Cell, trace: Any) -> NoReturn:
    if hasattr(trace, "axis_name"):
        raise errors.RefError(
            wrong=f"a value that is being batched was written to a reference ({cell.aval}) made outside of vmap, which "
            "has one place for all rows",
            fix="Pass the reference as an argument that is mapped, or make it inside",
        )
    raise errors.RefError(
        wrong=f"a value that is being differentiated was written to a reference ({cell.aval}) made outside of the "
        "differentiated function",
        fix="Write stop_gradient of the value, or make the reference inside",
    )


def _no_array(cell: Cell) -> Aval:
    raise errors.RefError(
        wrong=f"a reference ({cell.aval}) was given where an array is needed", fix="Read it: ref[...]"
    )


aval_readers[Cell] = _no_array


def inner_aval(x: Any) -> Any:
    """The aval of an array, or of what a reference holds."""
    return x.aval.inner_aval if isinstance(x, Cell) else aval_of(x)
