"""`python -m gfpup`."""

import sys

from gfpup.cli.main import main

sys.exit(main())
