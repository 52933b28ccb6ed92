"""Laws of programs on many devices: divided or not, by the compiler or by hand, they give the same.

What they are to give is computed on the host in float64, by the meaning of each primitive.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

import portax as px
from portax.core.aval import Aval
from portax.core.jaxpr import ClosedJaxpr
from portax.runtime.contract import Device
from portax.runtime.reference import run_reference
from portax.sharding import Mesh, NamedSharding, PartitionSpec
from portax.transforms.stage import stage_closed
from portax_conformance.grids import assert_whole, grid, lay
from portax_conformance.programs import PROGRAMS, Program

#: The error allowed, in units in the last place of the greatest number: programs add a few dozen numbers at a time.
UNITS = 256
ROWS = 3
WAYS = ("value", "gradient", "batch")


@dataclasses.dataclass(frozen=True)
class Run:
    """A program, what is asked of it, and a dtype."""

    program: Program
    way: str
    dtype: str

    @property
    def name(self) -> str:
        """``program/sample/dtype``."""
        return f"{self.program.name}/{self.way}/{self.dtype}"

    @property
    def batched(self) -> bool:
        """The arguments have a leading axis more."""
        return self.way == "batch"

    def function(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """What is asked, of a program or of the same by parts."""
        program = dataclasses.replace(self.program, f=f)
        return {"value": f, "gradient": program.gradient, "batch": px.vmap(f)}[self.way]

    def arguments(self) -> list[np.ndarray]:
        """Of the program; where they are a batch, of each of its rows."""
        if not self.batched:
            return self.program.arguments(self.dtype)
        rows = [self.program.arguments(self.dtype, f"row {i}") for i in range(ROWS)]
        return [np.stack(xs) for xs in zip(*rows, strict=True)]

    def expected(self) -> list[np.ndarray]:
        """In float64, on the host."""
        return expected(self)


@functools.lru_cache(maxsize=8)
def expected(run: Run) -> list[np.ndarray]:
    f, program = run.program, run.way
    wide = [x.astype(np.float64) for x in run.arguments()]
    # A batch is the loop over its rows.
    rows = [[x[i] for x in wide] for i in range(ROWS)] if run.batched else [wide]
    call = f.gradient if program == "gradient" else f.f
    closed: ClosedJaxpr = stage_closed(
        lambda *xs: px.tree.leaves(call(*xs)), [Aval(x.shape, x.dtype) for x in rows[0]], f.name
    )
    found = [run_reference(closed, *row) for row in rows]
    return [np.stack(xs) for xs in zip(*found, strict=True)] if run.batched else found[0]


def _assert_close(run: Run, got: Any, what: str) -> None:
    leaves, expected = px.tree.leaves(got), run.expected()
    assert len(leaves) == len(expected), f"{run.name}, {what}: {len(leaves)} results, not {len(expected)}"
    unit = float(ml_dtypes.finfo(run.dtype).eps)
    for x, e in zip(leaves, expected, strict=True):
        assert_whole(x)
        x = np.asarray(x)
        assert x.shape == e.shape and x.dtype == run.dtype, f"{run.name}, {what}: {x.dtype}{x.shape}, not {e.shape}"
        size = max(1.0, float(np.abs(e).max(initial=0)))
        off = float(np.abs(x.astype(np.float64) - e).max(initial=0))
        assert off <= UNITS * unit * size, (
            f"{run.name}, {what}: off by {off / unit / size:.3g} units, {UNITS} allowed\nexpected {e}\ngot {x}"
        )


def _specs(run: Run, mesh: Mesh) -> list[PartitionSpec]:
    """How the arguments are cut: along all axes of the grid."""
    first = (None,) if run.batched else ()
    return [
        PartitionSpec() if axis is None else PartitionSpec(*first, *[None] * axis, tuple(mesh.axis_names))
        for axis in run.program.cut
    ]


def sharded(run: Run, devices: Sequence[Device]) -> None:
    """A jitted program gives the same on one device, and on all of them however its arguments lie."""
    f, xs = run.function(run.program.f), run.arguments()
    jitted = px.jit(f, effort="fast")
    with px.default_device(devices[0]):
        _assert_close(run, jitted(*[px.device_put(x, devices[0]) for x in xs]), "on one device")
    for label in ("line", "grid") if len(devices) >= 4 and not len(devices) % 2 else ("line",):
        mesh = grid(label, devices)
        specs = _specs(run, mesh)
        _assert_close(run, jitted(*[lay(x, mesh, *s) for x, s in zip(xs, specs, strict=True)]), f"on a {label}")
    places = tuple([NamedSharding(mesh, s) for s in specs])
    told = px.jit(f, in_shardings=places, out_shardings=NamedSharding(mesh, PartitionSpec()), effort="fast")
    outs = told(*xs)
    for x in px.tree.leaves(outs):
        assert x.sharding.is_fully_replicated, f"{run.name}: told to be everywhere, it lies as {x.sharding}"
    _assert_close(run, outs, "told where")


def by_parts(run: Run, devices: Sequence[Device]) -> None:
    """The program written for what one device has gives what the whole one gives; so does its derivative."""
    mesh, program = grid("line", devices), run.program
    assert program.by_parts is not None
    ins = tuple([PartitionSpec() if a is None else PartitionSpec(*[None] * a, "i") for a in program.cut])
    out = PartitionSpec() if program.out_cut is None else PartitionSpec(*[None] * program.out_cut, "i")
    # A gradient inside of a part is that of what the part computes: the program adds them itself, and says so.
    mapped = px.shard_map(program.by_parts, mesh=mesh, in_specs=ins, out_specs=out, check_vma=False)
    f = run.function(mapped)
    _assert_close(run, px.jit(f, effort="fast")(*run.arguments()), "by parts")


Check = Callable[[Run, Sequence[Device]], None]
LAWS: tuple[tuple[str, Check, Callable[[Program], bool]], ...] = (
    ("sharded", sharded, lambda program: True),
    ("by_parts", by_parts, lambda program: program.by_parts is not None),
)
DTYPES = ("float32", "float64")


def runs(names: Sequence[str] = DTYPES) -> list[Run]:
    """All that is asked of all programs."""
    return [Run(program, way, dtype) for dtype in names for program in PROGRAMS for way in WAYS]


def typical(run: Run) -> bool:
    """A plain run tries it: one that is written both ways."""
    return run.dtype == "float32" and run.way == "gradient" and run.program.name in ("mlp", "attention")
