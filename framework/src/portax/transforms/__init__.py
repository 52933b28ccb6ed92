"""One transformation to a file: each opens with its equation, then the tracer, the trace, the function."""
