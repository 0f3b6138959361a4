# shellcheck shell=bash
# How the script speaks, and how it runs what changes something.

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'deploy.sh: %s\n' "$*" >&2; exit 1; }

# Print a command as it could be typed.
show() {
  local word line='+'
  for word in "$@"; do line+=" $(printf '%q' "$word")"; done
  printf '%s\n' "$line" >&2
}

# Run a command that changes something; with --dry-run only print it.
run() {
  show "$@"
  [[ $DRY_RUN == yes ]] || "$@"
}

# Run a command that changes something with a text on its input, which is not shown.
run_with_input() {
  local input=$1
  shift
  show "$@"
  [[ $DRY_RUN == yes ]] || printf '%s' "$input" | "$@"
}

# Run a command that only reads; with --dry-run answer as an empty project would.
look() {
  if [[ $DRY_RUN == yes ]]; then
    show "$@"
    return 1
  fi
  "$@" 2>/dev/null
}

# A service account is not known everywhere the moment it is created.
patiently() {
  local attempt
  for attempt in 1 2 3 4 5; do
    if run "$@"; then return 0; fi
    [[ $attempt == 5 ]] || sleep "$((attempt * ${RETRY_SECONDS:-3}))"
  done
  return 1
}

# A text as a JSON string.
json_string() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  [[ $text != *[[:cntrl:]]* ]] || die "a value holds a control character"
  printf '"%s"' "$text"
}
