"""A second service in its own process: ``python -m benchmarks.flood MODEL IN_FLIGHT``, until terminated.

It prints the milliseconds of each batch that answered it: gathering and predicting.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import cycle

from benchmarks import models
from modelane import Client, Settings


def main(model: str, in_flight: int) -> None:
    table = models.rows()
    rows: Iterator[models.Rows] = (table[at : at + 1] for at in cycle(range(len(table))))
    last_ms = 0.0
    with Client(settings=Settings.from_env(os.environ)) as client:
        for answer in client.map(model, rows, window=in_flight, method=models.METHOD):
            took_ms = (answer.gathered_s + answer.predict_s) * 1e3
            if took_ms != last_ms:
                print(last_ms := took_ms, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
