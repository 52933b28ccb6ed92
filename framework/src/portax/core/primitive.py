"""What a primitive must say, and the registry of all that have said it.

A primitive's class states everything anyone knows of it, in the order of the slots below. A slot left out is derived
by the transformation that needs it (a linear map is its own tangent) or refused with a clear error, never guessed.
This file knows no primitive by name; it keeps the slots, the memo of shape rules, and the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from portax.core.aval import NOWHERE, Aval, Axes, Described
from portax.core.jaxpr import NO_EFFECTS, Effects
from portax.core.trace import state

#: Entries of one primitive's shape-rule memo; past it the memo starts afresh.
MEMO_LIMIT = 8192


_SAY_NOTHING = frozenset({"accuracy", "dimensions", "out_sharding", "precision", "sharding"})


class Sample:
    """Operands and parameters a primitive can be tried on: ``Sample(x, y, axis=0)``.

    Parameters
    ----------
    *operands : numpy arrays
    id : str, optional
        What is particular about it; the test's name ends with it.
    **params
        Static parameters.
    """

    def __init__(self, *operands: Any, id: str = "", **params: Any) -> None:
        self.operands, self.params, self.id = operands, params, id


class Refusal:
    """Operands the primitive must refuse, the error's class, and words that must be in it."""

    def __init__(self, sample: Sample, error: type[Exception], words: str) -> None:
        self.sample, self.error, self.words = sample, error, words


class Undefined(Described):
    """Stands for a linear operand while a transpose rule runs: only its aval is known."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Undefined({self.aval})"


class Primitive:
    """An operation every trace can interpret. Subclass it, fill the slots, and instantiate it once.

    Arrays are positional operands, static parameters keyword-only.

    Attributes
    ----------
    name : str
    multiple_results : bool
        ``bind`` returns a list of arrays instead of one.
    version : int
        Meaning never changes under one (name, version).
    required : bool
        A driver must run it; False where ``decompose`` can stand in for it.
    linear_in : tuple of int
        The operands it is jointly linear in, the others held fixed.
    derivatives : tuple, optional
        For each operand ``None`` or a function ``(tangent, out, *operands, **params)`` giving its term of the
        tangent of the result; the terms are added.
    jvp : method, optional
        ``(primals, tangents, **params) -> (out, tangent_out)`` where the two slots above cannot say it.
        A tangent that is symbolically zero is None.
    linearize : method, optional
        As ``jvp``; called in its stead when the tangents are being staged for reverse mode, so that what does not
        depend on them can be kept apart. Needed by primitives whose parameter is a program.
    transpose : method, optional
        ``(ct, *operands, **params)``; linear operands are ``Undefined``. Returns the cotangent of the operand, or,
        where there are several operands, a tuple with None for those without one. With multiple results ``ct`` is a
        list in which a zero is None.
    batch_axis : method, optional
        ``(trace, batched, *operands, **params) -> (results, which_are_batched)``: as ``batch``, called instead of it by
        the trace whose named axis is among the ``effects``.
    batch : method, optional
        ``(batched, *operands, **params)`` where ``batched`` tells which operands carry the batch axis, always axis 0.
        Returns the result with the batch axis at 0; with multiple results ``(results, which_are_batched)``.
    reference : method
        The meaning, on NumPy arrays.
    impl : method, optional
        For primitives whose parameter is a program: how the bottom of the stack runs it, on portax arrays.
    stage : method, optional
        For primitives whose parameter is a Python function: ``(trace, operands, params)``, what to record.
    decompose : method, optional
        The same in terms of other primitives, on portax arrays.
    stablehlo : method, optional
        ``(b, *values, **params)``: the same written with the StableHLO builder ``b``, or ``NotImplemented`` where the
        decomposition is to be preferred.
    custom_calls : str
        The prefix of the custom calls that ``stablehlo`` makes. A device that claims no such calls is given the
        decomposition instead, and so is one that would call for operands without elements.
    determined : method, optional
        ``(operands, results, **params)``, on portax arrays: where the results are right up to a choice, such as the
        sign of an eigenvector, arrays that are not. Devices are compared, and derivatives tried, by these.
    samples, refusals : methods
        ``(make)`` yields ``Sample``s and ``Refusal``s; ``make(shape)`` gives operands of the dtype under test.
    dce : method, optional
        ``(used, eqn) -> eqn`` where ``used`` tells which results are read: the equation without the others, without
        what makes them in its programs, and without the operands then read no more; itself if there is none of these.
    dtypes : tuple of str
        Kinds of operands it is meant for: "bool", "int", "uint", "float", "complex".
    budget : dict
        Greatest error allowed, in units in the last place, by dtype name; ``"default"`` for the rest, of which float16
        and bfloat16 are allowed 4 at most.
    """

    name: ClassVar[str] | str
    multiple_results: bool = False
    version: int = 1
    required: bool = False
    linear_in: tuple[int, ...] = ()
    derivatives: Sequence[Callable[..., Any] | None] | None = None
    dtypes: tuple[str, ...] = ("bool", "int", "uint", "float", "complex")
    budget: dict[str, float] = {}
    #: It adds many numbers, which may cancel: its error is measured on the scale of the greatest number in play.
    accumulates: bool = False
    #: ``(**params)``: how much greater than its operands a result that adds many of them is, as a rule; else 1.
    growth: Any = None
    #: Its program, in its parameter ``jaxpr``, is printed apart, under the name in ``name``.
    calls: bool = False
    #: It is done by Python, between the steps of a program: a device whose programs may call Python reads the operands
    #: back, asks ``reference``, and takes over the results.
    on_host: bool = False
    #: The parameter with the program that it runs, where that is all it does to values; else empty.
    runs: str = ""
    #: Parameters that are printed where they are None too, and where they are left out.
    shown_as_none: tuple[str, ...] = ()
    #: Its parameter ``jaxpr`` may be run in its stead where some operands are tangents and others are not.
    opens_for_tangents: bool = False
    #: Its batching rule asks over which mesh axes a batch is spread (``spmd_axis_name`` of ``vmap``).
    spreads: bool = False
    #: Its transpose takes cotangents of which devices have parts, and gives such: see ``portax.transforms.alike``.
    takes_parts: bool = False
    #: Its parameters hold Python functions, which may close over tracers: a batch hands it to ``batch_axis`` itself,
    #: whether operands carry the batch axis or not.
    holds_functions: bool = False
    #: Elements from which a compiled call beats NumPy on host memory; None where it never does, as measured.
    numpy_until: int | None = None
    #: False where params hold programs: memoising shape rules under them would keep every program alive.
    memoize: bool = True

    jvp: Any = None
    linearize: Any = None
    transpose: Any = None
    batch: Any = None
    batch_axis: Any = None
    reference: Any = None
    impl: Any = None
    stage: Any = None
    decompose: Any = None
    stablehlo: Any = None
    custom_calls: str = ""
    determined: Any = None
    dce: Any = None

    def __init__(self) -> None:
        self._memo: dict[Any, tuple[Aval, ...]] = {}
        #: The runtime's: by (avals, params) of operands that go to the reference at once, the aval of its result.
        self.small: dict[Any, Aval] = {}
        #: Derived by transformations, once: they may keep their own findings about a primitive here.
        self.derived: dict[Any, Any] = {}

    # -- what comes out -----------------------------------------------------------------------------------------------
    def shape(self, *avals: Aval, **params: Any) -> tuple[int, ...]:
        raise NotImplementedError(f"{self.name}: shape")

    def dtype(self, *avals: Aval, **params: Any) -> Any:
        raise NotImplementedError(f"{self.name}: dtype")

    def weak_type(self, *avals: Aval, **params: Any) -> bool:
        return all(a.weak_type for a in avals) if avals else False

    def abstract(self, *avals: Aval, **params: Any) -> Any:
        """The aval of the result, or a list of them; derived from ``shape``, ``dtype`` and ``weak_type``."""
        return Aval(self.shape(*avals, **params), self.dtype(*avals, **params), self.weak_type(*avals, **params))

    def effects(self, **params: Any) -> Effects:
        """What it does besides computing results. Most primitives do nothing else."""
        return NO_EFFECTS

    def out_avals(self, avals: tuple[Aval, ...], params: dict[str, Any]) -> tuple[Aval, ...]:
        """The avals of the results, memoised by (avals, params)."""
        if not self.memoize:
            out = self.abstract(*avals, **params)
            return self.typed(avals, params, tuple(out) if self.multiple_results else (out,))
        key = (avals, *params.items()) if params else avals
        try:
            known = self._memo.get(key)
        except TypeError:  # an unhashable parameter
            key, known = None, None
        if known is None:
            out = self.abstract(*avals, **params)
            known = self.typed(avals, params, tuple(out) if self.multiple_results else (out,))
            if key is not None:
                if len(self._memo) >= MEMO_LIMIT:
                    self._memo.clear()
                self._memo[key] = known
        return known

    def varies(self, operands: Axes, params: dict[str, Any]) -> Axes | None:
        """The mesh axes along which results vary, given those of all operands; None where ``abstract`` has said it."""
        return operands

    def typed(self, avals: tuple[Aval, ...], params: dict[str, Any], outs: tuple[Aval, ...]) -> tuple[Aval, ...]:
        """The avals of the results, which now say along which mesh axes they vary."""
        operands = NOWHERE
        for a in avals:
            if a.varying:
                operands |= a.varying
        axes = self.varies(operands, params)
        return outs if axes is None else tuple([a if a.varying == axes else a.vary(axes) for a in outs])

    # -- what it does -------------------------------------------------------------------------------------------------
    def bind(self, *operands: Any, **params: Any) -> Any:
        """Let the current trace interpret the operation."""
        return state.trace.process(self, operands, params)

    def __call__(self, *operands: Any, **params: Any) -> Any:
        return state.trace.process(self, operands, params)

    def axes_inside(self, params: dict[str, Any]) -> tuple[tuple[Any, int], ...]:
        """The named axes, with their sizes, that are in scope in the programs among its parameters and not outside."""
        return ()

    def alike_inside(self, params: dict[str, Any]) -> Axes | None:
        """The mesh axes that types tell of in the programs among its parameters; None for those outside."""
        return None

    # -- how it is tried ----------------------------------------------------------------------------------------------
    def samples(self, make: Callable[..., Any]) -> Iterable[Sample]:
        return ()

    def refusals(self, make: Callable[..., Any]) -> Iterable[Refusal]:
        return ()

    # -- how it is shown ----------------------------------------------------------------------------------------------
    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters worth printing, in order: all but those that say nothing where they are None."""
        shown = {k: v for k, v in params.items() if v is not None or k not in _SAY_NOTHING}
        return dict(sorted({**dict.fromkeys(self.shown_as_none), **shown}.items()))

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[Any, ...]:
        return registry.__getitem__, (self.name,)


P = TypeVar("P", bound=Primitive)


class Registry:
    """All primitives by name. A name is given once: ``cumsum = registry.add(Cumsum())``."""

    def __init__(self) -> None:
        self._by_name: dict[str, Primitive] = {}

    def add(self, primitive: P) -> P:
        """Register ``primitive`` and return it."""
        assert primitive.name not in self._by_name, f"two primitives are called {primitive.name}"
        self._by_name[primitive.name] = primitive
        return primitive

    def __getitem__(self, name: str) -> Primitive:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Primitive]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)


registry = Registry()


#: Primitives that JAX has under another attribute.
OTHER_NAMES = {"add_jaxvals_p": "add_any", "remat_p": "checkpoint", "linear_solve_p": "custom_linear_solve"}


def attribute_of(primitive: Primitive) -> str:
    """The name under which modules show a primitive: ``add_p``, ``scatter_add_p``."""
    return primitive.name.replace("-", "_") + "_p"


def primitive_attributes(module: str) -> Callable[[str], Primitive]:
    """The ``__getattr__`` of a module that shows every primitive under its name with ``_p`` behind it."""

    def __getattr__(name: str) -> Primitive:
        if name.endswith("_p"):
            wanted = OTHER_NAMES.get(name)
            for primitive in registry:
                if primitive.name == wanted or attribute_of(primitive) == name:
                    return primitive
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
