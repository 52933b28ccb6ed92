"""The base of drivers, met with a client and a name that no distribution has."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from portax.backend import (
    BackendError,
    Capabilities,
    CompileError,
    CompileOptions,
    DeletedArrayError,
    DeviceError,
    OutOfDeviceMemory,
)
from portax_pjrt import About, PJRTBackend
from portax_pjrt.jaxlib import clients
from portax_pjrt.jaxlib.dtypes import DTYPES

FLOATS = Capabilities(dtypes=frozenset({"float32"}))
BACKEND = PJRTBackend(clients.cpu(2), name="abacus", version="7", capabilities=FLOATS)
FIRST, SECOND = BACKEND.devices()
ADD = """module { func.func public @main(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %a, %b : tensor<4xf32>
  return %0 : tensor<4xf32> } }"""


def put(*values, device=FIRST):
    return device.put(np.array(values, np.float32), copy=True)


def compiled(text=ADD, backend=BACKEND):
    return backend.compile(text, CompileOptions(), backend.devices()[:1])


def test_a_driver_is_a_client_and_a_name():
    assert (BACKEND.name, BACKEND.version, FIRST.platform, SECOND.id) == ("abacus", "7", "abacus", 1)
    [out] = compiled().run([put(1, 2, 3, 4), put(1, 1, 1, 1)])
    assert FIRST.host(out).tolist() == [2, 3, 4, 5]
    assert not FIRST.host_memory


def test_every_error_calls_the_device_by_its_name():
    with pytest.raises(BackendError, match="the abacus device does not store"):
        FIRST.put(np.zeros(3, "U3"), copy=True)
    with pytest.raises(BackendError, match="the abacus device was given arguments that are not its buffers"):
        compiled().run([np.ones(4, np.float32), put(1, 2, 3, 4)])
    with pytest.raises(DeviceError, match=r"the abacus device failed: .*expected 2"):
        compiled().run([put(1, 2, 3, 4)])
    with pytest.raises(CompileError, match="the abacus backend was asked for 2 replicas of 1 partitions on 1 devices"):
        BACKEND.compile(ADD, CompileOptions(num_replicas=2), (FIRST,))
    huge = "tensor<1000000000000xf32>"
    text = f"""module {{ func.func public @main() -> {huge} {{
      %0 = stablehlo.constant dense<1.0> : {huge}
      return %0 : {huge} }} }}"""
    with pytest.raises(OutOfDeviceMemory, match="the abacus device has no memory for 4,000,000,000,000 bytes"):
        [out] = compiled(text).run([])
        FIRST.host(out)


def test_a_device_may_store_fewer_dtypes():
    few = PJRTBackend(clients.cpu(1), name="few", version="1", capabilities=Capabilities(dtypes=frozenset({"float32"})))
    with pytest.raises(BackendError, match="the few device does not store float64"):
        few.devices()[0].put(np.zeros(3), copy=True)
    assert np.dtype(np.float64) in DTYPES


def test_what_a_program_needs_is_loaded_before_it_runs_in_this_process_or_another():
    class Needy(PJRTBackend):
        def libraries(self, program):
            return ("sines",) if "add" in program else ()

        def ready(self, libraries):
            loaded.extend(libraries)

    loaded = []
    needy = Needy(clients.cpu(1), name="needy", version="1", capabilities=Capabilities())
    blob = compiled(backend=needy).serialize()
    assert loaded == ["sines"]
    needy.deserialize(blob, CompileOptions(), needy.devices())
    assert loaded == ["sines", "sines"]


def test_what_is_known_of_a_program_survives_its_line():
    about = About(results=(((2, 3), np.dtype("f4")),), donated=(1,), libraries=("lapack",))
    assert About.read(about.write()) == about


def test_a_deleted_buffer_is_refused_whatever_the_device_is_called():
    a = put(1, 2, 3, 4)
    FIRST.delete(a)
    with pytest.raises(DeletedArrayError, match=r"the array float32\[4\] was deleted"):
        FIRST.host(a)


def test_drivers_of_one_client_keep_their_programs_apart():
    other = PJRTBackend(BACKEND.client, name="sliderule", version="7", capabilities=Capabilities())
    assert other.cache_key() != BACKEND.cache_key()


def test_functions_of_other_languages_are_for_drivers_that_say_so():
    assert BACKEND.foreign_headers() is None


@pytest.mark.parametrize("first, noted", [("", False), ('sys.modules["jax"] = types.ModuleType("jax")', True)])
def test_jaxlib_notes_no_frames_of_arrays_unless_jax_is_there(first, noted):
    script = f"""import sys, types
{first}
from portax_pjrt.jaxlib.versions import bindings
print(bindings.tracebacks_enabled())"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == str(noted), done.stderr
