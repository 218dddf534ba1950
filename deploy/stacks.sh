#!/usr/bin/env bash
# The platform's six stacks and what runs in the cluster, in order, with every wait visible.
#
#   deploy/stacks.sh plan STAGE              shows what a deploy would change; changes nothing
#   deploy/stacks.sh deploy STAGE            makes or updates everything
#   deploy/stacks.sh rebuild-compute STAGE   deletes the ingress and eks stacks and makes them anew; data stays, schedules return
#   deploy/stacks.sh destroy STAGE           deletes ingress, dns, auth and eks; what they retain, vpc and data stay
#   deploy/stacks.sh destroy STAGE --with-data --yes-the-data-of STAGE
#                                            deletes the stack data too; bucket, database and key themselves remain even then
#   --yes                                    asks nothing (for automation)
#   --accept-weaker                          deploy and rebuild-compute: also a configuration that lets somebody through with less
#
# Needs: aws, jq, kubectl (kustomize 5 in it), helm, openssl, and credentials for the stage's account; the first deploy also a built
# metaflow-gateway (METAFLOW_GATEWAY, else the one on the path), with which later ones judge a changed configuration. STAGE is alpha,
# sandbox or prod; its numbers are in deploy/cloudformation/parameters/STAGE.json.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly templates="$here/cloudformation"
# Each stack may import only from those before it. Deletion goes the other way.
readonly order=(vpc data eks auth dns ingress)
readonly compute=(eks ingress)
readonly protected=(vpc data auth dns)
readonly poll_seconds="${STACKS_POLL_SECONDS:-10}"
readonly program="${METAFLOW_GATEWAY:-metaflow-gateway}"

fail() { printf 'stacks.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

confirm() {
    [[ $assume_yes == true ]] && return
    local answer
    printf '%s [yes/no] ' "$1"
    read -r answer || true
    [[ $answer == yes ]] || fail "stopped; nothing was done"
}

# ---- CloudFormation --------------------------------------------------------------------------------------------------

cloudformation() { aws cloudformation "$@" --region "$region"; }
name_of() { printf 'metaflow-%s-%s' "$stage" "$1"; }
contains() { local wanted="$1" each; shift; for each in "$@"; do [[ $each == "$wanted" ]] && return 0; done; return 1; }

status_of() {
    cloudformation describe-stacks --stack-name "$(name_of "$1")" --query 'Stacks[0].StackStatus' --output text 2>/dev/null || printf 'ABSENT'
}

output_of() {
    local value
    value="$(cloudformation describe-stacks --stack-name "$(name_of "$1")" --output json \
        | jq -r --arg key "$2" '.Stacks[0].Outputs[]? | select(.OutputKey == $key) | .OutputValue')"
    [[ -n $value ]] || fail "the stack $(name_of "$1") has no output $2; deploy it first: deploy/stacks.sh deploy $stage"
    printf '%s' "$value"
}

# The parameters that this template declares, with the stage's values; the template's defaults serve where the stage says nothing.
parameters_of() {
    local declared
    declared="$(awk '/^[A-Za-z]/ { inside = ($1 == "Parameters:") } inside && /^  [A-Za-z]/ { sub(":", "", $1); print $1 }' "$templates/$1.yaml" | jq -R . | jq -s .)"
    jq --argjson declared "$declared" '[to_entries[] | select(.key as $key | $declared | index($key)) | {ParameterKey: .key, ParameterValue: .value}]' \
        "$templates/parameters/$stage.json"
}

# Prints new events until the stack rests; the last line says how it ended and how long it took.
watch_stack() {
    local stack="$1" since="$2" began status seen="" events line
    began="$(date +%s)"
    while true; do
        events="$(cloudformation describe-stack-events --stack-name "$stack" --max-items 100 --output json 2>/dev/null || printf '{}')"
        while IFS= read -r line; do
            [[ -z $line || $seen == *"<${line%% *}>"* ]] && continue
            seen+="<${line%% *}>"
            say "  ${line#* }"
        done < <(jq -r --arg since "$since" '[.StackEvents[]? | select(.Timestamp >= $since)] | reverse[]
            | "\(.EventId) \(.LogicalResourceId)  \(.ResourceStatus)  \(.ResourceStatusReason // "")"' <<< "$events")
        status="$(cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>/dev/null || printf 'DELETE_COMPLETE')"
        case "$status" in
            *_IN_PROGRESS) ;;
            CREATE_COMPLETE | UPDATE_COMPLETE | DELETE_COMPLETE | IMPORT_COMPLETE)
                say "$stack $status after $(($(date +%s) - began)) s"
                return ;;
            *)
                fail "$stack ended in $status. The events above name the resource; mend it and run the same command again." ;;
        esac
        sleep "$poll_seconds"
        say "  … $stack $status, $(($(date +%s) - began)) s"
    done
}

# Makes a change set and prints it. Answers 0 if there is something to do, 1 if not, 2 if it cannot be said yet.
prepare() {
    local stack kind=UPDATE status reason
    stack="$(name_of "$1")"
    case "$(status_of "$1")" in ABSENT | REVIEW_IN_PROGRESS) kind=CREATE ;; esac
    cloudformation create-change-set --stack-name "$stack" --change-set-name "$change_set" --change-set-type "$kind" \
        --template-body "file://$templates/$1.yaml" --parameters "$(parameters_of "$1")" \
        --capabilities CAPABILITY_NAMED_IAM --tags "Key=metaflow:stage,Value=$stage" > /dev/null
    while true; do
        status="$(cloudformation describe-change-set --stack-name "$stack" --change-set-name "$change_set" --output json)"
        reason="$(jq -r '.StatusReason // ""' <<< "$status")"
        case "$(jq -r .Status <<< "$status")" in
            CREATE_COMPLETE) break ;;
            FAILED)
                forget "$1" "$kind"
                case "$reason" in
                    *"didn't contain changes"* | *"No updates are to be performed"*) say "$1: nothing to change"; return 1 ;;
                    *"No export named"*) say "$1: cannot be planned before the stacks that it imports from exist ($reason)"; return 2 ;;
                    *) fail "$stack: $reason" ;;
                esac ;;
        esac
        sleep "$poll_seconds"
        say "  … $stack: CloudFormation compares"
    done
    say "$1:"
    jq -r '.Changes[].ResourceChange | "            \(.Action)  \(.ResourceType)  \(.LogicalResourceId)\(if .Replacement == "True" then "  REPLACED" else "" end)"' <<< "$status"
}

# Takes back what `prepare` made; of a stack that never existed, the empty shell too.
forget() {
    cloudformation delete-change-set --stack-name "$(name_of "$1")" --change-set-name "$change_set" > /dev/null 2>&1 || true
    if [[ ${2:-} == CREATE || $(status_of "$1") == REVIEW_IN_PROGRESS ]]; then
        cloudformation delete-stack --stack-name "$(name_of "$1")" || true
    fi
}

apply() {
    local stack now answer=0
    stack="$(name_of "$1")"
    prepare "$1" || answer=$?
    [[ $answer == 2 ]] && fail "$1 imports what no stack exports. Deploy the stacks before it: deploy/stacks.sh deploy $stage"
    if [[ $answer == 0 ]]; then
        confirm "Change $stack so?"
        now="$(date -u +%Y-%m-%dT%H:%M:%S)"
        cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change_set"
        watch_stack "$stack" "$now"
    fi
    if contains "$1" "${protected[@]}"; then
        cloudformation update-termination-protection --stack-name "$stack" --enable-termination-protection > /dev/null
    fi
    if [[ -f $templates/policies/$1.json ]]; then
        cloudformation set-stack-policy --stack-name "$stack" --stack-policy-body "file://$templates/policies/$1.json"
    fi
}

delete() {
    local stack now
    stack="$(name_of "$1")"
    if [[ $(status_of "$1") == ABSENT ]]; then say "$1: not there"; return; fi
    if contains "$1" "${protected[@]}"; then
        cloudformation update-termination-protection --stack-name "$stack" --no-enable-termination-protection > /dev/null
    fi
    now="$(date -u +%Y-%m-%dT%H:%M:%S)"
    cloudformation delete-stack --stack-name "$stack"
    watch_stack "$stack" "$now"
    # The control plane's last lines make its log group anew once CloudFormation has deleted it, in the way of the next cluster's.
    if [[ $1 == eks ]]; then
        aws logs delete-log-group --region "$region" --log-group-name "/aws/eks/metaflow-$stage/cluster" > /dev/null 2>&1 || true
    fi
}

# ---- The cluster ------------------------------------------------------------------------------------------------------

# A copy of the manifests whose platform.env holds what the stacks export; the one in git holds examples.
render() {
    local into="$1"
    mkdir -p "$into/deploy" "$into/config"
    cp -R "$here/kubernetes" "$into/deploy/"
    cp -R "$here/../config/stages" "$into/config/"
    cat > "$into/deploy/kubernetes/overlays/$stage/platform.env" <<SETTINGS
STAGE=$stage
REGION=$region
STAGE_HOST=$(output_of dns StageHost)
CLUSTER_NAME=$(output_of eks ClusterName)
NODE_ROLE_NAME=$(output_of eks NodeRoleName)
DATABASE_ENDPOINT=$(output_of data DatabaseEndpoint)
DATABASE_SECRET_ARN=$(output_of data DatabaseSecretArn)
ZONE_ID=$(output_of dns ZoneId)
CERTIFICATE_ARN=$(output_of dns CertificateArn)
LOAD_BALANCER_NAME=$(output_of ingress LoadBalancerName)
TLS_TARGET_GROUP_ARN=$(output_of ingress TlsTargetGroupArn)
REDIRECT_TARGET_GROUP_ARN=$(output_of ingress RedirectTargetGroupArn)
SETTINGS
    if grep -q '=$' "$into/deploy/kubernetes/overlays/$stage/platform.env"; then fail "a stack lacks an output (see above); nothing was applied"; fi
    kubectl kustomize --load-restrictor LoadRestrictionsNone "$into/deploy/kubernetes/overlays/$stage" > "$into/rendered.yaml"
}

# The documents of these kinds only.
only_kinds() {
    awk -v kinds=" $* " 'function flush() { if (wanted) printf "---\n%s", document; document = ""; wanted = 0 }
        /^---$/ { flush(); next }
        /^kind: / { wanted = index(kinds, " " $2 " ") > 0 }
        { document = document $0 "\n" }
        END { flush() }'
}

# The stage file names ids that Cognito chose. They are no secrets, so they live in git; this says what to write.
check_stage_file() {
    local file="$here/../config/stages/$stage.yaml" wrong=0 what value
    for what in UserPoolId BrowserClientId CommandLineClientId MachineClientId LoginDomain IdentityPoolId ArtifactBucket; do
        if [[ $what == ArtifactBucket ]]; then value="s3://$(output_of data "$what")/metaflow"; else value="$(output_of auth "$what")"; fi
        grep -qF -- "$value" "$file" && continue
        [[ $wrong == 0 ]] && printf 'config/stages/%s.yaml does not name what the stacks made:\n' "$stage" >&2
        wrong=1
        case "$what" in
            UserPoolId) printf '  identity.cognito.user_pool: %s\n' "$value" >&2 ;;
            LoginDomain) printf '  identity.cognito.domain: %s\n' "$value" >&2 ;;
            BrowserClientId) printf '  identity.browser_client.id: %s\n' "$value" >&2 ;;
            CommandLineClientId) printf '  identity.clients[command-line].id: %s\n' "$value" >&2 ;;
            IdentityPoolId) printf '  command_line_api.identity_pool.id: %s\n' "$value" >&2 ;;
            ArtifactBucket) printf '  command_line_api.settings.METAFLOW_DATASTORE_SYSROOT_S3: %s\n' "$value" >&2 ;;
            MachineClientId) printf '  identity.clients[nightly-jobs].id: %s\n' "$value" >&2 ;;
        esac
    done
    [[ $wrong == 0 ]] || fail "write these, commit, and run the same command again"
}

# An image that is missing would show as pods that wait, 45 minutes later. One from another registry is its owner's affair.
check_image() {
    local image repository
    image="$(sed -n 's/^ *- { name: metaflow-gateway, newName: \([^,]*\), newTag: \([^ ]*\) }$/\1:\2/p' "$here/kubernetes/overlays/$stage/kustomization.yaml")"
    [[ -n $image ]] || fail "overlays/$stage/kustomization.yaml names no image metaflow-gateway in one line { name, newName, newTag }"
    [[ $image == "$account.dkr.ecr.$region.amazonaws.com/"* ]] || return 0
    repository="${image#*/}"
    aws ecr describe-images --region "$region" --repository-name "${repository%:*}" --image-ids "imageTag=${image##*:}" > /dev/null 2>&1 && return
    cat >&2 <<HELP
The repository has no $image. Build and push it (the nodes are amd64):
  aws ecr get-login-password --region $region | docker login --username AWS --password-stdin ${image%%/*}
  docker build --platform linux/amd64 --file deploy/container/Dockerfile --tag $image .
  docker push $image
HELP
    fail "push the image and run the same command again"
}

reach_cluster() { aws eks update-kubeconfig --region "$region" --name "$(output_of eks ClusterName)" --kubeconfig "$KUBECONFIG" > /dev/null; }

# What a new pod accepted last lives in an emptyDir, so nothing measures what it starts with: a configuration that the running pods refuse
# as weaker would be the next pod's. So it is held against the cluster's before it is applied, with stand-ins for the files that only a
# pod has, which `check` wants to read. The wheel is left out of both.
judge_configuration() {
    local folder="$work/judged" live each file host answer=0
    live="$(kubectl --namespace metaflow-gateway get configmap gateway-configuration --ignore-not-found --output json)" \
        || fail "the cluster does not tell its configuration, so nothing says whether the new one is weaker; nothing was applied"
    [[ -n $live ]] || return 0
    if ! command -v "$program" > /dev/null; then
        say "configuration: NOT held against the cluster's, there is no $program (name a built one in METAFLOW_GATEWAY)"
        return 0
    fi
    rm -rf "$folder"
    mkdir -p "$folder/new" "$folder/live" "$folder/etc/tls" "$folder/state"
    cp "$here/kubernetes/base/gateway/gateway.yaml" "$folder/new/gateway.yaml"
    cp "$here/../config/stages/$stage.yaml" "$folder/new/stage.yaml"
    for each in gateway.yaml stage.yaml; do
        jq -j --arg file "$each" '.data[$file] // empty' <<< "$live" > "$folder/live/$each"
        for file in "$folder/new/$each" "$folder/live/$each"; do
            sed -i.as-written -e "s#/etc/metaflow-gateway/#$folder/etc/#g; s#/var/lib/metaflow-gateway#$folder/state#g" -e 's/^  wheel: .*//' "$file"
        done
    done
    host="$(jq -r .StageHost "$templates/parameters/$stage.json")"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 100 -subj "/CN=$host" -addext "subjectAltName=DNS:$host,DNS:*.$host" \
        -keyout "$folder/etc/tls/tls.key" -out "$folder/etc/tls/tls.crt" 2> /dev/null
    "$program" keys rotate --output - > "$folder/etc/login-keys.json" 2> /dev/null
    mkdir "$folder/etc/revocation"
    printf '{"version": 1, "entries": []}' > "$folder/etc/revocation/revocation.json"
    printf 'stand-in' > "$folder/etc/$stage-client-secret"
    "$program" check --config "$folder/new/gateway.yaml" --against "$folder/live/gateway.yaml" > "$folder/said" 2>&1 || answer=$?
    sed -e "s#$folder/etc/#/etc/metaflow-gateway/#g; s#$folder/##g; s#new/stage\.yaml#config/stages/$stage.yaml#g" \
        -e "s#new/gateway\.yaml#deploy/kubernetes/base/gateway/gateway.yaml#g; s#^#            #" "$folder/said"
    if [[ $answer == 0 ]]; then
        say "configuration: not weaker than the cluster's"
    elif ! "$program" check --config "$folder/new/gateway.yaml" > /dev/null 2>&1; then
        fail "the configuration has faults (above), for which a pod would refuse it too; nothing was applied"
    elif [[ $accept_weaker == false ]]; then
        fail "the configuration is weaker than the cluster's, or cannot be held against it (above). Approve it in its file, or add --accept-weaker; nothing was applied"
    else
        say "configuration: accepted although it is WEAKER than the cluster's; pods that run go on refusing it until they are replaced"
    fi
}

secret_exists() { kubectl --namespace metaflow-gateway get secret "$1" > /dev/null 2>&1; }

# Secrets go from their owner straight into the cluster, through a pipe; never through a file, an argument or the screen. Each is
# held complete before the pipe begins: half a pipe would leave an empty secret behind, which the next run takes for a good one.
make_secrets() {
    local value
    if ! secret_exists gateway-login-keys; then
        value="$key_ring"
        if [[ -n $value ]]; then
            say "secret gateway-login-keys: the old cluster's key ring"
        else
            say "secret gateway-login-keys: a new key ring"
            command -v "$program" > /dev/null \
                || fail "there is no $program to make the key ring of browser logins; name a built one in METAFLOW_GATEWAY and run the same command again"
            value="$("$program" keys rotate --output -)"
            [[ -n $value ]] || fail "$program keys rotate gave no key ring; nothing was stored"
        fi
        printf '%s\n' "$value" | kubectl --namespace metaflow-gateway create secret generic gateway-login-keys --from-file=login-keys.json=/dev/stdin
    fi
    # Operators edit it; a deploy never does.
    if ! kubectl --namespace metaflow-gateway get configmap gateway-revocation > /dev/null 2>&1; then
        value="$revocation"
        [[ -n $value ]] || value="$(saved_revocation)"
        if [[ -n $value ]]; then
            say "configmap gateway-revocation: who was locked out in the old cluster"
            printf '%s\n' "$value" | kubectl --namespace metaflow-gateway create configmap gateway-revocation --from-file=revocation.json=/dev/stdin
        else
            say "configmap gateway-revocation: nobody is locked out"
            kubectl --namespace metaflow-gateway create configmap gateway-revocation '--from-literal=revocation.json={"version": 1, "entries": []}'
        fi
    fi
    say "secret $stage-browser-client: from Cognito"
    value="$(aws cognito-idp describe-user-pool-client --region "$region" --user-pool-id "$(output_of auth UserPoolId)" \
        --client-id "$(output_of auth BrowserClientId)" --query UserPoolClient.ClientSecret --output text)"
    [[ -n $value && $value != None ]] || fail "Cognito knows no secret of the browser's client; the one in the cluster was left alone"
    printf '%s' "$value" | kubectl --namespace metaflow-gateway create secret generic "$stage-browser-client" \
            --from-file=client-secret=/dev/stdin --dry-run=client --output yaml \
        | kubectl apply --server-side --force-conflicts --field-manager=stacks --filename - > /dev/null
}

install_charts() {
    local release namespace chart version repository
    local -a flags
    while read -r release namespace chart version repository; do
        [[ -z $release || $release == \#* ]] && continue
        flags=(--namespace "$namespace" --create-namespace --version "$version" --values "$here/kubernetes/charts/$release.yaml" --wait --timeout 15m)
        [[ $repository != - ]] && flags+=(--repo "$repository")
        [[ $release == argo-workflows ]] && flags+=(--set-string "controller.persistence.postgresql.host=$(output_of data DatabaseEndpoint)")
        say "chart $release $version"
        helm upgrade --install "$release" "$chart" "${flags[@]}" > /dev/null
    done < "$here/kubernetes/charts/versions.txt"
}

deploy_cluster() {
    local job
    say "cluster: rendering the manifests of $stage"
    render "$work"
    reach_cluster
    judge_configuration
    local -a apply=(kubectl apply --server-side --force-conflicts --field-manager=stacks)
    say "cluster: namespaces, definitions, what the charts need"
    only_kinds Namespace CustomResourceDefinition PriorityClass StorageClass SecretProviderClass ClusterRole ClusterRoleBinding < "$work/rendered.yaml" | "${apply[@]}" --filename -
    kubectl wait --for=condition=Established --timeout=60s customresourcedefinition/dnsendpoints.externaldns.k8s.io
    install_charts
    make_secrets
    # The nodes of the tiers may need minutes; nothing here waits for them.
    say "cluster: everything"
    "${apply[@]}" --filename "$work/rendered.yaml"
    job="$(if [[ $tls_mode == pass-through ]]; then printf certificate-export; else printf own-certificate; fi)"
    if ! secret_exists gateway-certificate; then
        say "cluster: the certificate, by the job $job"
        kubectl --namespace metaflow-gateway delete job "$job-first" --ignore-not-found > /dev/null
        kubectl --namespace metaflow-gateway create job "$job-first" --from="cronjob/$job"
        kubectl --namespace metaflow-gateway wait --for=condition=Complete --timeout=600s "job/$job-first"
    fi
    # 5 minutes a pod, because the load balancer takes 3 to 5 to register it.
    say "cluster: the gateway rolls out, one pod each 5 minutes"
    kubectl --namespace metaflow-gateway rollout status deployment/gateway --timeout=45m
    say "ready  https://$(output_of dns StageHost)"
}

# Deployed flows live in the cluster as objects: templates, schedules, sensors. They leave before it does, and come back.
readonly deployed_flows=workflowtemplates.argoproj.io,cronworkflows.argoproj.io,sensors.argoproj.io
# Browser logins are sealed with a key ring that lives in the cluster. It waits in this process alone, and if that ends too early
# people log in once more.
key_ring=""
remember_key_ring() {
    key_ring="$(kubectl --namespace metaflow-gateway get secret gateway-login-keys --output 'jsonpath={.data.login-keys\.json}' 2>/dev/null | base64 --decode)" || key_ring=""
}
# Who is locked out must not be let in by a rebuild, nor by one that ended too early: it waits in the bucket too, where the next deploy
# finds it. A cluster that does not answer is not one in which nobody is locked out.
revocation=""
revocation_key=platform/gateway-revocation.json
remember_revocation() {
    local found address
    address="s3://$(output_of data ArtifactBucket)/$revocation_key"
    found="$(kubectl --namespace metaflow-gateway get configmap gateway-revocation --ignore-not-found --output json)" \
        || fail "the cluster does not say who is locked out (configmap gateway-revocation); nothing was deleted"
    if [[ -z $found ]]; then
        say "locked out: the cluster has no configmap gateway-revocation; what $address holds, if anything, counts"
        return 0
    fi
    revocation="$(jq -er '.data["revocation.json"] | select(fromjson | .entries | type == "array")' <<< "$found" 2> /dev/null)" \
        || fail "revocation.json in the configmap gateway-revocation is not {\"version\": 1, \"entries\": […]}; mend it, nothing was deleted"
    printf '%s\n' "$revocation" > "$work/gateway-revocation.json"
    aws s3 cp --region "$region" --only-show-errors "$work/gateway-revocation.json" "$address"
    say "locked out: saved to $address, entries: $(jq ".entries | length" <<< "$revocation")"
}
# What the last rebuild saved; nothing if there was none.
saved_revocation() {
    local bucket found
    bucket="$(output_of data ArtifactBucket)" || exit 1
    found="$(aws s3api list-objects-v2 --region "$region" --bucket "$bucket" --prefix "$revocation_key" --query 'Contents[0].Key' --output text)" || exit 1
    [[ $found == "$revocation_key" ]] || return 0
    aws s3 cp --region "$region" --only-show-errors "s3://$bucket/$revocation_key" "$work/gateway-revocation.json" > /dev/null || exit 1
    cat "$work/gateway-revocation.json"
}
flows_address() { printf 's3://%s/platform/deployed-flows.json' "$(output_of data ArtifactBucket)"; }
save_flows() {
    say "deployed flows: saving templates, schedules and sensors to $(flows_address)"
    kubectl --namespace metaflow-jobs get "$deployed_flows" --output json \
        | jq 'del(.metadata) | .items |= map(del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.generation,
              .metadata.creationTimestamp, .metadata.managedFields, .metadata.ownerReferences))' > "$work/deployed-flows.json"
    jq -e '.kind == "List" and (.items | type == "array")' "$work/deployed-flows.json" > /dev/null || fail "the cluster's answer is no list; nothing was deleted"
    aws s3 cp --region "$region" --only-show-errors "$work/deployed-flows.json" "$(flows_address)"
    say "deployed flows: $(jq '.items | length' "$work/deployed-flows.json") saved"
}
restore_flows() {
    aws s3 cp --region "$region" --only-show-errors "$(flows_address)" "$work/deployed-flows.json"
    say "deployed flows: $(jq '.items | length' "$work/deployed-flows.json") come back"
    if [[ $(jq '.items | length' "$work/deployed-flows.json") == 0 ]]; then return; fi
    kubectl --namespace metaflow-jobs apply --server-side --force-conflicts --field-manager=stacks --filename "$work/deployed-flows.json"
}

# ---- Commands ------------------------------------------------------------------------------------------------------------

plan() {
    local each answer
    for each in "${order[@]}"; do
        answer=0
        prepare "$each" || answer=$?
        if [[ $answer == 0 ]]; then forget "$each"; fi
    done
    say "planned; nothing was changed"
}

deploy() {
    local each
    for each in "${order[@]}"; do
        apply "$each"
        if [[ $each == auth ]]; then check_stage_file; check_image; fi
    done
    deploy_cluster
}

rebuild_compute() {
    local each index
    check_image
    reach_cluster
    judge_configuration
    confirm "Delete and make anew the cluster of $stage? Steps that run now are lost; runs, artifacts and schedules are kept."
    save_flows
    remember_key_ring
    remember_revocation
    for ((index = ${#compute[@]} - 1; index >= 0; index--)); do delete "${compute[index]}"; done
    for each in "${compute[@]}"; do apply "$each"; done
    deploy_cluster
    restore_flows
}

destroy() {
    local index each
    if [[ $with_data == true && $data_of != "$stage" ]]; then
        fail "--with-data must be told twice: add --yes-the-data-of $stage"
    fi
    [[ $with_data == false && -n $data_of ]] && fail "--yes-the-data-of does nothing without --with-data"
    confirm "Delete the stacks of $stage$([[ $with_data == true ]] && printf ', data included')?"
    for ((index = ${#order[@]} - 1; index >= 0; index--)); do
        each="${order[index]}"
        case "$each" in
            vpc) say "vpc: stays, the database lives in it" ;;
            data)
                if [[ $with_data == true ]]; then delete data; else say "data: stays (--with-data --yes-the-data-of $stage deletes the stack)"; fi ;;
            *) delete "$each" ;;
        esac
    done
    say "Retained, to be deleted by hand or never: the bucket, the database, their key, the user pool, the hosted zone."
}

[[ ${1:-} == -h || ${1:-} == --help ]] && { usage; exit 0; }
[[ $# -ge 2 ]] || { usage >&2; exit 2; }
readonly command="$1" stage="$2"
shift 2
assume_yes=false accept_weaker=false with_data=false data_of=""
while [[ $# -gt 0 ]]; do
    case "$1" in
        --yes) assume_yes=true ;;
        --accept-weaker) accept_weaker=true ;;
        --with-data) with_data=true ;;
        --yes-the-data-of) data_of="${2:-}"; shift ;;
        *) fail "unknown option $1; deploy/stacks.sh --help lists them" ;;
    esac
    shift
done
[[ $stage =~ ^(alpha|sandbox|prod)$ ]] || fail "there is no stage $stage; the stages are alpha, sandbox and prod"
[[ $command == destroy || ($with_data == false && -z $data_of) ]] || fail "$command never touches data; leave --with-data away"
[[ $accept_weaker == false || $command == deploy || $command == rebuild-compute ]] || fail "$command applies no configuration; leave --accept-weaker away"
for tool in aws jq kubectl helm openssl; do command -v "$tool" > /dev/null || fail "$tool is missing; install it first"; done
region="$(jq -r .Region "$templates/parameters/$stage.json")"
account="$(jq -r .Account "$templates/parameters/$stage.json")"
tls_mode="$(jq -r .TlsMode "$templates/parameters/$stage.json")"
grep -q "components/tls-$tls_mode\$" <(sed -n '/^components:/,/^[a-z]/p' "$here/kubernetes/overlays/$stage/kustomization.yaml" | grep -v '#') \
    || fail "TlsMode in parameters/$stage.json is $tls_mode, but overlays/$stage/kustomization.yaml names another component; make them agree"
found="$(aws sts get-caller-identity --query Account --output text)"
[[ $found == "$account" ]] || fail "these credentials are for account $found; $stage lives in $account (parameters/$stage.json)"
change_set="stacks-$(date +%Y%m%d%H%M%S)-$$"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export KUBECONFIG="$work/kubeconfig"
readonly region account tls_mode change_set work
case "$command" in
    plan) plan ;;
    deploy) deploy ;;
    rebuild-compute) rebuild_compute ;;
    destroy) destroy ;;
    *) usage >&2; exit 2 ;;
esac
