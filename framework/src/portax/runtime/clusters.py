"""Where a scheduler has put this process, read from the environment it gives.

One class for each scheduler, and each of them reads variables and nothing else. What the user says in ``PORTAX_``
variables, or to ``portax.distributed.initialize``, comes before what is found here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from portax.errors import ProcessError

#: Ports that schedulers do not tell are taken from the last 4096, by the number of the job.
_FIRST_PORT, _PORTS = 65536 - 4096, 4096


class Cluster:
    """A scheduler that starts processes.

    Parameters
    ----------
    environment : mapping of str to str

    Attributes
    ----------
    name : str
        As ``cluster_detection_method`` has it.
    marks : tuple of str
        Variables that are set where it is at work.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    @classmethod
    def present(cls, environment: Mapping[str, str]) -> bool:
        """Whether the process was started by it."""
        return all(name in environment for name in cls.marks)

    def host(self) -> str:
        """Of the first process."""
        raise NotImplementedError

    def port(self) -> int:
        """At which the first process may listen: the same for all processes of a job."""
        raise NotImplementedError

    def count(self) -> int:
        """How many processes there are."""
        raise NotImplementedError

    def index(self) -> int:
        """Which of them this is."""
        raise NotImplementedError

    def local_index(self) -> int | None:
        """Which of those on its machine; None where that is not known."""
        return None

    def _number(self, name: str) -> int:
        given = self.environment.get(name, "")
        if not given.isdecimal():
            raise ProcessError(
                wrong=f"this process runs under {self.title}, and the variable {name} is "
                + (f"{given!r}, not a number" if given else "not set"),
                fix="Give coordinator_address, num_processes and process_id yourself",
            )
        return int(given)


class Slurm(Cluster):
    """Processes that ``srun`` started."""

    name, title = "slurm", "Slurm"
    marks = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")

    def host(self) -> str:
        # The first of a list such as "node001", "node001,host2", "node[001-015],host2" or "node[001,007-015],host2".
        nodes = self.environment["SLURM_STEP_NODELIST"]
        found = re.match(r"([^,\[]+)(?:\[([^,\-\]]+))?", nodes)
        if found is None:
            raise ProcessError(
                wrong=f"the variable SLURM_STEP_NODELIST is {nodes!r}, which names no node",
                fix="Give coordinator_address yourself",
            )
        return found[1] + (found[2] or "")

    def port(self) -> int:
        return _FIRST_PORT + self._number("SLURM_JOB_ID") % _PORTS

    def count(self) -> int:
        return self._number("SLURM_NTASKS")

    def index(self) -> int:
        return self._number("SLURM_PROCID")

    def local_index(self) -> int | None:
        return self._number("SLURM_LOCALID")


class OpenMPI(Cluster):
    """Processes that Open MPI's ``mpirun`` started."""

    name, title = "ompi", "Open MPI"
    marks = ("OMPI_MCA_orte_hnp_uri",)

    def _uri(self, pattern: str) -> re.Match[str]:
        # Such as "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911" or "1314521088.0;tcp6://[fe80::b9b,2620::2]:43370".
        uri = self.environment[self.marks[0]]
        found = re.search(pattern, uri)
        if found is None:
            raise ProcessError(
                wrong=f"the variable {self.marks[0]} is {uri!r}, which names no address",
                fix="Give coordinator_address yourself",
            )
        return found

    def host(self) -> str:
        found = self._uri(r"tcp://([^,:]+)|tcp6://(\[[^,\]]+)")
        return found[1] or found[2] + "]"

    def port(self) -> int:
        return _FIRST_PORT + int(self._uri(r"(\d+)\.")[1]) // _PORTS % _PORTS  # a job's number is a multiple of 4096

    def count(self) -> int:
        return self._number("OMPI_COMM_WORLD_SIZE")

    def index(self) -> int:
        return self._number("OMPI_COMM_WORLD_RANK")

    def local_index(self) -> int | None:
        return self._number("OMPI_COMM_WORLD_LOCAL_RANK")


class Kubernetes(Cluster):
    """Pods of an indexed Job, alone or of a JobSet.

    Kubernetes tells a pod its number and its name. How many there are, and the headless service by which they find each
    other, it does not: the manifest says them in ``PORTAX_NUM_PROCESSES`` and, where there is a service,
    ``PORTAX_SUBDOMAIN``.
    """

    name, title = "k8s", "Kubernetes"
    marks = ("KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX")

    def host(self) -> str:
        # The host's name of a pod of an indexed job is <job>-<number>.
        name, subdomain = self.environment.get("HOSTNAME", ""), self.environment.get("PORTAX_SUBDOMAIN", "")
        job, dash, number = name.rpartition("-")
        if not dash or number != str(self.index()):
            raise ProcessError(
                wrong=f"this process runs under Kubernetes, and its HOSTNAME is {name!r}, which is not that of pod "
                f"{self.index()} of an indexed job",
                fix='Set completionMode: "Indexed" in the job, or give coordinator_address yourself',
            )
        return f"{job}-0" + (f".{subdomain}" if subdomain else "")

    def port(self) -> int:
        return 55527

    def count(self) -> int:
        return self._number("PORTAX_NUM_PROCESSES")

    def index(self) -> int:
        return self._number("JOB_COMPLETION_INDEX")


CLUSTERS: tuple[type[Cluster], ...] = (Slurm, OpenMPI, Kubernetes)


def detect(method: str | None, environment: Mapping[str, str]) -> Cluster | None:
    """The scheduler that started this process: the one named, or the first that is seen; None where none is.

    Raises
    ------
    ProcessError
        None is called so, or it did not start this process.
    """
    if method is None:
        return next((kind(environment) for kind in CLUSTERS if kind.present(environment)), None)
    for kind in CLUSTERS:
        if kind.name == method:
            if kind.present(environment):
                return kind(environment)
            missing = [name for name in kind.marks if name not in environment]
            raise ProcessError(
                wrong=f"cluster_detection_method is {method!r}, and this process does not run under {kind.title}: "
                f"{', '.join(missing)} is not set",
                fix="Leave it out, or start the program with what it names",
            )
    names = ", ".join(repr(kind.name) for kind in CLUSTERS)
    raise ProcessError(
        wrong=f"cluster_detection_method is {method!r}", fix=f"Give one of {names}, 'deactivate', or leave it out"
    )
