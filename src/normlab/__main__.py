"""`python -m normlab`."""

from normlab.cli.main import main

main()
