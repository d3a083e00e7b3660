"""The hub's library is kept offline, where it is installed. (The rest of `core.privacy` is watched
by tests/end_to_end/test_privacy.py.)"""

from __future__ import annotations

import sys

import pytest

from tll_index.core.privacy import hub_unasked


def test_the_hub_is_unasked_also_where_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_unasked():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with hub_unasked():
        assert not constants.HF_HUB_OFFLINE
