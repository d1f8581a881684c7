"""``python -m modelpm``."""

from modelpm.cli import main

if __name__ == "__main__":
    main()
