"""Combine batches whose columns differ in type, as the pieces of one file may.

A column of integers here and fractions there becomes a column of fractions. A column that is absent somewhere
is filled with missing values there. A column of text here and numbers there becomes text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return a schema for the rows of all ``schemas``; columns in order of first appearance."""
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            fields[field.name] = _common(fields[field.name], field) if field.name in fields else field
    return pa.schema(list(fields.values()))


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the same rows with the columns of ``schema``, a result of :func:`unified`."""
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
    """Return the rows of all batches, with a schema that can hold them."""
    schema = unified(batch.schema for batch in batches)
    return pa.Table.from_batches([conform(batch, schema) for batch in batches], schema)


def as_text(value: Any) -> str | None:
    """Return a JSON value as a text column holds it: text as it is, everything else as JSON."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _common(one: pa.Field, other: pa.Field) -> pa.Field:
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
    except pa.ArrowException:  # pyarrow cannot cast lists and structs to text
        return pa.array([as_text(value) for value in array.to_pylist()], to)
