"""One measurement to a function, written once against JAX's API and run with either framework's name."""
