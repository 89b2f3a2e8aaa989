"""Metrics, and the scorer that takes them of a photo."""
