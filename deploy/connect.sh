# shellcheck shell=bash
# Tell Supabase where the functions are, what to present to them, and how fast to go.

connect_supabase() {
  step 'supabase'
  local settings
  look_urls
  [[ -n $(called_services) ]] || return 0
  settings=$(supabase_settings "$WEBHOOK_SECRET")
  if [[ -n ${DATABASE_URL:-} ]]; then
    run_with_input "select public.memoria_configure(\$memoria\$$settings\$memoria\$::jsonb);" \
      psql_at_database_url || not_connected
  else
    run_with_input "$(rpc_request "$settings")" curl --config - || not_connected
  fi
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
    [[ $DRY_RUN == no ]] || SERVICE_URL="https://memoria-$service.example"
    [[ -n $SERVICE_URL ]] || die "there is no service memoria-$service in $REGION yet: ./deploy.sh"
    URL[$service]=$SERVICE_URL
  done
}

# By itself, connect presents what the revisions that serve now were made with: after a rollback,
# this is not what stands in .env.
read_serving_secret() {
  [[ $DRY_RUN == no ]] || return 0
  local service accepted=''
  for service in $(called_services); do
    look_serving_secret "$service"
    [[ -n $ANSWER ]] || die "memoria-$service does not serve in $REGION yet: ./deploy.sh"
    [[ -z $accepted || $accepted == "$ANSWER" ]] \
      || die 'process and cluster accept different secrets of callers: deploy both, or roll back both'
    accepted=$ANSWER
  done
  WEBHOOK_SECRET=$accepted
}

supabase_settings() {
  local settings="\"max_in_flight\": {\"process\": $MAX_IN_FLIGHT, \"callback\": $(callbacks_in_flight)}"
  local service
  for service in $(called_services); do
    settings+=", \"${service}_url\": $(quoted "${URL[$service]}")"
  done
  printf '{%s, "webhook_secret": %s}' "$settings" "$(quoted "$1")"
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

# The request as curl reads it from its input, so that no secret stands on a command line.
rpc_request() {
  local key=$SUPABASE_SERVICE_ROLE_KEY
  printf 'url = %s\n' "$(quoted "${SUPABASE_URL%/}/rest/v1/rpc/memoria_configure")"
  printf 'header = %s\n' "$(quoted "apikey: $key")" "$(quoted "Authorization: Bearer $key")" \
    "$(quoted 'Content-Type: application/json')"
  printf 'data = %s\n' "$(quoted "{\"p_settings\": $1}")"
  printf 'fail-with-body\nsilent\nshow-error\nmax-time = 60\noutput = "/dev/null"\n'
}

not_connected() {
  say 'Supabase does not know the functions yet. Apply the migrations (supabase db push), then run'
  say './deploy.sh connect, or this in the SQL editor, with the secret of'
  say "gcloud secrets versions access latest --secret=memoria-webhook-secret --project=$PROJECT"
  say ''
  say "select public.memoria_configure('$(supabase_settings 'THE SECRET')');"
  return 1
}
