#!/usr/bin/env bash
# Starts a SLURM of two nodes on this machine alone (loopback), runs a command, and ends it again:
#
#   tests/engines/slurm.sh pytest tests/engines/test_slurm.py
#
# As root, where slurm-wlm and munge are installed. A cluster that answers already is used as it is.
set -euo pipefail
if sinfo --noheader >/dev/null 2>&1; then
  exec "$@"
fi
for need in slurmctld slurmd munged; do
  if ! command -v "$need" >/dev/null; then
    echo "no SLURM here ($need is missing): apt-get install slurm-wlm munge" >&2
    exec "$@" # which skips by name
  fi
done
here=$(mktemp -d)
host=$(hostname -s)
munge=$here/munge
mkdir -p "$here"/{state,n1,n2,munge}
dd if=/dev/urandom of="$munge/key" bs=128 count=1 status=none
chmod 600 "$munge/key"
chown -R "$(id -u)" "$munge"
chmod 755 "$here" "$munge"
munged --force --key-file="$munge/key" --socket="$munge/socket" --pid-file="$munge/pid" \
  --log-file="$munge/log" --seed-file="$munge/seed"
cat > "$here/slurm.conf" <<CONF
ClusterName=normlab
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
MpiDefault=none
JobRequeue=1
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=16817
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/%n
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/%n.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/%n.log
NodeName=n[1-2] NodeAddr=127.0.0.1 NodeHostname=$host Port=[16821-16822] CPUs=1 RealMemory=4000
PartitionName=debug Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$here/slurm.conf
end() {
  for pid in "$here"/*.pid "$munge/pid"; do
    kill "$(cat "$pid")" 2>/dev/null || true
  done
  sleep 1
  rm -rf "$here"
}
trap end EXIT
slurmctld
slurmd -N n1
slurmd -N n2
for _ in $(seq 60); do
  sinfo --noheader --states=idle 2>/dev/null | grep -q idle && break
  sleep 1
done
"$@"
