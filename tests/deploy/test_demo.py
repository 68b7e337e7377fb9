"""The whole network as its user meets it: real processes, the story of the demo, verified where it arrives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMISED = (
    "Radice firmata da due garanti",
    "enti si sono trovati nell'elenco firmato",
    "Stessa mappa, byte per byte",
    "Il PUA del distretto è la prima proposta",
    "Passaggio PUA → ADI registrato come interno",
    "La Dispensa vede nome e nucleo, non il motivo",
    "Nei file della bacheca non compaiono",
    "la bacheca era spenta",
    "0 persi, 0 doppi",
)


@pytest.mark.feature("F001-30", "F000-03", "F000-25", "F000-33", "F001-23", "F004-03", "F004-28")
@pytest.mark.xdist_group("processes")
def test_the_story_of_the_demo_happens_step_by_step(tmp_path: Path) -> None:
    state = tmp_path / "stato.json"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo", "--once", "--dir", str(tmp_path / "rete"), "--state", str(state)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [text for text in PROMISED if text not in done.stdout] == []
    where = json.loads(state.read_text("utf-8"))
    assert set(where["nodes"]) == {
        "comune-pesaro", "comune-tavullia", "comune-montelabbate", "distretto", "patr-fittizio-a", "ts-dispensa",
    }  # fmt: skip
    assert sum(1 for node in where["nodes"].values() if node["public"]) == 2, "the others have no inbound route"
