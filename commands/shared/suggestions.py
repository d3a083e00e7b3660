"""What somebody meant who typed a command or an option that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

COMMANDS: dict[str, tuple[str, ...]] = {
    "backbones": ("models", "networks", "encoders", "weights"),
    "backbones fetch": ("fetch", "download", "pull"),
    "backup": ("save", "snapshot", "archive"),
    "build": (
        *("index", "add", "update", "scan", "create", "init", "ingest", "embed", "make"),
        *("reindex", "rebuild", "rescan", "refresh", "sync"),
    ),
    "completion": ("complete", "autocomplete"),
    "copy": ("cp", "clone", "migrate", "transfer", "move", "mv"),
    "dupes": ("duplicates", "dups", "dedupe", "dedup", "deduplicate", "copies"),
    "eval": ("score", "benchmark", "bench", "measure", "metrics"),
    "export": ("dump", "write"),
    "forget": ("remove", "delete", "rm", "del", "erase", "purge", "drop", "prune", "unindex"),
    "import": ("load", "read"),
    "info": ("status", "stats", "show", "describe", "about", "ls", "list", "count"),
    "merge": ("combine", "join", "union", "concat"),
    "pairs": ("lookalikes", "look-alikes", "twins", "couples", "matches"),
    "query": ("search", "find", "similar", "lookup", "ask", "look", "match", "nearest", "knn"),
    "repair": ("fix", "mend", "recover", "restore", "salvage", "heal"),
    "serve": ("server", "web", "webui", "ui", "gui", "api", "http", "start", "page", "browse"),
    "submit": ("submission", "kaggle", "predict"),
    "train": ("learn", "fit", "finetune", "fine-tune", "adapt"),
    "verify": ("check", "fsck", "validate", "test", "doctor"),
    "watch": ("monitor", "daemon", "listen", "poll"),
    "why": ("explain", "compare", "heatmap", "reason", "diff"),
    "--help": ("help", "man", "usage", "?"),
    "--version": ("version",),
}
"""Commands, and other words that people have for them."""

SUBCOMMANDS: dict[str, tuple[str, ...]] = {"fetch": ("download", "get", "install", "pull", "add")}
"""The same of commands of commands."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "-k": (
        "n",
        "num",
        "number",
        "count",
        "limit",
        "top",
        "top-k",
        "topk",
        "max-results",
        "results",
    ),
    "--backbone": ("model", "network", "encoder", "arch"),
    "--batch-size": ("batch", "bs"),
    "--debug": ("verbose", "v", "trace", "traceback"),
    "--device": ("gpu", "cuda", "cpu"),
    "--dry-run": ("simulate", "pretend", "no-act"),
    "--exclude": ("ignore", "skip", "without", "x"),
    "--filter": ("only", "where", "include", "glob", "in"),
    "--follow-links": ("symlinks", "dereference", "L"),
    "--format": ("output-format", "f"),
    "--help": ("?", "usage", "man"),
    "--hidden": ("all", "a", "dotfiles"),
    "--html": ("page", "web", "out"),
    "--hubs": ("csls", "hubness"),
    "--index": ("index-type", "faiss"),
    "--max-megapixels": ("max-pixels", "max-size"),
    "--min-score": ("threshold", "min-similarity", "cutoff", "score"),
    "--out": ("o", "output", "save", "to", "dest", "destination"),
    "--poll": ("interval", "every"),
    "--quiet": ("silent", "s", "no-progress"),
    "--sample": ("random",),
    "--sheet": ("montage", "contact-sheet", "grid", "out"),
    "--store": ("db", "database", "index-dir", "dir", "repo", "s", "d"),
    "--threshold": ("similarity", "min-score", "tolerance", "t"),
    "--top": ("k", "n", "num", "number", "count", "limit", "max-results"),
    "--version": ("V", "v"),
    "--workers": ("jobs", "j", "threads", "processes", "num-workers", "p"),
}
"""Options, and other words that people have for them."""

_FEWEST = 2
"""Letters that say how a name begins."""


def commands_meant(typed: str, known: Iterable[str]) -> list[str]:
    """The commands of `known` that `typed` may stand for, the likeliest; often one, or none."""
    return _meant(typed.lower().strip("-"), list(known), COMMANDS | SUBCOMMANDS)


def options_meant(typed: str, known: Sequence[str]) -> list[str]:
    """The options of `known` that `typed` may stand for, whatever dashes it begins with."""
    by_name = {option.lstrip("-"): option for option in known}
    others = {name.lstrip("-"): also for name, also in OPTIONS.items()}
    word = typed.lstrip("-")
    found = _meant(word, list(by_name), others) or _meant(word.lower(), list(by_name), others)
    return [by_name[name] for name in found]


def _meant(word: str, known: Sequence[str], others: Mapping[str, Sequence[str]]) -> list[str]:
    """The first of these that finds any: the name itself; another word for it, or one slip of the
    finger; how it begins; a part of it; more slips."""
    if not word:
        return []
    if word in known:
        return [word]
    slips = {name: distance(word, name) for name in known if len(name) > 1}
    least = min(slips.values(), default=len(word))
    closest = [name for name, count in slips.items() if count == least]
    likely = [name for name, synonyms in others.items() if word in synonyms and name in known]
    if least == 1 and len(word) > _FEWEST:
        likely += [name for name in closest if name not in likely]
    return (
        likely
        or _begun(word, known)
        or _in_parts(word, known, others)
        or (closest if least <= len(word) // 3 else [])
    )


def _begun(word: str, known: Sequence[str]) -> list[str]:
    if len(word) < _FEWEST:
        return []
    longer = [name for name in known if name.startswith(word) and " " not in name]
    return longer or [name for name in known if len(name) > _FEWEST and word.startswith(name)]


def _in_parts(word: str, known: Sequence[str], others: Mapping[str, Sequence[str]]) -> list[str]:
    """The names that a part of the word stands for, as in `find-duplicates`, the last such part;
    else those that have the word as a part, as `follow-links` has `links`."""
    for part in reversed(parts := word.replace("_", "-").split("-")):
        if len(parts) > 1 and len(part) > _FEWEST:
            also = [name for name, synonyms in others.items() if part in synonyms]
            if found := [name for name in known if name == part or name in also]:
                return found
    return [name for name in known if word in name.split("-")[1:]]


def distance(a: str, b: str) -> int:
    """How many letters to insert, drop, replace, or swap with the next, to make the one of the
    other (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(b, start=1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and other == a[i - 2]:
                least = min(least, earlier[j - 2] + 1)
            row.append(least)
    return row[-1]
