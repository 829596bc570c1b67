"""`python -m memeval`, and the command: whatever fails, even while this is imported, ends with a code that says so."""

import sys
import traceback


def main() -> None:
    """The command line."""
    try:
        from memeval import cli
    except Exception:  # noqa: BLE001  (told, with a code of its own)
        traceback.print_exc()
        sys.exit(70)  # errors.UNEXPECTED, which could not be imported
    cli.main()


if __name__ == "__main__":
    main()
