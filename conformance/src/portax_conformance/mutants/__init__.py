"""The proof of the suite's strength: drivers with one plausible bug each, all of which it must catch.

``driver`` is a correct driver made of the primitives' NumPy meanings, with a place for one fault; ``fault`` says what
a fault is; the files of families say what goes wrong; ``zoo`` lists every mutant; ``trial`` runs the suite's cases on
one until the first fails; ``command`` runs them all, and writes what became of them.
"""
