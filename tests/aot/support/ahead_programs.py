"""Programs for several devices, to be compiled for devices that are not here.

Each is a name and a function that compiles it on a mesh of the target's devices. The examples for many devices are run
on as many virtual devices of the processor, in a process of their own, which writes down what is compiled there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import portax as px
import portax.numpy as jnp
from portax import lax
from portax.runtime.contract import Backend, CompileOptions
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P
from portax_conformance.between_laws import ALONG, Between, OnGrid
from portax_conformance.collectives import TALKS
from portax_conformance.grids import grid
from portax_conformance.program_laws import ROWS, runs

ROOT = Path(__file__).resolve().parents[3]
#: How names of programs begin.
KINDS = ("divided", "example", "shard_map", "suite", "talks")
EXAMPLES = ("data_parallel", "pipeline", "product", "ring", "tensor_parallel")

Compile = Callable[[], Any]

#: A dtype of each kind, for collectives.
DTYPES = {"bool": "bool", "int": "int32", "uint": "uint8", "float": "float32", "complex": "complex64"}

#: Collectives, inside a function for what one device has along the axis "i": float32[4, 8] of float32[16, 8].
COLLECTIVES: dict[str, Callable[[Any], Any]] = {
    "psum": lambda x: lax.psum(x, "i"),
    "pmean": lambda x: lax.pmean(x, "i"),
    "pmax": lambda x: lax.pmax(x, "i"),
    "pmin": lambda x: lax.pmin(x, "i"),
    "all_gather": lambda x: lax.all_gather(x, "i"),
    "all_gather-tiled": lambda x: lax.all_gather(x, "i", axis=1, tiled=True),
    "psum_scatter": lambda x: lax.psum_scatter(x, "i"),
    "psum_scatter-tiled": lambda x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True),
    "all_to_all": lambda x: lax.all_to_all(x, "i", 0, 0),
    "all_to_all-tiled": lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True),
    "ppermute": lambda x: lax.ppermute(x, "i", [(k, (k + 1) % 4) for k in range(4)]),
    "pshuffle": lambda x: lax.pshuffle(x, "i", [3, 1, 0, 2]),
    "axis_index": lambda x: x + lax.axis_index("i"),
}

#: Programs that call Python: with what they return, without, in order and not.
CALLS: dict[str, Callable[[Any], Any]] = {
    "pure_callback": lambda x: px.pure_callback(np.sin, x, x),
    "io_callback": lambda x: px.experimental.io_callback(np.sin, x, x),
    "debug_callback": lambda x: px.debug.callback(np.sin, x) or x,
    "debug_print": lambda x: px.debug.print("{}", x) or x,
}


def line(backend: Backend) -> Mesh:
    """All devices, in a row."""
    return Mesh(np.array(backend.devices()), ("i",))


def square(backend: Backend) -> Mesh:
    """All devices, in two rows."""
    return Mesh(np.array(backend.devices()).reshape(2, -1), ("i", "j"))


def compiled(backend: Backend, f: Callable[..., Any], *shapes: Any) -> Any:
    """``f``, jitted if it is not, compiled for arguments of these shapes."""
    jitted = f if hasattr(f, "trace") else px.jit(f)
    with px.default_device(backend.devices()[0]):
        return jitted.trace(*shapes).lower().compile()


def struct(*shape: int) -> px.ShapeDtypeStruct:
    return px.ShapeDtypeStruct(shape, np.float32)


def mapped(backend: Backend) -> dict[str, Compile]:
    """Every collective in a ``shard_map``, and its derivative."""
    found: dict[str, Compile] = {}
    for name, f in COLLECTIVES.items():
        on_all = px.shard_map(f, mesh=line(backend), in_specs=P("i"), out_specs=P("i"), check_vma=False)
        found[f"shard_map/{name}"] = lambda f=on_all: compiled(backend, f, struct(16, 8))
        if name not in ("pmax", "pmin"):  # which are not differentiated
            slope = px.grad(lambda x, f=on_all: jnp.sum(f(x) ** 2))
            found[f"shard_map/{name}/gradient"] = lambda f=slope: compiled(backend, f, struct(16, 8))
    return found


def divided(backend: Backend) -> dict[str, Compile]:
    """Programs for whole arrays, whose arguments lie on all devices: the compiler divides the work."""
    row, grid = line(backend), square(backend)

    def lay(mesh: Mesh, *entries: Any) -> NamedSharding:
        return NamedSharding(mesh, P(*entries))

    def on(f: Callable[..., Any], *places: NamedSharding) -> Any:
        return px.jit(f, in_shardings=places)

    def network(w: Any, v: Any, x: Any) -> Any:
        return jnp.mean(jnp.tanh(x @ w) @ v)

    def attention(q: Any, k: Any, v: Any) -> Any:
        return px.nn.softmax(jnp.einsum("bid,bjd->bij", q, k)) @ v

    def turns(w: Any, x: Any) -> Any:
        return lax.scan(lambda s, _: (jnp.tanh(s @ w), s.sum()), x, None, length=3)

    batch, heads = lay(grid, "i"), lay(grid, "i", None, "j")
    columns, rows = lay(grid, None, "j"), lay(grid, "j")
    programs: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "matmul": (on(jnp.matmul, lay(row, "i"), lay(row, None, "i")), (struct(64, 32), struct(32, 64))),
        "network": (on(network, columns, rows, batch), (struct(16, 32), struct(32, 8), struct(8, 16))),
        "network/gradient": (
            on(px.grad(network, (0, 1)), columns, rows, batch), (struct(16, 32), struct(32, 8), struct(8, 16)),
        ),
        "attention": (on(attention, heads, heads, heads), (struct(4, 8, 16),) * 3),
        "sum": (on(jnp.sum, lay(row, "i")), (struct(16, 8),)),
        "sort": (on(jnp.sort, lay(grid, "i", "j")), (struct(16, 8),)),
        "cumsum": (on(lambda x: jnp.cumsum(x, 0), lay(row, "i")), (struct(16, 8),)),
        "convolution": (
            on(lambda x, w: lax.conv(x, w, (1, 1), "SAME"), batch, lay(grid, "j")),
            (struct(4, 3, 8, 8), struct(8, 3, 3, 3)),
        ),
        "scan": (on(turns, columns, batch), (struct(8, 8), struct(4, 8))),
        "random": (on(lambda x: x + px.random.normal(px.random.key(0), x.shape), lay(grid, "i", "j")), (struct(8, 8),)),
        "transposed": (on(jnp.transpose, lay(grid, "i", "j")), (struct(8, 12),)),
        "gathered": (on(lambda x: x[jnp.array([3, 0, 9])], lay(row, "i")), (struct(16, 8),)),
    }  # fmt: skip
    return {
        f"divided/{name}": lambda f=f, shapes=shapes: compiled(backend, f, *shapes)
        for name, (f, shapes) in programs.items()
    }


def of_the_suite(backend: Backend) -> dict[str, Compile]:
    """The programs of the conformance suite, their gradients and batches of them.

    Where there are several devices the compiler divides them; those that are also written for what one device has are
    compiled so too.
    """
    row, found = line(backend), {}
    for run in runs(("float32",)):
        program, f = run.program, run.function(run.program.f)
        lead = (ROWS,) if run.batched else ()
        shapes = [struct(*lead, *shape) for shape in program.shapes]
        cuts = [P() if cut is None else P(*[None] * cut, "i") for cut in program.cut]
        places = [NamedSharding(row, P(*[None] * len(lead), *cut)) for cut in cuts]
        jitted = px.jit(f, in_shardings=tuple(places)) if row.size > 1 else px.jit(f)
        found[f"suite/{program.name}/{run.way}"] = lambda f=jitted, shapes=shapes: compiled(backend, f, *shapes)
        if program.by_parts is not None and row.size > 1:
            out = P() if program.out_cut is None else P(*[None] * program.out_cut, "i")
            parts = px.shard_map(program.by_parts, mesh=row, in_specs=tuple(cuts), out_specs=out, check_vma=False)
            apart = run.function(parts)
            found[f"suite/{program.name}/{run.way}/by-parts"] = lambda f=apart, shapes=shapes: compiled(
                backend, f, *shapes
            )
    return found


def talks(backend: Backend) -> dict[str, Compile]:
    """Each way in which the conformance suite uses a collective, at each kind of dtype, along each axis of a grid.

    Complex numbers are a program of their own: to compilers they are pairs, which some collectives do not take.
    """
    found: dict[str, Compile] = {}
    for talk in TALKS:
        real = [kind for kind in talk.kinds if kind != "complex"]
        for label, along in ALONG if talk.several else ALONG[:-1]:
            mesh = grid(label, backend.devices())
            for kinds, what in ((real, "real"), ([kind for kind in talk.kinds if kind not in real], "complex")):
                trials = [OnGrid(Between(talk, label, along, DTYPES[kind]), mesh) for kind in kinds]
                shapes = [px.ShapeDtypeStruct(f.shape, f.trial.dtype) for f in trials]

                def all_of_them(*xs: Any, trials: Any = tuple(trials)) -> list[Any]:
                    return [f(x) for f, x in zip(trials, xs, strict=True)]

                if trials:
                    name = f"talks/{talk.primitive}/{talk.label}/{label}-{''.join(along)}/{what}"
                    found[name] = lambda f=all_of_them, shapes=shapes: compiled(backend, f, *shapes)
    return found


RECORD = """
import json, runpy, sys
from portax_pjrt import PJRTBackend
compile, found = PJRTBackend.compile, []
def recorded(self, program, options, devices):
    found.append([program, options.num_partitions])
    return compile(self, program, options, devices)
PJRTBackend.compile = recorded
sys.argv = [sys.argv[1]]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as ended:
    assert not ended.code
print("\\nrecorded:" + json.dumps(found))
"""


def recorded(example: str, count: int) -> list[tuple[str, int]]:
    """The programs that an example compiles on ``count`` devices: text, and over how many devices it is divided."""
    environment = {
        **os.environ, "PORTAX_CPU_DEVICES": str(count), "PORTAX_PLATFORMS": "cpu", "PORTAX_CACHE": "0",
    }  # fmt: skip
    script = ROOT / "examples" / "many_devices" / f"{example}.py"
    done = subprocess.run(
        [sys.executable, "-c", RECORD, str(script)], env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("recorded:"))
    return [(text, n) for text, n in json.loads(line.removeprefix("recorded:"))]


def from_example(backend: Backend, example: str) -> dict[str, Compile]:
    """What an example compiles on as many devices as the target has, compiled for the target."""
    devices = backend.devices()
    programs = recorded(example, len(devices))
    assert any(n == len(devices) for _, n in programs), "no program of it is for several devices"
    return {
        f"example/{example}/{i}": lambda text=text, n=n: backend.compile(
            text, CompileOptions(num_partitions=n), devices[:n]
        )
        for i, (text, n) in enumerate(programs)
    }
