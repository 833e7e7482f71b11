"""`gdrun` and `python -m gdrun`: nothing is imported before Ctrl-C is taken care of."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from gdrun.loading import loading

        with loading():
            from gdrun import cli
        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
