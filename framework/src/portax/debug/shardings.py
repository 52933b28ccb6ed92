"""Pictures of how arrays lie on devices, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SQUARE
from rich.console import Console
from rich.table import Table

from portax import errors
from portax.core.trace import Tracer
from portax.runtime.array import ConcreteArray


def _cells(shape: Sequence[int], sharding: Any) -> list[list[list[Any]]]:
    """The devices of each part, in rows and columns."""
    tiling = sharding.tiling(len(shape))
    parts = (1,) * (2 - len(tiling.parts)) + tuple(tiling.parts)
    rows, columns = parts
    cells: list[list[list[Any]]] = [[[] for _ in range(columns)] for _ in range(rows)]
    for device, place in zip(sharding.device_list, tiling.places(), strict=True):
        row, column = (0,) * (2 - len(place)) + tuple(place)
        cells[row][column].append(device)
    return cells


def visualize_sharding(
    shape: Sequence[int],
    sharding: Any,
    *,
    use_color: bool = True,
    scale: float = 1.0,
    min_width: int = 9,
    max_width: int = 80,
    color_map: Any = None,
) -> None:
    """Print a picture of how an array of that shape lies on devices.

    Parameters
    ----------
    shape : sequence of one or two int
    sharding : Sharding
    use_color : bool
        Give every part a colour of its own, where the terminal has any.
    scale : float
        How large parts are drawn.
    min_width, max_width : int
        Of the picture, in characters.
    color_map : sequence of str, optional
        Names of colours, taken in turn.

    Raises
    ------
    ArgumentError
        The array has not one or two axes.

    Examples
    --------
    >>> import portax
    >>> from portax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(portax.make_mesh((1,), ("i",), devices=portax.devices("reference")[:1]), P("i"))
    >>> portax.debug.visualize_sharding((4,), rows, use_color=False)
    ┌─────────────┐
    │ REFERENCE 0 │
    └─────────────┘
    """
    if len(shape) not in (1, 2):
        raise errors.ArgumentError(
            wrong=f"visualize_sharding draws arrays of one or two axes, and was given the shape {tuple(shape)}",
            fix="Give a slice of it, or look at x.sharding",
        )
    sharding.check(shape)
    cells = _cells(shape, sharding)
    colors = list(color_map) if color_map is not None else ["cyan", "magenta", "green", "yellow", "blue", "red"]
    table = Table(show_header=False, box=SQUARE, show_lines=True, padding=(max(0, round(scale) - 1), 1))
    width = max(1, min(max_width, max(min_width, 1)) // max(1, len(cells[0])) - 4)
    for _ in cells[0]:
        table.add_column(justify="center", min_width=width)
    number = 0
    for row in cells:
        words = []
        for devices in row:
            text = f"{devices[0].platform.upper()} {','.join([str(d.id) for d in devices])}"
            words.append(f"[{colors[number % len(colors)]}]{text}[/]" if use_color else text)
            number += 1
        table.add_row(*words)
    Console(width=max_width, color_system="auto" if use_color else None).print(table)


def visualize_array_sharding(arr: Any, **kwargs: Any) -> None:
    """Print a picture of how an array lies on its devices.

    Parameters
    ----------
    arr : Array of one or two axes
    **kwargs
        As of ``visualize_sharding``.

    Raises
    ------
    ArgumentError
        The array is being traced, and so on no device.

    Examples
    --------
    >>> import portax
    >>> x = portax.device_put(portax.numpy.ones(4), portax.devices("reference")[0])
    >>> portax.debug.visualize_array_sharding(x, use_color=False)
    ┌─────────────┐
    │ REFERENCE 0 │
    └─────────────┘
    """
    if not isinstance(arr, ConcreteArray):
        raise errors.ArgumentError(
            wrong=f"visualize_array_sharding was given {arr!r}, which is on no device yet",
            fix="Give an array with a value; inside of jit, return it first",
        )
    visualize_sharding(arr.shape, arr.sharding, **kwargs)


def inspect_array_sharding(value: Any, *, callback: Callable[[Any], None]) -> None:
    """Call a function with the sharding of an array.

    Parameters
    ----------
    value : Array
    callback : callable
        Takes the sharding.

    Raises
    ------
    GapError
        The array is being traced: how values inside of a program lie is the compiler's to decide, and not told yet.

    Examples
    --------
    >>> import portax
    >>> x = portax.device_put(portax.numpy.ones(4), portax.devices("reference")[0])
    >>> portax.debug.inspect_array_sharding(x, callback=lambda sharding: print(sharding.num_devices))
    1
    """
    if isinstance(value, Tracer):
        raise errors.GapError(
            wrong="inspect_array_sharding was given a value that is being traced, and how those lie is not told",
            fix="Return the value and inspect it outside, or decide it with lax.with_sharding_constraint",
        )
    callback(value.sharding)
