#!/usr/bin/env python3
"""Checks what bootstrap.sh says and does on machines that this one is not: a copy of it, with
stand-ins for the commands that it asks about packages, user and namespaces."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HAS_ALL = 'echo "install ok installed"'
LACKS_CMAKE = f'[ "${{@: -1}}" != cmake ] && {HAS_ALL}'
NOTE = 'echo "$(basename "$0") $*" >> "$NOTES"'


class Bootstrap(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        (self.place / "scripts").mkdir()
        for script in ("bootstrap.sh", "sandbox_packages.sh"):
            shutil.copy(ROOT / "scripts" / script, self.place / "scripts")
        # The model is there, as far as this machine knows.
        (self.place / "scripts" / "fetch_default_model.py").write_text("")

    def call(self, *arguments, **commands):
        """Runs the copy where `commands` (names to bash lines) replace those of the machine."""
        tools = self.place / "tools"
        tools.mkdir(exist_ok=True)
        for name, line in {"dpkg-query": HAS_ALL, "unshare": "exit 0", "apt-get": NOTE,
                           **{key.replace("_", "-"): line for key, line in commands.items()}}.items():
            (tools / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
            (tools / name).chmod(0o755)
        environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}",
                           WEFT_TORCH_DIR="/opt/torch", NOTES=str(self.place / "notes"))
        done = subprocess.run([self.place / "scripts" / "bootstrap.sh", *arguments], timeout=60,
                              env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def notes(self):
        path = self.place / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def test_changes_nothing_where_all_is_there(self):
        code, out, _ = self.call()
        self.assertEqual(code, 0)
        self.assertIn("system packages: all there", out)
        self.assertIn("namespaces for the sandbox: there", out)
        self.assertNotIn("installing", out)
        self.assertEqual(self.notes(), [])
        self.assertEqual([path.name for path in self.place.iterdir()
                          if path.name.startswith(".venv")], [])

    def test_names_missing_packages_in_one_line_unless_root(self):
        code, out, errors = self.call(dpkg_query=LACKS_CMAKE, id="echo 1000")
        self.assertEqual(code, 2)
        self.assertEqual(errors.count("\n"), 1)
        self.assertTrue(errors.endswith("--no-install-recommends cmake\n"), errors)
        self.assertEqual(self.notes(), [])

    def test_installs_missing_packages_as_root(self):
        code, out, _ = self.call(dpkg_query=LACKS_CMAKE, id="echo 0")
        self.assertEqual(code, 0)
        self.assertIn("installing system packages: cmake", out)
        self.assertEqual(self.notes(), ["apt-get update -qq",
                                        "apt-get install -y -qq --no-install-recommends cmake"])

    def test_help_is_help_and_other_words_are_refused(self):
        code, out, _ = self.call("--help")
        self.assertEqual(code, 0)
        self.assertIn("scripts/bootstrap.sh --tests    adds what only the tests need", out)
        self.assertNotIn("#", out)
        self.assertNotIn("set -euo", out)
        code, _, errors = self.call("--test")
        self.assertEqual(code, 2)
        self.assertEqual(errors, "bootstrap: expected --tests, --help or nothing, got --test\n")
        self.assertEqual(self.notes(), [])

    def test_other_systems_are_told_what_is_needed(self):
        bare = self.place / "bare"
        bare.mkdir()
        for name in ("bash", "sed", "dirname"):
            (bare / name).symlink_to(shutil.which(name))
        done = subprocess.run([shutil.which("bash"), self.place / "scripts" / "bootstrap.sh"],
                              env={"PATH": str(bare)}, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("this system has no apt", done.stderr)
        self.assertIn("libseccomp-dev", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_warns_before_the_build_where_namespaces_are_refused(self):
        code, out, _ = self.call(unshare="exit 1")
        self.assertEqual(code, 0)
        self.assertIn("warning: this machine gives no namespaces", out)
        self.assertIn("user.max_user_namespaces", out)


if __name__ == "__main__":
    unittest.main()
