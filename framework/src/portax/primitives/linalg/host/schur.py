"""The Schur form: QR steps with implicit shifts on a Hessenberg matrix, until it has fallen apart.

``a = Z T Z^H`` with ``T`` triangular where numbers are complex; where they are real, pairs of complex eigenvalues stay
as blocks of two with equal diagonal elements. Shifts, the tests for what may be called zero, and the form of the blocks
are those of LAPACK's routines for matrices that fit a cache, so the eigenvalues come in the same order.

References
----------
Golub and Van Loan, Matrix Computations, fourth edition, 2013, sections 7.5 and 7.6; Ahues and Tisseur, A new deflation
criterion for the QR algorithm, LAPACK Working Note 122, 1997; Parlett and Reinsch, Balancing a matrix for calculation
of eigenvalues and eigenvectors, Numerische Mathematik 13, 1969.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax.primitives.linalg.host.reflections import reflector
from portax.primitives.linalg.matrices import widened

_ULP = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
#: Steps allowed for each eigenvalue, and after how many without one another shift is tried.
_STEPS, _TIRED = 30, 10


def schur(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(T, Z)`` for each matrix of a stack; NaN where the steps do not converge."""
    wide = widened(a)
    form, vectors = np.empty_like(wide), np.empty_like(wide)
    step = _complex_steps if wide.dtype.kind == "c" else _real_steps
    for index in np.ndindex(wide.shape[:-2]):
        t, z = form[index], vectors[index]
        t[...], z[...] = wide[index], np.eye(wide.shape[-1])
        if not t.size:
            continue
        good = bool(np.isfinite(t).all())
        if good:
            low, high, exchanges = _isolate(t)
            _to_hessenberg(t, z, low, high)
            good = step(t, z, low, high)
            for i, k in exchanges:
                z[[i, k]] = z[[k, i]]
        if not good:
            t[...] = z[...] = np.nan
    return form, vectors


def _isolate(h: np.ndarray) -> tuple[int, int, list[tuple[int, int]]]:
    """Exchange rows and columns so that eigenvalues that can be read off stand at both ends: ``(low, high, undo)``."""
    n = h.shape[0]
    low, high = 0, n - 1
    undo: list[tuple[int, int]] = []

    def exchange(i: int, k: int) -> None:
        if i != k:
            h[: high + 1, [i, k]] = h[: high + 1, [k, i]]
            h[[i, k], low:] = h[[k, i], low:]
        undo.append((k, i))

    again = True
    while again:
        again = False
        for i in range(high, -1, -1):
            if i <= high and not np.any(np.delete(h[i, : high + 1], i)):
                exchange(i, high)
                again = True
                if high == 0:
                    return 0, 0, undo[::-1]
                high -= 1
    again = True
    while again:
        again = False
        for j in range(low, high + 1):
            if j >= low and not np.any(np.delete(h[low : high + 1, j], j - low)):
                exchange(j, low)
                again = True
                low += 1
    return low, high, undo[::-1]


def _to_hessenberg(h: np.ndarray, z: np.ndarray, low: int, high: int) -> None:
    """Zeros below the first subdiagonal, by reflections that ``z`` takes too."""
    end = high + 1
    for i in range(low, high):
        v, tau, beta = reflector(h[i + 1 : end, i])
        for x in (h[:end, i + 1 : end], z[:, i + 1 : end]):
            x -= np.outer(x @ v, tau * np.conj(v))
        rest = h[i + 1 : end, i + 1 :]
        rest -= np.outer(np.conj(tau) * v, np.conj(v) @ rest)
        h[i + 1, i], h[i + 2 : end, i] = beta, 0


def _size(x: Any) -> float:
    return abs(x.real) + abs(x.imag)


def _cut(h: np.ndarray, first: int, last: int, low: int, high: int) -> int:
    """The row from which the rows up to ``last`` have fallen off: the one before is joined by nothing that counts."""
    least = _TINY * ((high - low + 1) / _ULP)
    for k in range(last, first, -1):
        joint = _size(h[k, k - 1])
        if joint <= least:
            return k
        near = _size(h[k - 1, k - 1]) + _size(h[k, k])
        if near == 0:
            near += abs(h[k - 1, k - 2].real) if k - 2 >= low else 0.0
            near += abs(h[k + 1, k].real) if k + 1 <= high else 0.0
        if abs(h[k, k - 1].real) <= _ULP * near:
            other = _size(h[k - 1, k])
            ab, ba = max(joint, other), min(joint, other)
            gap = _size(h[k - 1, k - 1] - h[k, k])
            aa, bb = max(_size(h[k, k]), gap), min(_size(h[k, k]), gap)
            s = aa + ab
            if ba * (ab / s) <= max(least, _ULP * (bb * (aa / s))):
                return k
    return first


# -- real -------------------------------------------------------------------------------------------------------------
def _real_steps(h: np.ndarray, z: np.ndarray, low: int, high: int) -> bool:
    n = h.shape[0]
    last = high
    limit = _STEPS * max(10, high - low + 1)
    while last >= low:
        first, tired = low, 0
        for _ in range(limit + 1):
            first = _cut(h, first, last, low, high)
            if first > low:
                h[first, first - 1] = 0.0
            if first >= last - 1:
                break
            tired += 1
            _double_step(h, z, first, last, *_real_shifts(h, first, last, tired))
        else:
            return False
        if first == last - 1:
            i = last
            (h[i - 1, i - 1], h[i - 1, i], h[i, i - 1], h[i, i]), c, s = standard(
                float(h[i - 1, i - 1]), float(h[i - 1, i]), float(h[i, i - 1]), float(h[i, i])
            )
            turn = np.array([[c, s], [-s, c]])
            if i + 1 < n:
                h[i - 1 : i + 1, i + 1 :] = turn @ h[i - 1 : i + 1, i + 1 :]
            h[: i - 1, i - 1 : i + 1] = h[: i - 1, i - 1 : i + 1] @ turn.T
            z[:, i - 1 : i + 1] = z[:, i - 1 : i + 1] @ turn.T
        last = first - 1
    return True


def _real_shifts(h: np.ndarray, first: int, last: int, tired: int) -> tuple[float, float, float, float]:
    """The eigenvalues of the last two rows, or one of them twice where they are real: ``(re, im, re, im)``."""
    i, l = last, first
    if tired % (2 * _TIRED) == 0:
        s = abs(h[i, i - 1]) + abs(h[i - 1, i - 2])
        a = d = 0.75 * s + h[i, i]
        b, c = -0.4375 * s, s
    elif tired % _TIRED == 0:
        s = abs(h[l + 1, l]) + abs(h[l + 2, l + 1])
        a = d = 0.75 * s + h[l, l]
        b, c = -0.4375 * s, s
    else:
        a, b, c, d = h[i - 1, i - 1], h[i - 1, i], h[i, i - 1], h[i, i]
    s = abs(a) + abs(b) + abs(c) + abs(d)
    if s == 0:
        return 0.0, 0.0, 0.0, 0.0
    a, b, c, d = a / s, b / s, c / s, d / s
    middle = (a + d) / 2
    det = (a - middle) * (d - middle) - b * c
    root = math.sqrt(abs(det))
    if det >= 0:
        return middle * s, root * s, middle * s, -root * s
    one, two = middle + root, middle - root
    nearer = one if abs(one - d) <= abs(two - d) else two
    return nearer * s, 0.0, nearer * s, 0.0


def _double_step(
    h: np.ndarray, z: np.ndarray, first: int, last: int, r1: float, i1: float, r2: float, i2: float
) -> None:
    """Chase a bulge of three rows from where it may start to the end."""
    start, v = first, np.zeros(3)
    for m in range(last - 2, first - 1, -1):
        s = abs(h[m, m] - r2) + abs(i2) + abs(h[m + 1, m])
        c = h[m + 1, m] / s
        v = np.array([
            c * h[m, m + 1] + (h[m, m] - r1) * ((h[m, m] - r2) / s) - i1 * (i2 / s),
            c * (h[m, m] + h[m + 1, m + 1] - r1 - r2),
            c * h[m + 2, m + 1],
        ])  # fmt: skip
        v /= np.sum(np.abs(v))
        start = m
        if m == first:
            break
        near = abs(h[m - 1, m - 1]) + abs(h[m, m]) + abs(h[m + 1, m + 1])
        if abs(h[m, m - 1]) * (abs(v[1]) + abs(v[2])) <= _ULP * abs(v[0]) * near:
            break
    for k in range(start, last):
        rows = min(3, last - k + 1)
        column = h[k : k + rows, k - 1].copy() if k > start else v
        u, tau, beta = reflector(column)
        if k > start:
            h[k, k - 1] = beta
            h[k + 1 : k + rows, k - 1] = 0.0
        elif start > first:
            h[k, k - 1] *= 1.0 - tau
        block = h[k : k + rows, k:]
        block -= np.outer(tau * u, u @ block)
        for x in (h[: min(k + 3, last) + 1, k : k + rows], z[:, k : k + rows]):
            x -= np.outer(x @ u, tau * u)


def standard(a: float, b: float, c: float, d: float) -> tuple[tuple[float, float, float, float], float, float]:
    """``((a, b, c, d), cos, sin)``: the block of two in its standard form, and the rotation that brings it there.

    The form is triangular, or has equal diagonal elements and off them numbers of opposite sign.
    """
    cos, sin = 1.0, 0.0
    if c == 0:
        pass
    elif b == 0:
        cos, sin = 0.0, 1.0
        a, b, c, d = d, -c, 0.0, a
    elif a == d and math.copysign(1, b) != math.copysign(1, c):
        pass
    else:
        gap = a - d
        p = gap / 2
        big = max(abs(b), abs(c))
        small = min(abs(b), abs(c)) * math.copysign(1, b) * math.copysign(1, c)
        scale = max(abs(p), big)
        disc = (p / scale) * p + (big / scale) * small
        if disc >= 4 * _ULP:  # two real eigenvalues
            w = p + math.copysign(math.sqrt(scale) * math.sqrt(disc), p)
            a, d = d + w, d - (big / w) * small
            length = math.hypot(c, w)
            cos, sin = w / length, c / length
            b, c = b - c, 0.0
        else:
            sigma = b + c
            length = math.hypot(sigma, gap)
            cos = math.sqrt((1 + abs(sigma) / length) / 2)
            sin = -(p / (length * cos)) * math.copysign(1, sigma)
            aa, bb = a * cos + b * sin, -a * sin + b * cos
            cc, dd = c * cos + d * sin, -c * sin + d * cos
            a, b = aa * cos + cc * sin, bb * cos + dd * sin
            c, d = -aa * sin + cc * cos, -bb * sin + dd * cos
            a = d = (a + d) / 2
            if c != 0 and b == 0:
                b, c = -c, 0.0
                cos, sin = -sin, cos
            elif c != 0 and math.copysign(1, b) == math.copysign(1, c):
                root_b, root_c = math.sqrt(abs(b)), math.sqrt(abs(c))
                p = math.copysign(root_b * root_c, c)
                length = 1 / math.sqrt(abs(b + c))
                a, d = a + p, d - p
                b, c = b - c, 0.0
                cos1, sin1 = root_b * length, root_c * length
                cos, sin = cos * cos1 - sin * sin1, cos * sin1 + sin * cos1
    return (a, b, c, d), cos, sin


# -- complex ----------------------------------------------------------------------------------------------------------
def _complex_steps(h: np.ndarray, z: np.ndarray, low: int, high: int) -> bool:
    for i in range(low + 1, high + 1):  # a subdiagonal of real numbers
        if h[i, i - 1].imag != 0:
            turn = np.conj(h[i, i - 1]) / abs(h[i, i - 1])
            h[i, i - 1] = abs(h[i, i - 1])
            h[i, i:] *= turn
            h[: min(high, i + 1) + 1, i] *= np.conj(turn)
            z[:, i] *= np.conj(turn)
    last = high
    limit = _STEPS * max(10, high - low + 1)
    while last >= low:
        first, tired = low, 0
        for _ in range(limit + 1):
            first = _cut(h, first, last, low, high)
            if first > low:
                h[first, first - 1] = 0.0
            if first >= last:
                break
            tired += 1
            _single_step(h, z, first, last, _complex_shift(h, first, last, tired))
        else:
            return False
        last = first - 1
    return True


def _complex_shift(h: np.ndarray, first: int, last: int, tired: int) -> complex:
    """Of the eigenvalues of the last two rows, the one nearer to the last element."""
    i, l = last, first
    if tired % (2 * _TIRED) == 0:
        return 0.75 * abs(h[i, i - 1].real) + h[i, i]
    if tired % _TIRED == 0:
        return 0.75 * abs(h[l + 1, l].real) + h[l, l]
    t = complex(h[i, i])
    u = np.sqrt(complex(h[i - 1, i])) * np.sqrt(complex(h[i, i - 1]))
    s = _size(u)
    if s != 0:
        x = 0.5 * (complex(h[i - 1, i - 1]) - t)
        size = _size(x)
        s = max(s, size)
        y = s * np.sqrt((x / s) ** 2 + (u / s) ** 2)
        if size > 0 and (x / size).real * y.real + (x / size).imag * y.imag < 0:
            y = -y
        t = t - u * (u / (x + y))
    return complex(t)


def _single_step(h: np.ndarray, z: np.ndarray, first: int, last: int, shift: complex) -> None:
    """Chase a bulge of two rows from where it may start to the end."""
    n = h.shape[0]
    start, v = first, np.zeros(2, complex)
    for m in range(last - 1, first - 1, -1):
        one, two = h[m, m] - shift, h[m + 1, m].real
        s = _size(one) + abs(two)
        one, two = one / s, two / s
        start, v = m, np.array([one, two])
        if m == first:
            break
        near = _size(h[m, m]) + _size(h[m + 1, m + 1])
        if abs(h[m, m - 1].real) * abs(two) <= _ULP * (_size(one) * near):
            break
    for k in range(start, last):
        column = h[k : k + 2, k - 1].copy() if k > start else v
        u, tau, beta = reflector(column)
        if k > start:
            h[k, k - 1], h[k + 1, k - 1] = beta, 0.0
        block = h[k : k + 2, k:]
        block -= np.outer(np.conj(tau) * u, np.conj(u) @ block)
        for x in (h[: min(k + 2, last) + 1, k : k + 2], z[:, k : k + 2]):
            x -= np.outer(x @ u, tau * np.conj(u))
        if k == start and start > first:  # the element beside the bulge must stay real
            turn = 1 - tau
            turn = turn / abs(turn)
            h[start + 1, start] *= np.conj(turn)
            if start + 2 <= last:
                h[start + 2, start + 1] *= turn
            for j in range(start, last + 1):
                if j != start + 1:
                    if j + 1 < n:
                        h[j, j + 1 :] *= turn
                    h[:j, j] *= np.conj(turn)
                    z[:, j] *= np.conj(turn)
    joint = h[last, last - 1]
    if joint.imag != 0:
        length = abs(joint)
        h[last, last - 1] = length
        turn = joint / length
        if last + 1 < n:
            h[last, last + 1 :] *= np.conj(turn)
        h[:last, last] *= turn
        z[:, last] *= turn
