"""What serves a user around runs: bench, verify, doctor, degrade, export."""
