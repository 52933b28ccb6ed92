"""Speed of portax beside a peer, as ratios measured in the same run: ``python -m benchmarks --peer jax``."""
