"""`gfpup verify`: whether a network is the published one and computes what the official implementation computes."""
