"""Calls the real module through the stand-in AITER, on tensors that only claim a GPU.

``driver_real.py SITE RECORDING_DRIVER``: calls as JSON on stdin (function, arguments).  As JSON on
stdout: what each returned or raised, the kernels that it launched, and what AITER's side saw.  The
stand-in of a generation comes before the site's, by PYTHONPATH.
"""

import importlib.util
import json
import os
import site
import sys
from pathlib import Path


def main() -> None:
    folder, driver_file = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("recording_driver", driver_file)
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    driver.install_torch(7)
    site.addsitedir(folder)
    from aiter.jit import core
    from aiter.ops import moe_op

    record = Path(os.environ["HIP_RECORD_FILE"])

    def launched() -> list[str]:
        lines = record.read_text().splitlines() if record.exists() else []
        return [json.loads(line)["symbol"] for line in lines]

    results = []
    for function, arguments in json.load(sys.stdin):
        before = len(launched())
        try:
            found = {"returned": getattr(moe_op, function)(*map(driver.value_of, arguments))}
        except Exception as error:
            found = {"raised": type(error).__name__, "message": str(error)}
        results.append({**found, "launches": launched()[before:]})
    import aiter_prebuilt

    seen = {
        "events": [event.code for event in aiter_prebuilt.reasons()],
        "modules": sorted(core._loaded),
        "hint_mismatches": core.hint_mismatches,
    }
    json.dump({"results": results, **seen}, sys.stdout)


if __name__ == "__main__":
    main()
