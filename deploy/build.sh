# shellcheck shell=bash
# The images, built and stored by Cloud Build. .gcloudignore says what of this folder goes there.

image_of() {
  local image=${1/search/process} # one image, told by SEARCH what to answer
  printf '%s-docker.pkg.dev/%s/%s/%s:%s' "$REGION" "$PROJECT" "$REPOSITORY" "$image" "$TAG"
}

# No value holds a comma: ALPHABET in values.sh sees to it.
build_images() {
  [[ $BUILD == yes ]] || return 0
  step 'images'
  local substitutions="_REGION=$REGION,_TAG=$TAG,_WEIGHTS=$WEIGHTS,_MODEL_PACK=$MODEL_PACK"
  substitutions+=",_TARGET=$(target),_ONLY=$ONLY,_TEST=no,_DEPLOY=no"
  ! must_be_accepted || substitutions+=",_ACCEPT_INSIGHTFACE_LICENSE=yes" # accept_licence saw to it
  [[ -z ${PYTHON_IMAGE:-} ]] || substitutions+=",_PYTHON_IMAGE=$PYTHON_IMAGE"
  run gcloud builds submit "$ROOT" --config="$ROOT/cloudbuild.yaml" --project="$PROJECT" \
    --region="$REGION" --substitutions="$substitutions" \
    --service-account="projects/$PROJECT/serviceAccounts/$(account_of build)" \
    --default-buckets-behavior=regional-user-owned-bucket
}

target() {
  case $GPU-$INFERENCE in
    yes-*) printf gpu ;;
    no-openvino) printf openvino ;;
    *) printf cpu ;;
  esac
}
