"""`python -m worker.cli` is `seats`; the supervisor starts its children so."""

import sys

from worker.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
