# shellcheck shell=bash
# Tell Supabase where the functions are, what to present to them, and how fast to go.

connect_supabase() {
  step 'supabase'
  local settings
  settings=$(supabase_settings "$WEBHOOK_SECRET")
  if [[ -n ${DATABASE_URL:-} ]]; then
    run_with_input "select public.memoria_configure(\$memoria\$$settings\$memoria\$::jsonb);" \
      psql_at_database_url || not_connected
  else
    run_with_input "$(rpc_request "$settings")" curl --config - || not_connected
  fi
}

supabase_settings() {
  local settings="\"max_in_flight\": {\"process\": $MAX_IN_FLIGHT, \"callback\": $((MAX_IN_FLIGHT / 2 > 0 ? MAX_IN_FLIGHT / 2 : 1))}"
  local service
  for service in "${SERVICES[@]}"; do
    settings+=", \"${service}_url\": $(json_string "$(service_url "$service")")"
  done
  printf '{%s, "webhook_secret": %s}' "$settings" "$(json_string "$1")"
}

# Named, so that what is printed does not hold the password.
psql_at_database_url() {
  psql "$DATABASE_URL" --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --output=/dev/null
}

# The request as curl reads it from its input, so that no secret stands on a command line.
rpc_request() {
  local key=$SUPABASE_SERVICE_ROLE_KEY
  printf 'url = %s\n' "$(json_string "${SUPABASE_URL%/}/rest/v1/rpc/memoria_configure")"
  printf 'header = %s\n' "$(json_string "apikey: $key")" "$(json_string "Authorization: Bearer $key")" \
    "$(json_string 'Content-Type: application/json')"
  printf 'data = %s\n' "$(json_string "{\"p_settings\": $1}")"
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
