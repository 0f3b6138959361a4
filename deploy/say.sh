# shellcheck shell=bash
# How the script speaks, and how it runs commands: those that change something, those that only look.

exec {PLAN}>&2 # steps and commands; the standard output of a dry run, whose result they are

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&"$PLAN"; }
die() { printf 'deploy.sh: %s\n' "$*" >&2; exit 1; }

# A folder of this run's own, gone with it. At its end the lock is given back as well.
WORK=$(mktemp -d)
trap 'release_lock; rm -rf "$WORK"' EXIT

# How to run another command for the same project: typed "./deploy.sh connect …".
again() {
  printf './deploy.sh %s --project %s --region %s' "$1" "$PROJECT" "$REGION"
  [[ -z $GIVEN_ENV_FILE ]] || printf ' --env-file %q' "$GIVEN_ENV_FILE"
}

# Print a command as it could be typed.
show() {
  local word typed line='+'
  for word in "$@"; do
    printf -v typed '%q' "$word"
    line+=" $typed"
  done
  printf '%s\n' "$line" >&"$PLAN"
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

# Ask gcloud for something that may not be there: its answer goes to ANSWER, '' where there is no such
# thing. Every other failure (network, quota, permission), and an answer that is empty, stops the script:
# it must not pass for "not there yet". Never call it in a $(…) whose failure nobody looks at: only the
# shell of the script itself can stop the script. With --dry-run the project is empty.
look() {
  look_for_any "$@"
  [[ $FOUND == no || -n $ANSWER ]] || die "cannot tell what is there, gcloud found it and said nothing: $*"
}

# The same for a list, which may be empty.
FOUND=no
look_for_any() {
  ANSWER='' FOUND=no
  if [[ $DRY_RUN == yes ]]; then show "$@"; return; fi
  if ANSWER=$("$@" 2>"$WORK/complaint"); then FOUND=yes; return; fi
  ANSWER=''
  is_missing <"$WORK/complaint" || die "cannot tell what is there: $*
$(<"$WORK/complaint")"
}

# What gcloud says where there is no such thing: "NOT_FOUND: …", and of a Cloud Run service its own words.
is_missing() { grep -qE '^ERROR: \(gcloud[a-z.-]*\) (NOT_FOUND: |Cannot find service \[)'; }

# A service account is not known everywhere the moment it is created.
patiently() {
  local attempt
  for attempt in 1 2 3 4 5; do
    if run "$@"; then return 0; fi
    [[ $attempt == 5 ]] || sleep "$((attempt * ${RETRY_SECONDS:-3}))"
  done
  return 1
}

# A text in double quotes: JSON's string, and that of curl's config file, which knows the same escapes.
quoted() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$text"
}
