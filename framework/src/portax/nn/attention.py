"""Attention: values averaged by how well keys match queries.

softmax(q k^T / sqrt(d) + bias) v for each head. Products of queries and keys, and their softmax, are made in at least
float32, whatever the dtype of the operands; the shares are rounded to it before they meet the values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portax import numpy as pnp
from portax.core import dtypes
from portax.errors import ArgumentError, DtypeError, GapError, ShapeError
from portax.lax.values import stop_gradient
from portax.numpy.softmax import logsumexp, softmax

#: What a logit is where the mask forbids it: far below all others, and finite, so that a row without any is no NaN.
_FORBIDDEN = -0.7 * float(np.finfo(np.float32).max)


def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, *, scale: Any = None,
    is_causal: bool = False, query_seq_lengths: Any = None, key_value_seq_lengths: Any = None,
    local_window_size: Any = None, implementation: str | None = None, return_residual: bool = False,
) -> Any:  # fmt: skip
    """Scaled dot product attention: ``softmax(scale * query @ key.T + bias) @ value`` for each head.

    Sizes: B of the batch, T queries, S keys and values, N heads of queries, K heads of keys and values (N is a multiple
    of K; head n of the queries meets head ``n // (N / K)``), H numbers to a head.

    Parameters
    ----------
    query : array of shape (B, T, N, H) or (T, N, H)
    key, value : arrays of shape (B, S, K, H) or (S, K, H), of the dtype of ``query``
    bias : array, optional
        Added to the logits; it broadcasts to (B, N, T, S).
    mask : array of bool, optional
        True where a query may see a key; it broadcasts to (B, N, T, S).
    scale : number, optional
        ``1 / sqrt(H)`` by default.
    is_causal : bool
        Query t sees keys up to t.
    query_seq_lengths, key_value_seq_lengths : arrays of int32 of shape (B,), optional
        How many queries and keys of each batch element count; results of the other queries are 0.
    local_window_size : int or (int, int), optional
        Query t sees keys from ``t - left`` to ``t + right``.
    implementation : {"xla"}, optional
        There is one, on every device; "cudnn" is refused.
    return_residual : bool
        Return the logsumexp of the logits as well.

    Returns
    -------
    Array of the shape and dtype of ``query``; with ``return_residual`` also one of shape (B, T, N) or (T, N)

    Raises
    ------
    ShapeError, DtypeError
        An operand does not fit the others.
    GapError
        ``implementation`` is "cudnn".

    References
    ----------
    Vaswani et al., Attention is all you need, arXiv:1706.03762, 2017.
    Ainslie et al., GQA: Training generalized multi-query transformer models, arXiv:2305.13245, 2023.

    Examples
    --------
    >>> import portax
    >>> q = portax.numpy.ones((3, 2, 4))
    >>> portax.nn.dot_product_attention(q, q, q, is_causal=True).shape
    (3, 2, 4)
    """
    if implementation == "cudnn":
        raise GapError(
            wrong="dot_product_attention has no implementation by cuDNN",
            fix='Leave implementation out, or give "xla"',
        )
    if implementation not in (None, "xla"):
        raise ArgumentError(
            wrong=f"dot_product_attention knows no implementation {implementation!r}",
            fix='Leave it out, or give "xla"',
        )
    q, k, v = (pnp.asarray(x) for x in (query, key, value))
    shape = q.shape
    _check_rank("query", q, (3, 4))
    _check_rank("key", k, (q.ndim,))
    _check_rank("value", v, (q.ndim,))
    if q.ndim == 3:
        q, k, v = q[None], k[None], v[None]
    b, t, n, h = q.shape
    _, s, heads, _ = k.shape
    for name, x in (("key", k), ("value", v)):
        if x.shape != (b, s, heads, h):
            raise ShapeError(
                wrong=f"dot_product_attention needs {name} of shape {(b, s, heads, h)} beside query: {q.aval} and "
                f"key: {k.aval}, got {x.aval}",
                fix="Give keys and values of one shape, with the batch and head size of the queries",
            )
        if x.dtype != q.dtype:
            raise DtypeError(
                wrong=f"dot_product_attention needs {name} of the dtype of query, {q.dtype.name}, got {x.aval}",
                fix="Convert one of them",
            )
    if n % heads:
        raise ShapeError(
            wrong=f"dot_product_attention cannot share {heads} heads of keys among {n} heads of queries",
            fix="Make the query heads a multiple of the key heads",
        )
    bias = None if bias is None else _four("bias", pnp.asarray(bias), (b, n, t, s))
    mask = None if mask is None else _four("mask", pnp.asarray(mask), (b, n, t, s))
    if mask is not None and mask.dtype != bool:
        raise DtypeError(
            wrong=f"dot_product_attention needs a mask of bool, got {mask.aval}", fix="Give an added mask as bias"
        )
    lengths = _lengths("query_seq_lengths", query_seq_lengths, b)
    key_lengths = _lengths("key_value_seq_lengths", key_value_seq_lengths, b)

    wide = dtypes.accumulator(q.dtype)
    grouped = pnp.reshape(q, (b, t, heads, n // heads, h))
    logits = pnp.einsum("btkgh,bskh->bkgts", grouped, k, preferred_element_type=wide)
    logits = pnp.reshape(logits, (b, n, t, s)) * (1 / math.sqrt(h) if scale is None else scale)
    if bias is not None:
        logits = logits + bias.astype(logits.dtype)
    seen = _seen(t, s, mask, is_causal, local_window_size, lengths, key_lengths)
    if seen is not None:
        logits = pnp.where(seen, logits, _FORBIDDEN)
    shares = pnp.reshape(softmax(logits).astype(k.dtype), (b, heads, n // heads, t, s))
    out = pnp.reshape(pnp.einsum("bkgts,bskh->btkgh", shares, v), (b, t, n, h))
    if lengths is not None:
        out = out * (pnp.arange(t) < lengths[:, None])[:, :, None, None].astype(out.dtype)
    out = pnp.reshape(out, shape)
    if not return_residual:
        return out
    residual = stop_gradient(pnp.moveaxis(logsumexp(logits, -1).astype(k.dtype), 1, 2))
    return out, pnp.reshape(residual, shape[:-1])


def _check_rank(name: str, x: Any, ranks: tuple[int, ...]) -> None:
    if x.ndim not in ranks:
        raise ShapeError(
            wrong=f"dot_product_attention needs {name} of {' or '.join(map(str, ranks))} axes, got {x.aval}",
            fix="Give query, key and value as (batch, length, heads, size), or all without batch",
        )


def _four(name: str, x: Any, whole: tuple[int, ...]) -> Any:
    """A bias or a mask with four axes, each 1 or as long as that of the logits."""
    if x.ndim <= 4:
        x = pnp.reshape(x, (1,) * (4 - x.ndim) + x.shape)
    if x.ndim != 4 or any(a not in (1, b) for a, b in zip(x.shape, whole, strict=True)):
        raise ShapeError(
            wrong=f"dot_product_attention needs a {name} that broadcasts to {whole}, got {x.aval}",
            fix="Its axes are batch, heads of queries, queries, keys",
        )
    return x


def _lengths(name: str, x: Any, batch: int) -> Any:
    if x is None:
        return None
    x = pnp.asarray(x)
    if x.dtype != dtypes.int32:
        raise DtypeError(wrong=f"dot_product_attention needs {name} of int32, got {x.aval}", fix="Convert it")
    if x.shape != (batch,):
        raise ShapeError(
            wrong=f"dot_product_attention needs {name} of shape {(batch,)}, got {x.aval}",
            fix="Give one length for each batch element",
        )
    return x


def _seen(
    t: int, s: int, mask: Any, is_causal: bool, window: Any, lengths: Any, key_lengths: Any
) -> Any:
    """Where a query may see a key, as an array that broadcasts to (B, N, T, S); None for everywhere."""
    query, key = pnp.arange(t)[:, None], pnp.arange(s)[None, :]
    parts = [] if mask is None else [mask]
    if is_causal:
        parts.append(query >= key)
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        parts.append((query - left <= key) & (key <= query + right))
    if lengths is not None:
        parts.append((query < lengths[:, None, None])[:, None])
    if key_lengths is not None:
        parts.append((key < key_lengths[:, None, None])[:, None])
    if not parts:
        return None
    out = parts[0]
    for part in parts[1:]:
        out = out & part
    return out
