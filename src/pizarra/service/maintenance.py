"""Make the next version of a template: begin it in a machine of its own, then publish it or discard
it."""

from __future__ import annotations

from collections.abc import Sequence

from pizarra.engine.events import Advanced, Began, Noted
from pizarra.engine.machines import check_maintained
from pizarra.engine.power import shut_down_and_wait
from pizarra.errors import Busy, PizarraError, Unsupported
from pizarra.model.facts import Maintenance, Power, StorageKind, Template, Volume, labelled
from pizarra.model.labels import FillingLabels, MaintenanceLabels, version_labels_of
from pizarra.model.names import check_name
from pizarra.model.sentence import N_
from pizarra.planner import maintenance as plan
from pizarra.planner.host_facts import HostFacts
from pizarra.planner.maintenance import MaintenanceWish
from pizarra.planner.provision import OWN_NETWORKS, choose_uuids
from pizarra.planner.template_facts import unfinished_imports
from pizarra.service import networks
from pizarra.service.context import Context
from pizarra.storage.interface import Progress, RewindTarget, Storage, raise_first

_DEFAULT = MaintenanceWish()


def begin(
    context: Context,
    name: str,
    wish: MaintenanceWish = _DEFAULT,
    *,
    kind: StorageKind | None = None,
    place: str = "",
) -> Maintenance:
    """Start a writable machine of the newest version. What fails is reverted."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template maintain")):
        facts = context.host.observe()
        template = facts.template(name, kind, place)
        plan.check_can_begin(facts, template)
        version = plan.next_version(facts, template)
        drafts = plan.drafts(template, version, wish)
        storage = context.host.storages.at(template.kind, template.place)
        try:
            for golden, new in drafts:
                storage.create_golden(new, golden, _tell(context, N_("copy"), golden.size_bytes))
            _label_drafts(context, storage, name, version)
            return _start_machine(context, name)
        except BaseException:
            _take_back(context, storage, name, version)
            raise


def _tell(context: Context, what: str, size_bytes: int) -> Progress:
    context.emit(Began(what=what, total=size_bytes, unit="bytes"))
    return lambda share: context.emit(Advanced(what=what, done=share * size_bytes))


def _label_drafts(context: Context, storage: Storage, name: str, version: int) -> None:
    host, facts = context.host, storage.observe()
    (uuid,) = choose_uuids(
        host.observe(), plan.room(name), [0], host.identity, host.compute.macs()
    ).values()
    its = ((v, version_labels_of(v.labels)) for v in _of(facts.volumes, name, version))
    wished = {
        volume.uuid: plan.labels_of_draft(labels, uuid)
        for volume, labels in its
        if isinstance(labels, MaintenanceLabels)
    }
    storage.set_labels(wished, facts)


def _of(volumes: tuple[Volume, ...], name: str, version: int) -> list[Volume]:
    """The version that is being made, with what exists of it. A published version never counts."""
    return [
        volume
        for volume in volumes
        if isinstance(volume.labels, FillingLabels | MaintenanceLabels)
        and (labels := version_labels_of(volume.labels))
        and (labels.template, labels.version) == (name, version)
    ]


def _start_machine(context: Context, name: str) -> Maintenance:
    """Define the network and the machine, and start the machine."""
    compute = context.host.compute
    present = plan.find_maintenance(context.host.observe(), name)
    make_network(context, present)
    compute.define(plan.machine(present))
    _put_state(context, present)
    compute.start(present.domain_uuid)
    return plan.find_maintenance(context.host.observe(), name)


def _put_state(context: Context, present: Maintenance) -> None:
    """Give the machine the firmware variables and the TPM state of the newest version. Raises
    StorageFault."""
    facts = context.host.observe()
    first = present.volumes[0]
    for golden in facts.template(present.template, present.kind, present.place).volumes[:1]:
        if fault := context.host.states.commit(RewindTarget(volume=first, source=golden)):
            raise fault


def make_network(context: Context, maintenance: Maintenance) -> None:
    """Define and start the network of its machine, if it has one of its own."""
    mode = maintenance.labels.network
    if mode in OWN_NETWORKS:
        room = plan.room(maintenance.template)
        networks.make_network(context, room, 0, lambda it: plan.network(maintenance, it))


def _take_back(context: Context, storage: Storage, name: str, version: int) -> None:
    volumes = _of(storage.observe().volumes, name, version)
    domains = {v.labels.domain for v in labelled(volumes, MaintenanceLabels)} - {""}
    try:
        for domain in domains:
            context.host.compute.kill(domain)
            context.host.compute.undefine(domain)
        _remove_network(context, name)
        faults = [*filter(None, storage.remove(volumes).values())]
    except PizarraError as error:
        faults = [error]
    for fault in faults:
        context.emit(Noted(text=N_("Not all was taken back: {why}"), facts={"why": fault}))


def _remove_network(context: Context, name: str) -> None:
    context.host.compute.remove_network(plan.room(name), plan.network_of(name))


def publish(context: Context, name: str, *, warm: bool = False) -> Template:
    """Shut the machine down, forget it, and seal its disks as the newest version. With ``warm``,
    new classrooms of this version get warm baselines."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template publish")):
        present = plan.find_maintenance(context.host.observe(), name)
        if present.fault:
            raise PizarraError("{name}: {why}.", name=present.name, why=present.fault)
        if warm and not context.host.storages.capabilities[present.kind].checkpoints:
            raise Unsupported(
                "The template {name} is on {kind}, where a seat has no original of its own.",
                "Warm baselines need lvm-thin or qcow2; publish without --warm.",
                name=name,
                kind=present.kind,
            )
        check_maintained(context.host, present)
        _shut_down(context, present)
        context.host.states.save(present.volumes[0], present.volumes[0])
        context.host.compute.undefine(present.domain_uuid)
        _seal(context, present.volumes, warm=warm)
        _remove_network(context, name)
    facts = context.host.observe()
    return facts.template(name, present.kind, present.place, present.version)


def _seal(context: Context, volumes: Sequence[Volume], *, warm: bool = False) -> None:
    for volume in volumes:
        labels = version_labels_of(volume.labels)
        assert labels is not None, "chosen by its labels"
        progress = _tell(context, N_("publish"), volume.size_bytes)
        storage = context.host.storage_of(volume)
        storage.seal_golden(volume, plan.labels_when_sealed(labels, warm=warm), progress)


def _shut_down(context: Context, maintenance: Maintenance) -> None:
    """Let the guest shut down: what it has not written yet belongs to the version."""
    if maintenance.power in (Power.OFF, Power.ABSENT):
        return
    host, grace_s = context.host, context.host.settings.grace_s
    if maintenance.power is Power.RUNNING:
        shut_down_and_wait(host, [maintenance.domain_uuid], grace_s)
    domain = next(d for d in host.compute.observe() if d.uuid == maintenance.domain_uuid)
    if domain.power is not Power.OFF:
        raise Busy(
            "The machine {name} is {power} and has not shut down in {grace:.0f} s.",
            "Shut its system down and publish again; to pull its plug: virsh destroy {name}",
            name=maintenance.name,
            power=domain.power,
            grace=grace_s,
        )


def discard(context: Context, name: str) -> Maintenance:
    """Remove the version that is being made, with its machine."""
    check_name(name, N_("template"))
    with context.claim([f"template:{name}"], N_("template discard")):
        present = plan.find_maintenance(context.host.observe(), name)
        context.host.compute.kill(present.domain_uuid)
        context.host.compute.undefine(present.domain_uuid)
        _remove_network(context, name)
        raise_first(context.host.remove(list(present.volumes)))
    return present


def recover(context: Context, facts: HostFacts) -> None:
    """Complete or revert versions whose making was cut off, and define lost machines again."""
    to_seal, to_remove = unfinished_imports(facts.volumes)
    for name in sorted({_template(volume) for volume in (*to_seal, *to_remove)}):
        with context.claim([f"template:{name}"], N_("recover"), wait_s=context.wait_s):
            to_seal, to_remove = unfinished_imports(context.host.observe().volumes)
            _seal(context, [volume for volume in to_seal if _template(volume) == name])
            gone = [volume for volume in to_remove if _template(volume) == name]
            for uuid, fault in context.host.remove(gone).items():
                volume = next(v for v in gone if v.uuid == uuid)
                text = (
                    N_("Removed {name}: its import never ended.")
                    if fault is None
                    else "{name}: {why}"
                )
                context.emit(Noted(text=text, facts={"name": volume.name, "why": fault}))
    _recover_machines(context)


def _template(volume: Volume) -> str:
    labels = version_labels_of(volume.labels)
    return labels.template if labels else ""


def _recover_machines(context: Context) -> None:
    facts = context.host.observe()
    for one in facts.maintenances:
        with context.claim([f"template:{one.template}"], N_("recover"), wait_s=context.wait_s):
            make_network(context, one)
            if one.power is Power.ABSENT:
                spec = plan.machine(one)
                context.host.compute.define(spec)
                context.emit(
                    Noted(text=N_("{name}: machine defined again."), facts={"name": one.name})
                )
    known = context.host.compute.network_gateways()
    for name in sorted({template.name for template in facts.templates}):
        if facts.maintenance(name) is None and plan.network_of(name) in known:
            _remove_network(context, name)
