"""The hook by which a plugin announces its backend, and the versions that both sides declare.

A plugin is a distribution with

1. an entry point in the group ``portax.backends``: its name is the backend's, its value the module (or object) that
   holds the hook implementation, inside a package of the distribution;
2. a file ``portax_backend.toml`` in the top-level folder of that package: the static manifest, which is read *without
   importing the package*::

       name = "opencl"             # as in the entry point
       interface = ["1.0", "1.0"]  # oldest and newest portax.backend.INTERFACE_VERSION it is written for
       opset = [1, 1]              # oldest and newest opset it understands
       host_memory = false         # its memory is the host's: small eager operations may run on NumPy
       priority = 50               # the usable backend of highest priority is the default; the reference device is 0

3. the implementation of the hook::

       from portax.backend import hookimpl

       @hookimpl
       def portax_register_backend(register):
           register("opencl", OpenCLBackend)

A driver of a kind of plugins that others publish has a table ``[adopts]`` in its manifest
(``portax.runtime.adoption``): then each of those plugins is a backend, which the hook registers when asked for it.

portax compares versions before it imports anything, imports only the plugin whose device is needed, and records
whatever goes wrong on the way for ``portax doctor``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pluggy

from portax.runtime.contract import INTERFACE_VERSION as INTERFACE_VERSION
from portax.runtime.contract import OLDEST_INTERFACE as OLDEST_INTERFACE
from portax.runtime.contract import Backend

PROJECT = "portax"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Register: TypeAlias = Callable[[str, Callable[[Mapping[str, str]], Backend]], Any]


@hookspec
def portax_register_backend(register: Register, adopted: Mapping[str, str]) -> None:
    """Call ``register(name, BackendClass)``. Open no device and start no thread here.

    Parameters
    ----------
    register : callable
        Takes the name of the entry point and the class (or any callable from options to a ``Backend``).
    adopted : mapping of str to str
        For a driver whose manifest ``adopts``: the names to register, and of each the module or library to open. Others
        leave this parameter out.
    """
