"""Plugins are found, judged, loaded and chosen among; those that do not fit or do not load harm nobody."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest
from fake_plugins import (
    BROKEN_IMPORT,
    EXITS,
    HOST,
    IMPORTS_TOLD,
    NO_DEVICE,
    OPEN_FAILS,
    RAISES,
    REGISTERS_NOTHING,
    doctor,
    plugins_of,
)

from portax.backend import BackendError, BackendRefused, UnknownBackendError
from portax.runtime.discovery import Manifest, Span, State, discover, read_manifest

# Finding.


def test_finding_and_judging_import_nothing(site):
    site("a", IMPORTS_TOLD)
    site("b", IMPORTS_TOLD, opset=(9, 9))
    assert [p.name for p in discover(HOST, [str(site.folder)])] == ["a", "b"]
    assert not site.imports.exists()
    assert "portax_a" not in sys.modules


def test_plugins_are_found_on_the_path_of_python(site):
    site("fake")
    [fake] = [p for p in discover(HOST) if p.name == "fake"]
    assert (fake.distribution, fake.version, fake.state) == ("portax-fake", "0.7", State.FOUND)


def test_what_is_found_agrees_with_the_standard_library(site):
    for name in ("a", "b"):
        site(name, target=f"portax_{name} [extra]")
    points = importlib.metadata.entry_points(group="portax.backends")
    expected = {(p.name, p.module, p.dist.name, p.dist.version) for p in points}
    found = {(p.name, p.target, p.distribution, p.version) for p in discover(HOST)}
    assert found == expected
    assert {"a", "b"} <= {name for name, *_ in found}


def test_a_distribution_that_is_installed_twice_counts_once(site, tmp_path):
    site("fake", version="0.7")
    other = tmp_path / "later" / "portax_fake-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: Portax_Fake\nVersion: 0.1\n")
    (other / "entry_points.txt").write_text("[other]\nx = y\n\n[portax.backends]\n# a note\nfake = portax_fake\n")
    assert [p.version for p in discover(HOST, [str(site.folder), str(tmp_path / "later"), "/nowhere"])] == ["0.7"]


def test_only_the_plugin_that_is_needed_is_imported(site):
    site("a", IMPORTS_TOLD)
    site("b", IMPORTS_TOLD)
    plugins_of(site).open("b")
    assert site.imports.read_text().split() == ["portax_b"]


def test_a_plugin_under_development_is_named_by_an_environment_variable(site, monkeypatch):
    site("fresh", metadata=False)
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_fresh")
    plugins = plugins_of(site)
    assert plugins.open("fresh").name == "fresh"
    assert plugins.found["fresh"].version == "under development"


def test_a_development_name_that_leads_nowhere_is_reported(site, monkeypatch):
    monkeypatch.setenv("PORTAX_PLUGINS", "portax_nowhere.plugin")
    [nowhere] = discover(HOST, [str(site.folder)])
    assert nowhere.state is State.REFUSED
    assert "there is no package called 'portax_nowhere'" in nowhere.problem


def test_the_manifest_says_all_that_is_needed():
    text = 'name = "x"\ninterface = ["1.0", "1.10"]\nopset = [1, 2]\npriority = 5\nhost_memory = true'
    assert read_manifest(text) == Manifest("x", Span((1, 0), (1, 10)), Span((1,), (2,)), 5, True)


@pytest.mark.parametrize(
    "text, words",
    [
        ('interface = ["1.0", "1.0"]\nopset = [1, 1]', "'name' must be the backend's name"),
        ('name = "x"\nopset = [1, 1]', r"'interface' must be \[oldest, newest\]"),
        ('name = "x"\ninterface = ["1.0", "1.0"]\nopset = 1', r"'opset' must be \[oldest, newest\]"),
        ('name = "x"\ninterface = ["1.0", "next"]\nopset = [1, 1]', "'next' is no version"),
        ('name = "x"\ninterface = ["1", "1"]\nopset = [1, 1]\npriority = "high"', "'priority' must be a whole number"),
    ],
)
def test_a_malformed_manifest_names_the_entry(text, words):
    with pytest.raises(ValueError, match=words):
        read_manifest(text)


# Negotiation: one line, both versions, one command.

REFUSALS = [
    pytest.param(
        {"interface": ("0.3", "1.0")},
        "portax-fake 0.7 is too old: it is written for interface 0.3 to 1.0, and portax 2.5 has interface 1.1 to 1.4",
        "pip install --upgrade portax-fake",
        id="too-old",
    ),
    pytest.param(
        {"interface": ("2.0", "2.0")},
        "portax-fake 0.7 is too new: it is written for interface 2.0, and portax 2.5 has interface 1.1 to 1.4",
        "pip install --upgrade portax",
        id="too-new",
    ),
    pytest.param(
        {"opset": (1, 1)},
        "portax-fake 0.7 is too old: it is written for opset 1, and portax 2.5 has opset 2 to 3",
        "pip install --upgrade portax-fake",
        id="opset-too-old",
    ),
    pytest.param(
        {"opset": (4, 9)},
        "portax-fake 0.7 is too new: it is written for opset 4 to 9, and portax 2.5 has opset 2 to 3",
        "pip install --upgrade portax",
        id="opset-too-new",
    ),
    pytest.param(
        {"manifest": False},
        "portax-fake 0.7 has no usable manifest: the package 'portax_fake' has no file portax_backend.toml",
        "pip install --upgrade portax-fake",
        id="no-manifest",
    ),
    pytest.param(
        {"manifest": "name = "},
        "portax-fake 0.7 has no usable manifest: Invalid value (at end of document)",
        "pip install --upgrade portax-fake",
        id="damaged-manifest",
    ),
    pytest.param(
        {"manifest": 'name = "other"\ninterface = ["1.1", "1.1"]\nopset = [2, 2]'},
        "portax-fake 0.7 installs 'fake' and its manifest calls it 'other'",
        "pip install --upgrade portax-fake",
        id="other-name",
    ),
    pytest.param(
        {"package": False},
        "portax-fake is damaged: there is no package called 'portax_fake'",
        "pip install --force-reinstall portax-fake",
        id="missing",
    ),
]


@pytest.mark.parametrize("how, problem, fix", REFUSALS)
def test_a_plugin_that_does_not_fit_is_refused_in_one_line(site, how, problem, fix):
    site("fake", IMPORTS_TOLD, **how)
    site("good")
    plugins = plugins_of(site)
    with pytest.raises(BackendRefused) as refused:
        plugins.open("fake")
    assert refused.value.wrong == problem
    assert refused.value.fix == f"Mend it with: {fix}"
    assert not site.imports.exists()
    assert plugins.default() == "good"


@pytest.mark.parametrize("how, problem, fix", REFUSALS)
def test_doctor_says_why_a_plugin_is_refused_and_what_to_type(site, how, problem, fix):
    site("fake", **how)
    result = doctor(site)
    assert result.exit_code == 1
    assert "fake: refused" in result.output
    assert problem in result.output
    assert f"To mend it: {fix}" in result.output


def test_a_plugin_for_an_overlapping_range_is_accepted(site):
    site("fake", interface=("0.9", "1.1"), opset=(3, 7))
    assert plugins_of(site).open("fake").name == "fake"


def test_of_two_plugins_with_one_name_the_first_is_used(site):
    site("fake", distribution="portax-fake")
    site("fake", distribution="portax-fake-too")
    plugins = plugins_of(site)
    states = {p.distribution: p.state for p in plugins.found.values()}
    assert sorted(s.name for s in states.values()) == ["FOUND", "REFUSED"]
    [second] = [p for p in plugins.found.values() if p.state is State.REFUSED]
    assert "two distributions provide a backend called 'fake'" in second.problem
    assert second.fix == f"pip uninstall {second.distribution}"
    assert plugins.open("fake").name == "fake"


# Loading.


def test_a_working_plugin_is_opened_once_with_its_options(site):
    site("fake")
    plugins = plugins_of(site)
    plugins.options["fake"] = {"speed": "11"}
    backend = plugins.open("fake")
    assert plugins.open("fake") is backend
    assert backend.options == {"speed": "11"}
    assert plugins.found["fake"].state is State.OPEN


def test_an_unknown_backend_names_those_that_are_installed(site):
    site("fake")
    with pytest.raises(UnknownBackendError) as unknown:
        plugins_of(site).open("opencl")
    assert unknown.value.wrong == "no backend is called 'opencl'; installed here: 'fake', 'reference'"
    assert unknown.value.fix == "Install it with: pip install portax-opencl"


FAILURES = [
    pytest.param(
        BROKEN_IMPORT,
        "ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
        "pip install a_library_that_is_not_there",
        id="broken-import",
    ),
    pytest.param(RAISES, "RuntimeError: the driver is of another kernel", "portax doctor", id="raises"),
    pytest.param(EXITS, "SystemExit: 3", "portax doctor", id="exits"),
    pytest.param(OPEN_FAILS, "OSError: permission denied: /dev/fake0", "portax doctor", id="cannot-open"),
    pytest.param(REGISTERS_NOTHING, "registered nothing, not 'fake'", "portax doctor", id="registers-nothing"),
    pytest.param("x = 1", "registered nothing, not 'fake'", "portax doctor", id="no-hook"),
    pytest.param("def f(:", "SyntaxError: ", "portax doctor", id="syntax"),
]


@pytest.mark.parametrize("code, problem, fix", FAILURES)
def test_what_a_plugin_raises_is_caught_and_kept(site, code, problem, fix):
    site("fake", code)
    plugins = plugins_of(site)
    with pytest.raises(BackendError) as failed:
        plugins.open("fake")
    assert failed.value.wrong.startswith("the backend 'fake' (portax-fake 0.7) did not load: ")
    assert problem in failed.value.wrong
    assert "\n" not in failed.value.wrong
    assert fix in failed.value.fix
    fake = plugins.found["fake"]
    assert fake.state is State.FAILED
    assert "Traceback" in fake.trace


@pytest.mark.parametrize("code, problem, fix", FAILURES)
def test_a_plugin_that_fails_leaves_the_others_and_the_default_alone(site, code, problem, fix):
    site("fake", code, priority=90)
    site("good", priority=20)
    plugins = plugins_of(site)
    with pytest.warns(RuntimeWarning, match="the backend 'fake' .* did not load: .*; see: portax doctor"):
        assert plugins.default() == "good"
    assert plugins.open("reference").devices()[0].kind == "NumPy"


# The default.


def test_the_usable_backend_of_highest_priority_is_the_default(site):
    site("low", priority=5)
    site("high", priority=50)
    site("absent", NO_DEVICE, priority=70)
    assert plugins_of(site).default() == "high"


def test_without_a_usable_plugin_the_reference_device_is_the_default(site):
    assert plugins_of(site).default() == "reference"
    site("absent", NO_DEVICE)
    assert plugins_of(site).default() == "reference"


@pytest.mark.parametrize("wanted, chosen", [("low", "low"), ("absent,low,high", "low"), ("reference", "reference")])
def test_the_environment_restricts_and_orders_the_choice(site, monkeypatch, wanted, chosen):
    site("low", priority=5)
    site("high", IMPORTS_TOLD, priority=50)
    site("absent", NO_DEVICE)
    monkeypatch.setenv("PORTAX_PLATFORMS", wanted)
    assert plugins_of(site).default() == chosen
    assert not site.imports.exists()


def test_a_wanted_backend_that_is_not_usable_is_an_error(site, monkeypatch):
    site("absent", NO_DEVICE)
    monkeypatch.setenv("PORTAX_PLATFORMS", "absent")
    with pytest.raises(BackendError, match="PORTAX_PLATFORMS=absent: the backend 'absent' finds no device"):
        plugins_of(site).default()
    monkeypatch.setenv("PORTAX_PLATFORMS", "cuda")
    with pytest.raises(UnknownBackendError, match="PORTAX_PLATFORMS=cuda: no backend is called 'cuda'"):
        plugins_of(site).default()


def test_a_plugin_that_appears_is_seen_after_a_refresh(site):
    plugins = plugins_of(site)
    assert plugins.default() == "reference"
    site("fake")
    assert plugins.default() == "reference"
    plugins.refresh()
    assert plugins.default() == "fake"
