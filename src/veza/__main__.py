"""``python -m veza``."""

from veza.cli import main

main()
