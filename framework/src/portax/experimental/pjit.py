"""`portax.jit` by the name it had for several devices, with shardings by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portax.higher_order.jitted import jit


def pjit(
    fun: Callable[..., Any],
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """A version of ``fun`` that is staged once for each signature; `portax.jit` has the parameters.

    Examples
    --------
    >>> import portax
    >>> import portax.numpy as pnp
    >>> from portax.experimental.pjit import pjit
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> whole = NamedSharding(portax.make_mesh((1,), ("i",)), P())
    >>> float(pjit(lambda x: x.sum(), whole, whole)(pnp.arange(4.0)))
    6.0
    """
    return jit(
        fun, in_shardings=in_shardings, out_shardings=out_shardings, static_argnums=static_argnums,
        static_argnames=static_argnames, donate_argnums=donate_argnums, donate_argnames=donate_argnames,
        keep_unused=keep_unused, device=device, backend=backend, inline=inline, compiler_options=compiler_options,
    )  # fmt: skip
