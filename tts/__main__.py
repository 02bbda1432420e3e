"""`python -m tts`, and the scripts `tts` and `tts-reasoning`: Ctrl-C is heeded while the command line still loads."""

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from tts.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
