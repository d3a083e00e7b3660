"""Tensors out of a weights file, never code: safetensors, or pickles under `weights_only`."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import WeightsError

if TYPE_CHECKING:
    import torch


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint, by name, in the file's order.

    Raises:
        WeightsError: damaged, or something other than plain tensors (such as a TorchScript
            archive, which holds code).
    """
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _require_plain(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript, which is refused below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the libraries make of bytes that may be anything
        if "TorchScript" in str(error):
            raise WeightsError(
                f"{path} is a TorchScript archive, which holds code and is not loaded; "
                "use the safetensors file of the same weights"
            ) from None
        raise WeightsError(f"{path} is not a readable weights file, or is damaged") from error
    tensors = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not (isinstance(tensors, dict) and tensors) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in tensors.items()
    ):
        raise WeightsError(f"{path} holds no plain table of tensors")
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _require_plain(path: Path) -> None:
    """Refuse an archive that unpacks to more than it has: torch packs nothing, and would unpack
    any bomb.

    Raises:
        ValueError
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("its members are packed")


def fill(network: torch.nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load `tensors` into `network`, every one of them and nothing else.

    Raises:
        WeightsError: a tensor is missing, too many, or of another shape.
    """
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} holds weights of another architecture: {detail}") from None
