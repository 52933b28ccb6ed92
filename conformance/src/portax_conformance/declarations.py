"""What a driver declares about itself is needed: no budget is wider than it must be, and every gap names a case."""

from __future__ import annotations

from collections.abc import Sequence

from portax.core.primitive import registry
from portax.runtime.contract import Device
from portax_conformance import laws, oracles
from portax_conformance.cases import cases_of
from portax_conformance.devices import KNOWN, Declared


def budgets_are_needed(name: str, said: Declared, device: Device) -> None:
    """Somewhere a driver is farther off than the primitive's own budget allows."""
    for (primitive, dtype), wider in said.budgets.items():
        assert primitive in registry, f"a budget is declared for {primitive}, which is no primitive"
        tried = list(cases_of(registry[primitive], (dtype,)))
        own = max((laws.budget_of(case) for case in tried), default=0.0)
        farthest = max(
            laws.ulps(g, e, laws.scale_of(case))
            for case in tried
            for g, e in zip(
                laws.determined_host(case, laws.on_device(case, device)),
                laws.determined_host(case, laws.reference(case)),
                strict=True,
            )
        )
        for case in oracles.cases(registry[primitive], (dtype,)):
            (got,) = laws.on_device(case, device)
            farthest = max(farthest, *oracles.errors(case, got, denormals=False))
        words = f"{name} declares {wider:g} units for {primitive} at {dtype}, and keeps within {own:g}"
        assert farthest > own, words


def gaps_name_cases(name: str, said: Declared, names: Sequence[str]) -> None:
    """Every gap names a case, as ``primitive/sample/dtype/law``."""
    for said_by, declared in ((name, said), ("the suite", KNOWN)):
        for pattern, _ in declared.gaps:
            one = Declared({"gap": [{"case": pattern, "reason": "-"}]})
            assert any(one.gap(case) for case in names), (
                f"{said_by} declares the gap {pattern}, and there is no such case"
            )
