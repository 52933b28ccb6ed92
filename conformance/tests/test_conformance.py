"""The suite, run on every backend that opens on this machine."""

from portax_conformance.test_laws import (  # noqa: F401
    pytest_generate_tests,
    test_a_law_holds,
    test_a_wrong_request_is_refused_in_words,
    test_constants_come_back_bit_for_bit,
    test_what_a_driver_declares_is_needed,
    wide,
)
