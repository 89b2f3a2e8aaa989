"""Finished runs side by side: comparison, statistics, report, recommendation."""
