"""Another service, in a process of its own: ``python -m benchmarks.flood MODEL IN_FLIGHT``, until ended.

It prints how many milliseconds each batch took that answered it: gathered, and predicted.
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
