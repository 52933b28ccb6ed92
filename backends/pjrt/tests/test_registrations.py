"""What plugins for JAX register, and the words for what goes wrong with them."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
from fake_jax_plugins import COMPILER, built, library, module

from portax.backend import BackendError
from portax_pjrt import registrations
from portax_pjrt.jaxlib import plugins
from portax_pjrt.registrations import registration

_counter = itertools.count()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a plugin into the namespace and gives its name, another each time."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registrations, "_known", {})
    for name in [n for n in sys.modules if n == "jax" or n.startswith("jax.")]:
        monkeypatch.delitem(sys.modules, name)

    def of(text):
        name = f"fake{next(_counter)}"
        (tmp_path / "jax_plugins" / name).mkdir(parents=True)
        (tmp_path / "jax_plugins" / name / "__init__.py").write_text(text)
        return f"jax_plugins.{name}"

    yield of
    for name in [n for n in sys.modules if n.startswith("jax_plugins")]:
        del sys.modules[name]


@pytest.fixture
def loads(monkeypatch):
    """Libraries load, whatever they are; the list says which did."""
    loaded = []

    def load(name, path, api=None):
        loaded.append((name, path))
        return f"the interface of {name}"

    monkeypatch.setattr(plugins, "load", load)
    return loaded


REGISTERS = module('api = xb.register_plugin("abacus", priority=500, library_path="/x.so", options={"beads": 7})')


def test_a_plugin_registers_its_library_and_options(write, loads):
    found = registration("abacus", write(REGISTERS))
    assert (found.name, found.library, found.options) == ("abacus", "/x.so", {"beads": 7})
    assert loads == [("abacus", "/x.so")]
    assert "jax" not in sys.modules


def test_a_plugin_gets_the_interface_of_its_library_at_once(write, loads):
    text = module('api = xb.register_plugin("abacus", library_path="/x.so")\nassert api == "the interface of abacus"')
    assert registration("abacus", write(text)).options is None


def test_a_plugin_is_asked_once(write, loads):
    source = write(REGISTERS)
    assert registration("abacus", source) is registration("abacus", source)
    assert len(loads) == 1


def test_options_reach_the_client_as_they_were_registered(write, loads, monkeypatch):
    given = {}
    monkeypatch.setattr(plugins, "client", lambda name, options: given.update({name: options}))
    registration("abacus", write(REGISTERS)).client({"rods": "13"})
    assert given == {"abacus": {"beads": 7, "rods": "13"}}


def test_options_may_be_called_for_behind_the_stand_in(write, loads, monkeypatch):
    given = {}
    monkeypatch.setattr(plugins, "client", lambda name, options: given.update({name: options}))
    body = """
def options():
    from jax._src import hardware_utils
    return {"beads": 7}
xb.register_plugin("abacus", library_path="/x.so", options=options)"""
    registration("abacus", write(module(body))).client({})
    assert given == {"abacus": {"beads": 7}}
    assert "jax" not in sys.modules


def test_a_factory_makes_the_client(write, loads):
    text = module('xb.register_plugin("abacus", library_path="/x.so", factory=lambda: "a client")')
    assert registration("abacus", write(text)).client({}) == "a client"


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param(
            module("raise RuntimeError('the driver is of\\n another kernel')"),
            "initialize\\(\\) raised RuntimeError: the driver is of another kernel",
            id="raises",
        ),
        pytest.param(
            module("import sys; sys.exit('no licence')"), "initialize\\(\\) raised SystemExit: no licence", id="exits"
        ),
        pytest.param(
            module("versions = None\nassert versions is not None"),
            r"raised AssertionError: assert versions is not None \(__init__.py:5\)",
            id="asserts",
        ),
        pytest.param(module("import a_library_that_is_not_there"), "No module named 'a_library", id="imports"),
        pytest.param(
            module("xb.get_backend()"),
            r"needs jax\._src\.xla_bridge\.get_backend, which portax's stand-in for jax does not have",
            id="asks for a function",
        ),
        pytest.param(
            module("pass", imports="import jax.numpy as jnp"),
            r"needs jax\.numpy, which portax's stand-in for jax does not have",
            id="asks for a module",
        ),
        pytest.param(
            module("pass", imports="from jax._src.interpreters.mlir import register_lowering"),
            r"needs jax\._src\.interpreters\.mlir\.register_lowering, which portax's stand-in",
            id="asks for a name",
        ),
        pytest.param(
            module("return"), r"initialize\(\) came back without registering a device", id="registers nothing"
        ),
        pytest.param("", r"has no function initialize\(\)", id="has no initialize"),
        pytest.param(
            module('xb.register_plugin("abacus", library_path="/nowhere/abacus.so")'),
            "its library /nowhere/abacus.so is not there",
            id="wrong path",
        ),
        pytest.param(
            module('try: xb.register_plugin("abacus", library_path="/nowhere/abacus.so")\nexcept Exception: pass'),
            "its library /nowhere/abacus.so is not there",
            id="wrong path, and silent about it",
        ),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(write, text, words):
    before = set(sys.modules)
    with pytest.raises(BackendError, match=words) as caught:
        registration("abacus", write(text))
    assert "\n" not in caught.value.wrong and caught.value.fix
    assert set(sys.modules) - before == set()


def test_a_plugin_may_ask_for_a_name_in_vain_and_go_on(write, loads):
    body = 'getattr(xb, "profiler", None)\nxb.register_plugin("abacus", library_path="/x.so")'
    assert registration("abacus", write(module(body))).name == "abacus"


def test_what_a_client_needs_may_be_missing(write, loads):
    body = 'xb.register_plugin("abacus", library_path="/x.so", factory=lambda: xb.make_client())'
    found = registration("abacus", write(module(body)))
    with pytest.raises(BackendError, match=r"needs jax\._src\.xla_bridge\.make_client, which portax's stand-in"):
        found.client({})
    body = """
def factory():
    import jax._src.xla_bridge as late
    return late.register_plugin("late")
xb.register_plugin("abacus", library_path="/x.so", factory=factory)"""
    with pytest.raises(BackendError, match="it registers 'late' only when its client is made"):
        registration("abacus", write(module(body))).client({})
    body = 'xb.register_plugin("abacus", library_path="/x.so", options=lambda: 1 / 0)'
    with pytest.raises(BackendError, match="what it calls for a client raised ZeroDivisionError: division by zero"):
        registration("abacus", write(module(body))).client({})


def test_a_module_that_is_not_there(write):
    with pytest.raises(BackendError, match=r"there is no module jax_plugins"):
        registration("abacus", "jax_plugins.nowhere")


def test_a_device_that_is_registered_under_another_name(write, loads):
    assert registration("read from an entry point", write(REGISTERS)).name == "abacus"
    two = module('xb.register_plugin("big", library_path="/x")\nxb.register_plugin("small", library_path="/y")')
    source = write(two)
    assert registration("small", source).library == "/y"
    with pytest.raises(BackendError, match="registers the platforms 'big', 'small', not 'abacus'"):
        registration("abacus", source)


def test_what_belongs_beside_a_wheel_of_xlas_is_named(write, tmp_path):
    (tmp_path / "jax_plugins" / "xla_abacus9").mkdir(parents=True)
    (tmp_path / "jax_plugins" / "xla_abacus9" / "__init__.py").write_text(module("assert None"))
    with pytest.raises(BackendError) as caught:
        registration("abacus", "jax_plugins.xla_abacus9")
    assert caught.value.fix == "Install what belongs beside it: pip install jax-abacus9-plugin"


# Libraries.


def test_a_library_may_be_described_by_a_file(write, loads, tmp_path):
    file = tmp_path / "abacus.json"
    file.write_text(json.dumps({"library_path": "/x.so", "create_options": {"beads": 7}}))
    found = registration("abacus", str(file))
    assert (found.library, found.options) == ("/x.so", {"beads": 7})
    file.write_text("{}")
    registrations._known.clear()
    with pytest.raises(BackendError, match=r"abacus\.json does not describe a plugin: KeyError: 'library_path'"):
        registration("abacus", str(file))


def test_a_file_that_is_no_library(tmp_path):
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(BackendError, match=r"text\.so did not load: .*(too short|invalid ELF)"):
        plugins.load("text", str(tmp_path / "text.so"))


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")


@needs_compiler
def test_a_library_that_is_no_plugin(tmp_path):
    plain = built(tmp_path, "plain", "int nothing;")
    with pytest.raises(BackendError, match=r"plain\.so is no PJRT plugin: it has no function GetPjrtApi"):
        plugins.load("plain", str(plain))


@needs_compiler
def test_a_library_that_needs_another(tmp_path):
    needed = built(tmp_path, "libbeads", "int a(void) { return 1; }")
    link = ("-L", str(tmp_path), "-Wl,--no-as-needed", "-lbeads")
    needy = built(tmp_path, "b", "int a(void); int b(void) { return a(); }", *link)
    needed.unlink()
    with pytest.raises(BackendError, match=r"b\.so needs libbeads\.so, which is not on this machine") as caught:
        plugins.load("needy", str(needy))
    assert "LD_LIBRARY_PATH" in caught.value.fix


@needs_compiler
def test_a_library_of_another_major_version(tmp_path):
    with pytest.raises(BackendError, match=r"next\.so speaks PJRT 1\.2, and jaxlib [\d.]+ speaks 0\.x"):
        plugins.load("next", str(library(tmp_path, 1, 2, "next")))


@needs_compiler
def test_a_library_that_is_too_old(tmp_path):
    with pytest.raises(BackendError, match=r"old\.so does not fit jaxlib .*0\.1 is older than the minimum"):
        plugins.load("old", str(library(tmp_path, 0, 1, "old")))


# Versions of StableHLO.


class Client:
    """What a plugin's client says of itself."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_both_sides_agree_on_the_older_version():
    ours = plugins.our_stablehlo()
    assert ours >= (1, 10, 0)
    older = plugins.attributes(Client(stablehlo_current_version=[1, 2, 3], stablehlo_minimum_version=[0, 9, 0]))
    assert plugins.agreed(older) == (1, 2, 3)
    newer = plugins.attributes(Client(stablehlo_current_version=[99, 0, 0], serialize_with_sdy=True))
    assert plugins.agreed(newer) == ours and newer.shardy


def test_a_plugin_that_says_nothing_is_given_text():
    assert plugins.agreed(plugins.attributes(Client())) is None


def test_a_plugin_that_is_too_new_is_refused():
    future = plugins.attributes(Client(stablehlo_current_version=[99, 1, 0], stablehlo_minimum_version=[98, 0, 0]))
    with pytest.raises(BackendError, match=r"it understands StableHLO from 98\.0\.0 on, and jaxlib .* writes"):
        plugins.agreed(future)
