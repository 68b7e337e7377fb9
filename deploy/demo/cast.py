"""Who plays in the demo: the bodies of the sample, what the guarantors admit them for, where they can be reached."""

import csv
from pathlib import Path
from typing import Final, NamedTuple

SAMPLE: Final = Path(__file__).resolve().parents[1] / "sample"
SIX: Final = (
    "comune-pesaro", "comune-tavullia", "comune-montelabbate", "distretto", "patr-fittizio-a", "ts-dispensa",
)  # fmt: skip

# What the gruppo tecnico decided for the demo; everybody else is admitted without capabilities.
CAPABILITIES: Final[dict[str, tuple[str, ...]]] = {
    "comune-pesaro": ("take-in-charge", "router", "pis"),
    "distretto": ("take-in-charge", "pua", "relay"),
}
REACHABLE: Final = frozenset({"comune-pesaro", "distretto"})
RELAYS: Final = ("bacheca", "distretto")

# Operators by body: code → role. Codes, not names.
OPERATORS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "comune-tavullia": (("TAV-01", "RL-OPSPORT"), ("TAV-AS", "RL-ASSOC")),
    "comune-pesaro": (("PES-01", "RL-OPSPORT"), ("PES-AS", "RL-ASSOC")),
    "comune-montelabbate": (("MON-01", "RL-OPSPORT"), ("MON-AS", "RL-ASSOC")),
    "distretto": (("PUA-01", "RL-OPSPORT"), ("PUA-AS", "RL-ASSOC"), ("ADI-01", "RL-ASSOC")),
    "patr-fittizio-a": (("PAT-01", "RL-OPSPORT"),),
    "ts-dispensa": (("DIS-01", "RL-OPSPORT"),),
}


class Actor(NamedTuple):
    """One body: its row of nodi_ESEMPIO.csv and its sheet."""

    node: str
    name: str
    ptype: str
    comune: str
    sheet: Path

    @property
    def capabilities(self) -> tuple[str, ...]:
        default = ("take-in-charge", "router") if self.ptype == "PT-COMUNE" else ()
        return CAPABILITIES.get(self.node, default)

    @property
    def territory(self) -> tuple[str, ...]:
        return (self.comune,)

    @property
    def operators(self) -> tuple[tuple[str, str], ...]:
        return OPERATORS.get(self.node, ((f"{self.node[:3].upper()}-01", "RL-OPSPORT"),))


def cast(everybody: bool) -> list[Actor]:
    """The six of the story, or all nineteen."""
    with (SAMPLE / "nodi_ESEMPIO.csv").open(encoding="utf-8", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    return [
        Actor(
            row["node_id"], row["ente"], row["participant_type"], row["comune_istat"],
            SAMPLE / "per_ente" / f"{row['node_id']}_ESEMPIO.csv",
        )
        for row in rows
        if everybody or row["node_id"] in SIX
    ]  # fmt: skip
