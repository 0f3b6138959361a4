# shellcheck shell=bash
# Back to the revisions that served before. Everything is read before the first one is moved.

declare -A PREVIOUS=() # the revision that shall serve again
declare -A LEFT=()     # the webhook's secret, by number, of what serves now; '' where it cannot be told
declare -A ACCEPTED=() # the same of what will serve
PACE_LEFT='' PACE_AGAIN=''

rollback() {
  step 'what served before'
  for_each_service look_previous
  look_accepted
  look_paces
  for_each_service move_back
  tell_secrets
  tell_pace
}

look_previous() {
  local service=$1
  look_traffic "$service"
  PREVIOUS[$service]=$(tagged_revision previous)
  if [[ $DRY_RUN == yes ]]; then PREVIOUS[$service]=PREVIOUS; return; fi
  [[ -n ${PREVIOUS[$service]} ]] || die "memoria-$service: no revision is tagged previous; nothing was moved (--only SERVICE for the others)"
  LEFT[$service]=$(look_left)
  look_secrets "${PREVIOUS[$service]}"
  ACCEPTED[$service]=$(webhook_version)
  [[ -n ${ACCEPTED[$service]} ]] || die "${PREVIOUS[$service]} has no WEBHOOK_SECRET: deploy.sh did not make it; nothing was moved"
  check_secrets "${PREVIOUS[$service]}"
  say "memoria-$service: $(serving_revisions | tr '\n' ' ')-> ${PREVIOUS[$service]}"
}

# What is left may be broken in any way: it must not stop the way back.
look_left() { (look_secrets "$(serving_revisions | head -n 1)" && webhook_version) 2>/dev/null || true; }

# A revision whose secrets are gone cannot start another instance.
check_secrets() {
  local variable name version lines=$ANSWER
  while IFS=, read -r variable name version; do
    [[ -n $version ]] || continue
    look gcloud secrets versions describe "$version" --secret="$name" --project="$PROJECT" --format='value(state)'
    [[ $ANSWER == ENABLED ]] \
      || die "$1 was made with version $version of $name for $variable, which is ${ANSWER:-gone}: it could not start; nothing was moved"
  done <<<"$lines"
}

# process and cluster together, also where only one of them is moved.
look_accepted() {
  [[ $ONLY =~ ^(process|cluster)$ && $DRY_RUN == no ]] || return 0
  local other=cluster
  [[ $ONLY == process ]] || other=process
  ACCEPTED[$other]=$( (look_traffic "$other" && look_left) 2>/dev/null || true)
}

# The pace of what serves now and of what will, where both tell. It must not stop the way back either.
look_paces() {
  [[ $DRY_RUN == no && -n ${PREVIOUS[process]:-} ]] || return 0
  PACE_LEFT=$( (look_traffic process && look_pace "$(serving_revisions | head -n 1)" && printf '%s' "$ANSWER") 2>/dev/null || true)
  PACE_AGAIN=$( (look_pace "${PREVIOUS[process]}" && printf '%s' "$ANSWER") 2>/dev/null || true)
}

tell_pace() {
  [[ -z $PACE_LEFT || -z $PACE_AGAIN || $PACE_LEFT == "$PACE_AGAIN" ]] \
    || say "memoria-process has instances for MAX_IN_FLIGHT=$PACE_AGAIN again, and Supabase goes on with $PACE_LEFT: run $(again connect)"
}

move_back() {
  local service=$1
  step "rollback memoria-$service"
  move_traffic "$service" "${PREVIOUS[$service]}" --update-tags="current=${PREVIOUS[$service]}" --remove-tags=previous \
    || die "memoria-$service: gcloud failed to move its traffic. Now:$(all_serving)
where a service is not where it should be: $(again rollback) --only SERVICE"
}

# The database presents one secret; a revision that serves again accepts the one that it was made with.
tell_secrets() {
  local service one=${ACCEPTED[process]:-} two=${ACCEPTED[cluster]:-}
  if [[ -n $one && -n $two && $one != "$two" ]]; then
    say "memoria-process accepts version $one of memoria-webhook-secret, memoria-cluster version $two, and Supabase presents
one secret to both: ${ONLY:+roll back the other one too, or }deploy both"
    return
  fi
  for service in $(called_services); do
    [[ ${LEFT[$service]:-} == "${ACCEPTED[$service]:-}" ]] \
      || say "memoria-$service accepts an older WEBHOOK_SECRET again (version ${ACCEPTED[$service]} of memoria-webhook-secret), and
perhaps not the one that Supabase presents: run $(again connect)"
  done
}
