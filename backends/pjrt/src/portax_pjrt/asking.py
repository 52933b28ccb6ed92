"""What a device can do, asked of it: small programs and arrays say what a plugin's word does not.

A plugin lists neither its dtypes nor what it lacks, and some say more than is true. So each claim here was tried on the
device, and what came back was compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.backend import BackendError, Capabilities
from portax_pjrt.jaxlib import arrays, lifetime, plugins, programs, signature
from portax_pjrt.jaxlib.dtypes import STABLEHLO_DTYPES
from portax_pjrt.jaxlib.versions import XLAError

Read = Callable[[Any, str], np.ndarray]
Compile = Callable[[str, Sequence[Any]], Any]

_REFUSALS = (XLAError, BackendError, TypeError, ValueError, RuntimeError)

#: Asked together, and one by one where a group is refused: what nearly all devices have, and what few have.
_GROUPS = (
    [n for n in STABLEHLO_DTYPES if not n.startswith(("f8", "f4", "i2", "i4", "ui2", "ui4"))],
    [n for n in STABLEHLO_DTYPES if n.startswith("f8")],
    [n for n in STABLEHLO_DTYPES if n in ("i2", "i4", "ui2", "ui4", "f4E2M1FN")],
)


def reader(raw: Any, where: str) -> Read:
    """How arrays of a device are read: as a view where the host sees its memory, else as a copy."""
    probe = arrays.putter(raw, where)(np.ones(2, np.float32), True)
    try:
        seen = arrays.host(probe, where)
        return arrays.host if np.array_equal(seen, np.ones(2)) else plugins.copied
    except _REFUSALS:
        return plugins.copied


def dtypes(raw: Any, where: str, compile: Compile, read: Read) -> frozenset[str]:
    """The dtypes that a device stores and computes with."""
    good: list[str] = []
    for group in _GROUPS:
        stored = [name for name in group if _stores(raw, where, name, read)]
        if _computes(raw, where, compile, read, stored):
            good += stored
        else:
            good += [name for name in stored if _computes(raw, where, compile, read, [name])]
    return frozenset(STABLEHLO_DTYPES[name].name for name in good)


def _stores(raw: Any, where: str, name: str, read: Read) -> bool:
    ones = np.ones(2, STABLEHLO_DTYPES[name])
    try:
        return read(arrays.putter(raw, where)(ones, True), where).tobytes() == ones.tobytes()
    except _REFUSALS:
        return False


def _computes(raw: Any, where: str, compile: Compile, read: Read, names: Sequence[str]) -> bool:
    """Whether 1 * 1 is 1 in each of the dtypes."""
    if not names:
        return True
    arguments = ", ".join(f"%a{i}: tensor<2x{n}>" for i, n in enumerate(names))
    kinds = ", ".join(f"tensor<2x{n}>" for n in names)
    lines = [f"%r{i} = stablehlo.multiply %a{i}, %a{i} : tensor<2x{n}>" for i, n in enumerate(names)]
    given = ", ".join(f"%r{i}" for i in range(len(names)))
    body = "\n".join([*lines, f"return {given} : {kinds}"])
    text = f"module {{ func.func public @main({arguments}) -> ({kinds}) {{\n{body}\n}} }}"
    put = arrays.putter(raw, where)
    ones = [np.ones(2, STABLEHLO_DTYPES[n]) for n in names]
    try:
        results = [((2,), x.dtype) for x in ones]
        out = programs.runner(compile(text, [raw]), results, raw, where)([put(x, True) for x in ones])
        return all(read(o, where).tobytes() == x.tobytes() for o, x in zip(out, ones, strict=True))
    except _REFUSALS:
        return False


_DOUBLE = """module { func.func public @main(%a: tensor<8xf32> {tf.aliasing_output = 0 : i32}) -> tensor<8xf32> {
  %0 = stablehlo.add %a, %a : tensor<8xf32>
  return %0 : tensor<8xf32> } }"""

_DIVIDED = """module { sdy.mesh @mesh = <["x"=2]>
  func.func public @main(%a: tensor<8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"x"}]>}) -> tensor<8xf32> {
  %0 = stablehlo.add %a, %a : tensor<8xf32>
  return %0 : tensor<8xf32> } }"""


def donates(raw: Any, where: str, compile: Compile, read: Read) -> bool:
    """Whether a program may take over its argument's memory, and the argument is gone then."""
    try:
        x = arrays.putter(raw, where)(np.ones(8, np.float32), True)
        [out] = programs.runner(compile(_DOUBLE, [raw]), [((8,), np.dtype(np.float32))], raw, where)([x])
        return lifetime.is_deleted(x) and bool(np.all(read(out, where) == 2))
    except _REFUSALS:
        return False


def serializes(client: Any, raw: Any, where: str, compile: Compile, read: Read) -> bool:
    """Whether a program survives its bytes."""
    try:
        blob = compile(_DOUBLE, [raw]).serialize()
        again = programs.load_program(client, blob, [raw], where)
        x = arrays.putter(raw, where)(np.ones(8, np.float32), True)
        [out] = programs.runner(again, [((8,), np.dtype(np.float32))], raw, where)([x])
        return bool(np.all(read(out, where) == 2))
    except _REFUSALS:
        return False


def divides(raw: Sequence[Any], compile: Compile) -> bool:
    """Whether programs are partitioned over several devices, as their text says."""
    if len(raw) < 2:
        return False
    try:
        loaded = compile(_DIVIDED, raw[:2])
        [tiling] = signature.tilings_of(loaded, [((8,), np.dtype(np.float32))], 2)
        return tiling.parts == (2,)
    except _REFUSALS:
        return False


def capabilities(client: Any, where: str, compile: Compile) -> tuple[Capabilities, Read]:
    """All that the devices of a client can do, and how their arrays are read."""
    raw = client.local_devices()
    read = reader(raw[0], where)
    return (
        Capabilities(
            dtypes=dtypes(raw[0], where, compile, read),
            multi_device=divides(raw, compile),
            donation=donates(raw[0], where, compile, read),
            serialization=serializes(client, raw[0], where, compile, read),
            asynchronous=True,
        ),
        read,
    )
