#!/usr/bin/env bash
# Installed as gcloud, curl and psql: hands its words, and its input where it has one, to the test
# that runs (cloud.py), and answers what that says. curl then goes on to the real curl.
tool=${0##*/}
input=''
case "$tool $*" in
  psql* | *--data-file=-* | curl*' --config - '*) IFS= read -r -d '' input || true ;;
esac
exec 3<>"/dev/tcp/127.0.0.1/$CLOUD_PORT"
printf '%s\0' "$#" "$tool" "${CLOUD_FAILS:-}" "${CLOUD_LOSES:-}" "${CLOUDSDK_CORE_USER_OUTPUT_ENABLED:-}" "${CLOUD_SILENT:-}" \
  "${PGPASSWORD:-}" "$input" "$@" >&3
IFS= read -r -d '' status <&3
IFS= read -r -d '' output <&3
IFS= read -r -d '' complaint <&3
printf '%s' "$output"
printf '%s' "$complaint" >&2
[[ $tool == curl && $status == 0 ]] || exit "$status"
exec "$REAL_CURL" "$@" <<<"$input"
