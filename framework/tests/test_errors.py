"""The words of errors, the user's line in them, and what code written for JAX catches."""

import inspect
import os
import pickle

import pytest

from portax import errors
from portax.core import tree
from portax.errors import PortaxError, ShapeError

CLASSES = sorted(
    {c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, PortaxError)}, key=lambda c: c.__name__
)


def boom():
    raise ShapeError(wrong="no axis 3 in x: float32[2]", fix="Give 0 <= axis < 1")


def test_an_error_has_the_fault_the_repair_and_the_line():
    with pytest.raises(ShapeError) as caught:
        boom()
    first, second, third = str(caught.value).split("\n    ")
    assert first == "no axis 3 in x: float32[2]."
    assert second == "Give 0 <= axis < 1."
    line = boom.__code__.co_firstlineno + 1
    assert third.endswith(f"test_errors.py:{line}, in boom.")


def test_the_line_is_outside_portax():
    with pytest.raises(errors.TreeError) as caught:
        tree.unflatten(tree.structure((1, 2)), [1])
    file, _, function = caught.value.where
    assert os.path.basename(file) == "test_errors.py"
    assert function == "test_the_line_is_outside_portax"


def test_a_line_may_be_given():
    error = errors.DeviceError(wrong="it failed", fix="Do it again", where=("train.py", 12, "main"))
    assert str(error) == "it failed.\n    Do it again.\n    Called from train.py:12, in main."
    assert str(errors.DeviceError(wrong="w", fix="f", where="a notebook")).endswith("Called from a notebook.")


def test_the_place_is_shown_when_the_working_directory_is_gone(tmp_path, monkeypatch):
    def gone():
        raise FileNotFoundError

    error = ShapeError(wrong="w", fix="f")
    monkeypatch.setattr(os, "getcwd", gone)
    assert "test_errors.py" in str(error)


def test_both_parts_are_required():
    with pytest.raises(TypeError, match="fix"):
        ShapeError(wrong="something")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_an_error_survives_pickling(cls):
    error = cls(wrong="w", fix="f", where=("a.py", 1, "g"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert (again.wrong, again.fix, again.where, str(again)) == ("w", "f", ("a.py", 1, "g"), str(error))


@pytest.mark.parametrize("cls", [c for c in CLASSES if c is not PortaxError], ids=lambda c: c.__name__)
def test_every_class_shows_a_failing_program_and_its_repair(cls):
    doc = cls.__dict__.get("__doc__", "")
    assert "Fails:" in doc or "Fails\n" in doc or "Fails::" in doc
    assert "Repaired" in doc


@pytest.mark.parametrize(
    ("cls", "builtins"),
    [
        (errors.ShapeError, (TypeError, ValueError)),
        (errors.DtypeError, (TypeError,)),
        (errors.TypePromotionError, (ValueError,)),
        (errors.AxisError, (ValueError, IndexError)),
        (errors.ArgumentError, (TypeError, ValueError)),
        (errors.ScalarRangeError, (OverflowError,)),
        (errors.TreeError, (ValueError, TypeError)),
        (errors.ConcretizationError, (TypeError,)),
        (errors.NonConcreteBooleanIndexError, (IndexError,)),
        (errors.LeakedTracerError, (TypeError,)),
        (errors.NotDifferentiableError, (TypeError, NotImplementedError)),
        (errors.DeviceError, (RuntimeError,)),
        (errors.DeletedArrayError, (RuntimeError,)),
        (errors.GapError, (NotImplementedError,)),
        (errors.NonFiniteError, (FloatingPointError,)),
        (errors.UnknownBackendError, (RuntimeError, ValueError)),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_code_written_for_jax_catches_it(cls, builtins):
    assert all(issubclass(cls, b) for b in builtins)


def test_concretization_errors_nest_as_in_jax():
    assert issubclass(errors.TracerBoolConversionError, errors.ConcretizationTypeError)
    assert not issubclass(errors.TracerArrayConversionError, errors.ConcretizationTypeError)
    assert errors.UnexpectedTracerError is errors.LeakedTracerError


def test_all_names_every_class():
    assert {c.__name__ for c in CLASSES} <= set(errors.__all__)
