"""What an idle node has loaded: none of the libraries that only some work needs (DESIGN §3.8)."""

import subprocess
import sys
import time

from bench.world import World

HEAVY = {
    "holidays", "jinja2", "babel", "openpyxl", "python_calamine", "calamine", "sqlite_utils", "snowballstemmer", "argon2", "PIL",
}  # fmt: skip
SERVES_AND_TELLS = """
import asyncio, sys
from pathlib import Path
from node.app import App
from node.body import Body
from node.runtime.config import NodeConfig, load_config

async def rest():
    app = App(Body.open(load_config(Path(sys.argv[1]) / "raccordo.toml", NodeConfig)))
    await app.start()
    await asyncio.sleep(0.3)
    print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
    await app.stop()

asyncio.run(rest())
"""


def test_an_idle_node_has_none_of_the_heavy_libraries_loaded(tmp_path):
    world = World(tmp_path, ["riposo"], int(time.time()), direct=["riposo"])
    line = [sys.executable, "-c", SERVES_AND_TELLS, str(world.path("riposo"))]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"node", "protocol", "aiohttp"} <= loaded
    assert not loaded & HEAVY
