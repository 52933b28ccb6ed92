"""Two processes of portax say what two processes of JAX say: one program, with its import lines changed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.peer

PROGRAM = """
import json, sys
import numpy as np
import portax as px
from portax.experimental import multihost_utils as utils
from portax.sharding import Mesh, NamedSharding, PartitionSpec as P

ME = int(sys.argv[2])
px.distributed.initialize(sys.argv[1], 2, ME)
mesh = Mesh(np.array(px.devices()).reshape(2, 2), ("a", "b"))
whole = np.arange(24, dtype=np.float32).reshape(8, 3)
said = {
    "place": [px.process_index(), px.process_count(), px.device_count(), px.local_device_count()],
    "ids": [[d.id, d.process_index] for d in px.devices()],
    "initialized": px.distributed.is_initialized(),
}

def parts(x):
    return [[s.device.id, str(s.index), s.replica_id, np.asarray(s.data).tolist()] for s in x.addressable_shards]

for spec in (P("a"), P(("a", "b")), P("b"), P(None), P(("b", "a"))):
    sharding = NamedSharding(mesh, spec)
    local = whole if spec in (P("b"), P(None)) else whole.reshape(2, 4, 3)[ME]
    if spec == P(("b", "a")):
        local = whole[[2 * i + j for i in (ME, 2 + ME) for j in range(2)]]
    x = px.make_array_from_process_local_data(sharding, local)
    said[f"local {spec}"] = [x.shape, x.is_fully_addressable, x.is_fully_replicated, parts(x)]
    x = px.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])
    said[f"callback {spec}"] = parts(x)
    said[f"gathered {spec}"] = utils.process_allgather(x, tiled=True).tolist()
    said[f"doubled {spec}"] = parts(px.jit(lambda x: 2 * x)(x))
x = px.make_array_from_process_local_data(NamedSharding(mesh, P("a")), whole[4 * ME : 4 * ME + 4])
said["sum"] = float(px.jit(lambda x: x.sum())(x))
own = {"i": np.int32([ME, 7]), "f": np.float32(ME + 0.5)}
for tiled in (False, True):
    said[f"own {tiled}"] = {k: v.tolist() for k, v in utils.process_allgather(own, tiled=tiled).items()}
said["sent"] = {k: v.tolist() for k, v in utils.broadcast_one_to_all(own, is_source=ME == 1).items()}
there = utils.host_local_array_to_global_array(whole[:4] + ME, mesh, P("a"))
back = utils.global_array_to_host_local_array(there, mesh, P("a"))
said["there and back"] = [there.shape, parts(there), back.shape, np.asarray(back).tolist()]
summed, number = px.pmap(lambda a: (px.lax.psum(a, "i"), px.lax.axis_index("i")), "i")(whole[:2] + ME)
said["pmap"] = [np.asarray(summed).tolist(), np.asarray(number).tolist(), summed.is_fully_addressable]
print("SAID " + json.dumps(said), flush=True)
px.distributed.shutdown()
"""


def said(program: str, **settings: str) -> list[dict[str, object]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    kept = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, address, str(me)], env={**kept, **settings}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for me in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=400) for process in running]
    finally:
        for process in running:
            process.kill()
    found = [re.search(r"SAID (.*)", out) for out, _ in outputs]
    assert all(found), outputs
    return [json.loads(match[1]) for match in found if match]


def test_two_processes_say_what_two_of_jax_say():
    ours = said(PROGRAM, PORTAX_PLATFORMS="cpu", PORTAX_CPU_DEVICES="2")
    changed = re.sub(r"^(import|from) portax\b", r"\1 jax", PROGRAM, flags=re.MULTILINE)
    theirs = said(changed, JAX_PLATFORMS="cpu", JAX_NUM_CPU_DEVICES="2")
    for mine, jaxs in zip(ours, theirs, strict=True):
        assert mine.keys() == jaxs.keys()
        for name, value in jaxs.items():
            assert mine[name] == value, name
