#!/usr/bin/env python3
"""Exceptions find their way through the built programs: every function's unwinding entry is in the
table that the search at run time reads. A linker that keeps one entry for an address drops those of
functions that lie where another's empty cold part does."""

import os
import struct
import unittest
from pathlib import Path

PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])


def sections(data):
    """(offset, size) of each section of a 64-bit little-endian ELF file, by name."""
    start, = struct.unpack_from("<Q", data, 40)
    entry, count, names_index = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, start + i * entry) for i in range(count)]
    names = headers[names_index][4]
    found = {}
    for name, _, _, _, offset, size in headers:
        end = data.index(b"\0", names + name)
        found[data[names + name : end].decode()] = (offset, size)
    return found


def num_entries(data, offset, size):
    """Functions that .eh_frame describes."""
    count, at = 0, offset
    while at + 8 <= offset + size:
        length, kind = struct.unpack_from("<II", data, at)
        count += length > 0 and kind != 0  # 0: what several entries have in common
        at += 4 + length
    return count


class Unwinding(unittest.TestCase):
    def test_every_function_of_every_program_is_in_the_table(self):
        files = [p for p in PROGRAMS.iterdir() if p.is_file() and not p.name.endswith("_tests")]
        checked = 0
        for path in files:
            data = path.read_bytes()
            if data[:4] != b"\x7fELF":
                continue
            found = sections(data)
            header, _ = found[".eh_frame_hdr"]
            self.assertEqual(data[header + 2], 3, "the count is 4 bytes")
            in_table, = struct.unpack_from("<I", data, header + 8)
            self.assertEqual(in_table, num_entries(data, *found[".eh_frame"]), path.name)
            checked += 1
        self.assertGreater(checked, 0)


if __name__ == "__main__":
    unittest.main()
