"""Laws of arrays on many devices: every bit arrives and comes back, parts make up wholes, donated ones are gone.

A trial here is a way to lay an array on a grid, at one dtype.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import portax as px
from portax.core import dtypes
from portax.core.aval import Aval
from portax.errors import DeletedArrayError
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.sharding import NamedSharding, PartitionSpec
from portax_conformance.constants import special
from portax_conformance.grids import AXES, assert_whole, grid, whole

#: Grids and ways to lay an array of two axes on them, by label.
LAID: dict[str, tuple[str, tuple[Any, ...]]] = {
    "rows": ("line", ("i",)),
    "columns": ("line", (None, "i")),
    "copies": ("line", ()),
    "turned": ("turned", ("i",)),
    "both": ("grid", ("i", "j")),
    "crossed": ("grid", ("j", "i")),
    "nested": ("grid", (("i", "j"),)),
    "nested-turned": ("grid", (("j", "i"),)),
    "in-part": ("grid", (None, "j")),
}


@dataclasses.dataclass(frozen=True)
class Laid:
    """A way to lay an array, at a dtype."""

    label: str
    dtype: np.dtype

    @property
    def grid(self) -> str:
        """The label of the grid."""
        return LAID[self.label][0]

    @property
    def name(self) -> str:
        """``array/sample/dtype``."""
        return f"array/{self.label}/{self.dtype.name}"

    def on(self, devices: Sequence[Device]) -> NamedSharding:
        """The sharding, of all the devices."""
        return NamedSharding(grid(self.grid, devices), PartitionSpec(*LAID[self.label][1]))

    def array(self, devices: Sequence[Device]) -> np.ndarray:
        """Numbers that are easily spoiled, in a shape that every way of laying divides."""
        count = len(devices)
        return np.resize(special(self.dtype), (2 * count, 3 * count))


def _same(got: np.ndarray, expected: np.ndarray, what: str) -> None:
    assert got.shape == expected.shape and got.dtype == expected.dtype, f"{what}: {got.dtype}{got.shape}"
    assert np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes(), f"{what}: bits differ"


def parts(trial: Laid, devices: Sequence[Device]) -> None:
    """An array laid out has its bits, as a whole and in parts; parts joined are the array, and so is it elsewhere."""
    x, sharding = trial.array(devices), trial.on(devices)
    laid = px.device_put(ConcreteArray(Aval(x.shape, x.dtype), x), sharding)
    assert laid.sharding.is_equivalent_to(sharding, x.ndim), f"told {sharding}, it lies as {laid.sharding}"
    _same(whole(laid), x, "its parts")
    _same(laid.host(), x, "the whole")
    joined = px.make_array_from_single_device_arrays(x.shape, sharding, [s.data for s in laid.addressable_shards])
    _same(whole(joined), x, "parts joined")
    made = px.make_array_from_callback(x.shape, sharding, lambda index: x[index])
    _same(whole(made), x, "parts asked for")
    mesh = grid("turned", devices)
    other = px.device_put(laid, NamedSharding(mesh, PartitionSpec(None, "i")))
    _same(whole(other), x, "laid otherwise")
    _same(px.device_put(laid, devices[-1]).host(), x, "brought to one device")


def through(trial: Laid, devices: Sequence[Device]) -> None:
    """A program that does nothing gives every bit back, laid as it is told to."""
    x, sharding = trial.array(devices), trial.on(devices)
    back = NamedSharding(grid("turned", devices), PartitionSpec(None, "i"))
    given = px.device_put(ConcreteArray(Aval(x.shape, x.dtype), x), sharding)
    wanted = sharding if trial.grid == "grid" else back
    out, turned = px.jit(lambda a: (a, a.T), out_shardings=(wanted, None), effort="fast")(given)
    assert out.sharding.is_equivalent_to(wanted, x.ndim), f"told {wanted}, the result lies as {out.sharding}"
    _same(whole(out), x, "the same")
    _same(whole(turned), x.T, "turned")


def donated(trial: Laid, devices: Sequence[Device]) -> None:
    """What is donated is gone and what is not is left as it was; the results are right."""
    sharding = trial.on(devices)
    x = np.arange(6 * len(devices) ** 2).reshape(2 * len(devices), 3 * len(devices)).astype(trial.dtype)
    kept, given = (px.device_put(x, sharding) for _ in range(2))
    f = px.jit(lambda a, b: a + b + b, donate_argnums=1, out_shardings=sharding, effort="fast")
    out = f(kept, given)
    assert out.sharding.is_equivalent_to(sharding, 2)
    _same(whole(out), 3 * x, "the result")
    assert given.is_deleted() and not kept.is_deleted(), "the donated one is to be gone, and the other not"
    _same(whole(kept), x, "what was not donated")
    try:
        given.host()
    except DeletedArrayError:
        pass
    else:
        raise AssertionError("a donated array was read again")
    again = f(kept, out)
    _same(whole(again), 7 * x, "the result of a result")


def constrained(trial: Laid, devices: Sequence[Device]) -> None:
    """A word on how a value inside lies changes nothing but that; a result lies as it says."""
    sharding = trial.on(devices)
    x = np.arange(6 * len(devices) ** 2).reshape(2 * len(devices), 3 * len(devices)).astype(trial.dtype)

    @px.jit
    def f(a: Any) -> Any:
        b = px.lax.with_sharding_constraint(a + a, sharding)
        return b, px.lax.with_sharding_constraint(b.T + b.T, NamedSharding(sharding.mesh, PartitionSpec()))

    b, c = f(px.device_put(x, NamedSharding(sharding.mesh, PartitionSpec(AXES[trial.grid][0]))))
    assert b.sharding.is_equivalent_to(sharding, 2), f"told {sharding}, it lies as {b.sharding}"
    assert c.sharding.is_fully_replicated, f"told to be everywhere, it lies as {c.sharding}"
    assert_whole(b)
    _same(whole(b), 2 * x, "inside")
    _same(whole(c), 4 * x.T, "after it")


Check = Callable[[Laid, Sequence[Device]], None]
EVERY = tuple(d for d in dtypes.ALL if not dtypes.is_key(d))
NUMBERS = tuple(np.dtype(n) for n in ("int32", "float32", "complex64"))
#: Law, check, dtypes of a whole run; a plain one has the last ways to lay an array at float32.
LAWS: tuple[tuple[str, Check, tuple[np.dtype, ...]], ...] = (
    ("parts", parts, EVERY),
    ("through", through, EVERY),
    ("donated", donated, NUMBERS),
    ("constrained", constrained, NUMBERS),
)


def trials(given: Sequence[np.dtype]) -> list[Laid]:
    """All ways to lay an array, at each dtype."""
    return [Laid(label, dtype) for dtype in given for label in LAID]


def typical(trial: Laid) -> bool:
    """A plain run tries it."""
    return trial.label in ("crossed", "in-part") and trial.dtype.name == "float32"
