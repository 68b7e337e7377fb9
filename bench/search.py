"""Search in process on generated services: p50, p99, and the ratio to the bare FTS5 token query in the same run. JSON.

`python -m bench.search [SERVICES] [ROUNDS]`. `desk_mix` writes every result out with reasons and warnings; `hits_only`
is what the FTS5 query gives too: ids in order. The mix is that of PERFORMANCE §3: one or two Italian words, a comune
and a target, nearest 20. A second mix holds single filters and whole-map questions, a third misspelt words.
"""

import atexit
import gc
import json
import math
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from node.map.analyser import stems
from node.map.query import Query
from node.map.search import ServiceMap
from node.map.tables import SqliteMap, apply, map_migrations
from node.runtime.migrations import migrate
from protocol.territory import Territory
from schemas.records import Service
from schemas.vocabularies import table
from tests.map.factory import TARGETS, WORDS, by_member, generated, publish

NOW = 1795514400
COMUNI_IN_ITALY = 7900


def comuni(services: int) -> list[dict[str, str]]:
    """The nine comuni, and invented ones so that there are never more than some 600 services in one."""
    rows = [dict(row) for row in table("comuni").values()]
    dice = random.Random(2)
    for n in range(max(0, min(services // 600, COMUNI_IN_ITALY) - len(rows))):
        lat, lon = 37 + dice.random() * 9, 8 + dice.random() * 9
        rows.append({"istat_code": f"{900000 + n}", "name": f"Esempio {n}", "lat": f"{lat:.4f}", "lon": f"{lon:.4f}"})
    return rows


def resident_mb() -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def replica(pairs: list[tuple[str, Service]]) -> SqliteMap:
    """A node's replica on disk, as the follower keeps it; the file goes when the process does."""
    path = Path(tempfile.mkdtemp(prefix="raccordo-bench-")) / "map.db"
    atexit.register(shutil.rmtree, path.parent)
    conn = sqlite3.connect(path, isolation_level=None)
    migrate(conn, map_migrations())
    conn.execute("BEGIN")
    publish(partial(apply, conn), by_member(pairs))
    conn.execute("COMMIT")
    return SqliteMap(conn)


def token_table(service_map: ServiceMap) -> sqlite3.Connection:
    """The yardstick: the same tokens in FTS5, filters folded in, with the position beside."""
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE VIRTUAL TABLE t USING fts5(body, content='', tokenize=\"unicode61 tokenchars ':-_'\")")
    conn.execute("CREATE TABLE d (rowid INTEGER PRIMARY KEY, id TEXT, lat REAL, lon REAL)")
    for number, held in service_map.index.held.items():
        conn.execute("INSERT INTO t (rowid, body) VALUES (?, ?)", (number + 1, " ".join(held.tokens)))
        place = held.place
        conn.execute(
            "INSERT INTO d VALUES (?, ?, ?, ?)", (number + 1, held.id, place and place.lat, place and place.lon)
        )
    conn.execute("INSERT INTO t (t) VALUES ('optimize')")
    return conn


FTS = (
    "SELECT d.id, (d.lat - ?) * (d.lat - ?) + (d.lon - ?) * (d.lon - ?) * 0.52 AS far"
    " FROM t JOIN d ON d.rowid = t.rowid WHERE t MATCH ? ORDER BY far LIMIT 20"
)


def yardstick(conn: sqlite3.Connection, territory: Territory, query: Query) -> list[tuple[str, float]]:
    parts = [f'"{stem}"' for stem in stems(query.words)]
    parts += [f'("comune:{c}")' for c in sorted(territory.family(str(query.comune)))[:1]]
    parts += [f'"{code}"' for code in query.targets]
    lat, lon = territory.centroid(str(query.comune)) or (0.0, 0.0)
    return conn.execute(FTS, (lat, lat, lon, lon, " AND ".join(parts))).fetchall()


def desk_mix(dice: random.Random, places: Sequence[str], n: int) -> list[Query]:
    return [
        Query(
            words=" ".join(dice.sample(WORDS, k=dice.randrange(1, 3))),
            comune=dice.choice(places),
            targets=(dice.choice(TARGETS),),
            order="near",
        )
        for _ in range(n)
    ]


def broad_mix(dice: random.Random, places: Sequence[str], n: int) -> list[Query]:
    def one() -> Query:
        near = dice.choice(places)
        return dice.choice(
            (
                Query(targets=(dice.choice(TARGETS),), near=near),
                Query(comune=near),
                Query(words=dice.choice(WORDS), near=near),
                Query(sector=("public",), near=near, open=True),
                Query(near=near),
            )
        )

    return [one() for _ in range(n)]


def typo_mix(dice: random.Random, places: Sequence[str], n: int) -> list[Query]:
    def misspelt() -> str:
        word = dice.choice([w for w in WORDS if len(w) > 6])
        at = dice.randrange(2, len(word) - 2)
        return word[:at] + word[at + 1 :]

    return [Query(words=misspelt(), near=dice.choice(places)) for _ in range(n)]


class Took(NamedTuple):
    """Milliseconds of one query: on the clock, and of this thread's CPU (a busy machine disturbs only the first)."""

    wall: float
    cpu: float


def timed(run: Callable[[Query], object], queries: Sequence[Query]) -> list[Took]:
    took = []
    for query in queries:
        start, cpu = time.perf_counter(), time.thread_time()
        run(query)
        took.append(Took((time.perf_counter() - start) * 1000, (time.thread_time() - cpu) * 1000))
    return took


def figures(took: Sequence[Took]) -> dict[str, float]:
    wall, cpu = sorted(t.wall for t in took), sorted(t.cpu for t in took)
    p99 = math.ceil(0.99 * len(took)) - 1
    return {
        "queries": len(took),
        "per_second": round(1000 * len(took) / sum(wall)),
        "p50_ms": round(statistics.median(wall), 3),
        "p99_ms": round(wall[p99], 3),
        "p99_cpu_ms": round(cpu[p99], 3),
        "max_ms": round(wall[-1], 3),
    }


def main(services: int = 5000, rounds: int = 9) -> None:
    rows = comuni(services)
    territory = Territory.from_rows(rows)
    places = [row["istat_code"] for row in rows]
    before = resident_mb()
    source = replica(generated(services, comuni=places))
    gc.collect()
    data = resident_mb()
    service_map = ServiceMap(source, "members", territory)
    start = time.perf_counter()
    service_map.search(Query(words="sportello"), NOW)
    first = time.perf_counter() - start
    gc.collect()
    indexed = resident_mb()
    conn = token_table(service_map)
    dice = random.Random(11)
    ours, floor, hits, ratios = [], [], [], []
    per_round = 400 if services <= 20_000 else 100
    for _ in range(rounds):
        queries = desk_mix(dice, places, per_round)
        floor_took = timed(lambda query: yardstick(conn, territory, query), queries)
        hits_took = timed(lambda query: service_map.find(query, NOW), queries)
        ours += timed(lambda query: service_map.search(query, NOW), queries)
        hits += hits_took
        floor += floor_took
        ratios.append(sum(t.wall for t in floor_took) / sum(t.wall for t in hits_took))
    found = [service_map.search(query, NOW).total for query in desk_mix(dice, places, 200)]
    print(
        json.dumps(
            {
                "services": services,
                "desk_mix": figures(ours),
                "desk_mix_hits_only": figures(hits),
                "fts5_tokens": figures(floor),
                "hits_ratio_to_fts5": {
                    "median": round(statistics.median(ratios), 2),
                    "min": round(min(ratios), 2),
                    "max": round(max(ratios), 2),
                },
                "mean_matches": round(statistics.mean(found), 1),
                "broad_mix": figures(
                    timed(lambda query: service_map.search(query, NOW), broad_mix(dice, places, per_round))
                ),
                "typo_mix": figures(
                    timed(lambda query: service_map.search(query, NOW), typo_mix(dice, places, per_round))
                ),
                "first_search_s": round(first, 2),
                "memory_mb": {"before": round(before), "records": round(data - before), "index": round(indexed - data)},
                "timetables": len({id(held.timetable) for held in service_map.index.held.values()}),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
