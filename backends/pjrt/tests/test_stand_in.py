"""The stand-in for jax: there while a plugin's code runs, and without a trace afterwards."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

from portax_pjrt.jaxlib import versions
from portax_pjrt.stand_in import BRIDGE, amd_gpus, shared_memory, standing_in

EVERYTHING = """
import jax._src.xla_bridge as xb
import jax._src.lib.xla_client as again
from jax._src import config, hardware_utils
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax._src.xla_bridge import register_plugin
import helper_of_plugin
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A function that writes a module and gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text, name="plugin_for_jax"):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    write("import jax._src.xla_bridge as xb", "helper_of_plugin")
    yield write
    for name in [n for n in sys.modules if n.startswith(("plugin_for_jax", "helper_of", "jax_plugins"))]:
        del sys.modules[name]


def register(name, **options):
    return name, options


@pytest.fixture
def real(monkeypatch):
    """What looks like a real jax that was imported before."""
    jax, inside, bridge = (types.ModuleType(n) for n in ("jax", "jax._src", BRIDGE))
    bridge.register_plugin = lambda *_, **__: "the real one"
    bridge.CUDA_VISIBLE_DEVICES = types.SimpleNamespace(value="3")
    jax._src, inside.xla_bridge = inside, bridge
    jax.__path__ = inside.__path__ = []
    for module in (jax, inside, bridge):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return bridge


@pytest.fixture
def no_jax(monkeypatch):
    """jax was not imported before, whatever other tests did."""
    for name in [n for n in sys.modules if n == "jax" or n.startswith("jax.")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_plugin_sees_the_names_that_published_ones_import(plugin, no_jax):
    with standing_in(plugin(EVERYTHING), register):
        module = importlib.import_module("plugin_for_jax")
        assert module.xla_client is module.again is versions.xc
        assert module.xb.register_plugin is module.register_plugin is register
        assert module.xb.expand_platform_alias("gpu") == ["cuda", "rocm", "oneapi"]
        assert module.xb.expand_platform_alias("abacus") == ["abacus"]
        assert module.xb.CUDA_VISIBLE_DEVICES.value == "all"
        assert module.hardware_utils.num_available_amd_gpus(stop_at=2) == amd_gpus(stop_at=2)
        assert module.hardware_utils.get_shm_size_in_mb() == shared_memory()
        module.mlir._platforms_with_donation.append("abacus")


def test_the_platforms_that_jax_shall_use_are_those_that_portax_shall_use(plugin, no_jax, monkeypatch):
    text = "from jax._src import config\nseen = config.jax_platforms.value\n"
    monkeypatch.setenv("PORTAX_PLATFORMS", "cuda,cpu")
    with standing_in(plugin(text), register):
        assert importlib.import_module("plugin_for_jax").seen == "cuda,cpu"


@pytest.mark.parametrize("text", [EVERYTHING, EVERYTHING + "raise RuntimeError", "from jax import numpy"])
def test_the_modules_of_the_process_are_as_before(plugin, no_jax, text):
    before = dict(sys.modules)
    with standing_in(plugin(text), register):
        try:
            importlib.import_module("plugin_for_jax")
        except (RuntimeError, ImportError):
            pass
    assert {n for n in sys.modules if sys.modules[n] is not before.get(n)} == set()
    assert set(before) == set(sys.modules)


def test_what_other_libraries_a_plugin_imports_stays(plugin, no_jax):
    plugin("value = 1", "helper_of_nobody")
    with standing_in(plugin("import helper_of_nobody\nfrom jax._src import xla_bridge"), register):
        importlib.import_module("plugin_for_jax")
    assert "helper_of_nobody" in sys.modules and "plugin_for_jax" not in sys.modules


def test_a_module_of_a_namespace_is_forgotten_and_its_neighbours_are_not(plugin, no_jax):
    plugin("value = 1", "jax_plugins.neighbour")
    importlib.import_module("jax_plugins.neighbour")
    with standing_in(plugin("import jax._src.xla_bridge as xb", "jax_plugins.mine"), register):
        importlib.import_module("jax_plugins.mine")
    assert "jax_plugins.mine" not in sys.modules and "jax_plugins.neighbour" in sys.modules
    assert not hasattr(sys.modules["jax_plugins"], "mine")


def test_what_is_not_there_is_remembered(plugin, no_jax):
    with standing_in("plugin_for_jax", register) as missing:
        with pytest.raises(AttributeError, match=r"stand-in for jax has no jax\._src\.xla_bridge\.backends"):
            sys.modules[BRIDGE].backends
        with pytest.raises(ModuleNotFoundError, match=r"jax\.numpy"):
            importlib.import_module("jax.numpy")
    assert missing == ["jax._src.xla_bridge.backends"]


def test_a_real_jax_stays_and_only_its_function_is_exchanged(plugin, real):
    before, modules = real.register_plugin, dict(sys.modules)
    with standing_in("plugin_for_jax", register):
        assert real.register_plugin is register
        assert sys.modules[BRIDGE] is real
    assert real.register_plugin is before
    assert dict(sys.modules) == modules


def test_a_plugin_that_holds_the_real_function_is_given_ours_for_as_long(plugin, real):
    held = importlib.import_module(plugin("from jax._src.xla_bridge import register_plugin"))
    with standing_in("plugin_for_jax", register):
        assert held.register_plugin is register
    assert held.register_plugin() == "the real one"


def test_a_failure_puts_the_real_function_back(plugin, real):
    before = real.register_plugin
    with pytest.raises(KeyError), standing_in("plugin_for_jax", register):
        raise KeyError
    assert real.register_plugin is before
