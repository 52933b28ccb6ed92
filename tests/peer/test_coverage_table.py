"""The table of documented names that coverage is judged by says what jax 0.10 says of itself."""

from __future__ import annotations

import importlib
import inspect

import jax
import pytest

from portax_conformance.coverage import MISSING, look_up, table

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not jax.__version__.startswith("0.10."), reason="the table is of jax 0.10"),
]

UNNAMED = {"Array": lambda: type(jax.numpy.zeros(2)), "jit(f)": lambda: jax.jit(lambda x: x),
           "Array.at[...]": lambda: type(jax.numpy.zeros(2).at[0])}  # fmt: skip
ROWS: dict = {}
for row in table():
    ROWS.setdefault(row.module, []).append(row)


def owner(module: str):
    if module in UNNAMED:
        return UNNAMED[module]()
    parts = module.split(".") if module else []
    for i in range(len(parts), -1, -1):
        try:
            found = importlib.import_module(".".join(["jax", *parts[:i]]))
        except ModuleNotFoundError:
            continue
        for name in parts[i:]:
            found = getattr(found, name)
        return found
    raise AssertionError(module)


def compact(signature: inspect.Signature) -> str:
    """Parameters without annotations; ``=`` follows what has a default."""
    bare = signature.replace(
        parameters=[
            p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else ...)
            for p in signature.parameters.values()
        ],
        return_annotation=signature.empty,
    )
    return str(bare)[1:-1].replace("=Ellipsis", "=") or "()"


@pytest.mark.parametrize("module", ROWS, ids=lambda m: m or "jax")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_and_parameters_are_those_of_jax(module):
    among = owner(module)
    wrong = []
    for row in ROWS[module]:
        found = look_up(row, among)
        if row.kind == "flag":
            if row.name not in jax.config.values:
                wrong.append(f"{row.path} is no flag of jax")
        elif found is MISSING:
            wrong.append(f"{row.path} is not in jax")
        elif row.parameters:
            try:
                said = compact(inspect.signature(found))
            except (TypeError, ValueError):
                continue
            if said.replace(" ", "") != row.parameters.replace(" ", ""):
                wrong.append(f"{row.path} takes ({said}), the table says ({row.parameters})")
    assert not wrong, "\n".join(wrong)
