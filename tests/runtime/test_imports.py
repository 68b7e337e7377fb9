"""What importing the runtime loads: commands start fast, idle nodes stay small (DESIGN §3.8)."""

import subprocess
import sys

import pytest

LIGHT = [
    "local",
    "terminal",
    "config",
    "routes",
    "problem",
    "store",
    "keystore",
    "doctor",
    "logs",
    "metrics",
    "dice",
    "clock",
    "addresses",
]
HEAVY_FOR_A_COMMAND = {"aiohttp", "cryptography", "sqlite_utils", "asyncio"}
NEVER_IN_RUNTIME = {
    "sqlite_utils",
    "jinja2",
    "openpyxl",
    "python_calamine",
    "snowballstemmer",
    "holidays",
    "argon2",
    "babel",
    "PIL",
}


def loaded(*modules):
    code = f"import sys, {', '.join(modules)}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("modules", [LIGHT, ["local"], ["terminal"]], ids=["all light ones", "local", "terminal"])
def test_what_a_command_imports_is_light(modules):
    assert not loaded(*(f"node.runtime.{name}" for name in modules)) & HEAVY_FOR_A_COMMAND


def test_the_local_channel_needs_no_database():
    assert "sqlite3" not in loaded("node.runtime.local")


def test_the_whole_runtime_loads_none_of_the_lazy_libraries():
    heavy = loaded(*(f"node.runtime.{name}" for name in [*LIGHT, "http", "client", "writer"]))
    assert not heavy & NEVER_IN_RUNTIME
