"""Run the command line as ``python -m modelane``."""

from modelane.cli import main

if __name__ == "__main__":
    main(prog_name="modelane")
