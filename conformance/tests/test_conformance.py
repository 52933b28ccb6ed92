"""The suite, run on every backend that opens on this machine."""

from portax_conformance.test_laws import *
from portax_conformance.test_laws import pytest_generate_tests, wide  # noqa: F401
