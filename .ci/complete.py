"""Fails if a wheel lacks a file: all of worker/ must be in it, and config/ as worker/_config."""

import sys
import zipfile
from pathlib import Path

held = set(zipfile.ZipFile(sys.argv[1]).namelist())
files = [path for folder in ("worker", "config") for path in Path(folder).rglob("*") if path.is_file()]
names = [path.as_posix() for path in files if "__pycache__" not in path.parts]
wanted = {name.replace("config/", "worker/_config/", 1) if name.startswith("config/") else name for name in names}
missing = sorted(wanted - held)
print(f"{len(wanted) - len(missing)} of {len(wanted)} files are in the wheel")
sys.exit("\n".join(["missing:", *missing]) if missing else 0)
