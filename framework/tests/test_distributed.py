"""The place of a process, from arguments, variables and schedulers; and what is refused before anyone is looked for."""

from __future__ import annotations

import pytest
from fake_plugins import WORKING, plugins_of

import portax
from portax import distributed
from portax.errors import ArgumentError, BackendError, ProcessError
from portax.runtime.clusters import detect

SLURM = {
    "SLURM_JOB_ID": "4097", "SLURM_STEP_NODELIST": "node[003-005,9],other", "SLURM_NTASKS": "8", "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}  # fmt: skip
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911", "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
}  # fmt: skip
KUBERNETES = {
    "KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3", "HOSTNAME": "train-me-3",
    "PORTAX_NUM_PROCESSES": "4", "PORTAX_SUBDOMAIN": "pods",
}  # fmt: skip


def found(environment, address=None, count=None, index=None, devices=None, method=None, bind=None, partition=None):
    return distributed._place(environment, address, count, index, devices, method, bind, partition, 300, 100, 300)


# Schedulers.


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node001", "node001"),
        ("node001,host2", "node001"),
        ("node[001-0015],host2", "node001"),
        ("node[001,007-015],host2", "node001"),
        ("a-b[7]", "a-b7"),
    ],
)
def test_slurm_names_the_first_node(nodes, first):
    assert detect(None, SLURM | {"SLURM_STEP_NODELIST": nodes}).host() == first


def test_slurm_tells_the_place():
    place = found(SLURM)
    assert (place.coordinator, place.bind) == ("node003:61441", "[::]:61441")
    assert (place.index, place.count, place.devices) == (5, 8, (1,))


def test_open_mpi_tells_the_place():
    place = found(OPEN_MPI)
    job = 1531576320 // 4096
    assert place.coordinator == f"10.96.0.1:{61440 + job % 4096}"
    assert (place.index, place.count, place.devices) == (2, 4, (0,))


def test_open_mpi_may_have_addresses_of_the_newer_kind():
    uri = "1314521088.0;tcp6://[fe80::b9b:ac5d:9cf0:b858,2620:10d:c083:150e::3000:2]:43370"
    assert detect(None, OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": uri}).host() == "[fe80::b9b:ac5d:9cf0:b858]"


def test_kubernetes_tells_the_place():
    place = found(KUBERNETES)
    assert place.coordinator == "train-me-0.pods:55527"
    assert (place.index, place.count, place.devices) == (3, 4, None)


def test_a_scheduler_may_be_named():
    assert detect("ompi", SLURM | OPEN_MPI).name == "ompi"
    assert detect(None, SLURM | OPEN_MPI).name == "slurm"
    assert detect(None, {}) is None


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (SLURM | {"SLURM_NTASKS": "many"}, "runs under Slurm, and the variable SLURM_NTASKS is 'many', not a number"),
        (SLURM | {"SLURM_STEP_NODELIST": "[1"}, "SLURM_STEP_NODELIST is '\\[1', which names no node"),
        (OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "x"}, "OMPI_MCA_orte_hnp_uri is 'x', which names no address"),
        (OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": ""}, "the variable OMPI_COMM_WORLD_SIZE is not set"),
        (KUBERNETES | {"HOSTNAME": "train"}, "its HOSTNAME is 'train', which is not that of pod 3 of an indexed job"),
    ],
)
def test_a_scheduler_that_says_too_little_is_told_so(environment, words):
    with pytest.raises(ProcessError, match=words):
        found(environment)


def test_kubernetes_does_not_tell_how_many_there_are():
    few = {name: value for name, value in KUBERNETES.items() if name != "PORTAX_NUM_PROCESSES"}
    with pytest.raises(ProcessError, match="runs under Kubernetes, and the variable PORTAX_NUM_PROCESSES is not set"):
        found(few)


def test_a_scheduler_that_is_not_there_is_refused():
    with pytest.raises(ProcessError, match="does not run under Open MPI: OMPI_MCA_orte_hnp_uri is not set"):
        found(SLURM, method="ompi")
    with pytest.raises(ProcessError, match="cluster_detection_method is 'pbs'"):
        found(SLURM, method="pbs")


# Who is heard first.


def test_arguments_come_before_variables_and_those_before_schedulers():
    told = {"PORTAX_PROCESS_ID": "6", "PORTAX_COORDINATOR_PORT": "99", "PORTAX_LOCAL_DEVICE_IDS": "0,2"}
    place = found(SLURM | told, count=9)
    assert (place.index, place.count, place.coordinator, place.devices) == (6, 9, "node003:99", (0, 2))
    place = found(SLURM | told, "here:1", 9, 0, 5)
    assert (place.index, place.count, place.coordinator, place.devices) == (0, 9, "here:1", (5,))


def test_variables_say_all_there_is():
    told = {
        "PORTAX_COORDINATOR_ADDRESS": "h:5", "PORTAX_NUM_PROCESSES": "2", "PORTAX_PROCESS_ID": "1",
        "PORTAX_COORDINATOR_BIND_ADDRESS": "10.0.0.9:6", "PORTAX_PARTITION_INDEX": "3",
    }  # fmt: skip
    place = found(told)
    assert (place.coordinator, place.bind, place.index, place.count) == ("h:5", "10.0.0.9:6", 1, 2)
    assert (place.devices, place.partition) == (None, 3)


def test_schedulers_may_be_left_out_of_it():
    with pytest.raises(ProcessError, match="does not know coordinator_address: it was not given, PORTAX_COORDINATOR"):
        found(SLURM, method="deactivate")


# Refusals.


@pytest.mark.parametrize("name", ["coordinator_address", "num_processes", "process_id"])
def test_what_nobody_tells_is_named(name):
    given = {"coordinator_address": "h:1", "num_processes": 2, "process_id": 0} | {name: None}
    with pytest.raises(ProcessError, match=f"does not know {name}: it was not given"):
        found({}, *given.values())


@pytest.mark.parametrize(
    ("environment", "arguments", "error", "words"),
    [
        ({"PORTAX_PROCESS_ID": "one"}, ("h:1", 2), ProcessError, "the variable PORTAX_PROCESS_ID has 'one' in it"),
        ({}, ("h:1", 2, 2), ArgumentError, "process_id is 2 and num_processes 2"),
        ({}, ("h:1", 2, -1), ArgumentError, "process_id is -1 and num_processes 2"),
        ({}, ("h:1", 2.0, 0), ArgumentError, "num_processes is 2.0"),
        ({}, ("h:1", 2, True), ArgumentError, "process_id is True"),
        ({}, ("h", 2, 0), ProcessError, "the address 'h' is not of the form host:port"),
    ],
)
def test_bad_places_are_refused(environment, arguments, error, words):
    with pytest.raises(error, match=words):
        found(environment, *arguments)


@pytest.mark.parametrize("name", ["initialization_timeout", "heartbeat_timeout_seconds", "shutdown_timeout_seconds"])
@pytest.mark.parametrize("value", [0, -1, "10", True])
def test_a_time_is_a_number_of_seconds(name, value):
    with pytest.raises(ArgumentError, match=f"{name} is {value!r}.\n    Give a number of seconds above 0"):
        distributed.initialize("h:1", 2, 0, **{name: value})


def test_a_second_time_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "_roll", object())
    with pytest.raises(ProcessError, match=r"portax.distributed.initialize was called a second time"):
        distributed.initialize("h:1", 2, 0)


def test_a_process_alone_has_left_nobody():
    assert not distributed.is_initialized()
    distributed.shutdown()
    assert (portax.process_index(), portax.process_count()) == (0, 1)


# Who joins processes.


def test_a_backend_that_joins_processes_is_found(site):
    site("alone", priority=30)
    site("joins", WORKING.replace("name, version = NAME", "coordination = 'it'\n    name, version = NAME"), priority=20)
    site("broken", "raise RuntimeError", priority=40)
    assert plugins_of(site).coordination() == "it"


def test_a_backend_that_joined_processes_is_the_default_or_none_is(site):
    # A process that fell back to another would have other devices than the others, and they would wait for it.
    joins = WORKING.replace("name, version = NAME", "coordination = 'it'\n    name, version = NAME")
    site("joins", joins.replace("self.options, self.device = options", "raise OSError('no room')#"), priority=20)
    room = plugins_of(site)
    room.coordination()
    with pytest.raises(BackendError, match="did not load: OSError: no room"):
        room.default()


def test_a_backend_that_joins_processes_must_not_be_open_yet(site):
    site("joins", WORKING.replace("name, version = NAME", "coordination = 'it'\n    name, version = NAME"))
    room = plugins_of(site)
    room.open("joins")
    with pytest.raises(ProcessError, match="initialize was called after the backend 'joins' had been used"):
        room.coordination()


def test_without_a_backend_that_joins_processes_there_is_none(site):
    site("alone")
    with pytest.raises(
        ProcessError, match="none of the backends here works with other processes: 'alone', 'reference'"
    ):
        plugins_of(site).coordination()
