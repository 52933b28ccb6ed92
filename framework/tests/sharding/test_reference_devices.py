"""The reference device is as many devices as the environment or the options say."""

from __future__ import annotations

import pytest

from portax.errors import BackendError
from portax.runtime.reference_backend import ReferenceBackend

VARIABLE = "PORTAX_REFERENCE_DEVICES"


@pytest.mark.parametrize(("environment", "options", "count"), [
    (None, {}, 1), ("", {}, 1), ("3", {}, 3), ("3", {"devices": "2"}, 2),
])  # fmt: skip
def test_options_go_before_the_environment(monkeypatch, environment, options, count):
    if environment is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, environment)
    assert [repr(d) for d in ReferenceBackend(options).devices()] == [f"reference:{i}" for i in range(count)]


@pytest.mark.parametrize("given", ["many", "0", "-1", "1.5"])
def test_what_is_no_number_of_devices_is_refused(monkeypatch, given):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(BackendError, match=f"{VARIABLE} is '{given}', not a number of devices") as caught:
        ReferenceBackend({})
    assert f"for example {VARIABLE}=4" in caught.value.fix
