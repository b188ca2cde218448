"""python -m tinyhpe"""

import sys

from tinyhpe_command import main

sys.exit(main())
