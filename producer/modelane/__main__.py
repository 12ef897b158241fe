"""``python -m modelane`` is the command line."""

from modelane.cli import main

if __name__ == "__main__":
    main(prog_name="modelane")
