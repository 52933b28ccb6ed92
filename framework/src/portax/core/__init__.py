"""What a program is made of: avals, jaxprs, traces, and what a primitive must say. It knows no operation by name."""
