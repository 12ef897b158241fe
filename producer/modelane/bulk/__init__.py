"""Files larger than memory, scored through a lane.  read → typed → RUN → work → write.

    read      a file as batches of rows, whatever its format; a row that cannot be read says why
    typed     columns as the model's card has them
    run       batches through the lane, in order; a batch that is refused is searched for its bad rows
    work      what is done so far, beside the output; a killed run goes on from there
    write     the output, whole or not at all

Needs the extra ``bulk`` (pyarrow): nothing outside of this package imports it before a command needs it.
"""
