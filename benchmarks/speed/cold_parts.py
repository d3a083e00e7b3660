"""A query from the shell, one part after the other, in a process of its own.

    python cold_parts.py BEGAN STORE PICTURE

prints JSON: for each part its seconds, those of computing, and the most memory until then (bytes).
BEGAN is the parent's `time.perf_counter()` when it started this. The tool does the same with less
waiting: it loads the lens while the network is loaded.

It is a script, not run with `-m`: what it imports itself would be there before it is measured.
"""

import atexit
import gc
import io
import json
import sys
import time
from contextlib import redirect_stdout

CLOCK = time.perf_counter
BEGAN, STORE, PICTURE = float(sys.argv[1]), sys.argv[2], sys.argv[3]

parts: dict[str, dict[str, float]] = {}
last = {"seconds": BEGAN, "cpu_seconds": 0.0}


def peak() -> int:
    """The most memory that this process held, pages of files among it, in bytes (Linux)."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def end(part: str) -> None:
    """What was done since the last part ended is `part`."""
    now = {"seconds": CLOCK(), "cpu_seconds": time.process_time()}
    parts[part] = {name: now[name] - last[name] for name in now}
    parts[part]["peak_bytes"] = peak()
    last.update(now)


gc.disable()  # as `tll_index.__main__` does
atexit.register(gc.freeze)
end("python")
import tll_index.cli  # noqa: E402  (each import is a part)
import tll_index.commands.query  # noqa: E402, F401

end("command line")
from tll_index.core import threads  # noqa: E402

threads.begin_calm()
import numpy  # noqa: E402, F401

end("numpy")
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: E402, F401

end("pillow")
from tll_index.core.privacy import load_onnxruntime  # noqa: E402

load_onnxruntime()
end("onnxruntime")
from tll_index.engine.backbones.backbone import load_backbone  # noqa: E402
from tll_index.engine.images.decode import Limits  # noqa: E402
from tll_index.engine.images.sources import decoded_source  # noqa: E402
from tll_index.engine.lens.embedder import Embedder, conversion_of  # noqa: E402
from tll_index.indexer.store.store import Store  # noqa: E402
from tll_index.rendering.printing import Printer  # noqa: E402
from tll_index.rendering.results import QueryItem, QueryResult  # noqa: E402
from tll_index.rendering.terminals import style_of  # noqa: E402

end("our modules")
store = Store.open(STORE)
made_by = store.about.made_by
assert len(store)
end("open the store")
lens = store.lens
lens.digest  # noqa: B018  (which is kept)
end("lens")
backbone = load_backbone(made_by.backbone, settings=store.settings)
backbone.prepare(1)
end("network")
store.lend(Embedder(backbone, lens))
assert store.loaded is not None, "the store would load another network"
geometry = backbone.spec.converting(conversion_of(made_by)).geometry
source = decoded_source(PICTURE, geometry, Limits.of(store.settings), None)
end("decode")
embedding = store.encode_decoded(source.picture, sha256=source.sha256, name=PICTURE)
end("model")
hits = store.query_blend([embedding])
end("search")
with redirect_stdout(io.StringIO()):
    printer = Printer("table", style_of("never"))
    printer.print(QueryResult((QueryItem(PICTURE),), hits))
    printer.finish()
store.close()
end("print")
print(json.dumps({"parts": parts, "ended": CLOCK()}), flush=True)
