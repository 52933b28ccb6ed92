"""The laws of collectives between devices: values, derivatives, batches, and the same under ``pmap``.

A trial is one way to use one collective (`collectives.Talk`) at one dtype, along some axes of a grid of the devices
there are. What every device gives is compared with the meaning on host data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
import portax.numpy as pnp
from portax.core import dtypes
from portax.core.primitive import registry
from portax.errors import NotDifferentiableError
from portax.runtime.contract import Device
from portax.sharding import Mesh, PartitionSpec
from portax_conformance import measures
from portax_conformance.cases import generator
from portax_conformance.collectives import TALKS, Talk
from portax_conformance.distance import ulps, zeros_of_other_sign
from portax_conformance.grids import AXES, assert_whole, grid, lay

SMOOTH = ("float64", "complex128")
#: Which axes of which grids a collective works along. The last is for those that take several.
ALONG = (("line", ("i",)), ("turned", ("i",)), ("grid", ("i",)), ("grid", ("j",)), ("grid", ("i", "j")))
ROWS = 2


@dataclasses.dataclass(frozen=True)
class Between:
    """One way to use a collective, at a dtype, along axes of a grid."""

    talk: Talk
    label: str
    along: tuple[str, ...]
    dtype: str

    @property
    def name(self) -> str:
        """``primitive/sample/dtype``."""
        where = self.label if len(AXES[self.label]) == 1 else f"{self.label}-{''.join(self.along)}"
        return f"{self.talk.primitive}/{self.talk.label}-{where}/{self.dtype}"

    def draw(self, shape: Sequence[int], name: str) -> np.ndarray:
        """Numbers of this trial's own, for one purpose."""
        draw = generator(f"{self.name}/{name}")
        dtype = dtypes.user_dtype(self.dtype, "a collective")
        kind, shape = dtypes.kind(dtype), tuple(shape)
        if kind == "bool":
            return draw.random(shape) < 0.5
        if kind in ("int", "uint"):
            return draw.integers(0 if kind == "uint" else -5, 6, shape).astype(dtype)
        x = draw.uniform(-3, 3, shape)
        if kind == "complex":
            x = x + 1j * draw.uniform(-3, 3, shape)
        if self.talk.special:
            x = np.where(draw.random(shape) < 0.5, draw.choice([0.0, np.inf, -np.inf, np.nan], shape), x)
        return x.astype(dtype)


@dataclasses.dataclass(frozen=True)
class OnGrid:
    """The function of a trial on the devices of one grid."""

    trial: Between
    mesh: Mesh

    @property
    def size(self) -> int:
        """How many slices talk to each other."""
        return int(np.prod([self.mesh.shape[name] for name in self.trial.along]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all slices together: the grid's, then a slice's."""
        return (*self.mesh.shape.values(), *self.trial.talk.shape(self.size))

    def on_slice(self, x: Any) -> Any:
        """What every device does with its slice."""
        talk = self.trial.talk
        operands = [] if talk.primitive == "axis_index" else [x]
        return registry[talk.primitive].bind(*operands, **talk.params(self.trial.along, self.size))

    def __call__(self, x: Any) -> Any:
        axes = self.mesh.axis_names
        ones, spec = (1,) * len(axes), PartitionSpec(*axes)

        def on_part(part: Any) -> Any:
            out = self.on_slice(part.reshape(part.shape[len(axes) :]))
            return out.reshape((*ones, *out.shape))

        return px.shard_map(on_part, mesh=self.mesh, in_specs=spec, out_specs=spec, check_vma=False)(x)

    def meaning(self, x: np.ndarray) -> np.ndarray:
        """The same on host data."""
        axes = self.mesh.axis_names
        places = [axes.index(name) for name in self.trial.along]
        others = [d for d in range(len(axes)) if d not in places]
        rest = list(range(len(axes), x.ndim))
        sizes = [x.shape[d] for d in others]
        stacks = x.transpose(*others, *places, *rest).reshape(-1, self.size, *x.shape[len(axes) :])
        out = np.stack([self.trial.talk.meaning(stack) for stack in stacks])
        out = out.reshape(*sizes, *[x.shape[d] for d in places], *out.shape[2:])
        back = np.argsort([*others, *places])
        return out.transpose(*back, *range(len(axes), out.ndim))


def assert_close(trial: Between, got: Any, expected: np.ndarray, count: int, most: float, what: str = "") -> None:
    """Equal, or where slices were added as near as adding them in another order allows."""
    got = np.asarray(got)
    where = f"{trial.name}{what}"
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, not {expected.shape}"
    assert got.dtype == expected.dtype, f"{where}: dtype {got.dtype}, not {expected.dtype}"
    distance = ulps(got, expected, most * count if trial.talk.adds else 0.0)
    allowed = count if trial.talk.adds and dtypes.is_inexact(got.dtype) else 0
    measures.note(distance, allowed, got.dtype)
    words = f"{where}: off by {distance:.3g} units in the last place, {allowed} allowed\nexpected {expected}\ngot {got}"
    assert distance <= allowed, words
    if not trial.talk.adds:
        assert not zeros_of_other_sign(got, expected), f"{where}: zeros of the other sign\n{expected}\n{got}"


def _greatest(x: np.ndarray) -> float:
    """The greatest finite number of an array."""
    if not x.size:
        return 0.0
    sizes = np.abs(x).astype(np.float64)
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def between(trial: Between, devices: Sequence[Device]) -> None:
    """Every device gives what the meaning says, at once and compiled; the parts are where they should be."""
    f = OnGrid(trial, grid(trial.label, devices))
    x = trial.draw(f.shape, "slices")
    expected = f.meaning(x)
    for way, run in (("at once", f), ("jitted", px.jit(f, effort="fast"))):
        out = run(lay(x, f.mesh, *f.mesh.axis_names))
        assert_whole(out)
        assert set(out.sharding.device_list) == set(devices), f"{trial.name} {way}: it lies on {out.sharding}"
        assert_close(trial, out, expected, f.size, _greatest(x), f" {way}")


def adjoint(trial: Between, devices: Sequence[Device]) -> None:
    """``<J t, c> = <t, J^T c>``, compiled; what has no derivative says so."""
    f = OnGrid(trial, grid(trial.label, devices))
    x, t = trial.draw(f.shape, "slices"), trial.draw(f.shape, "tangents")

    def slope(x: Any, t: Any, c: Any) -> Any:
        _, pushed = px.jvp(f, (x,), (t,))
        _, back = px.vjp(f, x)
        return pushed, back(c)[0]

    c = trial.draw(f.meaning(x).shape, "cotangents")
    arrays = [lay(a, f.mesh, *f.mesh.axis_names) for a in (x, t, c)]
    if not registry[trial.talk.primitive].linear_in:
        try:
            px.jit(slope, effort="fast")(*arrays)
        except NotDifferentiableError as error:
            assert trial.talk.primitive in error.wrong and error.fix, f"{trial.name}: refused in the words {error}"
            return
        raise AssertionError(f"{trial.name}: no derivative is stated, and none was refused")
    pushed, back = (np.asarray(a) for a in px.jit(slope, effort="fast")(*arrays))
    # It is linear: its derivative along a direction is itself there.
    assert_close(trial, pushed, f.meaning(t), f.size, _greatest(t), ": the tangent")
    left, right = np.real(np.sum(pushed * c)), np.real(np.sum(t * back))
    scale = 1 + float(np.sum(np.abs(pushed * c)))
    assert abs(left - right) <= 1e-12 * scale, f"{trial.name}: <J t, c> = {left}, <t, J^T c> = {right}"


def batched(trial: Between, devices: Sequence[Device]) -> None:
    """A batch gives for each row what the row gives, compiled, along whichever axis the rows lie."""
    f = OnGrid(trial, grid(trial.label, devices))
    rows = trial.draw((ROWS, *f.shape), "rows")
    expected = [f.meaning(row) for row in rows]
    for axis in (0, rows.ndim - 1):
        out = px.jit(px.vmap(f, in_axes=axis), effort="fast")(np.moveaxis(rows, 0, axis))
        for i, row in enumerate(expected):
            assert_close(trial, np.asarray(out)[i], row, f.size, _greatest(rows), f": row {i} along {axis}")


def pmapped(trial: Between, devices: Sequence[Device]) -> None:
    """``pmap`` and ``vmap`` give what the meaning says."""
    f = OnGrid(trial, grid(trial.label, devices))
    x = trial.draw(f.shape, "slices")
    expected = f.meaning(x)
    (name,) = trial.along
    spread = px.pmap(f.on_slice, axis_name=name, devices=list(f.mesh.devices.flat))
    with px.default_device(devices[0]):
        for way, run in (("pmap", spread), ("vmap", px.vmap(f.on_slice, axis_name=name))):
            out = run(x) if trial.talk.primitive != "axis_index" else run(pnp.asarray(x))
            assert_close(trial, out, expected, f.size, _greatest(x), f" by {way}")


def scanned(trial: Between, devices: Sequence[Device]) -> None:
    """Inside of a loop, and of a branch, devices talk as outside."""
    f = OnGrid(trial, grid(trial.label, devices))
    x = trial.draw((3, *f.shape), "turns")

    def turn(carry: Any, part: Any) -> Any:
        out = px.lax.cond(carry < 5, f.on_slice, f.on_slice, part)
        return carry + 1, out

    axes = f.mesh.axis_names
    spec, ones = PartitionSpec(None, *axes), (1,) * len(axes)

    def on_parts(parts: Any) -> Any:
        _, outs = px.lax.scan(turn, np.int32(0), parts.reshape((3, *parts.shape[1 + len(axes) :])))
        return outs.reshape((3, *ones, *outs.shape[1:]))

    mapped = px.shard_map(on_parts, mesh=f.mesh, in_specs=spec, out_specs=spec, check_vma=False)
    out = np.asarray(px.jit(mapped, effort="fast")(lay(x, f.mesh, None, *axes)))
    for i, row in enumerate(x):
        assert_close(trial, out[i], f.meaning(row), f.size, _greatest(x), f": turn {i}")


Check = Callable[[Between, Sequence[Device]], None]
#: Law, check, dtypes in a plain run and in a whole one.
LAWS: tuple[tuple[str, Check, tuple[str, ...], tuple[str, ...]], ...] = (
    ("between", between, ("float32", "int32"), (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    )),
    ("between.adjoint", adjoint, ("float64",), SMOOTH),
    ("between.batch", batched, ("float32",), ("bool", "int32", "float32", "complex64")),
    ("between.scan", scanned, (), ("int32", "float32")),
    ("pmap", pmapped, ("float32",), ("bool", "int32", "float32", "bfloat16", "complex64")),
)  # fmt: skip


def trials(law: str, names: Sequence[str], primitive: str | None = None) -> list[Between]:
    """All trials of a law at the dtypes named."""
    found: list[Between] = []
    for talk in TALKS:
        if primitive is not None and talk.primitive != primitive:
            continue
        for dtype in names:
            if dtypes.kind(dtypes.user_dtype(dtype, "trials")) not in talk.kinds:
                continue
            if law == "between.adjoint" and (talk.primitive == "axis_index" or talk.special or talk.typed):
                continue
            for label, along in ALONG:
                if (len(along) > 1 and not talk.several) or (law == "pmap" and len(AXES[label]) > 1):
                    continue
                found.append(Between(talk, label, along, dtype))
    return found


def typical(trial: Between) -> bool:
    """A plain run tries it: each collective once, along an axis of a grid."""
    first = next(t.label for t in TALKS if t.primitive == trial.talk.primitive)
    return trial.talk.label == first and (trial.along == ("j",) or trial.label == "turned")
