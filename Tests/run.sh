#!/usr/bin/env bash
# Builds and runs the tests.
#
#   bash Tests/run.sh [quick|full] [PART]...
#
#   part         quick    full   what it is
#   unit         ~9 min    ~9    swift test: every Swift target, with the debug build that the other parts use too
#   fuzz         ~4 min   ~15    each fuzz target over its corpus and 15 s (full: 120 s) of new inputs
#   gateway     ~10 min   ~22    the built gateway over loopback: raw sockets, curl, nghttp and the attack corpus before it, a scripted upstream behind it
#   end-to-end   ~5 min   ~11    the real metaflow from PyPI through the gateway, logged in as people log in, and deploy/local/run.sh
#   browser      ~3 min    ~6    Debian's Chromium through the gateway's login, and pictures of its pages in .build/test-output/browser
#   deploy       ~5 min   ~20    the manifests under deploy/
#   extension    ~3 min    ~8    the Metaflow extension under deploy/metaflow-extension
#
# Minutes are of two cores, the build of the dependencies in the first part that runs included (about 5). Without PART all of them run, in
# this order. quick is what continuous integration runs, under 40 minutes in all; full adds the long forms and runs the whole-program
# parts a second time, on the release build. quick asks a test that fails once more, and says so; full does not.
#
# quick tests the debug build: it is the one that the unit tests have made anyway, and its assertions find what a release would survive.
# It sets a bare machine up itself (Debian 12; Ubuntu untested). Python packages go to .build/test-environments. The last line counts.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=deploy/local/machine.sh
. deploy/local/machine.sh

mode=quick
parts=()
for argument in "$@"; do
    case "$argument" in
        quick|full) mode=$argument ;;
        unit|fuzz|gateway|end-to-end|browser|deploy|extension) parts+=("$argument") ;;
        -h|--help) sed -n '2,22s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) fail "\"$argument\" is neither a mode (quick, full) nor a part (unit, fuzz, gateway, end-to-end, browser, deploy, extension)." ;;
    esac
done
((${#parts[@]})) || parts=(unit fuzz gateway end-to-end browser deploy extension)

passed=0 failed=0
totals=()
# What failed, told once more before the totals: a log that is cut keeps its end. And what passed at its second try only.
failures=() unsteady=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

headline() { printf '\n==== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }

# count PART PASSED FAILED "the runner's own words"
count() {
    local note=$4
    if (($2 + $3 == 0)); then
        # A part that runs nothing proves nothing.
        set -- "$1" 0 1
        note="no test ran${note:+: $note}"
    fi
    passed=$((passed + $2)) failed=$((failed + $3))
    totals+=("$(printf '%-22s %s' "$1" "$note")")
}

# note_failures PART LOG PATTERN: keeps the first lines of a part's log that say what failed.
note_failures() {
    local line
    while IFS= read -r line; do failures+=("$(printf '%-22s %.300s' "$1" "$line")"); done < <(grep -aE "$3" "$2" | head -n 20)
}

# --- Swift

bin_debug="$root/.build/debug" bin_release="$root/.build/release"

# Swift Testing prints "Test run with N tests … passed|failed"; XCTest, where any is left, "Executed N tests, with M failures".
run_unit() {
    local log="$scratch/unit" status=0 words number broken
    say "building everything for debugging, then swift test"
    swift build --build-tests 2>&1 | tee "$log" || { note_failures unit "$log" 'error:'; count unit 0 1 "the build failed"; return; }
    swift test --skip-build 2>&1 | tee "$log" || status=$?
    words=$(grep -E 'Test run with [0-9]+ test' "$log" | tail -n 1 | sed 's/^[^T]*//' || true)
    number=$(sed -n 's/.*Test run with \([0-9]*\) test.*/\1/p' <<<"$words")
    number=${number:-0}
    broken=$(grep -E '^[^ ]+ +Test .* failed after' "$log" | grep -Ecv 'Test (run with|case) ' || true)
    note_failures unit "$log" '^[^ ]+ +Test .* (recorded an issue|failed after)|Fatal error'
    # A crash leaves no totals, a failure outside any test no failed one.
    if ((status != 0 && broken == 0)); then broken=1; ((number > 0)) || words="swift test ended with status $status and no totals"; fi
    ((number >= broken)) || number=$broken
    count unit $((number - broken)) "$broken" "$words"
}

programs_are_built=no
# The programs in debug; the unit part has made them already.
build_programs() {
    [[ $programs_are_built == no ]] || return 0
    local product
    for product in metaflow-gateway metaflow-local-platform; do swift build --product "$product" || return 1; done
    if [[ $mode == full ]]; then
        for product in metaflow-gateway metaflow-local-platform; do swift build -c release --product "$product" || return 1; done
    fi
    programs_are_built=yes
}

run_fuzz() {
    local seconds=15 target name corpus log status runs built=0 broken=0 notes=()
    [[ $mode == quick ]] || seconds=120
    local scratch_path="$root/.build/fuzz"
    for target in Tests/Fuzz/*Fuzz; do
        name=${target##*/}
        log="$scratch/$name"
        say "building $name"
        if ! FUZZ=1 swift build -c release --scratch-path "$scratch_path" --product "$name"; then
            broken=$((broken + 1)) notes+=("$name does not build")
            continue
        fi
        corpus="Tests/Fuzz/corpus/$(fuzz_corpus "$name")"
        # New finds go to a folder of their own, never into the committed corpus.
        mkdir -p "$scratch/found-$name"
        say "$name: $corpus, then $seconds s of new inputs"
        status=0
        "$scratch_path/release/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="$root/.build/fuzz-" "$scratch/found-$name" "$corpus" >"$log" 2>&1 || status=$?
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
        if ((status == 0 && ${runs:-0} > 0)); then
            built=$((built + 1)) notes+=("$name $runs inputs")
        else
            tail -n 40 "$log"
            note_failures "$name" "$log" 'Fatal error|ERROR:|^Base64:'
            broken=$((broken + 1)) notes+=("$name FAILED")
        fi
    done
    count fuzz "$built" "$broken" "$(printf '%s; ' "${notes[@]}")"
}

fuzz_corpus() {
    case "$1" in
        BodyDecoderFuzz) echo body ;;
        RequestParserFuzz) echo request ;;
        ResponseParserFuzz) echo response ;;
        *) sed 's/Fuzz$//; s/.*/\L&/' <<<"$1" ;;
    esac
}

# --- Python

# environment NAME REQUIREMENTS: a virtual environment with these packages; its path is in $environment.
environment() {
    environment="$root/.build/test-environments/$1"
    local stamp="$environment/requirements.txt"
    [[ -x $environment/bin/python ]] && cmp -s "$2" "$stamp" && return
    say "setting up Python packages for $1"
    rm -rf "$environment"
    python3 -m venv "$environment" &&
        "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$2" &&
        cp "$2" "$stamp"
}

# first_failures LOG: each test that was asked again, with the first line of what it failed of.
first_failures() { awk '/^RERUN / { test = $0 } test != "" && sub(/^E +/, "") { print test " - " $0; test = "" }' "$1"; }

# run_pytest LABEL COMMAND...: runs pytest, whose own summary line is what counts.
#
# In quick a test that fails is asked once more, three a part at most: a machine that stalls stops nobody's work, and a fault of a change
# fails twice. Each is told before the totals with its first failure above: it has a cause, and that is to be found. full forgives none.
run_pytest() {
    local label=$1 log="$scratch/$1" words status=0 good bad line second_try=()
    shift
    [[ $mode == full ]] || second_try=(--reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks)
    "$@" -p no:cacheprovider --color=no -ra --durations=5 "${second_try[@]}" 2>&1 | tee "$log" || status=$?
    words=$(grep -E '^(=+ )?[0-9]+ (passed|failed|error|skipped).* in [0-9.]+s' "$log" | tail -n 1 | tr -d = | sed 's/^ *//; s/ *$//' || true)
    good=$(grep -oE '[0-9]+ passed' <<<"$words" | cut -d' ' -f1 || true)
    bad=$({ grep -oE '[0-9]+ (failed|errors?)' <<<"$words" || true; } | awk '{ sum += $1 } END { print sum + 0 }')
    note_failures "$label" "$log" '^(FAILED|ERROR) '
    while IFS= read -r line; do unsteady+=("$(printf '%-22s %.300s' "$label" "$line")"); done < <(first_failures "$log")
    ((status == 0 || bad > 0)) || { bad=1; words="${words:-pytest ended with status $status}"; }
    count "$label" "${good:-0}" "$bad" "$words"
}

# whole_program LABEL FOLDER: in full also on the release build.
whole_program() {
    build_programs || { count "$1" 0 1 "the build failed"; return; }
    environment "$1" "$2/requirements.txt" || { count "$1" 0 1 "its Python packages could not be installed"; return; }
    say "on the debug build"
    METAFLOW_GATEWAY_BINARIES="$bin_debug" TEST_MODE="$mode" run_pytest "$1" "$environment/bin/python" -m pytest "$2"
    [[ $mode == full ]] || return 0
    say "on the release build"
    METAFLOW_GATEWAY_BINARIES="$bin_release" TEST_MODE="$mode" run_pytest "$1-release" "$environment/bin/python" -m pytest "$2"
}

gateway_packages=("curl|asks over both protocols" "nghttp2-client|nghttp and h2load, which ask over HTTP/2")

run_gateway() {
    need_packages "${gateway_packages[@]}"
    whole_program gateway Tests/GatewayTests
    [[ $mode == full ]] || return 0
    local kind good=0 bad=0
    for kind in upgrade activation reloads routes; do
        say "$kind: what a replacement or a reload under load loses"
        if python3 deploy/benchmark/replace.py "$kind" --binary "$bin_release/metaflow-gateway"; then good=$((good + 1)); else bad=$((bad + 1)); fi
    done
    count replacement "$good" "$bad" "upgrade, activation, reloads, routes"
}

browser_packages=("chromium|the browser that logs in" "chromium-driver|drives it")

run_end_to_end() {
    need_packages "${browser_packages[@]}"
    whole_program end-to-end Tests/EndToEnd
}

run_browser() {
    need_packages "${browser_packages[@]}"
    whole_program browser Tests/Browser
    say "pictures of the pages: .build/test-output/browser"
}

# These two have scripts of their own, which set up what they need.
run_deploy() {
    local settings=(DEPLOY_TESTS_VENV="$root/.build/test-environments/deploy")
    # With the gateway there, it judges the configurations that the manifests carry.
    [[ ! -x $bin_debug/metaflow-gateway ]] || settings+=(METAFLOW_GATEWAY="$bin_debug/metaflow-gateway")
    [[ $mode == quick ]] || settings+=(DEPLOY_FULL=1)
    run_pytest deploy env "${settings[@]}" bash Tests/Deploy/run.sh
}

run_extension() {
    local settings=(EXTENSION_TESTS_ENVIRONMENT="$root/.build/test-environments/extension")
    # With the local platform there, a login, a run and a logout go through it too.
    [[ ! -x $bin_debug/metaflow-local-platform ]] || settings+=(EXTENSION_TESTS_LOCAL_PLATFORM="$bin_debug/metaflow-local-platform")
    run_pytest extension env "${settings[@]}" bash deploy/metaflow-extension/test.sh "$mode"
}

# --- Go

needs_swift=no
for part in "${parts[@]}"; do case "$part" in unit|fuzz|gateway|end-to-end|browser) needs_swift=yes ;; esac; done
if [[ $needs_swift == yes ]]; then
    need_packages "${machine_build_packages[@]}" "${machine_test_packages[@]}"
    need_swift
else
    need_packages "${machine_test_packages[@]}"
fi

started=$SECONDS
for part in "${parts[@]}"; do
    headline "$part"
    case "$part" in
        unit) run_unit ;;
        fuzz) run_fuzz ;;
        gateway) run_gateway ;;
        end-to-end) run_end_to_end ;;
        browser) run_browser ;;
        deploy) run_deploy ;;
        extension) run_extension ;;
    esac
done

if ((${#unsteady[@]})); then
    headline "what failed once and was asked again"
    printf '%s\n' "${unsteady[@]}"
fi
if ((${#failures[@]})); then
    headline "what failed"
    printf '%s\n' "${failures[@]}"
fi
headline "totals, $mode, after $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
printf '%s\n' "${totals[@]}"
printf '%s passed, %s failed\n' "$passed" "$failed"
((failed == 0))
