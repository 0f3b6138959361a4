# shellcheck shell=bash
# One run at a time in a project. The lock is a secret without a value: Secret Manager creates a name once,
# for one caller, and deletes it by itself where a run was killed before it could. Its etag is another one
# after every change, so that whoever names it removes or renews what was seen, and never another's.

LOCK=memoria-deploying
LOCK_SECONDS=7200  # longer than a build may take
CLOCK_SECONDS=900  # by so much this machine's clock may differ from Google's
LOCK_ETAG=''       # of our own
LOCKED=no

take_lock() {
  step 'lock'
  create_lock && return
  look_lock
  if [[ $LOCK_RUN == "$RUN" ]]; then # gcloud asked twice, and was answered the second time only
    LOCKED=yes LOCK_ETAG=$LOCK_FOUND
    return
  fi
  if [[ $LOCK_EXPIRES =~ ^20[0-9-]+T && $LOCK_EXPIRES < $(moment -"$CLOCK_SECONDS") ]]; then
    say "the lock of $HOLDER ran out at $LOCK_EXPIRES and is still there: removing it"
    remove_lock "$LOCK_FOUND" || die 'the old lock could not be removed; another run may be taking it over. Try again.'
    create_lock && return
    look_lock
  fi
  die "another run is under way here: $HOLDER. Let it end. If it was killed, its lock goes by
itself at $LOCK_EXPIRES; sooner: $(again unlock)"
}

create_lock() {
  local -a create=(gcloud secrets create "$LOCK" --project="$PROJECT" "${REPLICATION[@]}"
    --ttl="${LOCK_SECONDS}s" --labels="run=$RUN,by=$(as_label "$ACCOUNT"),doing=$COMMAND" --format='value(etag)')
  show "${create[@]}"
  [[ $DRY_RUN == no ]] || return 0
  LOCKED=yes # before the call: the script may be stopped in the midst of it
  if LOCK_ETAG=$("${create[@]}" 2>"$WORK/complaint"); then
    [[ -n $LOCK_ETAG ]] || die 'no lock: gcloud does not tell its etag'
    return 0
  fi
  grep -q 'subject of a conflict\|ALREADY_EXISTS' "$WORK/complaint" || die "no lock: $(<"$WORK/complaint")"
  LOCKED=no
  return 1
}

# What is there: its etag to LOCK_FOUND, its end to LOCK_EXPIRES, who has it to LOCK_RUN and HOLDER.
look_lock() {
  local by doing
  look gcloud secrets describe "$LOCK" --project="$PROJECT" \
    --format='value[separator=" "](etag,expireTime,labels.run,labels.by,labels.doing)'
  [[ -n $ANSWER ]] || die 'another run ended at this moment: try again'
  read -r LOCK_FOUND LOCK_EXPIRES LOCK_RUN by doing <<<"$ANSWER"
  HOLDER="${doing:-run} $LOCK_RUN by $by"
}

# Two hours more from now, or the end where the lock is not this run's any more.
renew_lock() {
  local -a renew=(gcloud secrets update "$LOCK" --project="$PROJECT" --ttl="${LOCK_SECONDS}s")
  show "${renew[@]}"
  [[ $DRY_RUN == no ]] || return 0
  LOCK_ETAG=$("${renew[@]}" --etag="$LOCK_ETAG" --format='value(etag)' 2>"$WORK/complaint") \
    || die "this run's lock cannot be renewed (it ran out, somebody removed it, or gcloud failed), so that it ends here \
and promotes nothing: $(<"$WORK/complaint")"
  [[ -n $LOCK_ETAG ]] || die 'this run ends here and promotes nothing: gcloud does not tell the etag of its lock'
}

# Only this run's own: where it ran out, what is there now is another's.
release_lock() {
  [[ $LOCKED == yes ]] || return 0
  LOCKED=no
  local run
  [[ -n $LOCK_ETAG ]] || read -r run LOCK_ETAG <<<"$(gcloud secrets describe "$LOCK" --project="$PROJECT" \
    --format='value[separator=" "](labels.run,etag)' 2>/dev/null)" # nothing was heard of its making
  [[ ${run:-$RUN} == "$RUN" && -n $LOCK_ETAG ]] || return 0
  remove_lock "$LOCK_ETAG" || say "this run's lock could not be removed; if it is there: $(again unlock)"
}

remove_lock() { run gcloud secrets delete "$LOCK" --project="$PROJECT" --etag="$1" --quiet; }

unlock() {
  look gcloud secrets describe "$LOCK" --project="$PROJECT" --format='value(etag)'
  [[ $DRY_RUN == no ]] || { remove_lock ETAG; return 0; }
  [[ -n $ANSWER ]] || { say 'there is no lock'; return 0; }
  look_lock
  say "the lock of $HOLDER"
  remove_lock "$LOCK_FOUND"
}

# So many seconds from now, as Google writes a moment; texts of this kind are in the order of time.
moment() { TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' $(($(date +%s) + $1)); }

# What a label may hold: 63 of a-z, 0-9, _ and -.
as_label() {
  local LC_ALL=C text=${1,,}
  text=${text//[!a-z0-9_-]/_}
  printf '%s' "${text:0:63}"
}
