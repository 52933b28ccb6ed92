"""A jitted function taken apart: traced, lowered, compiled.

Each stage is an object with what is known at that point, and the way to the next one. They are what a call of the
jitted function goes through without showing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, Described, aval_of
from portax.core.dtypes import user_dtype
from portax.core.jaxpr import ClosedJaxpr
from portax.core.lazy import lazy
from portax.core.refs import Cell
from portax.core.trace import Tracer
from portax.higher_order.calls import one_device
from portax.runtime import devices, eager
from portax.runtime.array import ConcreteArray
from portax.runtime.programs import prepare, program_text

formats = lazy("portax.runtime.formats")
homes = lazy("portax.runtime.homes")
shardings = lazy("portax.runtime.shardings")
spread = lazy("portax.runtime.spread")

if TYPE_CHECKING:
    from portax.higher_order.jitted import Signature
    from portax.higher_order.references import References


class ShapeDtypeStruct(Described):
    """Shape and dtype of an array that does not exist: stands for one where only these matter.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    sharding : optional, kept
    weak_type : bool
    manual_axis_type, is_ref : None and False
        Kept for programs that give them.

    Examples
    --------
    >>> import portax
    >>> portax.ShapeDtypeStruct((2, 3), "float32")
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    __slots__ = ("aval", "sharding")

    #: It never stands for a reference, which holds a value and is passed itself.
    is_ref = False
    #: It says nothing of the axes of a mesh along which values vary.
    manual_axis_type = None

    def __init__(
        self, shape: Sequence[int], dtype: Any, *, sharding: Any = None, weak_type: bool = False,
        manual_axis_type: Any = None, is_ref: bool = False,
    ) -> None:  # fmt: skip
        if dtype is None:
            raise errors.ArgumentError(wrong="ShapeDtypeStruct was given no dtype", fix="Give a dtype")
        if is_ref or manual_axis_type is not None:
            what = "is_ref" if is_ref else "manual_axis_type"
            raise errors.ArgumentError(
                wrong=f"ShapeDtypeStruct was given {what}, and it stands for an array that is whole",
                fix="Leave it out; pass references themselves, and say how arrays are spread by a sharding",
            )
        self.aval = Aval(tuple(shape), user_dtype(dtype), weak_type)
        self.sharding = sharding

    @classmethod
    def of(cls, aval: Aval) -> ShapeDtypeStruct:
        """The struct of an aval."""
        return cls(aval.shape, aval.dtype, weak_type=aval.weak_type)

    @classmethod
    def like(cls, x: Any) -> ShapeDtypeStruct:
        """The struct of anything with a shape and a dtype."""
        aval = aval_of(x)
        return cls(aval.shape, aval.dtype, sharding=getattr(x, "sharding", None), weak_type=aval.weak_type)

    @property
    def format(self) -> Any:
        """What is known of how it lies in memory: on which devices, if it was said."""
        return formats.Format(None, self.sharding)

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """The struct that differs from this one in the fields given: shape, dtype, sharding, weak_type."""
        fields = {"shape": self.shape, "dtype": self.dtype, "sharding": self.sharding, "weak_type": self.weak_type}
        unknown = sorted(set(changes) - set(fields))
        if unknown:
            raise errors.ArgumentError(
                wrong=f"ShapeDtypeStruct has no field {unknown[0]!r}", fix=f"Its fields are: {', '.join(fields)}"
            )
        return ShapeDtypeStruct(**{**fields, **changes})

    def __len__(self) -> int:
        return self.aval.shape[0]

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and self.aval is other.aval

    def __hash__(self) -> int:
        return hash(self.aval)


class ArgInfo:
    """What is known of one argument of a program.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    donated : bool
        The program may reuse its memory.
    """

    __slots__ = ("aval", "donated")

    def __init__(self, aval: Aval, donated: bool) -> None:
        self.aval, self.donated = aval, donated

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        return self.aval.dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArgInfo) and (self.aval, self.donated) == (other.aval, other.donated)

    def __hash__(self) -> int:
        return hash((self.aval, self.donated))

    def __repr__(self) -> str:
        return f"ArgInfo({self.aval}, donated={self.donated})"


@runtime_checkable
class Wrapped(Protocol):
    """A function that can be traced and lowered, such as ``jit`` gives."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, compiled where it was not yet for such arguments."""
        ...

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """Stage the function for these arguments; nothing runs."""
        ...

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Stage the function for these arguments and write it as StableHLO."""
        ...


class Stage:
    """What all stages know of their function: the trees, avals and donation of arguments and results."""

    _traced: Traced

    @property
    def in_tree(self) -> Any:
        """The tree of ``(args, kwargs)``, static arguments left out."""
        return self._traced._in_tree

    @property
    def out_tree(self) -> Any:
        signature = self._traced._signature
        return signature.out_tree if signature.refs is None else signature.refs.results

    @property
    def in_avals(self) -> Any:
        """The avals of the arguments, as the tree ``(args, kwargs)``."""
        return tree.unflatten(self.in_tree, self._traced._flat_avals)

    @property
    def out_avals(self) -> Any:
        """The avals of the results, as their tree."""
        return tree.unflatten(self.out_tree, self._flat_out_avals())

    def _flat_out_avals(self) -> list[Aval]:
        """Without those of references that the program writes, which come last."""
        return list(self._traced._signature.out_avals[: self.out_tree.num_leaves])

    @property
    def out_info(self) -> Any:
        """The results as a tree of ShapeDtypeStruct."""
        return tree.unflatten(self.out_tree, [ShapeDtypeStruct.of(a) for a in self._flat_out_avals()])

    @property
    def args_info(self) -> Any:
        """The arguments as a tree ``(args, kwargs)`` of ArgInfo."""
        donated = self._traced._donated
        infos = [ArgInfo(a, d) for a, d in zip(self._traced._flat_avals, donated, strict=True)]
        return tree.unflatten(self.in_tree, infos)

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The numbers of the flat arguments that are donated."""
        return tuple(i for i, d in enumerate(self._traced._donated) if d)


class Traced(Stage):
    """A function staged at one signature.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
    fun_name : str
    """

    def __init__(
        self,
        signature: Signature,
        in_tree: Any,
        in_avals: Sequence[Aval],
        where: Sequence[Any] = (),
        chosen: Any = None,
    ) -> None:
        self._traced, self._chosen = self, chosen
        #: How each argument lies on its devices, if it was told to.
        self._where = list(where) or [None] * len(in_avals)
        self._signature = signature
        self._in_tree, self._flat_avals = in_tree, list(in_avals)

    @property
    def _donated(self) -> Sequence[bool]:
        donated = self._signature.params["donated_invars"]
        return donated[len(donated) - len(self._flat_avals) :]

    @property
    def jaxpr(self) -> ClosedJaxpr:
        return self._signature.closed

    @property
    def lojax(self) -> ClosedJaxpr:
        """The program without types of libraries' own: itself, since there are none."""
        return self.jaxpr

    @property
    def consts(self) -> list[Any]:
        """Values that the program takes as its first inputs, because they are large or being traced."""
        return self._signature.consts

    @property
    def refs(self) -> References | None:
        """What the function does to mutable references; None where it touches none."""
        return self._signature.refs

    @property
    def fun_name(self) -> str:
        return self._signature.options.name

    def lower(self, *, lowering_platforms: Sequence[str] | None = None) -> Lowered:
        """Write the program as StableHLO.

        Raises
        ------
        ArgumentError
            The function closes over a value that is being traced.
        """
        if any(isinstance(c, Tracer) for c in self._signature.consts):
            raise errors.ArgumentError(
                wrong=f"{self.fun_name} closes over a value that is being traced, so it cannot be lowered alone",
                fix="Pass the value as an argument",
            )
        return Lowered(self)

    def _device(self) -> Any:
        """Where the program runs, if that is on one device."""
        alone = [s.device_list[0] for s in self._where if type(s) is shardings.SingleDeviceSharding]
        told = one_device(alone, self.fun_name)
        return (self._chosen or devices.default_device()) if told is None else told

    def _arranged(self, chosen: Sequence[Any] | None = None) -> Any:
        """Where the program runs, if that is on devices of a mesh; else None.

        ``chosen`` are the devices that take the places of a mesh which has none.
        """
        signature = self._signature
        where = [*[spread.sharding_of(c) for c in signature.consts], *self._where]
        laid = signature.spread or any(s is not None and type(s) is not shardings.SingleDeviceSharding for s in where)
        if not (laid or spread.named_by(signature.closed)[1]) or signature.refs is not None:
            return None
        wanted = signature.in_shardings
        if wanted is not None:
            wanted = [*[None] * len(signature.consts), *wanted]
        return spread.arrange(signature.closed, where, self.fun_name, wanted, signature.out_shardings, chosen)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Lower, compile and run the program with these arguments."""
        return self.lower().compile()(*args, **kwargs)


class Lowered(Stage):
    """A program written as StableHLO, not compiled yet."""

    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self._arrangement = traced._arranged()
        self._text = self._written(False)

    def _written(self, locations: bool) -> str:
        signature, arranged = self._traced._signature, self._arrangement
        if arranged is not None and (arranged.vacant or spread.on_several(arranged.members)):
            return spread.text_of(signature.closed, arranged, signature.options, [], locations)[0]
        device = self._traced._device() if arranged is None else arranged.members[0]
        return program_text(signature.closed, signature.options, device, [], locations)[0]

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The StableHLO text.

        Parameters
        ----------
        dialect : {"stablehlo"}, optional
        debug_info : bool
            Each operation names the user's line it comes from, and the named parts of the program it belongs to.
        """
        if dialect not in (None, "stablehlo"):
            raise errors.ArgumentError(
                wrong=f"a lowered program has no {dialect!r} text", fix='Ask for "stablehlo", or compile it first'
            )
        return self._written(True) if debug_info else self._text

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The program as a compiler takes it: here the StableHLO text, whatever the device."""
        return self.as_text(dialect)

    def compile(self, compiler_options: Mapping[str, Any] | None = None, *, device_assignment: Any = None) -> Compiled:
        """Compile for where the arguments are committed to, or else the default device; or for the devices in
        ``device_assignment``: one, or as many as a mesh without devices is for."""
        if compiler_options:
            raise errors.ArgumentError(
                wrong=f"compile knows no options, got {sorted(compiler_options)}", fix="Choose with jit(effort=...)"
            )
        if self._arrangement is not None:
            return self._compiled_for_several(device_assignment)
        if device_assignment is not None and len(tuple(device_assignment)) != 1:
            raise errors.ArgumentError(
                wrong=f"compile was given {len(tuple(device_assignment))} devices, and the program is for one",
                fix="Give one device, or leave device_assignment out",
            )
        device = self._traced._device() if device_assignment is None else devices.as_device(device_assignment[0])
        signature = self._traced._signature
        return Compiled(self._traced, prepare(signature.closed, device, signature.options))

    def _compiled_for_several(self, chosen: Any) -> Compiled:
        signature, arranged = self._traced._signature, self._arrangement
        if chosen is not None:
            chosen = [devices.as_device(d) for d in chosen]
        if chosen is not None and arranged.vacant:
            arranged = self._traced._arranged(chosen)
        elif chosen is not None and set(chosen) != set(arranged.members):
            raise errors.ArgumentError(
                wrong=f"compile was given the devices {chosen}, and {self._traced.fun_name} is for "
                f"{list(arranged.members)}",
                fix="Leave device_assignment out, or lower it for an AbstractMesh",
            )
        program = spread.prepare_spread(signature.closed, arranged, signature.options)
        return Compiled(self._traced, program, arranged)

    def cost_analysis(self) -> Mapping[str, float]:
        """Estimated costs by name, such as ``flops``; the program is compiled to know them."""
        return self.compile().cost_analysis()


def _formats(avals: Sequence[Aval], spread: Any) -> Any:
    """A tree of shardings, one for each aval, as one of formats."""
    found, structure = tree.flatten(spread)
    return tree.unflatten(structure, [formats.row_major(a.ndim, s) for a, s in zip(avals, found, strict=True)])


class Compiled(Stage):
    """A program compiled for its devices. Calling it runs it, with arguments of just the avals it was made for."""

    def __init__(self, traced: Traced, program: Any, arrangement: Any = None) -> None:
        self._traced, self._program, self._arrangement = traced, program, arrangement

    def _on(self) -> Any:
        return shardings.SingleDeviceSharding(self._program.device)

    @property
    def input_shardings(self) -> tuple[Any, dict[str, Any]]:
        """``(args, kwargs)``: how the arguments lie on their devices."""
        traced = self._traced
        if self._arrangement is None:
            found = [self._on()] * len(traced._flat_avals)
        else:
            found = [homes.sharding_at(p) for p in self._arrangement.places[len(traced._signature.consts) :]]
        return tree.unflatten(traced.in_tree, found)

    @property
    def output_shardings(self) -> Any:
        """How the results lie on their devices."""
        if self._arrangement is None:
            found = [self._on()] * len(self._traced._signature.out_avals)
        else:
            found = [homes.sharding_at(p) for p in self._program.results]
        return tree.unflatten(self._traced.out_tree, found)

    @property
    def input_formats(self) -> tuple[Any, dict[str, Any]]:
        """``(args, kwargs)``: how the arguments lie in memory and on their devices."""
        return _formats(self._traced._flat_avals, self.input_shardings)

    @property
    def output_formats(self) -> Any:
        """How the results lie in memory and on their devices."""
        return _formats(self._traced._signature.out_avals, self.output_shardings)

    def as_text(self) -> str:
        """The optimised program, as the compiler shows it; StableHLO where it shows nothing."""
        executable = self._program.executable
        return (executable.text() if executable is not None else "") or self._program.text

    def cost_analysis(self) -> Mapping[str, float]:
        """Estimated costs by name, such as ``flops``; empty where the device knows none."""
        executable = self._program.executable
        return executable.cost_analysis() if executable is not None else {}

    def memory_analysis(self) -> Any:
        """Sizes in bytes of arguments, results and temporaries; None where the device knows none."""
        executable = self._program.executable
        return executable.memory_analysis() if executable is not None else None

    def runtime_executable(self) -> Any:
        """The driver's executable, None on a device that interprets."""
        return self._program.executable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        traced = self._traced
        if in_tree != traced.in_tree:
            raise errors.ArgumentError(
                wrong=f"{traced.fun_name} was compiled for arguments {traced.in_tree} and called with {in_tree}",
                fix="Call it with the same tree, or call the jitted function",
            )
        for x, aval in zip(leaves, traced._flat_avals, strict=True):
            given = x.aval if isinstance(x, Cell) else aval_of(x)
            if given.shape != aval.shape or given.dtype != aval.dtype or type(given) is not type(aval):
                raise errors.ArgumentError(
                    wrong=f"{traced.fun_name} was compiled for {aval} and called with {given}",
                    fix="Call it with the same shapes and dtypes, or call the jitted function",
                )
        refs = traced._signature.refs
        return self._run(leaves) if refs is None else refs.around(leaves, traced.fun_name, self._run)

    def _run(self, leaves: Sequence[Any]) -> Any:
        signature = self._traced._signature
        arrays = [x if type(x) is ConcreteArray else eager.asarray(x, copy=True) for x in [*signature.consts, *leaves]]
        if self._arrangement is not None:
            outs = spread.execute(signature.closed, self._arrangement, self._program, arrays, signature.options)
            return tree.unflatten(signature.out_tree, outs)
        device = self._program.device
        outs = self._program(arrays)
        for i in signature.donated:
            arrays[i].delete()
        committed = any(a.committed for a in arrays)
        results = [ConcreteArray(a, None, b, device, committed) for a, b in zip(signature.out_avals, outs, strict=True)]
        return tree.unflatten(signature.out_tree, results)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, as calling it does."""
        return self(*args, **kwargs)


CompilerOptions = dict[str, str | bool | int | float]
"""What a compiler may be told, by name."""
