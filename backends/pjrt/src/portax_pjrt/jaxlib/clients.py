"""Clients: how a process gets hold of devices."""

from __future__ import annotations

import os
from typing import Any

from portax_pjrt.jaxlib import jobs
from portax_pjrt.jaxlib.versions import JAXLIB, VERSION, xc


def cpu(count: int | None = None, job: Any = None, index: int = 0, processes: int = 1) -> Any:
    """A client of the processor with ``count`` devices.

    None: as many as ``XLA_FLAGS`` says, one when it says nothing. With a ``job`` it is the client number ``index`` of
    ``processes``, which wait for each other here.
    """
    if job is None:
        return xc.make_cpu_client(num_devices=count)
    return xc.make_cpu_client(
        num_devices=count, distributed_client=job, node_id=index, num_nodes=processes, collectives=jobs.gloo(job)
    )


def environment(client: Any) -> str:
    """All that decides what a client compiles, and whether this process can load what another compiled."""
    device = client.devices()[0]
    fingerprint = xc.get_topology_for_devices([device]).fingerprint()
    return repr((JAXLIB, VERSION, client.platform_version, fingerprint, os.environ.get("XLA_FLAGS", "")))
