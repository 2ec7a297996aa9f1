"""Calls the real module through the stand-in AITER, on tensors that only claim a GPU.

``driver_real.py SITE RECORDING_DRIVER``: calls as JSON on stdin (lists of arguments for stage 1),
results as JSON on stdout: what each returned or raised, and how many kernels it launched.
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
    sys.path.insert(0, folder)
    from aiter.ops import moe_op

    record = Path(os.environ["HIP_RECORD_FILE"])
    results = []
    for arguments in json.load(sys.stdin):
        before = len(record.read_text().splitlines()) if record.exists() else 0
        try:
            found = {"returned": moe_op.ck_moe_stage1(*map(driver.value_of, arguments))}
        except Exception as error:
            found = {"raised": type(error).__name__, "message": str(error)}
        after = len(record.read_text().splitlines()) if record.exists() else 0
        results.append({**found, "launches": after - before})
    import aiter_prebuilt

    codes = [event.code for event in aiter_prebuilt.reasons()]
    json.dump({"results": results, "events": codes}, sys.stdout)


if __name__ == "__main__":
    main()
