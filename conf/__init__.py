"""The configuration groups of gfpup, read by Hydra as pkg://gfpup.conf."""
