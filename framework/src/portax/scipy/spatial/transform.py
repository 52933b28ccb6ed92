"""Rotations in three dimensions, and between them.

A rotation is a quaternion ``(x, y, z, w)`` of length 1, or an array of them. Functions are written for one along the
last axis, so arrays of any shape will do, and all of it can be differentiated.

References
----------
Bernardes and Viollet, Quaternion to Euler angles conversion: a direct, general and computationally efficient method,
PLoS ONE 17(11), 2022.
Markley, Cheng, Crassidis and Oshman, Averaging quaternions, J. Guidance, Control, and Dynamics 30(4), 2007.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from portax import numpy as pnp
from portax.errors import ArgumentError, ShapeError
from portax.numpy.promotion import as_array, promote_dtypes_inexact
from portax.random import normal

_SMALL = 1e-3


def _vectors(name: str, x: Any, shape: tuple[int, ...]) -> Any:
    """A floating array whose last axes are ``shape``."""
    [x] = promote_dtypes_inexact(name, x)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ShapeError(wrong=f"Rotation.{name} was given {x.aval}", fix=f"Give last axes of {shape}")
    return x


def _norm(x: Any) -> Any:
    """The length along the last axis, which stays; its derivative at 0 is 0."""
    squared = pnp.sum(x * x, axis=-1, keepdims=True)
    some = squared > 0
    return pnp.where(some, pnp.sqrt(pnp.where(some, squared, 1)), 0)


def _unit(q: Any) -> Any:
    return q / _norm(q)


def _composed(p: Any, q: Any) -> Any:
    """The product of quaternions: first q, then p."""
    a, b, u, v = p[..., :3], q[..., :3], p[..., 3:], q[..., 3:]
    x = u * b + v * a + _cross(a, b)
    return pnp.concatenate([x, u * v - pnp.sum(a * b, axis=-1, keepdims=True)], axis=-1)


def _cross(a: Any, b: Any) -> Any:
    turned = [np.array([1, 2, 0]), np.array([2, 0, 1])]
    return a[..., turned[0]] * b[..., turned[1]] - a[..., turned[1]] * b[..., turned[0]]


def _sequence(seq: str) -> tuple[list[int], bool]:
    """The axes by number, and whether they turn along."""
    intrinsic = seq.isupper()
    if not 1 <= len(seq) <= 3 or not (set(seq) <= set("xyz") or set(seq) <= set("XYZ")):
        raise ArgumentError(
            wrong=f"there is no sequence of axes {seq!r}", fix="Give one to three of 'xyz', or of 'XYZ' to turn along"
        )
    if any(a == b for a, b in zip(seq, seq[1:], strict=False)):
        raise ArgumentError(wrong=f"the sequence of axes {seq!r} has one twice in a row", fix="Give another between")
    return ["xyz".index(c) for c in seq.lower()], intrinsic


class Rotation(NamedTuple):
    """A rotation in three dimensions, or an array of them.

    Attributes
    ----------
    quat : array of shape (..., 4)
        Quaternions of length 1, the scalar last.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.spatial.transform import Rotation
    >>> quarter = Rotation.from_euler("z", 90, degrees=True)
    >>> pnp.round(quarter.apply(pnp.array([1.0, 2.0, 3.0]))).tolist()
    [-2.0, 1.0, 3.0]
    """

    quat: Any

    # -- made from ----------------------------------------------------------------------------------------------------
    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """From quaternions, of any length but 0."""
        return cls(_unit(_vectors("from_quat", quat, (4,))))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """From orthogonal matrices of determinant 1."""
        m = _vectors("from_matrix", matrix, (3, 3))
        trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
        found = [pnp.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1],
                            1 + trace], axis=-1)]  # fmt: skip
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            parts: list[Any] = [0, 0, 0, m[..., k, j] - m[..., j, k]]
            parts[i] = 1 - trace + 2 * m[..., i, i]
            parts[j], parts[k] = m[..., j, i] + m[..., i, j], m[..., k, i] + m[..., i, k]
            found.append(pnp.stack(parts, axis=-1))
        # All are right where they are not 0; the longest loses the fewest digits.
        size = pnp.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
        which = pnp.argmax(pnp.roll(size, -1, axis=-1), axis=-1)[..., None]
        found = [*found[1:], found[0]]
        q = found[3]
        for i in range(3):
            q = pnp.where(which == i, found[i], q)
        return cls(_unit(q))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """From vectors along the axis, as long as the angle."""
        v = _vectors("from_rotvec", rotvec, (3,))
        v = pnp.radians(v) if degrees else v
        angle = _norm(v)
        small = angle <= _SMALL
        safe = pnp.where(small, 1, angle)
        scale = pnp.where(small, 0.5 - angle**2 / 48 + angle**4 / 3840, pnp.sin(safe / 2) / safe)
        return cls(_unit(pnp.concatenate([scale * v, pnp.cos(angle / 2)], axis=-1)))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """From modified Rodrigues parameters: the axis times the tangent of a quarter of the angle."""
        m = _vectors("from_mrp", mrp, (3,))
        size = 1 + pnp.sum(m * m, axis=-1, keepdims=True)
        return cls(pnp.concatenate([2 * m, 2 - size], axis=-1) / size)

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """From angles about one to three axes, ``"xyz"`` that stand still, or ``"XYZ"`` that turn along.

        Parameters
        ----------
        seq : str
        angles : array of shape (..., len(seq)), or of numbers for a single axis
        degrees : bool
        """
        axes, intrinsic = _sequence(seq)
        [a] = promote_dtypes_inexact("from_euler", angles)
        if len(axes) == 1 and a.shape[-1:] != (1,):
            a = a[..., None]
        if a.shape[-1:] != (len(axes),):
            raise ShapeError(wrong=f"Rotation.from_euler was given {a.aval} for {seq!r}", fix="Give an angle an axis")
        a = (pnp.radians(a) if degrees else a) / 2
        turns = []
        for i, d in enumerate(axes):
            unit = np.zeros(4)
            unit[d] = 1
            scalar = np.array([0, 0, 0, 1.0])
            turns.append(pnp.sin(a[..., i : i + 1]) * unit.astype(a.dtype)
                         + pnp.cos(a[..., i : i + 1]) * scalar.astype(a.dtype))  # fmt: skip
        return cls(_unit(functools.reduce(_composed, turns if intrinsic else turns[::-1])))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """No rotation, or ``num`` of them."""
        one = pnp.array([0, 0, 0, 1], dtype=dtype)
        return cls(one if num is None else pnp.tile(one, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Uniformly distributed rotations.

        Parameters
        ----------
        random_key : random key
        num : int, optional
        """
        return cls.from_quat(normal(random_key, (4,) if num is None else (num, 4)))

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """Rotations, or arrays of them, one after the other."""
        return cls(pnp.concatenate([pnp.atleast_2d(r.quat) for r in rotations]))

    # -- told as ------------------------------------------------------------------------------------------------------
    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Any:
        """As quaternions.

        Parameters
        ----------
        canonical : bool
            Of the two, the one whose last element that is not 0 is positive.
        scalar_first : bool
        """
        q = self.quat
        if canonical:
            x, y, z, w = (q[..., i : i + 1] for i in range(4))
            down = (w < 0) | ((w == 0) & ((x < 0) | ((x == 0) & ((y < 0) | ((y == 0) & (z < 0))))))
            q = pnp.where(down, -q, q)
        return pnp.roll(q, 1, axis=-1) if scalar_first else q

    def as_matrix(self) -> Any:
        """As orthogonal matrices."""
        x, y, z, w = (self.quat[..., i] for i in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return pnp.stack([pnp.stack(row, axis=-1) for row in rows], axis=-2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        """As vectors along the axis, as long as the angle, which is at most pi."""
        q = pnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        half = pnp.arctan2(_norm(q[..., :3]), q[..., 3:])
        angle = 2 * half
        small = angle <= _SMALL
        near = 2 + angle**2 / 12 + 7 * angle**4 / 2880
        scale = pnp.where(small, near, angle / pnp.where(small, 1, pnp.sin(half)))
        v = scale * q[..., :3]
        return pnp.degrees(v) if degrees else v

    def as_mrp(self) -> Any:
        """As modified Rodrigues parameters: the axis times the tangent of a quarter of the angle."""
        q = pnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        return q[..., :3] / (1 + q[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False) -> Any:
        """As angles about three axes, ``"xyz"`` that stand still, or ``"XYZ"`` that turn along.

        Where the second angle leaves the others undetermined, the last is 0.
        """
        axes, intrinsic = _sequence(seq)
        if len(axes) != 3:
            raise ArgumentError(wrong=f"as_euler needs three axes, not {seq!r}", fix="Give three of 'xyz' or 'XYZ'")
        i, j, k = axes[::-1] if intrinsic else axes
        alike = i == k
        if alike:
            k = 3 - i - j
        sign = (i - j) * (j - k) * (k - i) // 2
        q = self.quat
        if alike:
            a, b, c, d = q[..., 3], q[..., i], q[..., j], q[..., k] * sign
        else:
            a, b = q[..., 3] - q[..., j], q[..., i] + q[..., k] * sign
            c, d = q[..., j] + q[..., 3], q[..., k] * sign - q[..., i]
        second = 2 * pnp.arctan2(pnp.hypot(c, d), pnp.hypot(a, b))
        total, apart = pnp.arctan2(b, a), pnp.arctan2(d, c)
        at_0, at_pi = pnp.abs(second) <= 1e-7, pnp.abs(second - np.pi) <= 1e-7
        locked = pnp.where(at_0, 2 * total, 2 * apart * (1 if intrinsic else -1))
        free = ~(at_0 | at_pi)
        first, third = (total + apart, total - apart) if intrinsic else (total - apart, total + apart)
        # With axes that turn along, the order was reversed, and so are the outer angles.
        if intrinsic:
            outer = pnp.where(free, first, locked) * (1 if alike else sign), pnp.where(free, third, 0)
        else:
            outer = pnp.where(free, first, locked), pnp.where(free, third, 0) * (1 if alike else sign)
        middle = second if alike else second - np.pi / 2
        angles = pnp.stack([outer[0], middle, outer[1]], axis=-1)
        angles = pnp.where(angles < -np.pi, angles + 2 * np.pi, angles)
        angles = pnp.where(angles > np.pi, angles - 2 * np.pi, angles)
        return pnp.degrees(angles) if degrees else angles

    # -- done with ----------------------------------------------------------------------------------------------------
    @property
    def single(self) -> bool:
        """Whether this is one rotation."""
        return self.quat.ndim == 1

    def __len__(self) -> int:
        if self.single:
            raise TypeError("a single Rotation has no length")
        return self.quat.shape[0]

    def __getitem__(self, index: Any) -> Rotation:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.single:
            raise TypeError("a single Rotation has no elements")
        return Rotation(self.quat[index])

    def __mul__(self, other: Rotation) -> Rotation:  # pyright: ignore[reportIncompatibleMethodOverride]
        """First ``other``, then this."""
        return Rotation(_unit(_composed(self.quat, other.quat)))

    def inv(self) -> Rotation:
        """The other way round."""
        return Rotation(self.quat * np.array([-1, -1, -1, 1], self.quat.dtype))

    def magnitude(self) -> Any:
        """The angle, from 0 to pi."""
        return 2 * pnp.arctan2(_norm(self.quat[..., :3])[..., 0], pnp.abs(self.quat[..., 3]))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """Vectors turned.

        Parameters
        ----------
        vectors : array of shape (..., 3)
        inverse : bool
            Turn them the other way.
        """
        v = _vectors("apply", vectors, (3,))
        m = self.as_matrix()
        m = pnp.swapaxes(m, -1, -2) if inverse else m
        return pnp.sum(m * v[..., None, :], axis=-1)

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation that is nearest to all, by the squares of the sines of half the angles between.

        Parameters
        ----------
        weights : array of shape (len(self),), optional
        """
        q = self.quat if not self.single else self.quat[None]
        w = pnp.ones(q.shape[:1], q.dtype) if weights is None else as_array(weights, "Rotation.mean")
        if w.shape != q.shape[:1]:
            raise ShapeError(wrong=f"{q.shape[0]} rotations were given weights {w.aval}", fix="Give one for each")
        return Rotation(pnp.linalg.eigh((q * w[:, None]).T @ q)[1][:, -1])


class Slerp(NamedTuple):
    """Rotations between others, at constant speed: ``Slerp.init(times, rotations)(t)``.

    Attributes
    ----------
    times : array of shape (n,)
        Ascending.
    timedelta : array of shape (n - 1,)
    rotations : Rotation, at all times but the last
    rotvecs : array of shape (n - 1, 3)
        From each to the next.

    Examples
    --------
    >>> import portax.numpy as pnp
    >>> from portax.scipy.spatial.transform import Rotation, Slerp
    >>> ends = Rotation.from_euler("z", pnp.array([0.0, 90.0]), degrees=True)
    >>> float(pnp.round(Slerp.init(pnp.array([0.0, 3.0]), ends)(1.0).as_euler("xyz", degrees=True)[2]))
    30.0
    """

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """From the rotations at some times.

        Parameters
        ----------
        times : array of shape (n,)
        rotations : Rotation of shape (n,)
        """
        [t] = promote_dtypes_inexact("Slerp", times)
        if t.ndim != 1 or rotations.single or len(rotations) != t.shape[0] or t.shape[0] < 2:
            raise ShapeError(
                wrong=f"Slerp was given times {t.aval} and rotations {rotations.quat.aval}",
                fix="Give at least two rotations, and a time for each",
            )
        start, end = Rotation(rotations.quat[:-1]), Rotation(rotations.quat[1:])
        return cls(t, t[1:] - t[:-1], start, (start.inv() * end).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at ``times``."""
        [t] = promote_dtypes_inexact("Slerp", times)
        passed = pnp.sum(self.times <= t[..., None], axis=-1)
        i = pnp.clip(passed - 1, 0, self.timedelta.shape[0] - 1)
        share = (t - self.times[i]) / self.timedelta[i]
        return self.rotations[i] * Rotation.from_rotvec(self.rotvecs[i] * share[..., None])
