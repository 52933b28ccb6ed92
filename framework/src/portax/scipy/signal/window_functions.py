"""Windows by name: what a segment of a signal is weighted with before it is transformed.

All are periodic, made for spectra: the first ``n`` of the ``n + 1`` elements of the symmetric window.

References
----------
Harris, On the use of windows for harmonic analysis with the discrete Fourier transform, Proc. IEEE 66, 1978.
Nuttall, Some windows with very good sidelobe behavior, IEEE Trans. ASSP-29, 1981.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portax.errors import ArgumentError

#: Weights of ``cos(0), -cos(x), cos(2 x), ...`` for x from 0 to 2 pi.
_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
_OTHER_NAMES = {
    "box": "boxcar", "ones": "boxcar", "rect": "boxcar", "rectangular": "boxcar", "hanning": "hann", "han": "hann",
    "hamm": "hamming", "ham": "hamming", "black": "blackman", "blk": "blackman", "nutt": "nuttall", "nut": "nuttall",
    "blackharr": "blackmanharris", "bkh": "blackmanharris", "flat": "flattop", "flt": "flattop", "bart": "bartlett",
    "brt": "bartlett", "halfcosine": "cosine", "bohm": "bohman", "ksr": "kaiser", "gauss": "gaussian",
    "gss": "gaussian", "tuk": "tukey", "general hamming": "general_hamming",
}  # fmt: skip


def _tukey(t: np.ndarray, alpha: float) -> np.ndarray:
    if alpha <= 0:
        return np.ones_like(t)
    edge = np.minimum(t, 1 - t) / (min(alpha, 1.0) / 2)
    return np.where(edge < 1, 0.5 * (1 - np.cos(np.pi * edge)), 1.0)


def _bohman(t: np.ndarray) -> np.ndarray:
    x = np.abs(2 * t - 1)
    return np.where(t == 0, 0.0, (1 - x) * np.cos(np.pi * x) + np.sin(np.pi * x) / np.pi)


#: Functions of the place from 0 to 1, of the length, and of the parameters that stand beside the name.
_OTHERS: dict[str, tuple[int, Callable[..., np.ndarray]]] = {
    "bartlett": (0, lambda t, n: 1 - np.abs(2 * t - 1)),
    "triang": (0, lambda t, n: 1 - np.abs(2 * t - 1) * n / (n + (1 if n % 2 else 2))),
    "cosine": (0, lambda t, n: np.sin(np.pi * (t * n + 0.5) / (n + 1))),
    "bohman": (0, lambda t, n: _bohman(t)),
    "tukey": (1, lambda t, n, alpha: _tukey(t, alpha)),
    "kaiser": (1, lambda t, n, beta: np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta)),
    "gaussian": (1, lambda t, n, std: np.exp(-(((t - 0.5) * n / std) ** 2) / 2)),
    "general_hamming": (1, lambda t, n, alpha: alpha - (1 - alpha) * np.cos(2 * np.pi * t)),
    "general_cosine": (1, lambda t, n, a: _cosines(t, a)),
}


def _cosines(t: np.ndarray, weights: Any) -> np.ndarray:
    return sum(((-1) ** k * a * np.cos(2 * np.pi * k * t) for k, a in enumerate(weights)), np.zeros_like(t))


def window_of(window: Any, n: int) -> np.ndarray:
    """The window of ``n`` elements that a name stands for, or a tuple of a name and parameters.

    Raises
    ------
    ArgumentError
        There is none of this name, or it needs other parameters.
    """
    if isinstance(window, float | int):
        window = ("kaiser", float(window))
    name, *parameters = (window,) if isinstance(window, str) else window
    known = _OTHER_NAMES.get(name, name)
    t = np.arange(n) / n if n > 1 else np.full(n, 0.5)
    if known in _COSINES and not parameters:
        return _cosines(t, _COSINES[known]) if n > 1 else np.ones(n)
    count, function = _OTHERS.get(known, (None, None))
    if function is None or count != len(parameters):
        needs = f"takes {count} parameters, not {len(parameters)}" if function is not None else "is not known"
        raise ArgumentError(
            wrong=f"the window {window!r} {needs}",
            fix=f"Give one of {', '.join(sorted([*_COSINES, *_OTHERS]))}, in a tuple with its parameters, or an array",
        )
    return function(t, n, *parameters) if n > 1 else np.ones(n)
