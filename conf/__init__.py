"""The configuration groups of gfpup, read by Hydra as pkg://gfpup.conf, and the schema that they fill in."""

from gfpup.planning.structured import register

register()
