"""How an array is cut, said without devices: a grid with named axes, and which of them cuts which axis of an array."""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from portax import errors

Name = Any


class AxisType(enum.Enum):
    """Who decides how arrays are cut along an axis of a mesh.

    ``Auto``: the compiler. ``Explicit``: in JAX, the types of arrays; portax leaves it to the compiler as well.
    ``Manual``: the function given to ``shard_map``.
    """

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()

    def __repr__(self) -> str:
        return self.name


class _Unconstrained:
    """An axis about which nothing is said."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "_UNCONSTRAINED"


_UNCONSTRAINED = _Unconstrained()


def _canonical(entry: Any) -> Any:
    """An entry as it is compared: a tuple of one name is the name, an empty one is None."""
    if isinstance(entry, list | tuple):
        for name in entry:
            if isinstance(name, list | tuple):
                raise errors.ArgumentError(
                    wrong=f"an entry of a PartitionSpec is {entry!r}, which has {name!r} within",
                    fix="Give None, a mesh axis, or a flat tuple of mesh axes",
                )
        entry = tuple(entry)
        entry = None if not entry else entry[0] if len(entry) == 1 else entry
    if type(entry).__hash__ is None:
        raise errors.ArgumentError(
            wrong=f"an entry of a PartitionSpec is {entry!r}",
            fix="Give None, a mesh axis, or a flat tuple of mesh axes",
        )
    return entry


_NONE: frozenset[Any] = frozenset()


def _axes(given: Any, what: str) -> frozenset[Name]:
    """A set of mesh axes that a user gave."""
    if not isinstance(given, set | frozenset) or None in given:
        raise errors.ArgumentError(wrong=f"{what} is {given!r}", fix="Give a set of mesh axes")
    return frozenset(given)


def _listed(axes: Iterable[Name]) -> str:
    """Mesh axes in an order that is the same in every process."""
    return "{" + ", ".join(sorted(map(repr, axes))) + "}"


def _apart(sets: Sequence[tuple[str, frozenset[Name]]], what: str) -> None:
    """Refuse a mesh axis that is in the first of some sets and in another."""
    (first, axes), *others = sets
    for name, other in others:
        if axes & other:
            raise errors.ArgumentError(
                wrong=f"{what} has {_listed(axes & other)} in {first} and in {name}", fix="Take it out of one of them"
            )


class PartitionSpec:
    """For each axis of an array, the mesh axes that cut it.

    Parameters
    ----------
    *partitions : None, name, tuple of names, or PartitionSpec.UNCONSTRAINED
        None: the axis is not cut. A tuple: cut by all of them, the first slowest. Later axes are not cut.
    unreduced : set of names
        Mesh axes along which what the devices hold must still be added up.
    reduced : set of names
        Mesh axes along which the cotangent is unreduced.

    Raises
    ------
    ArgumentError
        An entry is none, or a mesh axis is in two of entries, ``unreduced`` and ``reduced``.

    Notes
    -----
    It can be indexed, iterated and added to like a tuple, but is none: trees take it for a leaf, and it equals only
    specs.

    Examples
    --------
    >>> from portax.sharding import PartitionSpec as P
    >>> P("data", None)
    P('data', None)
    >>> P(("data", "model"))[0]
    ('data', 'model')
    """

    __slots__ = ("_hash", "partitions", "reduced", "unreduced")

    UNCONSTRAINED: ClassVar[Any] = _UNCONSTRAINED

    def __init__(
        self, *partitions: Any, unreduced: Collection[Name] = _NONE, reduced: Collection[Name] = _NONE
    ) -> None:
        self.partitions: tuple[Any, ...] = tuple([_canonical(entry) for entry in partitions])
        self.unreduced = _axes(unreduced, "unreduced of a PartitionSpec")
        self.reduced = _axes(reduced, "reduced of a PartitionSpec")
        if self.unreduced or self.reduced:
            cut = ("its entries", frozenset(named(self)))
            _apart([cut, ("unreduced", self.unreduced), ("reduced", self.reduced)], "a PartitionSpec")
            _apart([("unreduced", self.unreduced), ("reduced", self.reduced)], "a PartitionSpec")
        self._hash = hash((self.partitions, self.unreduced, self.reduced))

    def update(self, partitions: Any = None, unreduced: Any = None, reduced: Any = None) -> PartitionSpec:
        """The spec with some of its parts replaced; None keeps what there is."""
        return PartitionSpec(
            *(self.partitions if partitions is None else partitions),
            unreduced=self.unreduced if unreduced is None else unreduced,
            reduced=self.reduced if reduced is None else reduced,
        )

    def count(self, value: Any) -> int:
        """How many entries are ``value``."""
        return self.partitions.count(_canonical(value))

    def index(self, value: Any) -> int:
        """The first axis whose entry is ``value``."""
        return self.partitions.index(_canonical(value))

    def to_lo(self) -> list[PartitionSpec]:
        """The specs of the arrays it is of: itself."""
        return [self]

    def to_tangent_spec(self) -> PartitionSpec:
        """The spec of a tangent: the same."""
        return self

    def to_ct_spec(self) -> PartitionSpec:
        """The spec of a cotangent: what was reduced is unreduced, and the other way round."""
        return PartitionSpec(*self.partitions, unreduced=self.reduced, reduced=self.unreduced)

    def __len__(self) -> int:
        return len(self.partitions)

    def __getitem__(self, index: Any) -> Any:
        return self.partitions[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.partitions)

    def __add__(self, other: Any) -> PartitionSpec:
        if isinstance(other, PartitionSpec):
            return PartitionSpec(
                *self.partitions, *other.partitions,
                unreduced=self.unreduced | other.unreduced, reduced=self.reduced | other.reduced,
            )  # fmt: skip
        return self.update((*self.partitions, *other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> PartitionSpec:
        return self.update((*other, *self.partitions)) if isinstance(other, tuple) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and (
            (self.partitions, self.unreduced, self.reduced) == (other.partitions, other.unreduced, other.reduced)
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        words = [repr(entry) for entry in self.partitions]
        words += [f"{k}={_listed(v)}" for k in ("unreduced", "reduced") if (v := getattr(self, k))]
        return f"P({words[0]},)" if len(self.partitions) == len(words) == 1 else f"P({', '.join(words)})"

    def __reduce__(self) -> Any:
        return _spec, (self.partitions, self.unreduced, self.reduced)


def _spec(partitions: Any, unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*partitions, unreduced=unreduced, reduced=reduced)


def cutting(spec: Iterable[Any]) -> list[tuple[Name, ...]]:
    """For each entry of a spec the mesh axes that are told to cut: none where the compiler may choose."""
    return [
        () if entry is None or entry is _UNCONSTRAINED else entry if isinstance(entry, tuple) else (entry,)
        for entry in spec
    ]


def named(spec: Iterable[Any]) -> list[Name]:
    """The mesh axes that a spec names in its entries, as often as it names them."""
    return [name for entry in cutting(spec) for name in entry]


def names_of(given: Any) -> tuple[Name, ...]:
    """The names of the axes of a mesh, none of them None and no two alike."""
    names = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    if None in names or len(set(names)) < len(names):
        raise errors.ArgumentError(
            wrong=f"a mesh was given the names {names}", fix="Give each axis a name of its own, which is not None"
        )
    return names


def axis_types_of(given: Any, names: Sequence[Name]) -> tuple[AxisType, ...]:
    """An axis type for each name; ``Auto`` for all where nothing is given."""
    if given is None:
        return (AxisType.Auto,) * len(names)
    types = (given,) if isinstance(given, AxisType) else tuple(given)
    if len(types) != len(names) or not all(isinstance(t, AxisType) for t in types):
        raise errors.ArgumentError(
            wrong=f"a mesh with the axes {tuple(names)} was given the axis types {types}",
            fix="Give one AxisType for each axis",
        )
    return types


class Named:
    """What meshes with and without devices share: named axes with sizes and types.

    Meshes are values: equal ones are the same object, and a copy of one is the one.

    Attributes
    ----------
    shape : OrderedDict
        The size of each axis, by name.
    """

    __slots__ = ("__weakref__", "axis_names", "axis_sizes", "axis_types", "shape")

    axis_names: tuple[Name, ...]
    axis_sizes: tuple[int, ...]
    axis_types: tuple[AxisType, ...]
    shape: collections.OrderedDict[Name, int]

    def _set_axes(self, sizes: tuple[int, ...], names: tuple[Name, ...], types: tuple[AxisType, ...]) -> None:
        self.axis_sizes, self.axis_names, self.axis_types = sizes, names, types
        self.shape = collections.OrderedDict(zip(names, sizes, strict=True))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    @property
    def shape_tuple(self) -> tuple[tuple[Name, int], ...]:
        """Pairs of name and size."""
        return tuple(zip(self.axis_names, self.axis_sizes, strict=True))

    @property
    def size(self) -> int:
        """How many devices there are."""
        return math.prod(self.axis_sizes) if self.axis_names else 0

    @property
    def empty(self) -> bool:
        """Whether there are no devices."""
        return self.size == 0

    def _of_type(self, kind: AxisType) -> tuple[Name, ...]:
        return tuple([n for n, t in zip(self.axis_names, self.axis_types, strict=True) if t is kind])

    @property
    def auto_axes(self) -> tuple[Name, ...]:
        """The axes left to the compiler."""
        return self._of_type(AxisType.Auto)

    @property
    def explicit_axes(self) -> tuple[Name, ...]:
        """The axes of type ``Explicit``."""
        return self._of_type(AxisType.Explicit)

    @property
    def manual_axes(self) -> tuple[Name, ...]:
        """The axes of type ``Manual``."""
        return self._of_type(AxisType.Manual)

    @property
    def are_all_axes_auto(self) -> bool:
        """Whether all axes are of type ``Auto``."""
        return self._all(AxisType.Auto)

    @property
    def are_all_axes_explicit(self) -> bool:
        """Whether all axes are of type ``Explicit``."""
        return self._all(AxisType.Explicit)

    @property
    def are_all_axes_manual(self) -> bool:
        """Whether all axes are of type ``Manual``."""
        return self._all(AxisType.Manual)

    def _all(self, kind: AxisType) -> bool:
        return bool(self.axis_types) and all(t is kind for t in self.axis_types)

    def _words(self) -> str:
        sizes = ", ".join([f"'{name}': {size}" for name, size in self.shape_tuple])
        return f"{sizes}, axis_types={self.axis_types}"


@dataclasses.dataclass(frozen=True, repr=False, slots=True)
class AbstractDevice:
    """A kind of device.

    Attributes
    ----------
    device_kind : str
    num_cores : int or None
    platform : str
    """

    device_kind: str
    num_cores: int | None
    platform: str

    def words(self) -> str:
        """What is known of it, as a mesh shows it."""
        return f"device_kind={self.device_kind}, num_cores={self.num_cores}, platform={self.platform}"

    def __repr__(self) -> str:
        return f"AbstractDevice({self.words()})"


class AbstractMesh(Named):
    """A mesh of which only the names, sizes and types of its axes are known.

    Parameters
    ----------
    axis_sizes : tuple of int
    axis_names : tuple of names
    axis_types : AxisType or tuple of them, optional
        Default: all ``Auto``.
    abstract_device : AbstractDevice, optional

    Examples
    --------
    >>> from portax.sharding import AbstractMesh
    >>> AbstractMesh((4, 2), ("data", "model")).shape["data"]
    4
    """

    __slots__ = ("abstract_device",)

    abstract_device: AbstractDevice | None

    def __new__(
        cls, axis_sizes: Sequence[int], axis_names: Sequence[Name], axis_types: Any = None, *,
        abstract_device: AbstractDevice | None = None,
    ) -> AbstractMesh:  # fmt: skip
        sizes, names = tuple(axis_sizes), names_of(axis_names)
        if len(sizes) != len(names):
            raise errors.ArgumentError(
                wrong=f"AbstractMesh was given {len(sizes)} sizes and {len(names)} names",
                fix="Give one size for each name",
            )
        types = axis_types_of(axis_types, names)
        key = (sizes, names, types, abstract_device)
        mesh = _abstract.get(key)
        if mesh is None:
            mesh = object.__new__(cls)
            mesh._set_axes(sizes, names, types)
            mesh.abstract_device = abstract_device
            # Of two threads that make the same mesh, both get the one that was first.
            mesh = _abstract.setdefault(key, mesh)
        return mesh

    def __reduce__(self) -> Any:
        return _mesh, (self.axis_sizes, self.axis_names, self.axis_types, self.abstract_device)

    @property
    def abstract_mesh(self) -> AbstractMesh:
        """The mesh itself."""
        return self

    def update(
        self, axis_sizes: Any = None, axis_names: Any = None, axis_types: Any = None, **kwargs: Any
    ) -> AbstractMesh:
        """The mesh with some fields replaced."""
        return AbstractMesh(
            self.axis_sizes if axis_sizes is None else axis_sizes,
            self.axis_names if axis_names is None else axis_names,
            self.axis_types if axis_types is None else axis_types,
            **{"abstract_device": self.abstract_device, **kwargs},
        )

    def update_axis_types(self, name_to_type: Mapping[Name, AxisType]) -> AbstractMesh:
        """The mesh with the types of some axes replaced."""
        old = zip(self.axis_names, self.axis_types, strict=True)
        return self.update(axis_types=tuple([name_to_type.get(name, kind) for name, kind in old]))

    def _no_devices(self, what: str) -> errors.ArgumentError:
        return errors.ArgumentError(wrong=f"an AbstractMesh has no {what}", fix="Ask a Mesh, which is made of devices")

    @property
    def devices(self) -> np.ndarray:
        """Refused: it has none."""
        raise self._no_devices("devices")

    @property
    def device_ids(self) -> np.ndarray:
        """Refused: it has no devices."""
        raise self._no_devices("device_ids")

    @property
    def local_devices(self) -> list[Any]:
        """Refused: it has no devices."""
        raise self._no_devices("local_devices")

    @property
    def local_mesh(self) -> Any:
        """Refused: it has no devices."""
        raise self._no_devices("local_mesh")

    @property
    def is_multi_process(self) -> bool:
        """Refused: it has no devices."""
        raise self._no_devices("processes")

    def __repr__(self) -> str:
        device = f", {self.abstract_device.words()}" if self.abstract_device else ""
        return f"AbstractMesh({self._words() if self.axis_names else '(), axis_types=()'}{device})"


_abstract: weakref.WeakValueDictionary[Any, AbstractMesh] = weakref.WeakValueDictionary()


def _mesh(sizes: Any, names: Any, types: Any, device: Any) -> AbstractMesh:
    return AbstractMesh(sizes, names, types, abstract_device=device)


class ManualAxisType:
    """How a value within ``shard_map`` is along the manual axes of its mesh.

    Along an axis that is in none of the sets, all devices have the same.

    Parameters
    ----------
    varying : set of names
        Each device has its own.
    unreduced : set of names
        What the devices have must still be added up.
    reduced : set of names
        The same on all, and its cotangent is unreduced.

    Raises
    ------
    ArgumentError
        An axis is varying and in another set too.

    Examples
    --------
    >>> from portax.sharding import ManualAxisType
    >>> ManualAxisType(varying={"x"}, unreduced={"y"}).to_ct_mat()
    ManualAxisType(varying=frozenset({'x'}), unreduced=frozenset(), reduced=frozenset({'y'}))
    """

    __slots__ = ("reduced", "unreduced", "varying")

    def __init__(
        self, *, varying: Collection[Name] = _NONE, unreduced: Collection[Name] = _NONE,
        reduced: Collection[Name] = _NONE,
    ) -> None:  # fmt: skip
        self.varying = _axes(varying, "varying of a ManualAxisType")
        self.unreduced = _axes(unreduced, "unreduced of a ManualAxisType")
        self.reduced = _axes(reduced, "reduced of a ManualAxisType")
        _apart(self._sets(), "a ManualAxisType")

    def _sets(self) -> list[tuple[str, frozenset[Name]]]:
        return [("varying", self.varying), ("unreduced", self.unreduced), ("reduced", self.reduced)]

    @property
    def vur(self) -> frozenset[Name]:
        """The axes that are in any of the sets."""
        return self.varying | self.unreduced | self.reduced

    @property
    def empty(self) -> bool:
        """Whether all devices have the same along all axes."""
        return not self.vur

    def invarying(self, mesh: Named) -> frozenset[Name]:
        """The manual axes of a mesh along which all devices have the same."""
        return frozenset(mesh.manual_axes) - self.vur

    def update(self, **kwargs: Any) -> ManualAxisType:
        """The type with some of its sets replaced."""
        return ManualAxisType(**{**dict(self._sets()), **kwargs})

    def to_ct_mat(self) -> ManualAxisType:
        """The type of the cotangent: unreduced where the value is reduced, and the other way round."""
        return self.update(unreduced=self.reduced, reduced=self.unreduced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManualAxisType) and self._sets() == other._sets()

    def __hash__(self) -> int:
        return hash((self.varying, self.unreduced, self.reduced))

    def __repr__(self) -> str:
        words = [f"{what}=frozenset({_listed(axes) if axes else ''})" for what, axes in self._sets()]
        return f"ManualAxisType({', '.join(words)})"
