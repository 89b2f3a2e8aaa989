"""Runs and sweeps: Hydra and Lightning around the restoring of photos."""
