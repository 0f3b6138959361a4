# shellcheck shell=bash
# Secrets: stored in numbered versions, and each revision names the numbers that it was tried with. So
# a new version changes nothing that serves, and a revision that serves again has its own secrets again.

declare -A VERSION=() # of each secret's name, for the revisions of this run

# SUPABASE_SERVICE_ROLE_KEY -> memoria-supabase-service-role-key
secret_name() {
  local name=${1//_/-}
  printf 'memoria-%s' "${name,,}"
}

# What callers present: as given, else the callback's, else as stored, else made up.
choose_webhook_secret() {
  WEBHOOK_SECRET=${WEBHOOK_SECRET:-${CALLBACK_SECRET:-}}
  [[ -z $WEBHOOK_SECRET ]] || return 0
  look gcloud secrets versions access latest --secret=memoria-webhook-secret --project="$PROJECT"
  WEBHOOK_SECRET=${ANSWER:-$(head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n')}
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
    || run gcloud secrets create "$name" --replication-policy=automatic --project="$PROJECT"
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
  look gcloud secrets versions describe latest --secret="$name" --project="$PROJECT" \
    --format='value(name)'
  VERSION[$name]=${ANSWER##*/}
  if [[ -n $ANSWER ]]; then
    look gcloud secrets versions access "${VERSION[$name]}" --secret="$name" --project="$PROJECT"
    [[ $ANSWER != "$value" ]] || return 0
    [[ $name != memoria-webhook-secret || -n ${WEBHOOK_SECRET_PREVIOUS:-} ]] \
      || say 'WEBHOOK_SECRET changes: what Supabase sends is refused between the release and the last step. WEBHOOK_SECRET_PREVIOUS=(the old one) avoids that.'
  fi
  added=$(run_with_input "$value" gcloud secrets versions add "$name" --data-file=- \
    --project="$PROJECT" --format='value(name)')
  VERSION[$name]=${added##*/}
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

# The webhook's secret that a revision was made with, to ANSWER.
look_webhook_secret() {
  look gcloud run revisions describe "$1" --project="$PROJECT" --region="$REGION" \
    --flatten='spec.containers[0].env[]' \
    --format='csv[no-heading](spec.containers[0].env.name,spec.containers[0].env.valueFrom.secretKeyRef.key)'
  local version
  version=$(awk -F, '$1 == "WEBHOOK_SECRET" {print $2}' <<<"$ANSWER")
  [[ -n $version ]] || die "$1 has no WEBHOOK_SECRET: deploy.sh did not make it"
  look gcloud secrets versions access "$version" --secret=memoria-webhook-secret --project="$PROJECT"
}

# The same of what serves now; '' where nothing does.
look_serving_secret() {
  local serving
  look_traffic "$1"
  serving=$(serving_revisions | head -n 1)
  ANSWER=''
  [[ -z $serving ]] || look_webhook_secret "$serving"
}
