"""A script that predicts the rows of a CSV file, in order, with many batches in flight.

It prints one prediction per line. Start a stack (`modelane up` prints its broker URL), then:

    MODELANE_BROKER_URL=redis://localhost:6379/0 python examples/script.py churn customers.csv > predicted.csv

For files that are larger than memory, with a progress bar and resuming, use `modelane score` instead.
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
        # Text such as "41" is converted where the model expects a number; None is a missing value.
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
