"""What a program of kernels takes is known before it runs, and is what it takes."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from kernels import plain_c

import portax as px
import portax.numpy as pnp
from portax import lax
from portax.runtime import plugins
from portax.sharding import Mesh, NamedSharding
from portax.sharding import PartitionSpec as P


def compiled(device, f, *xs):
    shapes = [px.ShapeDtypeStruct(x.shape, x.dtype) for x in xs]
    with px.default_device(device):
        return px.jit(f).trace(*shapes).lower().compile()


def floats(*shape: int) -> np.ndarray:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def turned(x):
    return lax.fori_loop(0, 4, lambda i, s: pnp.flip(s, 0) @ s, x)


def scanned(x):
    return lax.scan(lambda c, row: (pnp.flip(c) + row, (c * row).sum()), x[0], x)


def chosen(x):
    return lax.cond(x.sum() > 0, lambda y: pnp.sort(y, 0) @ y, lambda y: y, x)


@pytest.mark.parametrize("f", [
    lambda x: x * 2 + 1,
    lambda x: pnp.sort(x @ x, axis=1),
    lambda x: (x, x + 1, x.sum()),
    turned, scanned, chosen,
], ids=["one-kernel", "several", "handed-on", "while", "scan", "cond"])  # fmt: skip
def test_memory_at_its_greatest_is_what_a_run_holds(device, f) -> None:
    x = np.abs(floats(48, 48))
    program = compiled(device, f, x)
    told, pool = program.memory_analysis(), device.pool
    constants = sum([block.size for block in program.runtime_executable().plan.kept.values()])  # there from the start
    given = px.device_put(x, device)
    gc.collect()  # what others left is not to be given back meanwhile
    before = pool.most = pool.in_use
    outs = px.tree.leaves(program(given))
    assert told.output_size_in_bytes + told.temp_size_in_bytes == pool.most - before + constants
    assert told.argument_size_in_bytes == x.nbytes
    handed_on = x.nbytes if any(out.shape == x.shape and (np.asarray(out) == x).all() for out in outs) else 0
    assert told.output_size_in_bytes == sum([out.nbytes for out in outs]) - handed_on


@pytest.mark.parametrize(("f", "shape", "flops", "moved"), [
    (lambda x: x * 2 + 1, (40, 50), 2 * 2000, 2 * 8000),
    (lambda x: x @ x, (16, 16), 2 * 16**3, 2 * 1024),
    (lambda x: x.T, (7, 9), 0, 2 * 252),
    (lambda x: lax.fori_loop(0, 9, lambda i, s: s * s, x), (1000,), 1000, 8000),
])  # fmt: skip
def test_operations_and_bytes_are_counted(device, f, shape, flops, moved) -> None:
    costs = compiled(device, f, floats(*shape)).cost_analysis()
    # A loop's own counting, a comparison and a sum of a number, is its program too.
    assert flops <= costs["flops"] <= flops + 4 and moved <= costs["bytes accessed"] <= moved + 32


def test_operations_of_functions_count_wherever_they_are_called(device) -> None:
    one = compiled(device, pnp.tanh, floats(10)).cost_analysis()["flops"]
    many = compiled(device, pnp.tanh, floats(1000)).cost_analysis()["flops"]
    assert one >= 50 and many == 100 * one


@pytest.fixture(scope="module")
def pair():
    """Two devices, driven one by one."""

    class Pair(plain_c.PlainCBackend):
        name = "plain_pair"

        def launchers(self):
            return [plain_c.PlainC(), plain_c.PlainC()]

    plugins.installed().builtin["plain_pair"] = Pair
    return plugins.installed().open("plain_pair").devices()


def test_a_program_in_steps_tells_of_all_of_them(pair) -> None:
    mesh = Mesh(np.array(pair), ("i",))

    def f(x):
        def turn(s, _):
            s = lax.psum(pnp.sin(s), "i")
            return s, s.sum()

        return lax.scan(turn, x * 2, None, length=3)

    whole = px.shard_map(f, mesh=mesh, in_specs=P("i"), out_specs=(P("i"), P()), check_vma=False)
    rows = NamedSharding(mesh, P("i"))
    program = px.jit(whole, in_shardings=rows).trace(px.ShapeDtypeStruct((64, 8), np.float32)).lower().compile()
    executable = program.runtime_executable()
    assert executable.devices == pair and executable.collectives() == {"all_reduce": (1, 32 * 8 * 4)}
    memory = program.memory_analysis()
    assert (memory.argument_size_in_bytes, memory.output_size_in_bytes) == (1024, 1024 + 12)
    assert memory.temp_size_in_bytes >= 2048  # what goes into the sum, and what comes out
    assert program.cost_analysis()["flops"] >= 2 * 256
    told = executable.report()
    assert "together, by way of the host: psum along 'i'" in told and "scan: decided on the host" in told
    assert told.index("kernel 0: mul") < told.index("scan:") and "void stage0" in program.as_text()
