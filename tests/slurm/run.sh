#!/usr/bin/env bash
# The README's cluster section on a real Slurm: installs Slurm and munge from Debian where they are missing, starts a private
# cluster of one node on this machine, submits the section's own lines on the shipped sample, kills one task with SIGKILL and warns
# another of its time limit, and compares with the same steps done in one go. Needs root (Slurm's daemons do) and the programs
# in target/release. Leaves nothing behind but those packages.
#
#     cargo build --release && bash tests/slurm/run.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}/release")
export PATH="$programs:$PATH:/usr/sbin:/sbin"
limit=900 # seconds for all jobs together

say() { printf 'slurm test: %s\n' "$*" >&2; }
fail() {
  say "FAILED: $*"
  exit 1
}

install() {
  command -v munged mungekey slurmctld slurmd sbatch >/dev/null && return
  command -v apt-get >/dev/null || fail "Slurm is not installed and there is no apt-get to install slurm-wlm and munge with"
  say "installing slurm-wlm and munge"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends slurm-wlm munge; } >&2 ||
    fail "apt-get could not install slurm-wlm and munge"
}

# The processes that were started with this variable set to this value.
processes_with() {
  { grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d/ -f3
}

start_cluster() {
  export SLURM_CONF=$base/slurm.conf
  mkdir -p "$base"/{munge,state,spool,log}
  sed -e "s|@BASE@|$base|g" -e "s|@HOST@|$(hostname -s)|g" "$here/slurm.conf" >"$SLURM_CONF"
  mungekey --create --keyfile="$base/munge/key"
  # --force: warnings about root as the user are no errors
  munged --force --key-file="$base/munge/key" --socket="$base/munge/socket" --pid-file="$base/munge/pid" \
    --log-file="$base/munge/log" --seed-file="$base/munge/seed" 2>/dev/null || fail "munged did not start"
  slurmctld -c || fail "slurmctld did not start"
  slurmd -N one || fail "slurmd did not start"
  for _ in $(seq 100); do
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && return
    sleep 0.2
  done
  fail "the node is $(sinfo -h -o %T) and not idle"
}

stop_cluster() {
  local status=$?
  if [[ $status != 0 && -d $base ]]; then
    squeue >&2 || true
    tail -n 15 "$base"/log/* "$base"/cluster/*.{log,out} >&2 2>/dev/null || true
  fi
  if [[ -n ${SLURM_CONF:-} ]]; then
    local left
    left=$(processes_with "SLURM_CONF=$SLURM_CONF")
    [[ -z $left ]] || kill -KILL $left 2>/dev/null || true
    [[ -f $base/munge/pid ]] && kill -KILL "$(<"$base/munge/pid")" 2>/dev/null || true
  fi
  rm -rf "$base"
}

# A code block of the README's cluster section, for the sample and its tiny model in place of the corpus and the real one.
block() {
  awk -v first="$1" '/^##+ /{here = $0 == "### On a cluster"} here && /^```/{inside = !inside; if (inside) fresh = 1; else on = 0; next}
    inside && fresh {on = index($0, first) == 1; fresh = 0} here && on' "$root/README.md" |
    sed -e 's/camembert-base/tiny-camembert/g' -e 's/flue-cls-prepare -c/flue-cls-prepare --data sample -c/' -e "$2"
}

# In place of sbatch: an array's command as a whole and right away; the merges have nothing to do. Prints a number as sbatch does.
at_once() {
  echo 0
  while [[ $# != 0 && $1 != shards.sbatch ]]; do shift; done
  [[ $# == 0 ]] || "${@:2}" --quiet >&2
}

field() { # field JOB NAME
  scontrol show job "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -1
}

# Lets the program of a task run by little steps until it has left something unfinished, and leaves it stopped there.
# Sets `job` and `program`, the number that Slurm gave the task and the process.
hold() { # TASK, a name pattern of unfinished work
  local state
  until state=$(field "$1" JobState) && [[ $state == RUNNING ]]; do
    [[ $state != COMPLETED && $state != FAILED ]] || fail "task $1 is $state and cannot be held"
    ((SECONDS < limit)) || fail "task $1 did not start"
    sleep 0.05
  done
  job=$(field "$1" JobId)
  until program=$(processes_with "SLURM_JOB_ID=$job" | while read -r p; do [[ $(readlink "/proc/$p/exe") != "$programs"/* ]] || echo "$p"; done) &&
    [[ -n $program ]]; do
    [[ $(field "$1" JobState) == RUNNING ]] || fail "task $1 ended before it could be held"
  done
  until kill -STOP "$program" && compgen -G "$2" >/dev/null; do
    kill -CONT "$program" || fail "task $1 ended before it could be held"
    sleep 0.02
  done
  say "task $1 is held, with $(compgen -G "$2" | head -1 | xargs basename) left"
}

# Kills a task as the failure of its node does: Slurm learns nothing of it until it is told to requeue the task.
kill_in_the_middle() { # TASK, a name pattern of unfinished work
  hold "$@"
  kill -KILL $(pgrep -f "slurmstepd: \[$job.batch\]") $(processes_with "SLURM_JOB_ID=$job")
  scontrol requeue "$1"
}

# Tells a task what Slurm tells it some time before the limit.
warn_of_the_limit() { # TASK, a name pattern of unfinished work
  hold "$@"
  # scancel asks again and again until the task has a state that does not change: what it said once was heard.
  timeout 2 scancel --batch --signal=USR1 "$1" &
  kill -CONT "$program"
}

wait_for_all() {
  while [[ -n $(squeue -h) ]]; do
    ((SECONDS < limit)) || fail "jobs are left after $limit seconds"
    squeue -h -o %r | grep -q DependencyNeverSatisfied && fail "a job failed"
    sleep 1
  done
  local bad
  bad=$(scontrol -o show job | grep -v JobState=COMPLETED || true)
  [[ -z $bad ]] || fail "not completed: $bad"
}

restarted() { # TASK
  [[ $(field "$1" Restarts) == 1 ]] || fail "task $1 was restarted $(field "$1" Restarts) times, expected once"
}

((EUID == 0)) || fail "Slurm's daemons need root"
for program in flue-cls-prepare data-cls study; do
  [[ -x $programs/$program ]] || fail "$programs/$program is missing: cargo build --release"
done
install
base=$(mktemp -d)
trap stop_cluster EXIT
mkdir "$base/alone" "$base/cluster"

block '#!/bin/bash' 's/--cpus-per-task=.*/--cpus-per-task=1/' >"$base/cluster/shards.sbatch"
# Without the lines that run on the login node.
block '# on the login node' '/^flue-cls-prepare\|^data-cls/d' >"$base/submit.sh"

say "the steps in one go"
cd "$base/alone"
(
  sbatch() { at_once "$@"; }
  source "$base/submit.sh"
) >&2 || fail "a step failed"

say "the same as arrays of four tasks"
start_cluster
cd "$base/cluster"
SECONDS=0
source "$base/submit.sh"
warn_of_the_limit "${array_2}_0" "camembert_raw.npy.shards/00000-of-00004.partial/*.states"
kill_in_the_middle "${array_2}_2" "camembert_raw.npy.shards/00002-of-00004.partial/*.states"
wait_for_all
restarted "${array_2}_0"
restarted "${array_2}_2"

diff -r -x manifest.json "$base"/{alone,cluster}/camembert-tokens.datasets || fail "the prepared folders differ"
cmp "$base"/{alone,cluster}/camembert_raw.npy || fail "the states differ"
python3 "$here/same_tables.py" "$base"/{alone,cluster}/results/camembert_raw || fail "the tables differ"
say "passed in $SECONDS seconds"
