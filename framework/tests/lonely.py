"""A driver made up for tests: devices with memories of their own, that run programs one at a time.

What a device holds cannot be read on another, so a program that mixes them up fails. Every part that is put on a device
is written down, and so is every collective that the driver does itself.
"""

from __future__ import annotations

import numpy as np

from portax.backend import Backend, Capabilities, CompileError, Device
from portax.core import dtypes

COMBINE = {"add": np.add.reduce, "maximum": np.maximum.reduce, "minimum": np.minimum.reduce}


class Held:
    """A buffer: who else than its device looks into it, is wrong."""

    def __init__(self, device, array):
        self.device, self.array, self.deleted = device, array, False


class LonelyDevice(Device):
    platform, kind, host_memory = "lonely", "made up", True

    def __init__(self, backend, index):
        self.backend, self.id = backend, index
        #: Shapes of what was put here.
        self.put_here = []
        #: Raised the next time something is read here.
        self.broken = None

    def put(self, array, *, copy):
        self.put_here.append(np.shape(array))
        return Held(self, np.array(array))

    def host(self, buffer):
        assert buffer.device is self, f"{self} was asked for what {buffer.device} holds"
        assert not buffer.deleted, "a deleted buffer was read"
        if self.broken is not None:
            raise self.broken
        return buffer.array

    def wait(self, buffer):
        assert buffer.device is self

    def ready(self, buffer):
        return True

    def delete(self, buffer):
        assert buffer.device is self
        buffer.deleted = True

    def deleted(self, buffer):
        return buffer.deleted

    def copy_to(self, buffer, device):
        return device.put(self.host(buffer), copy=False)


class Lonely(Backend):
    """Four devices. Programs are run by their meaning (``jit(effort="interpret")``)."""

    name, version = "lonely", "1"

    def __init__(self, claims=()):
        self.claims, self.asked = frozenset(claims), []
        self._devices = tuple(LonelyDevice(self, i) for i in range(4))

    def devices(self):
        return self._devices

    @property
    def capabilities(self):
        names = frozenset(d.name for d in dtypes.ALL)
        return Capabilities(dtypes=names, collectives=self.claims, callbacks=True)

    def compile(self, program, options, devices):
        raise CompileError(wrong="the lonely driver takes no text", fix='Use jit(effort="interpret")')

    def collective(self, kind, devices, parts, groups, *, combine="", axis=0, pairs=()):
        self.asked.append(kind)
        values = [device.host(part) for device, part in zip(devices, parts, strict=True)]
        found = [None] * len(values)
        if kind == "collective_permute":
            found = [np.zeros_like(v) for v in values]
            for source, target in pairs:
                found[target] = values[source]
        for group in groups if kind != "collective_permute" else ():
            for i, member in enumerate(group):
                mine = [values[k] for k in group]
                if kind == "all_reduce":
                    found[member] = COMBINE[combine](np.stack(mine))
                elif kind == "all_gather":
                    found[member] = np.concatenate(mine, axis)
                elif kind == "reduce_scatter":
                    found[member] = np.split(COMBINE[combine](np.stack(mine)), len(group), axis)[i]
                else:
                    assert kind == "all_to_all", kind
                    found[member] = np.concatenate([np.split(v, len(group), axis)[i] for v in mine], axis)
        return [device.put(value, copy=False) for device, value in zip(devices, found, strict=True)]

    def forget(self):
        """Write down anew from here."""
        self.asked.clear()
        for device in self._devices:
            device.put_here.clear()
