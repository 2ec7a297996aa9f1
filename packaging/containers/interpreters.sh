#!/bin/sh
# Inside a container: /opt/python/cp3XX-cp3XX/bin/python as in the manylinux images, for each CPython
# that is here: the toolchain's own, those that the caller copied to /opt/pythons, the system's.
# The ones that build (3.11 and newer) get the build's requirements, in the versions of constraints.txt.
set -eu
mkdir -p /opt/python
copied=$(cat /opt/pythons.txt 2>/dev/null || true)
for python in "$PREBUILD_CACHE_DIR"/toolchain/*/bin/python3.* $copied /usr/bin/python3.*; do
    [ -x "$python" ] || continue
    tag=$("$python" -I -c 'import sys; print("cp%d%d" % sys.version_info[:2])' 2>/dev/null) || continue
    home=/opt/python/$tag-$tag
    [ -e "$home" ] && continue
    "$python" -m venv --without-pip "$home"
done
for home in /opt/python/cp3*-cp3*; do
    [ -x "$home/bin/pip" ] || "$PREBUILD_TOOLS/bin/python" -m pip --python "$home/bin/python" install --quiet pip
    echo "$home: $("$home/bin/python" -V)"
done
builder=/opt/python/cp311-cp311
"$builder/bin/python" -m pip install --quiet \
    --constraint /opt/aiter-prebuilt/project/packaging/constraints.txt \
    --requirement "$PREBUILD_TOOLS/requirements.txt"
# cibuildwheel runs helpers of its own with this one.
[ -e /opt/python/cp39-cp39 ] || ln -s "$builder" /opt/python/cp39-cp39
