"""gfpup restores faces in photographs with several methods and measures which one did it best."""

__version__ = "0.1.0"
