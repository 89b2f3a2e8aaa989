"""Runs and sweeps in MLflow. Nothing else in gfpup knows MLflow."""
