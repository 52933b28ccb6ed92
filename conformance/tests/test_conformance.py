"""The suite, run on every backend that opens on this machine."""

from portax_conformance.test_laws import pytest_generate_tests, test_a_law_holds, wide  # noqa: F401
