"""`gdrun` and `python -m gdrun`: Ctrl-C ends both quietly, even while they import."""

import atexit
import os
import sys


def main() -> None:
    """Run the command line."""
    # PyTorch's idle threads would keep spinning on processors that others could use; and where two
    # of them share one, an operation of a millisecond takes a hundred.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from gdrun.cli.startup import loading

        with loading():
            from gdrun.cli import app
        app.main()
    except KeyboardInterrupt:
        atexit.register(os._exit, 130)  # as in `gdrun.cli.app`
        sys.exit(130)


if __name__ == "__main__":
    main()
