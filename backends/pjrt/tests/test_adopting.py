"""Plugins as backends: what their devices can do is asked of them, and programs come in words they understand."""

from __future__ import annotations

import os

import numpy as np
import pytest
from fake_jax_plugins import COMPILER, library

from portax.backend import BackendError, CompileError, CompileOptions
from portax.errors import BackendRefused
from portax.runtime.discovery import State, this_portax
from portax.runtime.plugins import Plugins
from portax.runtime.reference_backend import ReferenceBackend
from portax_pjrt import adopting, asking
from portax_pjrt.adopting import Absent, PluginBackend, open_plugin
from portax_pjrt.jaxlib import arrays, clients, plugins, programs
from portax_pjrt.jaxlib.dtypes import DTYPE_NAMED
from portax_pjrt.registrations import Registration

ADD = """module { func.func public @main(%a: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %a, %a : tensor<4xf32>
  return %0 : tensor<4xf32> } }"""


class Client:
    """A client of the processor that says other things of itself."""

    def __init__(self, count=1, refuse=(), **attributes):
        self._real, self.given, self._refuse = clients.cpu(count), [], refuse
        vars(self).update(attributes)

    def compile_and_load(self, program, *rest):
        self.given.append(program)
        for word in self._refuse:
            if word in program:
                raise TypeError(f"no {word!r} here")
        return self._real.compile_and_load(program, *rest)

    def __getattr__(self, name):
        return getattr(self._real, name)


def opened(monkeypatch, client, name="abacus"):
    monkeypatch.setattr(plugins, "load", lambda *_: None)
    monkeypatch.setattr(plugins, "api_version", lambda _: (0, 77))
    return PluginBackend(Registration(name), client, name)


def test_a_plugin_is_a_backend(monkeypatch):
    backend = opened(monkeypatch, Client(count=2))
    first, second = backend.devices()
    assert (backend.name, backend.version, first.platform) == ("abacus", "0.77", "abacus")
    assert backend.about == "PJRT 0.77, StableHLO text"
    run = backend.compile(ADD, CompileOptions(), (first,)).run
    [out] = run([first.put(np.arange(4, dtype=np.float32), copy=True)])
    assert first.host(out).tolist() == [0, 2, 4, 6]
    assert second.host(first.copy_to(out, second)).tolist() == [0, 2, 4, 6]


def test_what_a_device_can_do_is_what_it_did_when_asked(monkeypatch):
    able = opened(monkeypatch, Client(count=2)).capabilities
    assert able.dtypes == set(DTYPE_NAMED)
    assert able.donation and able.serialization and able.multi_device and able.asynchronous
    assert not (able.callbacks or able.foreign or able.custom_calls or able.deterministic)
    assert not opened(monkeypatch, Client(count=1)).capabilities.multi_device


def test_a_dtype_that_programs_are_refused_for_is_not_claimed(monkeypatch):
    able = opened(monkeypatch, Client(refuse=(b"xf64>", b"xf8E4M3>"))).capabilities
    assert set(DTYPE_NAMED) - able.dtypes == {"float64", "float8_e4m3"}


def test_a_dtype_whose_values_come_back_wrong_is_not_claimed():
    raw = clients.cpu(1).local_devices()[0]

    def read(array, where):
        values = arrays.host(array, where)
        return values + 1 if values.dtype == np.int16 else values

    def compile(text, devices):
        return programs.compile_program(raw.client, text, devices, "abacus")

    assert set(DTYPE_NAMED) - asking.dtypes(raw, "abacus", compile, read) == {"int16"}


@pytest.mark.parametrize(
    "word, lacks", [(b"tf.aliasing_output", {"donation", "serialization"}), (b"sdy.mesh", {"multi_device"})]
)
def test_what_is_refused_when_asked_is_not_claimed(monkeypatch, word, lacks):
    able = opened(monkeypatch, Client(count=2, refuse=(word,))).capabilities
    assert {n for n in ("donation", "serialization", "multi_device") if not getattr(able, n)} == lacks


def test_programs_come_as_artifacts_of_the_version_that_is_understood(monkeypatch):
    client = Client(stablehlo_current_version=[1, 2, 3], serialize_with_sdy=True)
    backend = opened(monkeypatch, client)
    assert backend.about == "PJRT 0.77, StableHLO 1.2.3"
    backend.compile(ADD, CompileOptions(), backend.devices())
    assert client.given and all(b"StableHLO_v1.2." in program for program in client.given)


def test_a_newer_plugin_is_given_what_jaxlib_writes(monkeypatch):
    backend = opened(monkeypatch, Client(stablehlo_current_version=[99, 0, 0]))
    assert backend.about.endswith(plugins.dotted(plugins.our_stablehlo()))


def test_what_an_old_version_cannot_say_is_a_compile_error(monkeypatch):
    backend = opened(monkeypatch, Client(stablehlo_current_version=[0, 9, 0]))
    asinh = ADD.replace("stablehlo.add %a, %a : tensor<4xf32>", "chlo.asinh %a : tensor<4xf32> -> tensor<4xf32>")
    with pytest.raises(CompileError, match=r"cannot be said in StableHLO 0\.9\.0, the newest that the abacus device"):
        backend.compile(asinh, CompileOptions(), backend.devices())


def test_kept_programs_of_two_versions_are_kept_apart(monkeypatch):
    one = opened(monkeypatch, Client(stablehlo_current_version=[1, 2, 3])).cache_key()
    assert one != opened(monkeypatch, Client(stablehlo_current_version=[1, 3, 0])).cache_key()


def test_arrays_are_copied_where_the_host_does_not_see_them(monkeypatch):
    backend = opened(monkeypatch, Client())
    [device] = backend.devices()
    blind = arrays.host

    def refuses(array, where):
        raise BackendError(wrong="not in the host's memory", fix="Copy it")

    monkeypatch.setattr(arrays, "host", refuses)
    assert asking.reader(device.raw, "abacus") is plugins.copied
    monkeypatch.setattr(arrays, "host", blind)
    for name in ("float32", "bfloat16", "int4", "float8_e5m2"):
        ones = np.ones((2, 3), DTYPE_NAMED[name])
        values = plugins.copied(device.put(ones, copy=True), "abacus")
        assert values.dtype == ones.dtype and values.tobytes() == ones.tobytes() and not values.flags.writeable


def test_arrays_of_a_plugin_have_no_address(monkeypatch):
    [device] = opened(monkeypatch, Client()).devices()
    with pytest.raises(BackendError, match="arrays of the abacus device have no address that portax knows"):
        device.pointer(device.put(np.ones(2, np.float32), copy=True))


# Opening.


@pytest.mark.parametrize(
    "said",
    ["No visible GPU devices.", "TT_FATAL: No chips detected", "No AMD GPUs were found", "No jellyfish device found."],
)
def test_a_plugin_without_its_hardware_has_no_devices(monkeypatch, said):
    def client(self, options):
        raise plugins.ClientError(said)

    monkeypatch.setattr(adopting, "registration", lambda name, source: Registration(name))
    monkeypatch.setattr(Registration, "client", client)
    backend = open_plugin("abacus", "jax_plugins.abacus", {})
    assert isinstance(backend, Absent) and backend.devices() == () and backend.absence == said
    with pytest.raises(BackendError, match="abacus has no device here"):
        backend.compile(ADD, CompileOptions(), ())


def test_a_client_that_does_not_start_says_why(monkeypatch):
    def client(self, options):
        raise plugins.ClientError("the driver is of another kernel")

    monkeypatch.setattr(adopting, "registration", lambda name, source: Registration(name))
    monkeypatch.setattr(Registration, "client", client)
    with pytest.raises(BackendError, match="its client did not start: the driver is of another kernel"):
        open_plugin("abacus", "jax_plugins.abacus", {})


def test_what_a_plugin_says_is_a_line():
    error = RuntimeError("FATAL @ a.cpp:7\ninfo:\nno luck\nbacktrace:\n --- /lib/a.so(+0x1)\n")
    assert plugins.said(error) == "FATAL @ a.cpp:7 info: no luck"
    assert plugins.said(RuntimeError()) == "RuntimeError"


@pytest.fixture
def of_variable(tmp_path, monkeypatch):
    """A function that has libraries named by the environment, and gives the backends of the process."""
    monkeypatch.setenv("PORTAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PORTAX_PLATFORMS", raising=False)

    def name(**libraries):
        listed = ",".join(f"{n}{os.pathsep}{path}" for n, path in libraries.items())
        monkeypatch.setenv("PJRT_NAMES_AND_LIBRARY_PATHS", listed)
        return Plugins(this_portax(), {"reference": ReferenceBackend})

    return name


def test_libraries_that_the_environment_names_are_found(of_variable):
    found = of_variable(abacus="/nowhere/abacus.so").found["abacus"]
    assert (found.source, found.state) == ("/nowhere/abacus.so", State.FOUND)


def test_a_library_that_is_not_there_is_refused(of_variable):
    with pytest.raises(BackendError, match=r"did not load: its library /nowhere/abacus\.so is not there"):
        of_variable(abacus="/nowhere/abacus.so").open("abacus")


def test_an_entry_without_a_path_is_refused(of_variable):
    with pytest.raises(BackendRefused, match="PJRT_NAMES_AND_LIBRARY_PATHS says"):
        of_variable(abacus="").open("abacus" + os.pathsep)


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")
def test_a_library_that_ends_the_process_is_refused_by_one_that_lives(of_variable, tmp_path):
    backends = of_variable(abacus=library(tmp_path, 0, 90))
    with pytest.raises(BackendError, match="it ended the process while loading"):
        backends.open("abacus")
    assert backends.found["abacus"].state is State.FAILED
