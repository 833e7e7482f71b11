"""`python -m gdrun`."""

from gdrun.cli import main

if __name__ == "__main__":
    main()
