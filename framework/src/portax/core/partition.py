"""How an array is cut, said without devices: a grid with named axes, and which of them cuts which axis of an array."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from portax import errors

Name = Any


class AxisType(enum.Enum):
    """Who decides how arrays are cut along an axis of a mesh.

    ``Auto``: the compiler. ``Explicit``: in JAX, the types of arrays; portax leaves it to the compiler as well.
    ``Manual``: the function given to ``shard_map``.
    """

    Auto = "Auto"
    Explicit = "Explicit"
    Manual = "Manual"

    def __repr__(self) -> str:
        return self.value


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
        entry = tuple(entry)
        return None if not entry else entry[0] if len(entry) == 1 else entry
    return entry


class PartitionSpec:
    """For each axis of an array, the mesh axes that cut it.

    Parameters
    ----------
    *partitions : None, name, tuple of names, or PartitionSpec.UNCONSTRAINED
        None: the axis is not cut. A tuple: cut by all of them, the first slowest. Later axes are not cut.
    unreduced, reduced : set of names
        Kept as they are given.

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

    def __init__(self, *partitions: Any, unreduced: Iterable[Name] = (), reduced: Iterable[Name] = ()) -> None:
        self.partitions: tuple[Any, ...] = tuple([_canonical(entry) for entry in partitions])
        self.unreduced, self.reduced = frozenset(unreduced), frozenset(reduced)
        self._hash = hash((self.partitions, self.unreduced, self.reduced))

    def update(self, **changes: Any) -> PartitionSpec:
        """The spec with ``partitions``, ``unreduced`` or ``reduced`` replaced."""
        partitions = changes.pop("partitions", self.partitions)
        kept = {"unreduced": self.unreduced, "reduced": self.reduced, **changes}
        return PartitionSpec(*partitions, **kept)

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

    def __iter__(self) -> Any:
        return iter(self.partitions)

    def __add__(self, other: Any) -> PartitionSpec:
        if not isinstance(other, PartitionSpec | tuple):
            return NotImplemented
        return PartitionSpec(*self.partitions, *other, unreduced=self.unreduced, reduced=self.reduced)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSpec) and (
            (self.partitions, self.unreduced, self.reduced) == (other.partitions, other.unreduced, other.reduced)
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        words = [repr(entry) for entry in self.partitions]
        words += [f"{k}={set(v)!r}" for k in ("unreduced", "reduced") if (v := getattr(self, k))]
        return f"P({words[0]},)" if len(self.partitions) == len(words) == 1 else f"P({', '.join(words)})"

    def __reduce__(self) -> Any:
        return _spec, (self.partitions, self.unreduced, self.reduced)


def _spec(partitions: Any, unreduced: Any, reduced: Any) -> PartitionSpec:
    return PartitionSpec(*partitions, unreduced=unreduced, reduced=reduced)


def axis_types_of(given: Any, names: Sequence[Name]) -> tuple[AxisType, ...]:
    """An axis type for each name, from one, several, or None for ``Auto``."""
    if given is None:
        return (AxisType.Auto,) * len(names)
    types = (given,) * len(names) if isinstance(given, AxisType) else tuple(given)
    if len(types) != len(names) or not all(isinstance(t, AxisType) for t in types):
        raise errors.ArgumentError(
            wrong=f"a mesh with the axes {tuple(names)} was given the axis types {types}",
            fix="Give one AxisType for each axis",
        )
    return types


class Named:
    """What meshes with and without devices share: named axes with sizes and types."""

    axis_names: tuple[Name, ...]
    axis_sizes: tuple[int, ...]
    axis_types: tuple[AxisType, ...]

    @property
    def shape(self) -> dict[Name, int]:
        """The size of each axis, by name."""
        return dict(zip(self.axis_names, self.axis_sizes, strict=True))

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
        """Whether the mesh has no axes."""
        return not self.axis_names

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
        return all(t is AxisType.Auto for t in self.axis_types)

    @property
    def are_all_axes_explicit(self) -> bool:
        """Whether all axes are of type ``Explicit``."""
        return all(t is AxisType.Explicit for t in self.axis_types)

    @property
    def are_all_axes_manual(self) -> bool:
        """Whether all axes are of type ``Manual``."""
        return all(t is AxisType.Manual for t in self.axis_types)

    def _words(self) -> str:
        sizes = ", ".join([f"{name!r}: {size}" for name, size in self.shape_tuple])
        return (
            f"{sizes}, axis_types=({', '.join(map(repr, self.axis_types))}{',' if len(self.axis_types) == 1 else ''})"
        )


@dataclasses.dataclass(frozen=True)
class AbstractDevice:
    """A kind of device.

    Attributes
    ----------
    device_kind : str
    num_cores : int or None
    platform : str or None
    """

    device_kind: str
    num_cores: int | None = None
    platform: str | None = None


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
    >>> AbstractMesh((4, 2), ("data", "model")).shape
    {'data': 4, 'model': 2}
    """

    def __init__(
        self, axis_sizes: Sequence[int], axis_names: Sequence[Name], axis_types: Any = None, *,
        abstract_device: AbstractDevice | None = None,
    ) -> None:  # fmt: skip
        self.axis_sizes = tuple(axis_sizes)
        self.axis_names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        if len(self.axis_sizes) != len(self.axis_names):
            raise errors.ArgumentError(
                wrong=f"AbstractMesh was given {len(self.axis_sizes)} sizes and {len(self.axis_names)} names",
                fix="Give one size for each name",
            )
        self.axis_types = axis_types_of(axis_types, self.axis_names)
        self.abstract_device = abstract_device

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
            abstract_device=kwargs.get("abstract_device", self.abstract_device),
        )

    def update_axis_types(self, types: Mapping[Name, AxisType]) -> AbstractMesh:
        """The mesh with the types of some axes replaced."""
        old = zip(self.axis_names, self.axis_types, strict=True)
        return self.update(axis_types=tuple([types.get(name, kind) for name, kind in old]))

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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbstractMesh) and (
            (self.shape_tuple, self.axis_types, self.abstract_device)
            == (other.shape_tuple, other.axis_types, other.abstract_device)
        )

    def __hash__(self) -> int:
        return hash((self.shape_tuple, self.axis_types, self.abstract_device))

    def __repr__(self) -> str:
        return f"AbstractMesh({self._words()})"
