"""TPUs to compile for where there are none: ``tpu:v5e:2x2`` is four chips of generation v5e in a square."""

from __future__ import annotations

import re

from portax.backend import Backend, BackendError, Targets
from portax_pjrt.ahead import AheadBackend
from portax_pjrt.jaxlib import topologies
from portax_tpu import chips

#: A length of zero ends the process in libtpu, so it is not asked.
_TARGET = re.compile(r"\w+:[1-9]\d*(?:x[1-9]\d*){1,2}")


class TPUTargets(Targets):
    """What ``portax compile --target tpu:...`` takes: a generation and the chips along each axis of the slice."""

    def names(self) -> tuple[str, ...]:
        slices = chips.known()["slices"]
        return tuple(f"{generation}:{shape}" for generation, shapes in slices.items() for shape in shapes)

    def backend(self, name: str) -> Backend:
        if _TARGET.fullmatch(name) is None:
            raise self._unknown(name, "a slice is a generation and its chips along each axis")
        _, version = chips.libtpu()
        try:
            raw = topologies.devices(chips.plugin(), name, {})
        except ValueError as error:
            raise self._unknown(name, str(error)) from None
        return AheadBackend(raw, target=f"tpu:{name}", version=version, capabilities=chips.capabilities())

    def _unknown(self, name: str, why: str) -> BackendError:
        return BackendError(
            wrong=f"there is no TPU slice {name!r}: {why}",
            fix="Give one of: " + ", ".join(f"tpu:{n}" for n in self.names()),
        )
