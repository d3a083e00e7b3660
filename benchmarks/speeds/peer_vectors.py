"""The row about vectors in other libraries: the same vectors, queries and recall for each."""

from __future__ import annotations

from typing import Any

from .apart import apart
from .findings import Finding
from .laboratory import K, Laboratory
from .peers import PEERS
from .vectors import MEMORY, about, measured

TARGET = 0.95
TIE = 1.10
"""Times up to so much longer are ties: runs on one machine differ by as much."""


def peers_vectors(laboratory: Laboratory) -> Finding:
    """Ours, as stores are searched, next to each of the peers."""
    count = laboratory.sizes.million
    truth = laboratory.truth(count)
    queries = {
        "vectors": str(laboratory.vectors_file(count)),
        "queries": str(laboratory.asks_file),
        "last": truth.last.tolist(),
        "k": K,
        "target": TARGET,
    }
    rows: dict[str, dict[str, Any]] = {"ours": ours(laboratory, count, queries)}
    laboratory.progress.start("peers", len(PEERS), "libraries")
    for name in PEERS:
        try:
            rows[name] = apart(
                "duel:measure",
                peer=name,
                **queries,
                saved=str(laboratory.scratch / f"{name}.index"),
            ).result
        except RuntimeError as error:
            rows[name] = {"error": str(error)}
        laboratory.progress.advance()
    judge(rows)
    compared = [row for row in rows.values() if "against" in row]
    worst = min((row["against"]["all_cores_seconds"] for row in compared), default=0.0)
    return Finding(
        worst,
        bool(compared) and all(row["result"] != "lose" for row in compared),
        {"peers": rows},
        f"{about(laboratory, count)}; each tuned to recall {TARGET} on these queries, exact ones "
        "as they are (ours by a part of the reach that the tool sets; as_set: as it does); all "
        "return numbers, ours with exact scores from the catalog (with_paths_seconds: the whole of "
        "`Store.search`, as set); bytes of the saved "
        "index (ours without the catalog, which holds the exact vectors); one process each",
    )


def ours(laboratory: Laboratory, count: int, queries: dict[str, Any]) -> dict[str, Any]:
    """The same figures of the tool's own store; and, as it sets itself, what a query takes."""
    known = measured(laboratory, count)
    store = str(known.filled.path)
    as_set = apart("ours:ask", store=store, queries=queries["queries"], k=K, memory=MEMORY).result
    return {
        "build_seconds": known.build["seconds"],
        "bytes_per_vector": known.build["index_bytes"] / count,
        "choice": known.build["index"],
        **apart("ours:at_recall", store=store, memory=MEMORY, **queries).result,
        "as_set_recall": known.recall,
        "as_set_seconds": as_set["numbers_seconds"],
        "with_paths_seconds": as_set["median_seconds"],
    }


def judge(rows: dict[str, dict[str, Any]]) -> None:
    """Say of each peer whether ours wins, ties or loses on single queries, and why where it
    loses; only what was measured is said."""
    ours_ = rows["ours"]
    for name, row in rows.items():
        if name == "ours" or "all_cores_seconds" not in row:
            continue
        measures = "all_cores_seconds", "one_core_seconds", "build_seconds", "bytes_per_vector"
        row["against"] = {one: row[one] / max(ours_[one], 1e-9) for one in measures}
        faster = row["against"]["all_cores_seconds"]
        row["result"] = "win" if faster >= TIE else "tie" if faster >= 1 / TIE else "lose"
        if row["result"] == "lose":
            row["why"] = why(ours_, row)


def why(ours_: dict[str, Any], row: dict[str, Any]) -> str:
    """What the figures say about a query that takes us longer."""
    return (
        f"it answers in {row['all_cores_seconds'] * 1e3:.2f} ms at recall {row['recall']:.3f}, "
        f"ours in {ours_['all_cores_seconds'] * 1e3:.2f} ms at {ours_['recall']:.3f}; it builds in "
        f"{row['build_seconds']:.0f} s against {ours_['build_seconds']:.0f} s and takes "
        f"{row['bytes_per_vector']:.0f} bytes a vector against {ours_['bytes_per_vector']:.0f}"
    )
