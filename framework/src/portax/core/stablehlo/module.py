"""A whole program: the entry function ``@main``, and the private functions it calls.

Each private function is written once, however often it is called: the caller gives a key that says what the function
is. Names are made from the user's, in the order the functions are met, so the same program always gives the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from portax.core.stablehlo.emitter import Body, as_values
from portax.core.stablehlo.linear import Linear
from portax.core.stablehlo.literals import scalar_literal
from portax.core.stablehlo.types import Value, is_wide, joined_types, type_of
from portax.errors import GapError

__all__ = ["CALLBACK", "Builder", "Module"]

CALLBACK = "portax_callback"
"""The target of custom calls that call Python."""


class Builder(Linear):
    """Writes one function; each method appends an op and gives its results.

    The package's docstring lists the methods.
    """

    __slots__ = ("module",)

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module

    def claims(self, prefix: str) -> bool:
        """Whether the device that the program is for claims custom calls of this prefix."""
        return prefix in self.module.custom_calls

    def call(
        self, key: Hashable, name: str, operands: Sequence[Value], result_avals: Sequence[Any] | None, body: Body
    ) -> tuple[Value, ...]:
        """Append a call of the private function known by ``key``, written now if it was not before.

        Parameters
        ----------
        key : hashable
            Two calls with equal keys mean the same function, at the same types.
        name : str
            What to call it in the text, if it is free.
        operands : sequence of Value
        result_avals : sequence of Aval, or None
            None where they are what ``body`` gives.
        body : callable
            ``body(b, *arguments) -> results``; it sees nothing of the function around it.
        """
        if self.order is not None:
            operands, result_avals = [*operands, self.order], None
        key = key if self.module.manual is None else (key, self.module.manual)
        function, avals = self.module.function(key, name, [v.aval for v in operands], body)
        if result_avals is not None:
            avals = result_avals
        outs = self.emit_many(
            avals,
            f"func.call @{function}({', '.join([v.name for v in operands])}) : "
            f"({joined_types(operands)}) -> ({', '.join([type_of(a) for a in avals])})",
        )
        if self.order is None:
            return outs
        self.order = outs[-1]
        return outs[:-1]

    @property
    def platform(self) -> str:
        """The platform that the program is for."""
        return self.module.platform

    def composite(
        self, key: Hashable, name: str, attributes: Mapping[str, Any], version: int, operands: Sequence[Value],
        body: Body,
    ) -> tuple[Value, ...]:  # fmt: skip
        """Append a call of a private function under a name by which a compiler may know it.

        In a program with side effects it is a plain call.
        """
        if self.order is not None:
            return self.call(key, name, operands, None, body)
        key = key if self.module.manual is None else (key, self.module.manual)
        function, avals = self.module.function(key, name, [v.aval for v in operands], body)
        given = ", ".join([f"{k} = {_spelled(v)}" for k, v in attributes.items()])
        words = f"composite_attributes = {{{given}}}, " if given else ""
        return self.emit_many(
            avals,
            f'stablehlo.composite "{name}" {", ".join([v.name for v in operands])} {{{words}'
            f"decomposition = @{function}, version = {version} : i32}} : "
            f"({joined_types(operands)}) -> ({', '.join([type_of(a) for a in avals])})",
        )

    def callback(
        self, function: Callable[..., Any], operands: Sequence[Value], result_avals: Sequence[Any], effect: bool
    ) -> tuple[Value, ...]:
        """Append a call of a Python function, which gets and gives arrays of the host.

        Parameters
        ----------
        function : callable
            From as many ndarrays as there are operands to a tuple of ndarrays of ``result_avals``.
        operands : sequence of Value
        result_avals : sequence of Aval
        effect : bool
            It does something besides: it is kept, and called after all such calls before it.

        Notes
        -----
        In a program that is divided over devices the first of them calls, with whole arrays; in a region that sees one
        device's parts, each device, with its own.

        Raises
        ------
        GapError
            The compiler divides the region along some axes: there are no parts that one device could give.
        """
        if not effect:
            return self._call_python(function, operands, result_avals, False)
        assert self.order is not None, "a program with effects is written as one"
        # The order is a number that each call is given and gives back: whoever comes later needs it.
        avals = [*result_avals, self.order.aval]
        called = lambda *xs: (*function(*xs[:-1]), xs[-1])
        outs = self._call_python(called, [*operands, self.order], avals, True)
        self.order = outs[-1]
        return outs[:-1]

    def _everywhere(self, x: Value) -> Value:
        """The value as all devices have it whole: XLA warns where one device alone is to be given all parts."""
        mesh = next(iter(self.module.meshes.values()), None)
        axes = ", ".join(["{}"] * (len(x.shape) + is_wide(x.dtype)))
        if mesh is None:
            return x
        return self.emit(x.aval, f"sdy.sharding_constraint {x.name} <{mesh}, [{axes}]> : {x.type}")

    def _call_python(
        self, function: Callable[..., Any], operands: Sequence[Value], avals: Sequence[Any], effect: bool
    ) -> tuple[Value, ...]:
        module, attributes = self.module, ""
        if module.manual is not None and module.manual.free:
            free = ", ".join(map(repr, module.manual.free))
            raise GapError(
                wrong=f"Python is called where the compiler divides the work along {free}, and shard_map does not",
                fix="Give shard_map all axes of the mesh, or take callbacks and prints out of it",
            )
        if module.members is not None and module.manual is None:
            operands = [self._everywhere(x) for x in operands]
            attributes = f"sdy.sharding = #sdy.sharding_per_value<[{', '.join([module.first_alone()] * len(avals))}]>"
        config = {"index": np.uint64(module.callback(function, avals))}
        return self.custom_call(
            CALLBACK, operands, avals, backend_config=config, has_side_effect=effect, attributes=attributes
        )


class Module:
    """Collects the functions of one program.

    Parameters
    ----------
    name : str
        Shown in profiles and dumps.
    attributes : mapping of str to str, optional
        Of the module, spelled: ``{"mhlo.num_partitions": "2 : i32"}``.
    preamble : sequence of str
        Lines to stand before the functions, such as the declaration of a mesh.
    custom_calls : collection of str
        Prefixes of the custom calls that the device claims.
    ordered : bool
        The program has side effects: their order goes through all its functions, and is its last result.
    platform : str
        Of the device that the program is for.

    Attributes
    ----------
    callbacks : list of (function, avals of its results)
        The Python functions that the program calls.
    meshes : dict
        The grids of devices declared so far, and their names.
    members : tuple of Device, or None
        The devices that the program is divided over; None where it is for one.
    manual : Grid or None
        Inside of a region that sees one device's parts, the grid of devices.
    channels : int
        How many collectives there are.
    locations : str or None
        What the program is called in the locations of its operations; None where they have none.
    """

    def __init__(
        self,
        name: str = "main",
        attributes: Mapping[str, str] | None = None,
        preamble: Sequence[str] = (),
        custom_calls: Collection[str] = (),
        ordered: bool = False,
        platform: str = "reference",
    ) -> None:
        self.name = name
        self.attributes = dict(attributes or {})
        self.preamble = list(preamble)
        self.custom_calls = frozenset(custom_calls)
        self.ordered, self.platform = ordered, platform
        self.locations: str | None = None
        self.meshes: dict[Hashable, str] = {}
        self.members: tuple[Any, ...] | None = None
        self.manual: Any = None
        self.channels = 0
        self.callbacks: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        #: The functions of other languages that the program calls, by name.
        self.foreign: list[str] = []
        self._names = {"main"}
        self._functions: dict[Hashable, tuple[str, tuple[Any, ...]]] = {}
        self._texts: list[str] = []

    def main(
        self,
        avals: Sequence[Any],
        body: Body,
        *,
        donate: Mapping[int, int | None] | None = None,
        argument_attributes: Mapping[int, str] | None = None,
        result_attributes: Mapping[int, str] | None = None,
    ) -> str:
        """Write the entry function and give the text of the whole program.

        Parameters
        ----------
        avals : sequence of Aval
            Of the arguments.
        body : callable
            ``body(b, *arguments) -> results``.
        donate : mapping from argument to result or None
            Arguments whose memory the result, or any result where it is None, may take.
        argument_attributes, result_attributes : mapping from position to str
            Any others, spelled: ``{0: 'mhlo.sharding = "{replicated}"'}``.
        """
        if self.ordered:
            body = _beginning(body)
        extra = {i: [text] for i, text in (argument_attributes or {}).items()}
        for i, result in (donate or {}).items():
            word = "jax.buffer_donor = true" if result is None else f"tf.aliasing_output = {result} : i32"
            extra.setdefault(i, []).append(word)
        text, _ = self._write(
            "public @main", avals, body, {i: ", ".join(words) for i, words in extra.items()}, result_attributes or {}
        )
        attributes = ", ".join([f"{name} = {value}" for name, value in self.attributes.items()])
        head = f"module @{legal_name(self.name)}" + (f" attributes {{{attributes}}}" if attributes else "")
        return "\n".join([f"{head} {{", *[f"  {line}" for line in self.preamble], text, *self._texts, "}", ""])

    def function(self, key: Hashable, name: str, avals: Sequence[Any], body: Body) -> tuple[str, tuple[Any, ...]]:
        """Give the name and the result avals of the private function ``key``, written now if it was not before."""
        known = self._functions.get(key)
        if known is None:
            if self.ordered:
                body = _continued(body)
            unique = self._unique(legal_name(name))
            text, results = self._write(f"private @{unique}", avals, body, {}, {})
            self._texts.append(text)
            self._functions[key] = known = unique, results
        return known

    def callback(self, function: Callable[..., Any], results: Sequence[Any]) -> int:
        """The number under which the program calls a Python function."""
        self.callbacks.append((function, tuple(results)))
        return len(self.callbacks) - 1

    def first_alone(self) -> str:
        """How a value lies that the first device alone has."""
        declared = "sdy.mesh @first = <[], device_ids=[0]>"
        if declared not in self.preamble:
            self.preamble.append(declared)
        return "<@first, []>"

    def _unique(self, name: str) -> str:
        unique, n = name, 0
        while unique in self._names:
            n += 1
            unique = f"{name}_{n}"
        self._names.add(unique)
        return unique

    def _write(
        self,
        head: str,
        avals: Sequence[Any],
        body: Callable[..., Any],
        argument_attributes: Mapping[int, str],
        result_attributes: Mapping[int, str],
    ) -> tuple[str, tuple[Any, ...]]:
        b = Builder(self)
        arguments = [Value(f"%arg{i}", aval) for i, aval in enumerate(avals)]
        results = as_values(body(b, *arguments))
        parameters = ", ".join(
            [f"{v.name}: {v.type}{_braced(argument_attributes.get(i))}" for i, v in enumerate(arguments)]
        )
        types = ", ".join([f"{v.type}{_braced(result_attributes.get(i))}" for i, v in enumerate(results)])
        end = f" {', '.join([v.name for v in results])} : {joined_types(results)}" if results else ""
        lines = "\n".join([*b.lines, f"    return{end}"])
        arrow = f" -> ({types})" if results else ""
        return f"  func.func {head}({parameters}){arrow} {{\n{lines}\n  }}", tuple([v.aval for v in results])


def _spelled(value: Any) -> str:
    """An attribute's value: a string, a bool, or a number with its type."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value} : i64"
    return f"{scalar_literal(np.asarray(value, np.float64))} : f64"


def _beginning(body: Body) -> Body:
    """The body of the entry function of a program with side effects: their order begins here."""

    def write(b: Any, *values: Value) -> list[Value]:
        b.order = b.constant(0, np.int32)
        return [*as_values(body(b, *values)), b.order]

    return write


def _continued(body: Body) -> Body:
    """The body of a private function of such a program: the order comes last, and goes out last."""

    def write(b: Any, *values: Value) -> list[Value]:
        b.order = values[-1]
        return [*as_values(body(b, *values[:-1])), b.order]

    return write


def _braced(attributes: str | None) -> str:
    return f" {{{attributes}}}" if attributes else ""


def legal_name(name: str) -> str:
    """Give ``name`` with what a symbol may not contain replaced: ``<lambda>`` is ``_lambda_``."""
    kept = "".join([c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name])
    return kept if kept and not kept[0].isdigit() else f"f_{kept}"
