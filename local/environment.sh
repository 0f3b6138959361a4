#!/usr/bin/env bash
# environment.sh GOAL REQUIREMENTS: fill .venv as far as a make goal needs, and say what is happening.
# PYTHON names the interpreter. A .venv that cannot be used (another Python, cut off) is made anew.
set -euo pipefail

goal=$1 requirements=$2
python=${PYTHON:-python3}
usable='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

if ! .venv/bin/python -c "$usable; import pip" 2>/dev/null; then
  if ! "$python" -c "$usable" 2>/dev/null; then
    echo "Memoria needs Python 3.11, 3.12 or 3.13, and $python is" \
      "$("$python" --version 2>/dev/null || echo "not there"). Name another: make PYTHON=python3.12 …" >&2
    exit 1
  fi
  rm -rf .venv
  echo "making .venv"
  "$python" -m venv .venv
fi

# pip compiles to bytecode on one core, after everything else.
pip=(.venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-compile)

# pip's own last words name a package, and not that nothing could be reached.
unreachable() {
  echo "The packages could not be installed: pip says above why. The first run needs PyPI (or a mirror of it," \
    "named by PIP_INDEX_URL); later ones do not." >&2
  exit 1
}

total=$(grep -c '==' "$requirements")
echo "installing what $goal needs into .venv: $total packages, about 1 GB on the disk"

# How far pip is: at a terminal in one line. Not by awk, since Debian's reads a pipe some thirty packages at a time.
progress() {
  local end=$'\n' count=0 verb what _
  [[ ! -t 1 ]] || end=$'\r'
  while read -r verb what _; do
    case $verb in
      Collecting | Processing | Ignoring) what=${what##*/} && what=${what%%[=:]*} && what=${what%%-[0-9]*} ;;
      Requirement) what='' ;; # already satisfied
      Installing) what='all downloaded: unpacking' ;;
      *) continue ;;
    esac
    [[ $verb == Installing ]] || count=$((count + 1))
    [[ -z $what ]] || printf '%4d of %d  %-50.50s%s' "$count" "$total" "$what" "$end"
  done
  [[ $end == $'\n' ]] || echo
}
"${pip[@]}" --progress-bar off --require-hashes -r "$requirements" | progress || unreachable
echo "compiling them"
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true # packages hold templates that are no Python
"${pip[@]}" --quiet --editable . || unreachable
.venv/bin/python -m local.demo.weights
touch ".venv/$goal"
