"""Programs: compiled, loaded, and run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portax.backend import HostCallback, ShapeDtype, Tiling
from portax_pjrt.jaxlib import callbacks as python
from portax_pjrt.jaxlib.errors import refusal, translate
from portax_pjrt.jaxlib.lifetime import delete
from portax_pjrt.jaxlib.modules import calling_python, lock
from portax_pjrt.jaxlib.shardings import Aval, sharding_on, sharding_over, span
from portax_pjrt.jaxlib.versions import XLAError, bindings, handler_checks, xc


def compile_options(devices: Sequence[Any], *, fast: bool) -> Any:
    """XLA's options for one partition on each of ``devices``."""
    options = xc.CompileOptions()
    ids = np.array([[device.id for device in devices]], dtype=np.int32)
    options.device_assignment = xc.DeviceAssignment.create(ids)
    if len(devices) > 1:
        options.num_replicas, options.num_partitions = 1, len(devices)
        build = options.executable_build_options
        build.use_spmd_partitioning = build.use_shardy_partitioner = True
        # A result whose division the text leaves open gets the one that follows from the operands.
        build.allow_spmd_sharding_propagation_to_output = [True]
    if fast:
        options.executable_build_options.debug_options.xla_backend_optimization_level = 0
    return options


def compile_program(
    client: Any, program: str, devices: Sequence[Any], where: str, *, fast: bool = False,
    callbacks: Sequence[HostCallback] = (), artifact: bytes | None = None,
) -> Any:  # fmt: skip
    """Compile StableHLO text, or the ``artifact`` that says the same.

    With callbacks, XLA wants the parsed module, and only then is ``jaxlib.mlir`` imported.
    """
    options, device_list = compile_options(devices, fast=fast), xc.DeviceList(tuple(devices))
    try:
        if not callbacks:
            return client.compile_and_load(artifact or program.encode(), device_list, options)
        with lock:
            called = [python.checked(c) for c in callbacks]
            return client.compile_and_load(calling_python(program), device_list, options, called)
    except XLAError as error:
        raise refusal(error, program, where) from None


def load_program(client: Any, blob: bytes, devices: Sequence[Any], where: str, *, fast: bool = False) -> Any:
    """Load what another process compiled."""
    options = compile_options(devices, fast=fast)
    try:
        return client.deserialize_executable(blob, xc.DeviceList(tuple(devices)), options)
    except XLAError as error:
        raise translate(error, where) from None


def runner(
    loaded: Any, results: Sequence[ShapeDtype], device: Any, where: str, donated: Sequence[int] = ()
) -> Callable[[list[Any]], list[Any]]:
    """The hot path: one call of XLA with its result handlers prebuilt."""
    sharding = sharding_on(device)
    return _runner(loaded, [(Aval(*result), sharding) for result in results], where, donated)


def spread_runner(
    loaded: Any, results: Sequence[ShapeDtype], tilings: Sequence[Tiling], devices: Sequence[Any], where: str,
    donated: Sequence[int] = (),
) -> Callable[[list[Any]], list[Any]]:  # fmt: skip
    """The same for a program on several devices, whose results are divided as ``tilings`` say."""
    spans = span(devices)
    divided = [(Aval(*result, t, spans), sharding_over(devices, t)) for result, t in zip(results, tilings, strict=True)]
    return _runner(loaded, divided, where, donated)


def _runner(
    loaded: Any, results: Sequence[Any], where: str, donated: Sequence[int]
) -> Callable[[list[Any]], list[Any]]:  # fmt: skip
    handlers = [bindings.array_result_handler(aval, sharding, True, *handler_checks) for aval, sharding in results]
    execute, failures = loaded.execute_sharded, (XLAError, TypeError)

    def run(buffers: list[Any]) -> list[Any]:
        try:
            return execute(buffers).consume_with_handlers(handlers)
        except failures as error:
            raise translate(error, where, buffers) from None

    def run_and_delete(buffers: list[Any]) -> list[Any]:
        out = run(buffers)
        for i in donated:
            delete(buffers[i])  # XLA keeps, and copies, what NumPy looks at; for the caller it is gone all the same
        return out

    return run_and_delete if donated else run


def costs(loaded: Any) -> dict[str, float]:
    """What the compiler counted; nothing where it does not count, as the compilers of some plugins."""
    try:
        return dict(loaded.cost_analysis())
    except XLAError:
        return {}


def hlo_text(loaded: Any) -> str:
    """The program as XLA optimised it."""
    return loaded.get_hlo_text() if hasattr(loaded, "get_hlo_text") else loaded.hlo_modules()[0].to_string()
