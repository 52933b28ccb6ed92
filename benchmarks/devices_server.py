"""One side of the comparison on many devices: as `benchmarks.server`, with steps that are divided over a mesh.

``python -m benchmarks.devices_server --framework portax|jax``; how many devices there are is the environment's to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.clock import once
from benchmarks.framework import Framework
from benchmarks.programs.divided import STEPS, Step
from benchmarks.server import serve

__all__ = ["DevicesServer"]


class DevicesServer:
    """The requests, by name; each takes and gives what JSON can say."""

    def __init__(self, framework: str) -> None:
        self.fw = Framework(framework)
        self.sharding = self.fw.room("sharding")
        self.call: Any = None

    def versions(self) -> dict[str, str]:
        return {**self.fw.versions(), "devices": str(len(self.fw.px.devices()))}

    def _places(self, step: Step, names: Any, mesh: Any) -> dict[str, Any]:
        spec = self.sharding.PartitionSpec
        axes = {name: step.cut.get(name) for name in names}
        return {
            name: self.sharding.NamedSharding(mesh, spec() if d is None else spec(*[None] * d, "i"))
            for name, d in axes.items()
        }

    def _laid(self, step: Step, count: int, scaled: bool) -> tuple[Any, Any, Any]:
        """A mesh, and the arguments of a step as they lie on it."""
        px = self.fw.px
        mesh = self.sharding.Mesh(np.array(px.devices()[:count]), ("i",))
        laid = [
            {
                name: px.device_put(x, place)
                for (name, x), place in zip(xs.items(), self._places(step, xs, mesh).values())
            }
            for xs in step.arguments(count, scaled)
        ]
        return mesh, *laid

    def prepare(self, name: str, count: int, scaled: bool) -> dict[str, Any]:
        """Compile a step for so many devices; gives numbers that depend on what it computes."""
        px, step = self.fw.px, STEPS[name]
        mesh, params, data = self._laid(step, count, scaled)
        places = self._places(step, params, mesh)
        whole = self.sharding.NamedSharding(mesh, self.sharding.PartitionSpec())
        jitted = px.jit(step.make(self.fw), out_shardings=(places, whole))
        place = {"params": params}

        def call() -> Any:
            place["params"], value = jitted(place["params"], data)
            return value

        self.call = call
        return {"witness": [float(call()) for _ in range(3)]}

    def prepare_tiny(self, count: int) -> dict[str, Any]:
        """A jitted function that does next to nothing, on so many devices: what is left is the price of a call."""
        px = self.fw.px
        mesh = self.sharding.Mesh(np.array(px.devices()[:count]), ("i",))
        place = self.sharding.NamedSharding(mesh, self.sharding.PartitionSpec("i"))
        x = px.device_put(np.arange(count, dtype=np.float32), place)
        jitted = px.jit(lambda x: x + 1)
        self.call = lambda: jitted(x)
        return {"witness": [float(v) for v in np.asarray(self.call())]}

    def time(self, calls: int) -> dict[str, float]:
        """Seconds per call of a batch of calls, all of them done."""

        def batch() -> Any:
            out = None
            for _ in range(calls):
                out = self.call()
            return self.fw.px.block_until_ready(out)

        return {"wall": once(batch)[0] / calls}

    def stage(self, name: str, count: int, again: int) -> dict[str, Any]:
        """Seconds to trace, and to lower to text, a step that is a new function each time; the quickest of several."""
        px, step = self.fw.px, STEPS[name]
        mesh = self.sharding.Mesh(np.array(px.devices()[:count]), ("i",))
        params, data = (
            {name: px.ShapeDtypeStruct(shapes[name], np.float32, sharding=place) for name, place in places.items()}
            for shapes, places in ((s, self._places(step, s, mesh)) for s in step.shapes(count, True))
        )
        found: list[tuple[float, float, float]] = []
        for _ in range(again):
            traced_in, traced = once(lambda: px.jit(step.make(self.fw)).trace(params, data))
            lowered_in, text = once(lambda traced=traced: traced.lower().as_text())
            found.append((traced_in + lowered_in, traced_in, lowered_in))
        if f'"i"={count}' not in text:
            raise AssertionError(f"the text of {name} does not speak of {count} devices")
        both, alone, lowered_in = (min(times) for times in zip(*found))
        return {"both": both, "trace": alone, "lower": lowered_in}


if __name__ == "__main__":
    serve(DevicesServer)
