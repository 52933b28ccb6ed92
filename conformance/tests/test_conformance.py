"""The suite, run on every backend that opens on this machine."""

from portax_conformance.test_laws import *  # noqa: F403
from portax_conformance.test_laws import pytest_generate_tests, wide  # noqa: F401
