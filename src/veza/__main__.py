"""``python -m veza``."""

from veza.cli import main

if __name__ == "__main__":
    main()
