"""Exporting a function, and what an exported function can do.

An exported function is a program with the trees and avals of its arguments and results. Its derivative travels as an
exported function too, as deep as the program asks; without one it is refused, not guessed, since custom rules do not
outlive their process.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax import api, errors
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.dtypes import float0
from portax.core.jaxpr import ClosedJaxpr
from portax.core.trace import Tracer
from portax.core.treedef import PyTreeDef
from portax.export.container import Store, pack, unpack
from portax.export.programs import Reader, Writer, plain
from portax.export.trees import read_tree, write_tree
from portax.higher_order import JitFunction, custom_vjp, jit
from portax.higher_order.stages import ShapeDtypeStruct, Traced
from portax.numpy import asarray
from portax.runtime import devices
from portax.runtime.lowering import lower
from portax.transforms.jvp import moves
from portax.transforms.stage import eval_closed
from portax.version import __version__

#: The calling conventions of files, which number the format's own versions.
minimum_supported_calling_convention_version = 1
maximum_supported_calling_convention_version = 1


class DisabledSafetyCheck:
    """A check that exporting may leave out. portax exports nothing that would need one; programs may name them.

    Examples
    --------
    >>> import portax
    >>> portax.export.DisabledSafetyCheck.custom_call("my_kernel").is_custom_call()
    'my_kernel'
    """

    def __init__(self, _impl: str) -> None:
        self._impl = _impl

    @classmethod
    def platform(cls) -> DisabledSafetyCheck:
        """The check that a program runs on the platform it was exported for."""
        return cls("platform")

    @classmethod
    def custom_call(cls, target_name: str) -> DisabledSafetyCheck:
        """The check that a custom call is known to be stable."""
        return cls(f"custom_call:{target_name}")

    def is_custom_call(self) -> str | None:
        """The custom call's name, or None for another check."""
        kind, _, name = self._impl.partition(":")
        return name if kind == "custom_call" else None

    def __repr__(self) -> str:
        return f"DisabledSafetyCheck({self._impl!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DisabledSafetyCheck) and self._impl == other._impl

    def __hash__(self) -> int:
        return hash(self._impl)


def default_export_platform() -> str:
    """The name of the default backend.

    Examples
    --------
    >>> import portax
    >>> portax.export.default_export_platform() == portax.default_backend()
    True
    """
    return devices.default_device().platform


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
    """A function as a program that needs nothing of the Python function it came from.

    Attributes
    ----------
    fun_name : str
    in_tree, out_tree : PyTreeDef
        Of ``(args, kwargs)``, and of the results.
    in_avals, out_avals : tuple of Aval
    platforms : tuple of str
        The backends it was exported for. The program itself is of no backend, and runs on any.
    program : ClosedJaxpr
    disabled_safety_checks : sequence of DisabledSafetyCheck
    calling_convention_version : int
    """

    fun_name: str
    in_tree: PyTreeDef
    in_avals: tuple[Aval, ...]
    out_tree: PyTreeDef
    out_avals: tuple[Aval, ...]
    platforms: tuple[str, ...]
    program: ClosedJaxpr
    disabled_safety_checks: Sequence[DisabledSafetyCheck] = ()
    calling_convention_version: int = maximum_supported_calling_convention_version
    _get_vjp: Callable[[Exported], Exported] | None = None

    nr_devices = 1
    ordered_effects: tuple[Any, ...] = ()
    unordered_effects: tuple[Any, ...] = ()
    uses_global_constants = False

    @property
    def module_kept_var_idx(self) -> tuple[int, ...]:
        """The inputs that the program takes: all of them."""
        return tuple(range(len(self.in_avals)))

    @property
    def in_shardings_hlo(self) -> tuple[None, ...]:
        """None for each input: it is on one device."""
        return (None,) * len(self.in_avals)

    @property
    def out_shardings_hlo(self) -> tuple[None, ...]:
        """None for each result: it is on one device."""
        return (None,) * len(self.out_avals)

    def in_shardings_jax(self, mesh: Any) -> tuple[None, ...]:
        """None for each input: it is on one device."""
        del mesh
        return self.in_shardings_hlo

    def out_shardings_jax(self, mesh: Any) -> tuple[None, ...]:
        """None for each result: it is on one device."""
        del mesh
        return self.out_shardings_hlo

    def mlir_module(self, serialized: bool = False) -> Any:
        """The program as StableHLO text, or its bytes if ``serialized``."""
        text = lower(self.program, self.fun_name)
        return text.encode() if serialized else text

    @property
    def mlir_module_serialized(self) -> bytes:
        """The program's StableHLO text as bytes."""
        return self.mlir_module(serialized=True)

    # -- calling ------------------------------------------------------------------------------------------------------
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: at once, or as a part of a program that is being traced.

        Raises
        ------
        TreeError
            The arguments are built otherwise than those it was exported for.
        ShapeError, DtypeError
            An argument has another shape or dtype.
        """
        leaves, structure = tree.flatten((args, kwargs))
        if structure != self.in_tree:
            raise errors.TreeError(
                wrong=f"{self.fun_name} was exported for arguments built as {self.in_tree}, not as {structure}",
                fix="Call it with arguments built alike",
            )
        for i, (leaf, aval) in enumerate(zip(leaves, self.in_avals, strict=True)):
            given = aval_of(leaf)
            if given.shape != aval.shape:
                raise errors.ShapeError(
                    wrong=f"leaf {i} of the arguments of {self.fun_name} is {given}, and it was exported for {aval}",
                    fix="Give arrays of the same shapes, or export it for these",
                )
            if given.dtype != aval.dtype and not given.weak_type:
                raise errors.DtypeError(
                    wrong=f"leaf {i} of the arguments of {self.fun_name} is {given}, and it was exported for {aval}",
                    fix="Convert it with .astype, or export the function for this dtype",
                )
        operands = [
            asarray(x, a.dtype) if aval_of(x).dtype != a.dtype else x
            for x, a in zip(leaves, self.in_avals, strict=True)
        ]
        return tree.unflatten(self.out_tree, self._function(*operands))

    @functools.cached_property
    def _function(self) -> Callable[..., list[Any]]:
        """The flat function: compiled as one program, differentiated by the exported derivative."""
        run = jit(_named(lambda *xs: eval_closed(self.program, *xs), self.fun_name))
        function = custom_vjp(run)

        def forward(*xs: Any) -> Any:
            return run(*xs), xs

        def backward(xs: Any, cts: Any) -> Any:
            moving = [c for c, a in zip(cts, self.out_avals, strict=True) if moves(a)]
            of_moving = iter(self.vjp().call(*xs, *moving))
            return tuple(next(of_moving) if moves(a) else np.zeros(a.shape, float0) for a in self.in_avals)

        function.defvjp(forward, backward)
        return function

    def has_vjp(self) -> bool:
        """Whether its derivative is known."""
        return self._get_vjp is not None

    def vjp(self) -> Exported:
        """Its derivative, exported: from the arguments and the cotangents of the results to those of the arguments.

        Only what has tangents, floating point and complex arrays, has cotangents.

        Raises
        ------
        NotDifferentiableError
            It was written to a file without its derivative.
        """
        if self._get_vjp is None:
            raise errors.NotDifferentiableError(
                wrong=f"{self.fun_name} was exported without its derivative",
                fix="Write it with serialize(vjp_order=1), or more for higher derivatives",
            )
        return self._get_vjp(self)

    # -- files --------------------------------------------------------------------------------------------------------
    def serialize(self, vjp_order: int = 0) -> bytearray:
        """The function as the bytes of a file.

        Parameters
        ----------
        vjp_order : int
            How many derivatives are written with it.

        Raises
        ------
        SerializationError
            It has effects, or a tree with a type that files have no name for.
        """
        store = Store()
        writer = Writer(store)
        header = self._written(writer, vjp_order)
        return bytearray(pack({**header, "programs": writer.programs}, store))

    def _written(self, writer: Writer, vjp_order: int) -> dict[str, Any]:
        return {
            "portax": __version__,
            "name": self.fun_name,
            "platforms": list(self.platforms),
            "in_tree": write_tree(self.in_tree),
            "out_tree": write_tree(self.out_tree),
            "checks": [check._impl for check in self.disabled_safety_checks],
            "program": writer.program(plain(self.program)),
            "vjp": self.vjp()._written(writer, vjp_order - 1) if vjp_order else None,
        }

    def __repr__(self) -> str:
        return (
            f"Exported({self.fun_name}: {', '.join(map(str, self.in_avals))} -> {', '.join(map(str, self.out_avals))})"
        )


def _read(data: dict[str, Any], reader: Reader) -> Exported:
    program = reader.program(data["program"])
    derivative = data["vjp"]
    known = None if derivative is None else _read(derivative, reader)
    return Exported(
        data["name"],
        read_tree(data["in_tree"]),
        tuple(program.in_avals),
        read_tree(data["out_tree"]),
        tuple(program.out_avals),
        tuple(data["platforms"]),
        program,
        tuple(map(DisabledSafetyCheck, data["checks"])),
        _get_vjp=None if known is None else lambda _: known,
    )


def deserialize(blob: bytes | bytearray) -> Exported:
    """The exported function in the bytes that ``Exported.serialize`` gave.

    Raises
    ------
    SerializationError
        The bytes are damaged, of a later format, or need a primitive or a tree's node that is not here.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> blob = portax.export.export(portax.jit(lambda x: pnp.sin(x) ** 2))(pnp.ones(3)).serialize(vjp_order=1)
    >>> f = portax.export.deserialize(blob)
    >>> f.call(pnp.zeros(3)).tolist(), portax.grad(lambda x: f.call(x).sum())(pnp.zeros(3)).tolist()
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    """
    header, data = unpack(blob)
    return _read(header, Reader(header["programs"], data))


def export(
    fun_jit: Any,
    *,
    platforms: Sequence[str] | None = None,
    disabled_checks: Sequence[DisabledSafetyCheck] = (),
    _override_lowering_rules: Any = None,
) -> Callable[..., Exported]:
    """A function that exports ``fun_jit`` for given arguments.

    Parameters
    ----------
    fun_jit : function made by ``jit``
    platforms : sequence of str, optional
        Noted in the export; by default the default backend.
    disabled_checks : sequence of DisabledSafetyCheck
        Noted in the export.

    Returns
    -------
    callable
        Called as ``fun_jit`` would be, with arrays or ``ShapeDtypeStruct``s, it gives an ``Exported``.

    Raises
    ------
    ArgumentError
        ``fun_jit`` was not made by ``jit``.

    Examples
    --------
    >>> import portax, portax.numpy as pnp
    >>> f = portax.export.export(portax.jit(lambda x, y: {"sum": x + y}))(pnp.ones(3), 1.0)
    >>> f
    Exported(<lambda>: float32[3], float32[] -> float32[3])
    >>> f.call(pnp.ones(3), 2.0)
    {'sum': Array([3., 3., 3.], dtype=float32)}
    """
    if not isinstance(fun_jit, JitFunction):
        raise errors.ArgumentError(
            wrong=f"export needs a jitted function, got {fun_jit!r}", fix="Give it portax.jit(f)"
        )
    noted = tuple(platforms) if platforms is not None else None

    def exporter(*args: Any, **kwargs: Any) -> Exported:
        traced = fun_jit.trace(*args, **kwargs)
        if traced.refs is not None:
            raise errors.RefError(
                wrong=f"{traced.fun_name} touches references, and they mean something in this process only",
                fix="Export a function that takes what they hold, and returns what is to be written",
            )
        closed = _whole(traced)
        return Exported(
            traced.fun_name,
            traced.in_tree,
            tuple(closed.in_avals),
            traced.out_tree,
            tuple(closed.out_avals),
            noted or (default_export_platform(),),
            closed,
            tuple(disabled_checks),
            _get_vjp=_derivative,
        )

    return exporter


def _whole(traced: Traced) -> ClosedJaxpr:
    """The program with all its constants inside, those too that are passed as data when it runs."""
    closed, consts = traced.jaxpr, traced.consts
    if any(isinstance(c, Tracer) for c in consts):
        raise errors.ArgumentError(
            wrong=f"{traced.fun_name} closes over a value that is being traced, so it cannot be exported alone",
            fix="Pass the value as an argument",
        )
    jaxpr, n = closed.jaxpr, len(consts)
    constvars, invars = [*jaxpr.invars[:n], *jaxpr.constvars], jaxpr.invars[n:]
    return ClosedJaxpr(jaxpr.replace(constvars=constvars, invars=invars), [*consts, *closed.consts])


def _named(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    f.__name__ = name
    return f


def _derivative(of: Exported) -> Exported:
    """The derivative of an exported function, traced now."""
    count = len(of.in_avals)
    moving = [i for i, a in enumerate(of.in_avals) if moves(a)]

    def back(*given: Any) -> list[Any]:
        xs, cts = list(given[:count]), iter(given[count:])

        def f(*some: Any) -> list[Any]:
            full = list(xs)
            for i, x in zip(moving, some, strict=True):
                full[i] = x
            outs = eval_closed(of.program, *full)
            return [x for x, a in zip(outs, of.out_avals, strict=True) if moves(a)]

        _, pull = api.vjp(f, *[xs[i] for i in moving])
        return list(pull(list(cts)))

    cotangents = [a for a in of.out_avals if moves(a)]
    given = [ShapeDtypeStruct(a.shape, a.dtype) for a in (*of.in_avals, *cotangents)]
    return export(jit(_named(back, f"{of.fun_name}_vjp")), platforms=of.platforms)(*given)
