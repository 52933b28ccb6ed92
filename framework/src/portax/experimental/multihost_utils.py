"""What processes that work together do as one; a process alone is all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portax import errors
from portax.core import tree
from portax.runtime.array import ConcreteArray


def sync_global_devices(name: str) -> None:
    """Wait until all processes have come here.

    Parameters
    ----------
    name : str
        Of the place, the same in all processes.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.sync_global_devices("the data are loaded")
    """
    if not isinstance(name, str):
        raise errors.ArgumentError(wrong=f"sync_global_devices was given {name!r} for a name", fix="Give a string")


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """A tree of arrays of one process, for all processes.

    Parameters
    ----------
    in_tree : tree of arrays
        Of the same shapes and dtypes in all processes.
    is_source : bool, optional
        Whether this process is the one. Default: the first is.

    Returns
    -------
    tree of NumPy arrays

    Raises
    ------
    ArgumentError
        No process is the source.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.broadcast_one_to_all({"step": 3})["step"].item()
    3
    """
    if is_source is False:
        raise errors.ArgumentError(
            wrong="broadcast_one_to_all was told that this process is not the source, and it is the only one",
            fix="Leave is_source out, or give True in one process",
        )
    return tree.tree_map(np.asarray, in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The arrays of all processes, for every process.

    Parameters
    ----------
    in_tree : tree of arrays
    tiled : bool
        Lay them one after the other along the first axis, instead of along a new one.

    Returns
    -------
    tree of NumPy arrays

    Examples
    --------
    >>> import numpy as np
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.process_allgather(np.ones(2)).shape
    (1, 2)
    """

    def gathered(x: Any) -> np.ndarray:
        whole = np.asarray(x)
        lies_on_all = isinstance(x, ConcreteArray) and not x.is_fully_addressable
        return whole if tiled or lies_on_all else whole[None]

    return tree.tree_map(gathered, in_tree)


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether this is the step at which all processes are to save their work, because one is going to be stopped.

    Parameters
    ----------
    step_id : int
        Of the step that is about to begin.

    Returns
    -------
    bool
        False for a process alone: nobody tells it beforehand.

    Examples
    --------
    >>> from portax.experimental import multihost_utils
    >>> multihost_utils.reached_preemption_sync_point(100)
    False
    """
    if not isinstance(step_id, int | np.integer):
        raise errors.ArgumentError(
            wrong=f"reached_preemption_sync_point was given the step {step_id!r}", fix="Give the number of the step"
        )
    return False
