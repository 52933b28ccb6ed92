"""A setting that says it has an effect has one: some room reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portax.core.config import SETTINGS

ROOT = Path(__file__).parents[2] / "framework" / "src" / "portax"
READ = "\n".join(f.read_text() for f in ROOT.rglob("*.py") if f.name != "config.py")
#: Read together, by what they begin with.
TOGETHER = {
    "transfer_guard_": 'f"transfer_guard_{direction}"',
    "num_": 'f"num_{name}_devices"',
    "user_context_": "mesh_context(mesh",  # who makes a context has it in hand, and asks it
}


@pytest.mark.parametrize("name", [s.name for s in SETTINGS.values() if s.used])
def test_a_setting_is_read_somewhere(name):
    together = [how for prefix, how in TOGETHER.items() if name.startswith(prefix)]
    assert re.search(rf"config\.{name}\b|\[.{name}.\]", READ) or any(how in READ for how in together), (
        f"the setting {name} has no effect: read it, or list it among those that have none"
    )


def test_the_scan_can_fail():
    assert not re.search(r"config\.no_such_setting\b", READ)
    assert re.search(r"config\.enable_x64\b", READ)
