# SPDX-License-Identifier: Apache-2.0
"""Writes GGUF version 3: metadata and tensors of 32-bit and 16-bit floats.

Source: the GGUF specification (ggml, docs/gguf.md).
"""

import struct

import numpy

ALIGNMENT = 32
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_TENSOR_TYPES = {numpy.dtype("float32"): 0, numpy.dtype("float16"): 1}


class I32List(list):
    """A list that is written as an array of int32."""


def _string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(value):
    """(type, bytes)."""
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return _U32, struct.pack("<I", value)
    if isinstance(value, float):
        return _F32, struct.pack("<f", value)
    if isinstance(value, str):
        return _STRING, _string(value)
    if isinstance(value, I32List):
        return _ARRAY, struct.pack("<IQ", _I32, len(value)) + struct.pack(f"<{len(value)}i", *value)
    if isinstance(value, list):
        return _ARRAY, struct.pack("<IQ", _STRING, len(value)) + b"".join(map(_string, value))
    raise TypeError(f"no GGUF type for {type(value)}")


def write(path, metadata, tensors):
    """metadata: key -> value; tensors: name -> numpy array (float32 or float16, rows last)."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        kind, data = _value(value)
        head += _string(key) + struct.pack("<I", kind) + data
    offset, blobs = 0, []
    for name, array in tensors.items():
        kind = _TENSOR_TYPES[array.dtype]
        dims = array.shape[::-1]  # GGUF names the fastest dimension first
        head += _string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
        data = numpy.ascontiguousarray(array).tobytes()
        data += b"\0" * (-len(data) % ALIGNMENT)
        blobs.append(data)
        offset += len(data)
    head += b"\0" * (-len(head) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(head)
        for blob in blobs:
            file.write(blob)
