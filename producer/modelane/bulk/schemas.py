"""One schema for batches that came with several: what is read piece by piece does not agree always.

A column of whole numbers and fractions becomes one of fractions, a column that was missing is filled with
missing values, and one that holds text here and numbers there becomes text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Columns in the order in which they appear first."""
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            fields[field.name] = _both(fields[field.name], field) if field.name in fields else field
    return pa.schema(list(fields.values()))


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows with the columns of ``schema``, which :func:`unified` made."""
    if batch.schema.equals(schema):
        return batch
    arrays = [
        _cast(batch.column(field.name), field.type)
        if field.name in batch.schema.names
        else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    schema = unified(batch.schema for batch in batches)
    return pa.Table.from_batches([conform(batch, schema) for batch in batches], schema)


def _both(one: pa.Field, other: pa.Field) -> pa.Field:
    if one.type.equals(other.type):
        return one
    try:
        both = pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive")
    except pa.ArrowException:
        return pa.field(one.name, pa.string())
    return both.field(0)


def _cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    if array.type.equals(to):
        return array
    try:
        return array.cast(to, safe=False)
    except pa.ArrowException:  # lists and objects have no text of their own
        return pa.array([text(value) for value in array.to_pylist()], to)


def text(value: Any) -> str | None:
    """A value of JSON as a text column holds it."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
