"""with_sharding_constraint: the wish that a value lie on its devices in a certain way.

constraint(x) = x.  It says nothing about values, so every transformation leaves it in place: the derivative of a value
lies as the value does. Where programs are for one device it is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portax import errors
from portax.core import tree
from portax.core.aval import Aval, aval_of
from portax.core.partition import AbstractMesh, PartitionSpec
from portax.core.primitive import Primitive, Sample, registry
from portax.core.stablehlo import divided
from portax.core.trace import Tracer
from portax.runtime import eager, moving
from portax.runtime import meshes as runtime_meshes
from portax.runtime.array import ConcreteArray
from portax.runtime.contract import Device
from portax.runtime.dividing import division_of
from portax.runtime.homes import home
from portax.runtime.placements import meshes
from portax.runtime.shardings import NamedSharding, Sharding, SingleDeviceSharding
from portax.transforms.alike import lifted


class ShardingConstraint(Primitive):
    """The operand itself, which is to lie on its devices as a sharding says.

    Parameters
    ----------
    x : Array
    sharding : Sharding
    """

    name = "sharding_constraint"
    dtypes = ("bool", "int", "uint", "float", "complex")
    linear_in = (0,)
    memoize = False
    spreads = True

    def shape(self, x: Aval, *, sharding: Any) -> Any:
        return x.shape

    def dtype(self, x: Aval, *, sharding: Any) -> Any:
        return x.dtype

    def abstract(self, x: Aval, *, sharding: Any) -> Aval:
        return x

    def reference(self, x: Any, *, sharding: Any) -> Any:
        return x

    def impl(self, x: Any, *, sharding: Any) -> Any:
        if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, AbstractMesh):
            return x  # a mesh of no devices in particular
        return placed(x if type(x) is ConcreteArray else eager.asarray(x), sharding)

    def transpose(self, ct: Any, x: Any, *, sharding: Any) -> Any:
        return self.bind(ct, sharding=sharding)

    def batch(self, batched: Sequence[bool], x: Any, *, sharding: Any) -> Any:
        if not isinstance(sharding, NamedSharding):
            return x  # a division without names has none for one more axis
        spec = PartitionSpec(PartitionSpec.UNCONSTRAINED, *sharding.spec)
        return self.bind(x, sharding=NamedSharding(sharding.mesh, spec))

    def batch_axis(self, trace: Any, batched: Sequence[bool], x: Any, *, sharding: Any) -> Any:
        """Batching where the batch is spread over mesh axes."""
        if not isinstance(sharding, NamedSharding) or trace.spmd_axis_name is None:
            return self.batch(batched, x, sharding=sharding), True
        spec = PartitionSpec(trace.spmd_axis_name, *sharding.spec)
        return self.bind(x, sharding=NamedSharding(sharding.mesh, spec)), True

    def decompose(self, x: Any, *, sharding: Any) -> Any:
        return x

    def stablehlo(self, b: Any, x: Any, *, sharding: Any) -> Any:
        members = b.module.members
        found = None if members is None or b.module.manual is not None else division_of(sharding, x.ndim, members)
        return x if found is None else divided.constraint(b, x, *found)

    def samples(self, make: Any) -> Any:
        mesh = AbstractMesh((2, 1), ("i", "j"))
        yield Sample(make((4, 3)), sharding=NamedSharding(mesh, PartitionSpec("i")))
        yield Sample(make((3,)), sharding=NamedSharding(mesh, PartitionSpec(("j",))))

    def shardings_of_results(self, params: dict[str, Any], ranks: Sequence[int]) -> list[Any]:
        """How the result lies on the devices."""
        return [params["sharding"]]


sharding_constraint_p = registry.add(ShardingConstraint())
meshes.any = True


def placed(x: ConcreteArray, sharding: Any) -> ConcreteArray:
    """A concrete array, lying on devices as a sharding says, and committed to it."""
    check(x.aval, sharding)
    target = home(sharding, x.aval.ndim)
    if not x.is_fully_addressable and x.sharding != sharding:
        return moving.moved(x, sharding)
    return ConcreteArray(x.aval, None, x.buffer_on(target), target, True)


def beside(out: Any, like: Any) -> Any:
    """An array that was made like another: where that one is, if it was told to be there and they have one shape."""
    if type(like) is ConcreteArray:
        if like.committed and type(out) is ConcreteArray and out.shape == like.shape:
            return placed(out, like.sharding)
    elif isinstance(like, Tracer) and like.aval.varying:
        return lifted(out, like.aval.varying)
    return out


def check(aval: Aval, sharding: Any) -> None:
    """Refuse a sharding that does not fit an array.

    Raises
    ------
    ShapeError, ArgumentError
        More axes are cut than there are, or an axis does not divide.
    """
    if isinstance(sharding, NamedSharding):
        sharding.check(aval.shape)


def constrain(x: Any, sharding: Any) -> Any:
    """``x``, which is to lie as ``sharding`` says."""
    check(aval_of(x), sharding)
    return sharding_constraint_p.bind(x, sharding=sharding)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """A tree of arrays, which are to lie on their devices as shardings say.

    Parameters
    ----------
    x : tree of arrays
    shardings : Sharding, PartitionSpec of the mesh that is set, or a tree of them that is a prefix of ``x``

    Returns
    -------
    tree of arrays
        The same values. Within ``jit`` the compiler arranges for it; outside arrays are moved.

    Raises
    ------
    ShapeError, ArgumentError
        A sharding does not fit its array.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",)), P("i"))
    >>> portax.jit(lambda x: portax.lax.with_sharding_constraint(2 * x, rows))(pnp.ones(2)).tolist()
    [2.0, 2.0]
    """
    leaves, structure = tree.flatten(x)
    wanted = leaf_shardings(shardings, structure, "with_sharding_constraint")
    return tree.unflatten(
        structure, [leaf if s is None else constrain(leaf, s) for leaf, s in zip(leaves, wanted, strict=True)]
    )


def leaf_shardings(given: Any, structure: Any, what: str) -> list[Any]:
    """A sharding (or None) for each leaf of a tree, from a prefix of the tree."""
    leaves = tree.prefix_to_leaves(
        given, structure, what=what, is_leaf=lambda x: x is None or isinstance(x, PartitionSpec | Sharding)
    )
    return [resolved(x, what) for x in leaves]


def resolved(given: Any, what: str) -> Any:
    """A sharding from what a user gives for one: itself, a PartitionSpec of the mesh that is set, a device, or None."""
    if given is None or isinstance(given, Sharding):
        return given
    if isinstance(given, PartitionSpec):
        mesh = runtime_meshes.current_mesh()
        if mesh is None:
            raise no_mesh(what)
        return NamedSharding(mesh, given)
    if isinstance(given, Device):
        return SingleDeviceSharding(given)
    raise errors.ArgumentError(
        wrong=f"{what} has {given!r} in it", fix="Give shardings, PartitionSpecs and None, or trees of them"
    )


def no_mesh(what: str) -> errors.ArgumentError:
    """The error for a PartitionSpec where no mesh says what its names mean."""
    return errors.ArgumentError(
        wrong=f"{what} was given a PartitionSpec, and no mesh is set that has its axes",
        fix="Give NamedSharding(mesh, spec), or run it within: with portax.set_mesh(mesh)",
    )
