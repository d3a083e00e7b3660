"""What was found or done -> text for people, rows for programs. `pages.py` shows pictures."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.contracts import Hit, Hits
from ..core.names import near, shown
from ..core.wording import counted
from ..engine.images.file_kinds import unread
from .formats import to_json
from .terminals import PLAIN, Style

if TYPE_CHECKING:
    from ..indexer.analysis.pairs import Pair
    from ..indexer.ingest.report import BuildReport, Skipped


def table(hits: Hits, style: Style = PLAIN, *, nothing: str = "nothing else is indexed") -> str:
    """Rank, score and path, a line each, under the query's name."""
    lines = [style.strong(shown(near(hits.query)))]
    lines += [
        f"{style.faint(f'{hit.rank:>6}')}  {hit.score:6.3f}  "
        + (f"{style.bar(hit.score)}  " if style.bars else "")
        + style.path(hit.path)
        + style.faint(_other_paths(hit))
        for hit in hits
    ]
    if not hits:
        lines.append(f"        ({nothing})")
    return "\n".join(lines)


def hit_rows(hits: Hits) -> Iterator[dict[str, Any]]:
    """JSON values of each hit, with the query's name."""
    for hit in hits:
        yield {"query": hits.query, **asdict(hit)}


HIT_COLUMNS = ("query", *(field.name for field in fields(Hit)))


def raw_paths(hits: Hits, end: bytes) -> bytes:
    """The hits' paths as the file system spells them, each followed by `end`."""
    return b"".join(os.fsencode(hit.path) + end for hit in hits)


def summary(report: BuildReport, seconds: float, store: str, dry_run: bool = False) -> str:
    """A build in a few lines."""
    counts = {
        "new or moved" if dry_run else "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        **({} if dry_run else {"moved": report.moved}),
        "gone or moved" if dry_run else "removed": report.removed,
        "skipped": len(report.skipped),
    }
    line = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    lines = [f"{'would be: ' if dry_run else ''}{line}"]
    if report.copies:
        lines.append(_known_pictures(report.copies - report.links, report.links))
    if report.skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.reasons().items())
        lines.append(f"skipped: {reasons}")
        lines += [f"  {shown(near(one.path))}: {one.message}" for one in report.skipped[:3]]
        if len(report.skipped) > 3:
            lines.append(f"  and {len(report.skipped) - 3:,} more (--report FILE lists each)")
    lines += _passed_over(report)
    lines += _rules(report, dry_run)
    if not dry_run:
        speed = f", {report.embedded / seconds:.0f} a second" if report.embedded > 100 else ""
        lines.append(f"{report.embedded:,} embedded in {_duration(seconds)}{speed}; store: {store}")
    return "\n".join(lines)


def _known_pictures(copies: int, links: int) -> str:
    """What was added without a new picture, of which there is some."""
    parts = []
    if copies:
        are = "is a copy of a picture" if copies == 1 else "are copies of pictures"
        parts.append(f"{copies:,} of the added {are} indexed before")
    if links:
        of = "" if copies else " of the added"
        are = "is another path to a file" if links == 1 else "are other paths to files"
        parts.append(f"{links:,}{of} {are} indexed before")
    return ", ".join(parts)


def _passed_over(report: BuildReport) -> Iterator[str]:
    """What is left out, and what can't be read, a line each."""
    left_out = report.left_out
    parts = []
    if folders := len(left_out.system_folders):
        parts.append(counted(folders, "system folder"))
    if files := left_out.system_files:
        parts.append(counted(files, "system file"))
    if parts:
        first = f" such as {shown(near(left_out.system_folders[0]))}" if folders else ""
        yield f"left out: {', '.join(parts)}{first} (--system-folders has them indexed)"
    if kinds := left_out.kinds():
        total = sum(kinds.values())
        each = ", ".join(f"{count:,} {shown(kind)}" for kind, count in kinds.items())
        files_of = "file of a kind" if total == 1 else "files of kinds"
        yield f"{total:,} {files_of} that can't be read here: {each}"
    if left_out.indexed:
        yield f"{left_out.indexed:,} of the removed were indexed, and rules leave them out now"
    for typed in left_out.unused:
        yield f"--exclude {shlex.quote(shown(typed))} excluded nothing"


def _rules(report: BuildReport, dry_run: bool) -> Iterator[str]:
    """The rules that hold, which the store remembers, and those that hold no more."""
    for root, rules in report.rules.items():
        yield f"rules of {shown(near(root))}: {shown(str(rules))}"
    for root, rules in report.were.items():
        verb = "would be dropped" if dry_run else "are dropped"
        yield f"rules of {shown(near(root))} that {verb}: {shown(str(rules))}"


def report_lines(report: BuildReport) -> Iterator[str]:
    """One JSON object for each file that was skipped, is left out as a system's own, or is of a
    kind that can't be read, and for each pattern that excluded nothing: path, reason, message."""
    from ..indexer.ingest.report import Skipped

    yield from skipped_lines(report.skipped)
    left_out = report.left_out
    for folder, names in left_out.unread.items():
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield from skipped_lines(
                [Skipped(path, "unread", f"can't be read here: {_kind(name)}")]
            )
    for path in left_out.system_folders:
        message = "is left out: systems keep it for themselves (--system-folders)"
        yield from skipped_lines([Skipped(path, "system", message)])
    for typed, root in left_out.unused.items():
        message = f"--exclude {typed} excluded nothing"
        yield to_json(
            {"path": os.fsdecode(root), "reason": "unused", "message": message, "pattern": typed}
        )


def _kind(name: bytes) -> str:
    return unread(name) or "another kind"


def skipped_lines(skipped: Iterable[Skipped]) -> Iterator[str]:
    """One JSON object for each file that was skipped: path, reason, message."""
    for one in skipped:
        yield to_json({"path": os.fsdecode(one.path), "reason": one.reason, "message": one.message})


def facts(info: dict[str, Any]) -> str:
    """`Store.info` for people."""
    disk = info["disk_bytes"]
    sizes = ", ".join(f"{name} {size(count)}" for name, count in disk.items())
    rows = {
        "store": shown(info["store"]),
        "pictures": f"{info['images']:,} different, {_where(info)}",
        "unusable": counted(info["unusable_files"], "file"),
        "folders": ", ".join(shown(folder) for folder in info["folders"]) or "none",
        **_rules_of(info["rules"]),
        **_made_by(info),
        "vectors": f"{counted(info['dimension'], 'value')}, {info['metric']}",
        "index": _index(info["index"]),
        "texts": _texts(info["words"]),
        "on disk": f"{size(sum(disk.values()))} ({sizes})",
        "made": f"{info['created']} with {info['made_with']}, format {info['format']}",
    }
    return "\n".join(f"{name:<9} {value}" for name, value in rows.items())


def _where(info: dict[str, Any]) -> str:
    """At how many paths the pictures are, and of how many files where some are links."""
    paths, files = info["paths"], info["files"]
    at = f"at {counted(paths, 'path')}"
    return at if files in (None, paths) else f"{at} of {counted(files, 'file')}"


def _rules_of(rules: dict[str, list[str]]) -> dict[str, str]:
    """A row of what builds leave out and let in, by folder."""
    each = (
        f"{shown(folder)}: {shown(' '.join(map(shlex.quote, options)))}"
        for folder, options in rules.items()
    )
    return {"rules": "; ".join(each) or "none"}


def _made_by(info: dict[str, Any]) -> dict[str, str]:
    """Rows of what made a store's vectors."""
    if "model" in info:  # imported
        rows = {"backbone": f"none here: {shown(info['model'])}"}
    else:
        lens = info["lens"]
        best = "--quality best; " if info.get("quality") == "best" else ""
        rows = {
            "backbone": f"{info['backbone']} ({best}weights {info['weights_sha256'][:12]})",
            "lens": f"trained (digest {lens[:12]})"
            if lens
            else "none: features as they are, L2-normalised, without PCA or adaptation",
            "faces": {"on": "compared as well", "off": "not compared"}[info["faces"]],
        }
    if "slow_here" in info:
        rows["speed"] = info["slow_here"]
    return rows | ({"origin": shown(info["origin"])} if "origin" in info else {})


def _texts(text_space: dict[str, Any] | None) -> str:
    if text_space is None:
        return "can't be searched for"
    values, index = text_space["dimension"], _index(text_space["index"])
    return f"can be searched for: {values:,} values more, {index}"


def _index(index: dict[str, Any]) -> str:
    recall = index.get("recall_at_10")
    if recall is None:
        return str(index["kind"])
    if index["recall_measured_with"] is None:
        return f"{index['kind']}: all vectors are compared"
    return (
        f"{index['kind']}: finds {recall:.1%} of the exact ten best for its own pictures, "
        f"{index['recall_at_10_unlike']:.1%} for pictures unlike them (measured with "
        f"{index['recall_measured_with']} of each among {index['recall_measured_at']:,})"
    )


def backbones(rows: Sequence[dict[str, Any]]) -> str:
    """The registry for people."""
    lines = []
    for row in rows:
        here = "here" if row["weights"] else "missing"
        lens = ", lens trained" if row["lens"] else ""
        lens += ", reads texts" if row["words"] else ""
        lines.append(
            f"{row['name']:<22} {here:<8} {row['parameters'] / 1e6:6.1f} M parameters "
            f"{row['megabytes']:>5} MB  {row['dimension']:>6,} features  {row['licence']}{lens}"
        )
        quality = f"; --quality {row['quality']}" if row["quality"] else ""
        lines.append(f"{'':<22} {row['title']}{quality}; {row['paper']}")
        if row["how_to_get"]:
            lines.append(f"{'':<22} to get it: {row['how_to_get']}")
    return "\n".join(lines)


def scores(facts: dict[str, Any]) -> str:
    """What `eval` found, for people."""
    low, high = facts["top2_ci95"]
    rows = {
        "pairs": f"{facts['pairs']:,}",
        "top-1": f"{facts['top1']:.3f}",
        "top-2": f"{facts['top2']:.3f}  (95% interval {low:.3f} to {high:.3f})",
        "top-5": f"{facts['top5']:.3f}",
        "MRR": f"{facts['mrr']:.3f}",
        **{
            f"recall@{k}": f"{share:.3f}"
            for k in (1, 5, 10)
            if (share := facts[f"recall_at_{k}"]) is not None
        },
        "backbone": facts["backbone"],
        "lens": shown(facts["lens"]),
    }
    return "\n".join(f"{name:<9} {value}" for name, value in rows.items())


def trained(facts: dict[str, Any], lens_dir: Path) -> str:
    """What came of `train`, for people; in `lens_dir` this user's lenses are looked for."""
    path = shown(near(facts["lens"]))
    score = "not cross-validated"
    if judged := facts["cross_validation"]:
        low, high = judged["top2_ci95"]
        score = (
            f"{judged['top2']:.3f}  (95% interval {low:.3f} to {high:.3f}; "
            f"{counted(judged['folds'], 'fold')} of {counted(judged['pairs'], 'pair')})"
        )
    rows = {
        "top-2": score,
        "vectors": f"{counted(facts['dimension'], 'value')}, "
        f"{counted(facts['bytes_per_vector'], 'byte')} each",
        "lens": f"{path}, {size(facts['bytes'])} (digest {facts['sha256'][:12]})",
        "use it": f"tll-index build DIR --lens {path}",
        "": f"or always: put it in {shown(lens_dir)} as {facts['backbone']}.npz",
    }
    return "\n".join(f"{name:<9} {value}" for name, value in rows.items())


def why(facts: dict[str, Any]) -> str:
    """What `Explanation.facts` says, for people."""
    score = f"score {facts['score']:.3f}"
    parts = []
    if (faces := facts["faces"]) is not None:
        parts.append(f"{faces:+.3f} for the faces")
    if penalty := round(facts["score"] - facts["cosine"], 3):
        parts.append(f"{penalty:+.3f} for how near B is to many pictures")
    if parts:
        cosine = facts["cosine"] - (faces or 0)
        score += f" (cosine {cosine:.3f}; {', '.join(parts)})"
    lines = [score]
    for side in ("a", "b"):
        found = facts[side]
        hottest = max(map(max, found["thirds"]))
        lines += ["", f"{side.upper()}  {shown(near(found['picture']))}"]
        lines += [
            f"hottest: {found['where']}, with {hottest:.0%} of the heat" if hottest else "no heat"
        ]
        lines += ["".join(f"{share:6.0%}" for share in row) for row in found["thirds"]]
    return "\n".join(lines)


def pairs(found: Sequence[Pair]) -> Iterator[str]:
    """Striking pairs: rank, score, both cosines, and both paths below each other."""
    for pair in found:
        yield (
            f"{pair.rank:>6}  {pair.score:6.3f}  "
            f"({pair.alike:.3f} through the lens, {pair.plain:.3f} without)\n"
            f"        {shown(near(pair.left.paths[0]))}\n"
            f"        {shown(near(pair.right.paths[0]))}"
        )


def _other_paths(hit: Hit) -> str:
    others = len(hit.paths) - 1  # copies, or links: nothing is looked at for a table
    return f"  (and {counted(others, 'other path')})" if others else ""


def size(count: int) -> str:
    """A number of bytes for people."""
    if count < 100_000:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
