"""A Slurm of two nodes on one machine, for tests: python3 slurm_two_nodes.py start|stop DIR.

    python3 slurm_two_nodes.py start DIR --link 200mbit --delay 1ms   # two networks between them
    python3 slurm_two_nodes.py start DIR --split                      # half of the cores for each

All of it is in DIR: configuration, munge's key and socket, logs, and a PID file for each daemon, by
which alone it is ended. `export SLURM_CONF=DIR/slurm.conf` makes sbatch, srun and the others talk
to it. Needs root, and Debian's slurm-wlm and munge.

Each slurmd is in a UTS namespace of its own, so that what runs on a "node" sees that node's name.
The nodes share the machine's processors, unless these are split between them, and its files; they
talk over the loopback.

With --link each is in a network namespace of its own as well, with two interfaces to the other:
`ctl0`, by which Slurm reaches it, and `hsn0`, on which tc lets through so much a second, after such
a delay where the kernel has netem; and one that leads nowhere, `eth0`. DIR/network holds the names
of the namespaces, one a line.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

NODES = ("nid0001", "nid0002")
DAEMONS = ("munged", "slurmctld", *NODES)
READY_S, GRACE_S = 30.0, 10.0

CONF = """\
# https://slurm.schedmd.com/slurm.conf.html
ClusterName=two-nodes
SlurmctldHost={host}({controller})
SlurmctldPort={ports[0]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.own
SlurmdPidFile={folder}/%n.own
SlurmdSpoolDir={folder}/spool.%n
# Where the plugin pmix keeps a step's files by its number alone: the nodes share /tmp.
TmpFS={folder}/tmp.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin={task}
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
PropagateResourceLimits=NONE
# A node that does not answer is down after seconds, not after minutes.
MessageTimeout=5
SlurmdTimeout=10
KillWait=2
ReturnToService=2
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
{nodes}
PartitionName=batch Nodes=ALL Default=YES MaxTime=60 State=UP
"""
NODE = (
    "NodeName={name} NodeHostname={name} NodeAddr={address} Port={port} CPUs={cpus} State=UNKNOWN"
)
# Addresses of nobody: 198.18.0.0/15 is for measuring networks (RFC 2544), 192.0.2.0/24 for examples
# (RFC 5737).
CONTROLLER, CONTROL, FABRIC, NOWHERE = "198.19.0.254", "198.19.0.{}", "198.18.0.{}", "192.0.2.{}"
SLURMD = 'hostname "$1" && exec slurmd -D -N "$1" -f "$2"'
# Libraries look for interfaces in /sys/class/net, which shows those of who mounted it.
OWN_SYSFS = """\
kept=$(dirname "$2")/cgroup.$1 && mkdir -p "$kept" && mount --rbind /sys/fs/cgroup "$kept" &&
mount -t sysfs sysfs /sys && mount --rbind "$kept" /sys/fs/cgroup &&
"""
BURST, QUEUE_MS = "256kb", 400


def start(
    folder: Path, link: str | None = None, delay: str = "0ms", *, split: bool = False
) -> None:
    """Start all daemons, and return when both nodes take jobs."""
    folder.mkdir(parents=True, exist_ok=True)
    spaces = make_networks(folder, link, delay) if link else {}
    (folder / "state").mkdir(exist_ok=True)
    _write_key(folder / "munge.key")
    conf = folder / "slurm.conf"
    ports = _free_ports(1 + len(NODES))
    cores = shares(split=split)
    conf.write_text(configuration(folder, ports, cores, apart=bool(link)))
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket", "seed-file", "log-file")]
    keys = [f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.own"]
    # --force: the socket is in a folder that others may not enter, and need not.
    _daemon(folder, "munged", ["munged", "--foreground", "--force", *munge, *keys])
    _wait((folder / "munge.socket").exists, folder, "munged")
    _daemon(folder, "slurmctld", ["slurmctld", "-D", "-f", str(conf)])
    for node in NODES:
        (folder / f"tmp.{node}").mkdir(exist_ok=True)
        inside = ["nsenter", f"--net=/run/netns/{spaces[node]}"] if link else []
        script = f"{OWN_SYSFS if link else ''}{SLURMD}"
        bound = ["taskset", "--cpu-list", ",".join(map(str, cores[node]))]
        words = ["unshare", "--uts", "--mount", "sh", "-c", script, "sh", node, str(conf)]
        _daemon(folder, node, [*inside, *bound, *words])
    _wait(lambda: _states(conf) == ["idle"] * len(NODES), folder, "the nodes")


def stop(folder: Path) -> None:
    """End the jobs, then every daemon in the opposite order; none needs to be there still."""
    conf = folder / "slurm.conf"
    if conf.exists() and _pid(folder, "slurmctld"):
        environ = {**os.environ, "SLURM_CONF": str(conf)}
        subprocess.run(["scancel", "--user=root"], env=environ, check=False, timeout=GRACE_S)
        deadline = time.monotonic() + GRACE_S
        while _jobs(environ) and time.monotonic() < deadline:
            time.sleep(0.2)
    for name in reversed(DAEMONS):
        _end(folder, name)
    remove_networks(folder)


def make_networks(folder: Path, link: str, delay: str) -> dict[str, str]:
    """A namespace for each node, and the two networks between them; their names by the node's."""
    token = secrets.token_hex(3)
    spaces = {node: f"{token}-{node}" for node in NODES}
    (folder / "network").write_text("\n".join([token, *spaces.values()]) + "\n")
    for kind in ("c", "h"):
        _ip("link", "add", f"{kind}{token}", "type", "bridge")
        _ip("link", "set", f"{kind}{token}", "up")
    _ip("address", "add", f"{CONTROLLER}/24", "dev", f"c{token}")
    for number, space in enumerate(spaces.values(), 1):
        _ip("netns", "add", space)
        for kind, name, net in (("c", "ctl0", CONTROL), ("h", "hsn0", FABRIC)):
            port = f"{kind}{token}{number}"
            _ip("link", "add", port, "type", "veth", "peer", "name", name, "netns", space)
            _ip("link", "set", port, "master", f"{kind}{token}", "up")
            _up(space, name, net.format(number))
        _ip("-n", space, "link", "add", "eth0", "type", "bridge")
        _up(space, "eth0", NOWHERE.format(number))
        _ip("-n", space, "link", "set", "lo", "up")
        _shape(space, link, delay)
    return spaces


def remove_networks(folder: Path) -> None:
    """Take away what `make_networks` made; whatever is gone already is no matter."""
    path = folder / "network"
    if not path.exists():
        return
    token, *spaces = path.read_text().split()
    for space in spaces:
        _ip("netns", "delete", space, may_fail=True)
    for kind in ("c", "h"):
        _ip("link", "delete", f"{kind}{token}", may_fail=True)
    path.unlink()


def _up(space: str, name: str, address: str) -> None:
    _ip("-n", space, "address", "add", f"{address}/24", "dev", name)
    _ip("-n", space, "link", "set", name, "up")


def _shape(space: str, link: str, delay: str) -> None:
    """Bandwidth and delay where the kernel has netem (sch_netem), else bandwidth alone."""
    qdisc = ["tc", "-n", space, "qdisc", "add", "dev", "hsn0", "root"]
    netem = [*qdisc, "netem", "rate", link, "delay", delay, "limit", "10000"]
    if subprocess.run(netem, capture_output=True, check=False).returncode:
        print("this kernel has no netem: bandwidth is limited, and nothing is delayed")
        tbf = [*qdisc, "tbf", "rate", link, "burst", BURST, "latency", f"{QUEUE_MS}ms"]
        subprocess.run(tbf, check=True)


def _ip(*words: str, may_fail: bool = False) -> None:
    subprocess.run(["ip", *words], check=not may_fail, capture_output=may_fail)


def shares(*, split: bool) -> dict[str, list[int]]:
    """The processors of each node: all for each, or as many of them."""
    all_of_them = sorted(os.sched_getaffinity(0))
    each = len(all_of_them) // len(NODES)
    if not split:
        return dict.fromkeys(NODES, all_of_them)
    if not each:
        sys.exit(f"error: {len(NODES)} nodes can't split {len(all_of_them)} processor")
    return {node: all_of_them[i * each : (i + 1) * each] for i, node in enumerate(NODES)}


def configuration(
    folder: Path, ports: list[int], cores: dict[str, list[int]], *, apart: bool
) -> str:
    """slurm.conf; the first port is slurmctld's, then one for each node.

    Where processors are split, slurmd is bound to its own, and must not bind tasks to others.
    """
    addresses = [CONTROL.format(n) if apart else "127.0.0.1" for n, _ in enumerate(NODES, 1)]
    nodes = "\n".join(
        NODE.format(name=name, address=address, port=port, cpus=len(cores[name]))
        for name, address, port in zip(NODES, addresses, ports[1:], strict=True)
    )
    shared = len(set(map(tuple, cores.values()))) == 1
    return CONF.format(
        host=socket.gethostname(),
        controller=CONTROLLER if apart else "127.0.0.1",
        task="task/affinity" if shared else "task/none",
        folder=folder,
        ports=ports,
        nodes=nodes,
    )


def _write_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(128))


def _free_ports(count: int) -> list[int]:
    """Different ones: each is held until all are found."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _daemon(folder: Path, name: str, argv: list[str]) -> None:
    with (folder / f"{name}.out").open("ab") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    (folder / f"{name}.pid").write_text(f"{process.pid}\n")


def _wait(is_ready: Callable[[], bool], folder: Path, what: str) -> None:
    deadline = time.monotonic() + READY_S
    while not is_ready():
        if time.monotonic() > deadline:
            stop(folder)
            sys.exit(f"error: {what} did not start; see the logs in {folder}")
        time.sleep(0.1)


def _states(conf: Path) -> list[str]:
    ask = ["sinfo", "--noheader", "--Node", "--format=%T"]
    environ = {**os.environ, "SLURM_CONF": str(conf)}
    return subprocess.run(
        ask, env=environ, capture_output=True, text=True, check=False
    ).stdout.split()


def _jobs(environ: dict[str, str]) -> str:
    ask = ["squeue", "--noheader", "--format=%A"]
    return subprocess.run(ask, env=environ, capture_output=True, text=True, check=False).stdout


def _pid(folder: Path, name: str) -> int | None:
    """The daemon's PID, if what has it now was started for this folder."""
    path = folder / f"{name}.pid"
    if not path.exists():
        return None
    pid = int(path.read_text())
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return pid if os.fsencode(folder) in line else None


def _end(folder: Path, name: str) -> None:
    for number, seconds in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        if (pid := _pid(folder, name)) is None:
            break
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while _pid(folder, name) and time.monotonic() < deadline:
            time.sleep(0.05)
    (folder / f"{name}.pid").unlink(missing_ok=True)


def main() -> None:
    """Start or stop."""
    parser = argparse.ArgumentParser(description="A Slurm of two nodes on one machine.")
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--link", metavar="RATE", help="two networks; tc(8)'s rate of hsn0")
    parser.add_argument("--delay", metavar="TIME", default="0ms", help="of what hsn0 sends")
    parser.add_argument("--split", action="store_true", help="processors of its own for each")
    options = parser.parse_args()
    missing = [name for name in ("munged", "slurmctld", "slurmd", "srun") if not shutil.which(name)]
    if missing:
        sys.exit(f"error: {', '.join(missing)}: not installed; apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        sys.exit("error: only root can start it, as slurmd runs the jobs of others")
    folder = options.folder.absolute()
    if options.action == "start":
        start(folder, options.link, options.delay, split=options.split)
        print(f"export SLURM_CONF={folder}/slurm.conf")
    else:
        stop(folder)


if __name__ == "__main__":
    main()
