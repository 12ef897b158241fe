"""Arrays are encoded and decoded without loss, and invalid ones are refused."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelane.data.tensor import EXTENSION_CODE, Tensor, from_wire, to_wire
from modelane.errors import BadInput

TRAVELS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.unicode_string_dtypes(endianness="<", max_len=8),
    st.just(np.dtype("<M8[us]")),
)


def through(array):
    packed = msgspec.msgpack.encode(array, enc_hook=to_wire)
    return msgspec.msgpack.decode(packed, ext_hook=from_wire).array()


@given(hnp.arrays(TRAVELS, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)))
def test_an_array_is_decoded_as_it_was_encoded(array):
    again = through(array)

    assert again.shape == array.shape
    assert again.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("unit", ["D", "s", "ms", "ns"])
def test_dates_of_any_unit_are_sent_as_microseconds(unit):
    dates = np.array(["2026-01-02", "NaT", "1901-12-31"], dtype=f"M8[{unit}]")

    again = through(dates)

    assert again.dtype == "M8[us]"
    np.testing.assert_array_equal(again, dates.astype("M8[us]"))


def test_dates_out_of_range_are_refused():
    with pytest.raises(BadInput, match="out of range"):
        through(np.array([2**60], dtype="M8[D]"))


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", None, "b"], dtype=object),
        np.array([["a", 1.5], [True, None]], dtype=object),
        np.array(["a", "b"], dtype="T"),
    ],
    ids=["texts", "mixed", "numpy's strings"],
)
def test_values_without_a_fixed_width_are_sent_as_a_list(array):
    packed = msgspec.msgpack.encode(array, enc_hook=to_wire)

    assert msgspec.msgpack.decode(packed) == array.tolist()


def test_one_long_string_does_not_widen_its_neighbours():
    array = np.array(["a"] * 1000 + ["b" * 4000])

    assert len(msgspec.msgpack.encode(array, enc_hook=to_wire)) < 10_000


def test_slices_and_transposes_need_not_be_contiguous():
    array = np.arange(24.0).reshape(4, 6)

    np.testing.assert_array_equal(through(array[::2, 1::2]), array[::2, 1::2])
    np.testing.assert_array_equal(through(array.T), array.T)


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()]),
        np.zeros(2, dtype=[("a", "f8")]),
        np.array([1], dtype="m8[s]"),
        np.array([1 + 2j]),
        np.zeros((1, 1, 1, 1)),
    ],
    ids=["objects", "records", "durations", "complex", "4-dimensional"],
)
def test_an_array_that_cannot_be_sent_is_refused(array):
    with pytest.raises(BadInput):
        Tensor.of(array)


@pytest.mark.parametrize(
    "payload",
    [
        ["<f8", [2, 3], b"short"],
        ["<f8", [2**62, 2**62], b""],
        ["<f8", [0, 2**62], b""],
        ["<f8", [2**63, 0], b""],
        ["<f8", [-1, -1], b"12345678"],
        ["|O", [1], b"12345678"],
        ["<U99999", [1], b""],
        ["<f8", [1] * 40, b"12345678"],
        ["<f8\n", [1], b"12345678"],
        ["V8", [1], b"12345678"],
        ["<f8", [1]],
        {"dtype": "<f8"},
        17,
    ],
    ids=repr,
)
def test_an_invalid_tensor_is_refused_without_allocating(payload):
    with pytest.raises(BadInput):
        from_wire(EXTENSION_CODE, memoryview(msgspec.msgpack.encode(payload)))


def test_an_unknown_extension_is_refused():
    with pytest.raises(BadInput, match="extension 3"):
        from_wire(3, memoryview(b""))


def test_a_tensor_is_described_by_its_shape_and_never_by_its_values():
    assert str(Tensor.of(np.full((128, 4), 4711.0))) == "[128x4 float64]"
