# shellcheck shell=bash
# One deployment at a time in a project. The lock is a secret without a value: Secret Manager creates a
# name once, for one caller, and deletes it by itself where a run was killed before it could.

LOCK=memoria-deploying
LOCK_SECONDS=7200 # longer than a build may take
LOCKED=no

take_lock() {
  step 'lock'
  local -a create=(gcloud secrets create "$LOCK" --project="$PROJECT" --replication-policy=automatic
    --ttl="${LOCK_SECONDS}s" --labels="run=$RUN,by=$(as_label "$ACCOUNT")")
  show "${create[@]}"
  [[ $DRY_RUN == no ]] || return 0
  LOCKED=yes # before the call: the script may be stopped in the midst of it
  "${create[@]}" 2>"$WORK/complaint" && return
  LOCKED=no
  grep -q 'subject of a conflict\|ALREADY_EXISTS' "$WORK/complaint" || die "no lock: $(<"$WORK/complaint")"
  look gcloud secrets describe "$LOCK" --project="$PROJECT" --format='value(labels.run,labels.by,createTime)'
  die "another deployment is under way here (run, by, since: ${ANSWER:-just ended}). Let it end. If it was
killed, its lock goes by itself two hours after it began; sooner: ./deploy.sh unlock --project $PROJECT"
}

# Only this run's own: where ours ran out, the lock may be another's by now.
release_lock() {
  [[ $LOCKED == yes ]] || return 0
  LOCKED=no
  [[ $(gcloud secrets describe "$LOCK" --project="$PROJECT" --format='value(labels.run)') != "$RUN" ]] \
    || remove_lock || say "the lock stays for two hours; sooner: ./deploy.sh unlock --project $PROJECT"
}

remove_lock() { run gcloud secrets delete "$LOCK" --project="$PROJECT" --quiet; }

# What a label may hold: 63 of a-z, 0-9, _ and -.
as_label() {
  local LC_ALL=C text=${1,,}
  text=${text//[!a-z0-9_-]/_}
  printf '%s' "${text:0:63}"
}
