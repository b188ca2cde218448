"""python -m tinyhpe"""

import sys

from tinyhpe.cli import main

sys.exit(main())
