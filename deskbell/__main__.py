"""`python -m deskbell` is `deskbell`."""

from deskbell.cli import main

if __name__ == "__main__":
    main()
