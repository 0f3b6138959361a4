# shellcheck shell=bash
# Secrets: stored in numbered versions, and each revision names the numbers that it was tried with. So
# a new version changes nothing that serves, and a revision that serves again has its own secrets again.

declare -A VERSION=() # of each secret's name, for the revisions of this run

# SUPABASE_SERVICE_ROLE_KEY -> memoria-supabase-service-role-key
secret_name() {
  local name=${1//_/-}
  printf 'memoria-%s' "${name,,}"
}

# What callers present: as given, else the callback's, else as stored, else made up. Whatever it is comes
# through here, and what cannot be presented ends here.
choose_webhook_secret() {
  local wrong
  WEBHOOK_SECRET=${WEBHOOK_SECRET:-${CALLBACK_SECRET:-}}
  if [[ -z $WEBHOOK_SECRET ]]; then
    look_latest memoria-webhook-secret
    [[ -z $LATEST || $LATEST_STATE == ENABLED ]] \
      || die "version $LATEST of memoria-webhook-secret is $LATEST_STATE: enable it, or set WEBHOOK_SECRET"
    if [[ -n $LATEST ]]; then look_version memoria-webhook-secret "$LATEST"; else make_up_webhook_secret; fi
    WEBHOOK_SECRET=$(trimmed "$ANSWER")
  fi
  wrong=$(wrong_secret WEBHOOK_SECRET "$WEBHOOK_SECRET")
  [[ -z $wrong ]] || die "the settings need mending:$wrong"
}

# Only where nothing serves that was made with one: a new one would lock the database out of that.
make_up_webhook_secret() {
  local service
  for service in process cluster; do
    look_traffic "$service"
    [[ -z $(serving_revisions) ]] \
      || die "memoria-$service serves, and the secret memoria-webhook-secret that it was made with is gone: set WEBHOOK_SECRET"
  done
  ANSWER=$(head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n')
}

store_secrets() {
  step 'secrets'
  choose_webhook_secret
  local variable
  for variable in "${SECRET_SETTINGS[@]}"; do
    [[ -n ${!variable:-} ]] || continue
    store_secret "$(secret_name "$variable")" "${!variable}"
  done
  check_the_other_service
}

# The database presents one secret to process and cluster: a release of one of them must not change it.
check_the_other_service() {
  [[ $ONLY =~ ^(process|cluster)$ && $DRY_RUN == no ]] || return 0
  local other=cluster
  [[ $ONLY == process ]] || other=process
  look_serving_secret "$other"
  [[ -z $ANSWER || $ANSWER == "$WEBHOOK_SECRET" ]] \
    || die "memoria-$other accepts another WEBHOOK_SECRET than this release would: deploy both (without --only)"
}

store_secret() {
  local name=$1 value=$2 service
  look gcloud secrets describe "$name" --project="$PROJECT" --format='value(name)'
  [[ -n $ANSWER ]] \
    || run gcloud secrets create "$name" "${REPLICATION[@]}" --project="$PROJECT"
  store_version "$name" "$value"
  for service in "${SERVICES[@]}"; do
    patiently gcloud secrets add-iam-policy-binding "$name" --project="$PROJECT" \
      --member="serviceAccount:$(account_of "$service")" \
      --role=roles/secretmanager.secretAccessor --format=none
  done
}

# A new version only where the value changed, so that a second run leaves nothing behind.
store_version() {
  local name=$1 value=$2 added
  look_latest "$name"
  if [[ $LATEST_STATE == ENABLED ]]; then
    VERSION[$name]=$LATEST
    look_version "$name" "$LATEST"
    [[ $ANSWER != "$value" ]] || return 0
  fi
  added=$(run_with_input "$value" gcloud secrets versions add "$name" --data-file=- \
    --project="$PROJECT" --format='value(name)')
  VERSION[$name]=${added##*/}
  [[ $DRY_RUN == yes || ${VERSION[$name]} =~ ^[0-9]+$ ]] || die "gcloud does not tell which version of $name it made"
}

# The number and the state (ENABLED, DISABLED, DESTROYED) of a secret's latest version, '' where there is none.
look_latest() {
  look gcloud secrets versions describe latest --secret="$1" --project="$PROJECT" --format='value(name,state)'
  read -r LATEST LATEST_STATE <<<"${ANSWER##*/}"
  [[ -z $ANSWER || $LATEST =~ ^[0-9]+$ ]] || die "cannot read what gcloud tells of $1: $ANSWER"
}

# A value that must be there, to ANSWER.
look_version() {
  look gcloud secrets versions access "$2" --secret="$1" --project="$PROJECT"
  [[ -n $ANSWER || $DRY_RUN == yes ]] || die "version $2 of the secret $1 is gone"
}

# For --set-secrets. A dry run knows no numbers.
secret_settings() {
  local variable name joined=''
  for variable in "${SECRET_SETTINGS[@]}"; do
    name=$(secret_name "$variable")
    [[ -z ${!variable:-} ]] || joined+="${joined:+,}$variable=$name:${VERSION[$name]:-N}"
  done
  printf '%s' "$joined"
}

# The secrets that a revision was made with, to ANSWER: a line each, variable,secret,version. None where it
# was made by hand.
look_secrets() {
  look_for_any gcloud run revisions describe "$1" --project="$PROJECT" --region="$REGION" \
    --flatten='spec.containers[0].env[]' --format="csv[no-heading](spec.containers[0].env.name,\
spec.containers[0].env.valueFrom.secretKeyRef.name,spec.containers[0].env.valueFrom.secretKeyRef.key)"
  ANSWER=$(awk -F, '$3 != ""' <<<"$ANSWER")
}

# The number of the webhook's secret among them.
webhook_version() { awk -F, '$1 == "WEBHOOK_SECRET" {print $3}' <<<"$ANSWER"; }

# The webhook's secret that a revision was made with, to ANSWER.
look_webhook_secret() {
  local version
  look_secrets "$1"
  version=$(webhook_version)
  [[ -n $version ]] || die "$1 has no WEBHOOK_SECRET: deploy.sh did not make it"
  look_version memoria-webhook-secret "$version"
  ANSWER=$(trimmed "$ANSWER")
}

# The same of what serves now; '' where nothing does. Where the traffic is split, all must agree.
look_serving_secret() {
  local revision accepted=''
  look_traffic "$1"
  for revision in $(serving_revisions); do
    look_webhook_secret "$revision"
    [[ -z $accepted || $accepted == "$ANSWER" ]] \
      || die "memoria-$1: its traffic is split between revisions that accept different secrets; send it all to one of them first"
    accepted=$ANSWER
  done
  ANSWER=$accepted
}
