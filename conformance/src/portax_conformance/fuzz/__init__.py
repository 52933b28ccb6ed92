"""Programs by chance: what no one thought of writing, on a device and by the reference, and small where they differ.

`specimens` writes programs, `judging` says whether a device keeps to what they mean, `reducing` makes a smaller one
that fails alike, `listing` shows it as Python, `saving` as a file that the suite replays, and `cases` says what such
programs are called among the suite's cases. ``portax_conformance.campaign`` tries them for some minutes.
"""
