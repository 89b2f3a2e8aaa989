"""The ranks of a run over several processes and machines."""
