# shellcheck shell=bash
# Tell Supabase where the functions are, what to present to them, and how fast to go.

connect_supabase() {
  step 'supabase'
  local settings
  [[ -n $(called_services) ]] || { say 'guests call search: Supabase need not know where it is'; return 0; }
  settings=$(supabase_settings "$WEBHOOK_SECRET")
  show_telling
  [[ $DRY_RUN == no ]] || return 0
  if [[ -n ${DATABASE_URL:-} ]]; then
    psql_at_database_url <<<"select public.memoria_configure($(sql_text "$settings")::jsonb);" || not_connected
  else
    ask_supabase memoria_configure "{\"p_settings\": $settings}" || not_connected
    [[ $STATUS == 20[04] ]] || { say "Supabase answered $STATUS"; not_connected; }
  fi
}

show_telling() {
  if [[ -n ${DATABASE_URL:-} ]]; then show psql; else show curl "${SUPABASE_URL%/}/rest/v1/rpc/memoria_configure"; fi
}

declare -A URL=()

# The services that the database calls; guests call search.
called_services() {
  local service
  for service in "${SERVICES[@]}"; do [[ $service == search ]] || printf '%s\n' "$service"; done
}

look_urls() {
  local service
  for service in "${SERVICES[@]}"; do
    look_traffic "$service"
    keep_url "$service"
  done
}

# Of the service that was looked at last.
keep_url() {
  [[ $DRY_RUN == no ]] || SERVICE_URL="https://memoria-$1.example"
  [[ -n $SERVICE_URL ]] || die "memoria-$1 has no URL in $REGION yet: $(again deploy)"
  URL[$1]=$SERVICE_URL
}

# By itself, connect presents what the revisions that serve now were made with: after a rollback, this is
# not what stands in .env. Supabase presents one secret to process and cluster, so that both count,
# also where only one of them is asked for.
read_serving_secret() {
  [[ $DRY_RUN == no ]] || { WEBHOOK_SECRET='what serves tells it'; return 0; }
  local service accepted='' wrong
  for service in process cluster; do
    look_serving_secret "$service"
    [[ -n $ANSWER ]] || { must_serve "$service"; continue; }
    [[ -z $accepted || $accepted == "$ANSWER" ]] \
      || die 'process and cluster accept different secrets of callers: deploy both, or roll back both'
    accepted=$ANSWER
  done
  wrong=$(wrong_secret WEBHOOK_SECRET "$accepted")
  [[ -z $wrong ]] || die "what serves cannot be called:$wrong"
  WEBHOOK_SECRET=$accepted
}

must_serve() {
  [[ " ${SERVICES[*]} " != *" $1 "* ]] || die "memoria-$1 does not serve in $REGION yet: $(again deploy)"
}

# Nor is the pace of this run that of what serves, which has instances for its own.
read_serving_pace() {
  [[ $DRY_RUN == no && " ${SERVICES[*]} " == *' process '* ]] || return 0
  local revision pace slowest=''
  look_traffic process
  for revision in $(serving_revisions); do
    look_pace "$revision"
    pace=$ANSWER
    [[ -n $pace ]] || { say "$revision does not tell its MAX_IN_FLIGHT: it is given $MAX_IN_FLIGHT"; return 0; }
    [[ -n $slowest ]] && ((slowest <= pace)) || slowest=$pace
  done
  [[ $slowest == "$MAX_IN_FLIGHT" ]] || say "MAX_IN_FLIGHT is $slowest, as what serves was made with"
  MAX_IN_FLIGHT=$slowest
}

# The MAX_IN_FLIGHT that a revision was made with, to ANSWER; '' where it does not tell.
look_pace() {
  look_for_any gcloud run revisions describe "$1" --project="$PROJECT" --region="$REGION" \
    --flatten='spec.containers[0].env[]' \
    --format='csv[no-heading](spec.containers[0].env.name,spec.containers[0].env.value)'
  ANSWER=$(awk -F, '$1 == "MAX_IN_FLIGHT" && $2 ~ /^[1-9][0-9]*$/ {print $2}' <<<"$ANSWER")
}

# The pace is that of process: where it is not among the services, it stays.
supabase_settings() {
  local service settings="\"webhook_secret\": $(quoted "$1")"
  for service in $(called_services); do
    settings+=", \"${service}_url\": $(quoted "${URL[$service]}")"
    [[ $service != process ]] \
      || settings+=", \"max_in_flight\": {\"process\": $MAX_IN_FLIGHT, \"callback\": $(callbacks_in_flight)}"
  done
  printf '{%s}' "$settings"
}

# A text in SQL, whatever it holds and whatever the server thinks of backslashes.
sql_text() {
  local text=${1//\\/\\\\}
  printf "E'%s'" "${text//\'/\'\'}"
}

# The password travels in the environment: everybody on a machine can read a command line.
psql_at_database_url() {
  local url=$DATABASE_URL password=''
  if [[ $url =~ ^(postgres(ql)?://[^:@/?#]*):([^@/?#]*)(@.*)$ ]]; then
    url=${BASH_REMATCH[1]}${BASH_REMATCH[4]}
    password=$(percent_decoded "${BASH_REMATCH[3]}")
  fi
  PGPASSWORD=${password:-${PGPASSWORD:-}} PGCONNECT_TIMEOUT=${PGCONNECT_TIMEOUT:-30} \
    psql "$url" --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --output=/dev/null
}

percent_decoded() {
  local text=${1//\\/\\\\}
  printf '%b' "${text//%/\\x}"
}

not_connected() {
  say "Supabase was not told: it goes on with what it knew before. Where its migrations are missing, apply
them (supabase db push --remote). Then: $(again connect)"
  say 'or this in the SQL editor, with the secret that the services were made with:'
  say ''
  say "select public.memoria_configure($(sql_text "$(supabase_settings 'THE SECRET')"));"
  exit 1
}
