"""The table of functions: every entry runs and says what it computes, and ratios are judged by the median of rounds."""

from __future__ import annotations

import math

import pytest

from benchmarks import functions
from benchmarks.programs.functions import FUNCTIONS
from benchmarks.server import Server, count


@pytest.fixture(scope="module")
def server():
    return Server("portax")


def test_there_are_sixty_functions_with_names_of_their_own():
    assert len({f.name for f in FUNCTIONS}) == len(FUNCTIONS) == 60
    assert all(f.small < f.large for f in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_a_function_compiles_runs_and_is_traced(server, function):
    witness = server.prepare(function.name, function.small)["witness"]
    assert witness and all(math.isfinite(x) for x in witness) and any(witness)
    assert server.time(function.name, function.small, 2)["wall"] > 0
    traced = server.trace(function.name)
    assert traced["equations"] >= 1 and 0 < traced["seconds"]


def test_equations_inside_of_others_are_counted(server):
    def f(x):
        return server.fw.px.jit(lambda y: y * 2 + 1)(x).sum()

    program = server.fw.px.make_jaxpr(f)(1.0)
    assert count(program.jaxpr) == len(program.jaxpr.eqns) + 2


def test_a_ratio_is_the_median_of_those_within_rounds():
    function = FUNCTIONS[0]
    figures = functions.Figures(function)
    # The machine slows down threefold in the last round, on both sides.
    figures.rounds[function.small] = [[(2.0, 1.0), (1.0, 1.0)], [(1.0, 1.0), (1.0, 0.0)], [(3.3, 1.0), (3.0, 1.0)]]
    assert figures.ratio(function.small) == pytest.approx(1.1)
    assert figures.ratios(function.small, 1) == [1.0, 1.0]
    figures.trace = {"seconds": 3e-4, "equations": 2}
    assert figures.per_equation() == pytest.approx(150)
    assert figures.over() == ["tracing"]


def test_witnesses_agree_up_to_rounding():
    assert functions.same([1.0, 2.0], [1.0005, 2.0])
    assert not functions.same([1.0], [1.01])
    assert not functions.same([1.0], [1.0, 2.0])


def test_a_name_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        functions.arguments(["--only", "nothing"])
    assert "no function or group is called 'nothing'" in capsys.readouterr().err


def test_what_a_side_cannot_do_is_said_in_its_words():
    side = functions.Side("portax")
    try:
        with pytest.raises(functions.ChildFailed, match="portax: KeyError: 'nothing'"):
            side.ask("prepare", name="nothing", size=1)
        assert side.ask("versions")["portax"]
    finally:
        side.close()
