"""A script: predictions for the rows of a CSV file, in their order, many batches in flight at once.

    MODELANE_BROKER_URL=redis://… python examples/script.py churn customers.csv > predicted.csv

For files larger than memory, resumable and with a progress bar, there is `modelane score`.
"""

import csv
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from modelane import Client

Record = dict[str, str | None]


def batches(path: Path, size: int = 1000) -> Iterator[list[Record]]:
    with path.open(newline="") as file:
        # Text that spells a number is one, where the model takes a number; nothing at all is a missing value.
        records = ({name: value or None for name, value in row.items()} for row in csv.DictReader(file))
        while batch := list(islice(records, size)):
            yield batch


def main(model: str, path: str) -> None:
    with Client() as client:
        for answer in client.map(model, batches(Path(path))):
            for value in answer.values:
                print(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
