# shellcheck shell=bash
# Dashboard, log-based metrics and alert policies: created once, updated ever after.

MONITORING="$ROOT/deploy/monitoring"

apply_monitoring() {
  step 'log-based metrics'
  local file name
  for file in "$MONITORING"/metrics/*.json; do
    name=$(basename "$file" .json)
    look gcloud logging metrics describe "$name" --project="$PROJECT" --format='value(name)'
    if [[ -n $ANSWER ]]; then
      run gcloud logging metrics update "$name" --config-from-file="$file" --project="$PROJECT"
    else
      run gcloud logging metrics create "$name" --config-from-file="$file" --project="$PROJECT"
    fi
  done
  step 'dashboard'
  apply_file dashboards "$MONITORING/dashboard.json" gcloud monitoring dashboards --config-from-file
  step 'alerts'
  for file in "$MONITORING"/alerts/*.json; do
    apply_file policies "$file" gcloud alpha monitoring policies --policy-from-file
  done
}

# What is there already is found by its display name: apply_file KIND FILE COMMAND… FLAG
apply_file() {
  local kind=$1 file=$2 flag=${*: -1}
  local -a command=("${@:3:$#-3}") channels=()
  local title
  title=$(sed -n 's/^  "displayName": "\(.*\)",$/\1/p' "$file")
  look_for_any "${command[@]}" list --filter="displayName=\"$title\"" --format='value(name)' --limit=1 \
    --project="$PROJECT"
  if [[ -n $ANSWER ]]; then
    run "${command[@]}" update "$ANSWER" "$flag=$file" --project="$PROJECT"
  else
    [[ $kind != policies || -z $NOTIFY ]] || channels=(--notification-channels="$NOTIFY")
    run "${command[@]}" create "$flag=$file" --project="$PROJECT" ${channels[@]+"${channels[@]}"}
  fi
}
