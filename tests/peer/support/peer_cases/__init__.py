"""Cases that are drawn from a table of functions, run in real jax and in portax, and counted.

``draws`` says how arguments are drawn, ``rows`` what a row of a table is and which cases follow from it, ``running``
runs the cases of a row as one program in each library, ``judging`` compares what they give, ``known`` reads the
differences that are known, and ``counting`` counts the cases of each function for the summary of a run.
"""
