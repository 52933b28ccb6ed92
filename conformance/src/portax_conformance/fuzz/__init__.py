"""Programs by chance: what no one thought of writing, run on a device and by the reference, and made small where they
differ.

`specimens` writes programs, `judging` says whether a device keeps to what they mean, `reducing` makes a smaller one
that fails alike, `listing` shows it as Python, `saving` as a file that the suite replays, and `campaign` does all
that for some minutes.
"""
