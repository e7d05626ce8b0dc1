"""The course's inference program by the name that its assignments use: python -m normlab.infer …"""

from __future__ import annotations

import sys

from normlab.cli.main import main

if __name__ == "__main__":
    sys.argv.insert(1, "infer")
    main()
