"""Traces hold what ran, when and under which name; listeners hear of it; memory is counted by array."""

from __future__ import annotations

import gzip
import json

import pytest

import portax as px
import portax.numpy as pnp
from portax import monitoring, profiler
from portax.core.config import config
from portax.errors import ArgumentError


@pytest.fixture(autouse=True)
def nobody_listens():
    yield
    monitoring.clear_event_listeners()
    assert not config.profiling


def spans(folder):
    (file,) = folder.rglob("*.trace.json.gz")
    assert file.parent.parent.name == "profile"
    return json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]


def test_a_trace_tells_what_ran(tmp_path):
    def wave(x):
        return pnp.sin(x) * 2

    x = pnp.ones(3)
    with profiler.trace(tmp_path):
        px.jit(wave)(x)
        px.jit(wave)(x)
        x + x
    found = [(s["cat"], s["name"]) for s in spans(tmp_path)]
    assert found.count(("run", "wave")) == 2
    assert ("run", "add") in found
    assert ("jaxpr_trace_duration", "wave") in found
    assert ("backend_compile_duration", "jit(wave)") in found or "reference" in repr(px.devices())
    for s in spans(tmp_path):
        assert s["ph"] == "X" and s["dur"] >= 0 and s["ts"] > 1e15
    x + x
    assert len(spans(tmp_path)) == len(found)


def test_a_program_annotates_its_parts(tmp_path):
    loader = profiler.annotate_function(lambda n: n + 1, name="loader", worker=3)
    assert not profiler.TraceAnnotation.is_enabled()
    with profiler.TraceAnnotation("not recorded"):
        pass
    with profiler.trace(tmp_path, create_perfetto_trace=True):
        assert profiler.TraceAnnotation.is_enabled()
        with profiler.StepTraceAnnotation("train", step_num=7):
            assert loader(1) == 2
            with profiler.TraceAnnotation("inner") as part:
                part.set_metadata(size=2)
    found = {s["name"]: s for s in spans(tmp_path)}
    assert set(found) == {"train", "loader", "inner"}
    assert found["train"]["args"] == {"step_num": 7} and found["loader"]["args"] == {"worker": 3}
    assert found["inner"]["args"] == {"size": 2}
    train, inner = found["train"], found["inner"]
    assert train["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= train["ts"] + train["dur"]
    assert len(list(tmp_path.rglob("perfetto_trace.json.gz"))) == 1


def test_where_to_open_it_is_said(tmp_path, capsys):
    with profiler.trace(tmp_path, create_perfetto_link=True):
        pass
    assert "ui.perfetto.dev" in capsys.readouterr().out


def test_a_trace_is_taken_one_at_a_time(tmp_path):
    with pytest.raises(ArgumentError, match="no trace is being taken"):
        profiler.stop_trace()
    with profiler.trace(tmp_path), pytest.raises(ArgumentError, match="while a trace is being taken"):
        profiler.start_trace(tmp_path)


def test_a_fault_ends_the_trace_and_keeps_it(tmp_path):
    with pytest.raises(ValueError, match="mine"), profiler.trace(tmp_path):
        pnp.ones(3) + 1
        raise ValueError("mine")
    assert spans(tmp_path)


def test_memory_is_counted_by_array(tmp_path):
    keep = [pnp.ones((17, 3)) + i for i in range(2)]
    profiler.save_device_memory_profile(tmp_path / "memory.json.gz")
    rows = json.loads(gzip.decompress((tmp_path / "memory.json.gz").read_bytes()))["arrays"]
    (row,) = [r for r in rows if r["array"] == "float32[17,3]"]
    assert row["count"] >= 2 and row["bytes"] == row["count"] * 17 * 3 * 4
    assert len(keep) == 2
    other = json.loads(gzip.decompress(profiler.device_memory_profile("no such backend")))
    assert other == {"arrays": []}


def test_listeners_hear_of_each_kind_of_event():
    heard = []
    kinds = {
        "event": (monitoring.record_event, (), "register_event_listener", "unregister_event_listener"),
        "duration": (
            monitoring.record_event_duration_secs, (1.5,), "register_event_duration_secs_listener",
            "unregister_event_duration_listener",
        ),
        "span": (
            monitoring.record_event_time_span, (1.0, 2.0), "register_event_time_span_listener",
            "unregister_event_time_span_listener",
        ),
        "scalar": (monitoring.record_scalar, (3,), "register_scalar_listener", "unregister_scalar_listener"),
    }  # fmt: skip
    for kind, (record, values, register, unregister) in kinds.items():
        listener = lambda event, *xs, kind=kind, **known: heard.append((kind, event, xs, known))
        record("early", *values)
        getattr(monitoring, register)(listener)
        record("/a/b", *values, why="test")
        assert heard.pop() == (kind, "/a/b", values, {"why": "test"}) and not heard
        getattr(monitoring, unregister)(listener)
        getattr(monitoring, unregister)(listener)
        record("late", *values)
        assert not heard


def test_tracing_and_the_cache_are_heard():
    heard = []
    monitoring.register_event_duration_secs_listener(lambda event, seconds, **known: heard.append((event, known)))
    px.jit(lambda x: x * 5)(pnp.ones(2))
    assert (monitoring.TRACE, {"fun_name": "<lambda>"}) in heard
