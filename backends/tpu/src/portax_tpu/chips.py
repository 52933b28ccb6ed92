"""Which TPUs this machine has, and libtpu, which drives them and compiles for them.

Loading libtpu takes a moment and much memory, and where there is no TPU it goes on to ask the network for one. So the
bus is looked at first, and libtpu is told when it is only to compile.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import os
import tomllib
from pathlib import Path
from typing import Any

from portax.backend import BackendError, Capabilities
from portax_pjrt.jaxlib import plugins

BUS = Path("/sys/bus/pci/devices")

#: What libtpu takes from the environment where it finds no TPU: ask nobody, wait for nobody, and have no opinion on
#: which host of a slice this one is. Several processes may compile at once.
ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
}


@functools.cache
def known() -> dict[str, Any]:
    """What ``tpus.toml`` says."""
    return tomllib.loads(Path(__file__).with_name("tpus.toml").read_text("utf-8"))


def on_the_bus(bus: Path = BUS) -> list[str]:
    """The generations of the chips that are plugged into this machine, one entry for each."""
    pci, found = known()["pci"], []
    for device in sorted(bus.glob("*")) if bus.is_dir() else ():
        try:
            vendor, number = ((device / name).read_text().strip() for name in ("vendor", "device"))
        except OSError:  # taken out meanwhile
            continue
        if vendor == pci["vendor"] and number in pci["devices"]:
            found.append(pci["devices"][number])
    return found


def present() -> bool:
    """Whether there is reason to ask libtpu for devices.

    ``PORTAX_TPU=1`` says so of chips that are newer than this table, ``PORTAX_TPU=0`` that they are another's.
    """
    said = os.environ.get("PORTAX_TPU")
    return bool(on_the_bus()) if said is None else said != "0"


def libtpu() -> tuple[str, str]:
    """Path and version of libtpu.

    Raises
    ------
    BackendError
        It is not installed.
    """
    spec = importlib.util.find_spec("libtpu")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        library = os.path.join(folder, "libtpu.so")
        if os.path.isfile(library):
            return library, importlib.metadata.version("libtpu")
    raise BackendError(
        wrong="libtpu is not installed, which drives TPUs and compiles for them",
        fix="Install it with: pip install libtpu",
    )


def plugin() -> Any:
    """libtpu's C API, loaded once in a process."""
    library, _ = libtpu()
    if not present():
        for name, value in ALONE.items():
            os.environ.setdefault(name, value)
    return plugins.load("tpu", library)


def capabilities() -> Capabilities:
    """What programs on TPUs may be, as far as it is known without one."""
    return Capabilities(
        dtypes=frozenset(known()["capabilities"]["dtypes"]),
        deterministic=True,
        multi_device=True,
        donation=True,
        asynchronous=True,
    )


def promised(able: Capabilities) -> Capabilities:
    """Of what chips were seen to do, what is promised."""
    return dataclasses.replace(able, dtypes=able.dtypes & frozenset(known()["capabilities"]["dtypes"]))
