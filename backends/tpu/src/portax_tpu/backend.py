"""The tpu backend: libtpu's client of the chips of this machine. The rest is what all clients share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portax.backend import BackendError, hookimpl
from portax_pjrt import PJRTBackend
from portax_pjrt.jaxlib import clients
from portax_tpu import chips

VERSION = "0.1.0"


class TPUBackend(PJRTBackend):
    """The TPUs of this machine. Where there are none it has no devices, and libtpu is not loaded.

    Parameters
    ----------
    options : mapping
        Has none.

    Raises
    ------
    BackendError
        There are TPUs, and libtpu is not installed or cannot open them.
    """

    name = "tpu"
    version = VERSION

    def __init__(self, options: Mapping[str, str]) -> None:
        if options:
            raise BackendError(
                wrong=f"the tpu backend has no option {sorted(options)[0]!r}", fix="Leave it out: there are no options"
            )
        if chips.present():
            chips.plugin()
            client = clients.of_plugin("tpu", "tpu")
        else:
            client, self.absence = None, "no TPU here: none is on the bus of this machine"
        super().__init__(client, name="tpu", version=VERSION, capabilities=chips.capabilities())


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("tpu", TPUBackend)
