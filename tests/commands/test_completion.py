"""Completion as shells ask for it, with a real bash where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from tll_index.commands.completion import VARIABLE

Cli = Callable[..., Result]


def completed(*words: str) -> list[tuple[str, str]]:
    """What could be instead of the last word: kind and value."""
    environ = {
        **os.environ,
        VARIABLE: "bash_complete",
        "COMP_WORDS": " ".join(("tll-index", *words)),
        "COMP_CWORD": str(len(words)),
    }
    command = [sys.executable, "-m", "tll_index"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    pairs = (line.split(",", 1) for line in ended.stdout.splitlines())
    return [(kind, value) for kind, value in pairs]


def test_commands_options_and_choices() -> None:
    assert ("plain", "query") in completed("q") and ("plain", "verify") in completed("")
    assert {value for _, value in completed("query", "--m")} == {
        "--minus",
        "--minus-text",
        "--min-score",
        "--max-megapixels",
    }
    assert completed("query", "--format", "p") == [("plain", "paths"), ("plain", "paths0")]
    assert completed("completion", "z") == [("plain", "zsh")]


@pytest.mark.slow
def test_backbones_folders_and_files() -> None:
    for command in ("build", "eval", "train"):
        names = {value for _, value in completed(command, "--backbone", "clip")}
        assert names == {"clip_rn50x4", "clip_rn101", "clip_vit_b32"}
    for command in ("build", "query", "verify"):
        assert completed(command, "--store", "x") == [("dir", "x")]
    for words in (("query", "ph"), ("query", "--plus", "ph"), ("query", "--sheet", "ph")):
        assert completed(*words) == [("file", "ph")]


def test_completing_loads_nothing_heavy() -> None:
    code = (
        "import os, sys\n"
        f"os.environ.update({{{VARIABLE!r}: 'bash_complete', 'COMP_CWORD': '3',\n"
        "    'COMP_WORDS': 'tll-index build --backbone '})\n"
        "from tll_index.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None)\n"
        "heavy = {'torch', 'faiss', 'lmdb', 'onnxruntime', 'open_clip', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]" and "efficientnet_lite0" in ended.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_this_command(shell: str, tll_index: Cli) -> None:
    result = tll_index("completion", shell)
    assert result.code == 0 and result.err == ""
    assert f"{VARIABLE}={shell}_complete" in result.out and "tll-index" in result.out


def test_other_shells_are_refused(tll_index: Cli) -> None:
    assert tll_index("completion", "cmd").code == 2


def test_bash_completes(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    command = tmp_path / "bin/tll-index"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tll_index "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(tll-index completion bash)"
        compopt() { :; }  # which only works where a person presses a key
        COMP_WORDS=(tll-index build --backbone clip_r) COMP_CWORD=3
        _tll_index_completion tll-index
        echo "${COMPREPLY[@]}"
        complete -p tll-index
    """
    environ = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        [bash, "--norc", "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[0].split() == ["clip_rn50x4", "clip_rn101"], ended.stderr
    assert "-F _tll_index_completion tll-index" in ended.stdout
