"""Score files that are larger than memory: ``modelane score``.

:mod:`~modelane.bulk.score_file` runs one job. It reads batches of rows (``readers``), casts their columns to
the types on the model's card (``casting``), sends them to the model's lane (``scorer``, ``client_lane``),
saves the answers next to the output (``workdir``, ``checkpoints``), and finally writes the output file
(``writer``). An interrupted job resumes from the saved answers.

This package needs the extra ``bulk`` (pyarrow). No other package imports it before a command needs it.
"""
