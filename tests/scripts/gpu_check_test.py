#!/usr/bin/env python3
"""Packs the GPU bundle from the programs at hand and runs it here."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
TORCH = next(iter((ROOT / ".venv").glob("lib/python3*/site-packages/torch")), None)
MOST_BYTES = 40 << 20
GLIBC = r"ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv)\.so.*"
WITH_TORCH = r"lib(torch|c10)\w*\.so|libcudart\.so\.13|libgomp\.so\.1"


def run(*command, **environment):
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def dynamic(file, tag):
    text = run("readelf", "-dW", file).stdout
    return re.findall(rf"\({tag}\).*\[(.*)\]", text)


@unittest.skipUnless((PROGRAMS / "libweft_cuda.so").exists(), "built without nvcc")
class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.bundle = Path(cls.folder.name) / "gpu_bundle"
        cls.packed = run(
            "scripts/gpu_check.sh", "pack", "--build", PROGRAMS.parent, "--out", cls.bundle
        )

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.assertEqual(self.packed.returncode, 0, self.packed.stderr)

    def run_bundle(self, **environment):
        with tempfile.TemporaryDirectory() as out:
            done = run(self.bundle / "run.sh", "--out", out, **environment)
            return done, json.loads((Path(out) / "gpu_report.json").read_text())

    def test_is_small_and_brings_its_libraries(self):
        files = [file for file in self.bundle.rglob("*") if file.is_file()]
        self.assertLessEqual(sum(file.stat().st_size for file in files), MOST_BYTES)
        binaries = [file for file in files if file.parent.name in ("bin", "lib")]
        for file in binaries:
            self.assertEqual(dynamic(file, "RPATH") + dynamic(file, "RUNPATH"), [], file)
            for needed in dynamic(file, "NEEDED"):
                brought = (self.bundle / "lib" / needed).exists()
                known = re.fullmatch(f"{GLIBC}|{WITH_TORCH}", needed)
                self.assertTrue(brought or known, f"{file.name} needs {needed}")

    def test_says_where_no_pytorch_is(self):
        done, report = self.run_bundle(TORCH_DIR="/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIsNone(report["gpu"])
        self.assertIn("/nonexistent", report["reason"])

    @unittest.skipIf(Path("/proc/driver/nvidia/version").exists(), "there is a driver")
    def test_says_where_no_gpu_is(self):
        done, report = self.run_bundle(TORCH_DIR=str(TORCH))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIsNone(report["gpu"])
        self.assertFalse(report["ok"])
        self.assertIn("no NVIDIA driver", report["reason"])
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    @unittest.skipIf(Path("/proc/driver/nvidia/version").exists(), "there is a driver")
    def test_programs_start_with_its_own_libraries(self):
        places = {"LD_LIBRARY_PATH": f"{self.bundle}/lib:{TORCH}/lib"}
        for name in ("device_gpu_tests", "ops_gpu_tests", "engine_gpu_tests",
                     "learn_on_device_gpu_tests"):
            done = run(self.bundle / "bin" / name, **places)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("no NVIDIA driver", done.stdout)
        done = run(self.bundle / "bin" / "generate", "--help", **places)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_run_wants_a_folder(self):
        done = run(self.bundle / "run.sh")
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage", done.stderr)


class Usage(unittest.TestCase):
    def test_wrong_words_are_refused(self):
        for words in ((), ("unpack",), ("pack", "--nonsense", "x")):
            done = run("scripts/gpu_check.sh", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage", done.stderr)


if __name__ == "__main__":
    unittest.main()
