#!/usr/bin/env python3
"""Writes arrays-stored.npz, arrays-deflated.npz and arrays-fortran.npy with NumPy.

Element i (in row-major order) of every array of 2 x 3 x 4 is i - 3 for signed types, i for unsigned ones, and i odd for
bool; made with NumPy 2.

usage: make_arrays.py
"""
import pathlib

import numpy

HERE = pathlib.Path(__file__).parent
TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]


def array(dtype):
    values = numpy.arange(24)
    if dtype == "bool":
        values = values % 2
    elif not dtype.startswith("u"):
        values = values - 3
    return values.astype(dtype).reshape(2, 3, 4)


arrays = {dtype: array(dtype) for dtype in TYPES}
arrays |= {"scalar": numpy.float32(1.5), "empty": numpy.zeros((2, 0, 3), "int64"), "a/../\u03b1": numpy.ones(1, "f4")}
numpy.savez(HERE / "arrays-stored.npz", **arrays)
numpy.savez_compressed(HERE / "arrays-deflated.npz", **arrays)
numpy.save(HERE / "arrays-fortran.npy", numpy.asfortranarray(array("float32")))
