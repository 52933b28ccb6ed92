"""The tpu backend: libtpu's client of the chips of this machine. The rest is what all plugins share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portax.backend import Backend, BackendError, hookimpl
from portax_pjrt.adopting import Absent, PluginBackend
from portax_pjrt.jaxlib import plugins
from portax_pjrt.registrations import Registration
from portax_tpu import chips


class TPUBackend(PluginBackend):
    """The TPUs of this machine.

    What they do is asked of them; of the dtypes that libtpu computes with those are left out which it makes of others,
    and not as they are defined.
    """

    @property
    def capabilities(self) -> Any:
        return chips.promised(super().capabilities)


def open_tpus(options: Mapping[str, str]) -> Backend:
    """The TPUs of this machine. Where there are none, libtpu is not loaded.

    Parameters
    ----------
    options : mapping
        There are none.

    Raises
    ------
    BackendError
        There are TPUs, and libtpu is not installed or cannot open them.
    """
    if options:
        raise BackendError(
            wrong=f"the tpu backend has no option {sorted(options)[0]!r}", fix="Leave it out: there are no options"
        )
    if not chips.present():
        return Absent("tpu", "no TPU here: none is on the bus of this machine")
    library, _ = chips.libtpu()
    chips.plugin()
    try:
        client = plugins.client("tpu", {})
    except plugins.ClientError as error:
        raise BackendError(
            wrong=f"the TPUs of this machine could not be opened: {error}", fix="See whether another process holds them"
        ) from None
    return TPUBackend(Registration("tpu", library), client, "tpu")


@hookimpl
def portax_register_backend(register: Any) -> None:
    register("tpu", open_tpus)
