"""The suite that judges every portax driver: each primitive's samples, turned into cases."""
