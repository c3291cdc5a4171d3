"""The one rule, on a real (small) store: no certificate, no release."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from certificate_samples import (
    BUILDER,
    CASES,
    EXPIRES,
    ISSUED,
    NOW,
    RELEASE,
    STRANGER,
    TRUSTED,
    certificate,
    compared_with,
    judge,
    judgement,
    new_key,
    write_run,
)
from release_samples import (
    NEW,
    OLD,
    OTHER,
    build,
    do_release,
    do_rollback,
    live_files,
    modulefile,
    released_image,
    render,
    request,
    tree_hash,
)

from stackwright.canonical import canonical_json, hash_bytes
from stackwright.certify.acceptance import Waiver
from stackwright.certify.artefact import Artefact
from stackwright.certify.evidence import Evidence
from stackwright.certify.keys import TrustedKeys
from stackwright.certify.verify import Certificate
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.release.generations import certificate_path, read_history
from stackwright.release.measure import measurer
from stackwright.release.rule import release
from stackwright.release.view import damaged, released_artefact
from stackwright.store import Store
from stackwright.validation.session import baseline_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def numbers(store: Store) -> list[int]:
    return [generation.number for generation in read_history(store)]


def default_of(store: Store, stack: str = "pytorch") -> str:
    return store.path(f"live/modules/{stack}/.modulerc.lua").read_text().split('"')[1]


def test_a_release_gives_users_image_module_and_kernel(store: Store) -> None:
    built = build(store, NEW)
    outcome = do_release(store, built)
    assert (outcome.changed, outcome.generation.number) == (True, 1)
    assert live_files(store) == [
        "images/pytorch/2.13.0-cpu/artefact.json",
        "images/pytorch/2.13.0-cpu/image.squashfs",
        "images/pytorch/2.13.0-cpu/oci",
        "jupyter/kernels/pytorch-2.13.0-cpu/kernel.json",
        "modules/pytorch/.modulerc.lua",
        "modules/pytorch/2.13.0-cpu.lua",
        "release.json",
    ]
    live = store.path("live")
    assert (live / "modules/pytorch/2.13.0-cpu.lua").read_bytes() == modulefile(NEW)
    assert (live / "images/pytorch/2.13.0-cpu/image.squashfs").read_bytes() == b"hsqstorch"
    assert (live / "images/pytorch/2.13.0-cpu/oci/index.json").is_file()
    (pointer,) = outcome.generation.pointers.values()
    assert certificate_path(store, pointer.certificate).is_file()
    assert released_artefact(store, outcome.generation, "pytorch/2.13.0-cpu") == built


def test_a_store_can_be_moved(store: Store, tmp_path: Path) -> None:
    do_release(store, build(store, NEW))
    moved = tmp_path / "elsewhere" / "store"
    moved.parent.mkdir()
    store.root.rename(moved)
    squashfs = moved / "live/images/pytorch/2.13.0-cpu/image.squashfs"
    assert squashfs.resolve().is_relative_to(moved / "steps")
    assert squashfs.is_file()


def test_everyone_can_read_a_release_whatever_the_umask(store: Store) -> None:
    before = os.umask(0o077)
    try:
        built = build(store, NEW)
        do_release(store, built)
    finally:
        os.umask(before)
    public = [*store.path("generations").rglob("*"), *store.path("certificates").rglob("*")]
    for path in (store.path("generations"), store.path("certificates"), *public):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o044 == 0o044, path


def test_stacks_and_versions_live_side_by_side(store: Store) -> None:
    for label in (OLD, OTHER, NEW):
        do_release(store, build(store, label))
    assert default_of(store) == "2.13.0-cpu"
    assert default_of(store, "tensorflow") == "2.20.0-cpu"
    for label in (OLD, OTHER, NEW):
        module = label.partition("@")[0]
        assert store.path(f"live/modules/{module}.lua").read_bytes() == modulefile(label)


def test_a_release_beside_the_default(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW), make_default=False)
    assert default_of(store) == "2.12.0-cpu"
    assert store.path("live/modules/pytorch/2.13.0-cpu.lua").is_file()


# What was asked


def test_a_release_that_had_to_pass_less_says_so(store: Store) -> None:
    do_release(store, build(store, OLD))
    built = build(store, NEW)
    envelope = certificate(
        built, verdicts={CASES[0]: "PASS"}, baseline=released_image(store, built.label)
    )

    outcome = do_release(store, built, envelope, required_cases=frozenset(CASES[:1]))

    assert outcome.warnings == (
        "less was asked than of pytorch/2.12.0-cpu, the release before:"
        f" suite: certify, 1 case gone: {CASES[1]}",
    )


def test_a_release_that_had_to_pass_more_does_not(store: Store) -> None:
    old, new = build(store, OLD), build(store, NEW)
    fewer = certificate(old, verdicts={CASES[0]: "PASS"})
    do_release(store, old, fewer, required_cases=frozenset(CASES[:1]))

    assert do_release(store, new).warnings == ()


CUDA = "pytorch/2.13.0-cuda@local"


def test_a_new_variant_leaves_the_default_alone_and_says_so(store: Store) -> None:
    do_release(store, build(store, OLD))
    outcome = do_release(store, build(store, CUDA))
    assert default_of(store) == "2.12.0-cpu"
    assert outcome.warnings == (
        "the default stays 2.12.0-cpu: 2.13.0-cuda was compared with nothing; "
        f"make it the default with: stackwright release '{CUDA}' --default",
    )
    assert store.path("live/modules/pytorch/2.13.0-cuda.lua").is_file()


def test_a_new_variant_becomes_the_default_by_explicit_wish(store: Store) -> None:
    do_release(store, build(store, OLD))
    outcome = do_release(store, build(store, CUDA), make_default=True)
    assert (default_of(store), outcome.warnings) == ("2.13.0-cuda", ())


def test_a_new_version_that_was_compared_with_the_default_takes_its_place(store: Store) -> None:
    do_release(store, build(store, OLD))
    outcome = do_release(store, build(store, NEW))
    assert (default_of(store), outcome.warnings) == ("2.13.0-cpu", ())


def test_releasing_the_same_again_moves_nothing(store: Store) -> None:
    built, envelope = build(store, NEW), None
    envelope = certificate(built)
    do_release(store, built, envelope)
    outcome = do_release(store, built, envelope, now=NOW + timedelta(hours=1))
    assert (outcome.changed, outcome.generation.number, numbers(store)) == (False, 1, [1])


def test_the_same_statement_in_another_envelope_moves_nothing(store: Store) -> None:
    """ECDSA signatures and key ids can be varied by whoever has the envelope."""
    built = build(store, NEW)
    envelope = certificate(built)
    do_release(store, built, envelope)
    varied = json.loads(envelope)
    varied["signatures"][0]["keyid"] = "another"
    outcome = do_release(store, built, canonical_json(varied))
    assert (outcome.changed, len([*store.path("certificates").iterdir()])) == (False, 1)


def test_releasing_the_same_again_mends_a_damaged_modulefile(store: Store) -> None:
    built = build(store, NEW)
    envelope = certificate(built)
    do_release(store, built, envelope)
    store.path("live/modules/pytorch/2.13.0-cpu.lua").write_text("damaged")
    assert do_release(store, built, envelope).generation.number == 2
    mended = store.path("live/modules/pytorch/2.13.0-cpu.lua").read_bytes()
    assert mended == modulefile(NEW)


SLOW = {CASES[0]: "PASS", CASES[1]: "FAIL"}


def test_what_has_no_valid_certificate_is_not_released(store: Store) -> None:
    do_release(store, build(store, OLD))
    built = build(store, NEW)
    other = certificate(build(store, NEW, "rebuilt"))
    tampered = certificate(built).replace(b'"payload":"eyJf', b'"payload":"eyJg')
    refused = {
        "there is no certificate": b"",
        "not a DSSE envelope": b"{}",
        "signed by an unknown key": certificate(built, STRANGER),
        "signed by a builder's key": certificate(built, BUILDER),
        "tampered with": tampered,
        "for another plan": other,
        "expired": certificate(built, expires=NOW),
        "not valid before": certificate(built, issued=NOW + timedelta(days=1)),
    }
    for reason, envelope in refused.items():
        with pytest.raises(StackwrightError, match=reason):
            do_release(store, built, envelope)
    assert numbers(store) == [1]


def test_a_certificate_for_another_system_releases_nothing(store: Store) -> None:
    with pytest.raises(StackwrightError, match="for another system: local, not perlmutter"):
        do_release(store, build(store, NEW), system="perlmutter")


def test_a_certificate_from_before_the_last_release_releases_nothing(store: Store) -> None:
    slower = build(store, NEW, "slower")
    first = certificate(slower)  # made while nothing was released: compares with nothing
    do_release(store, build(store, NEW))
    with pytest.raises(StackwrightError, match=r"compares with nothing, but pytorch/2\.13\.0-cpu"):
        do_release(store, slower, first)


def test_a_new_version_is_compared_with_the_default_of_its_variant(store: Store) -> None:
    do_release(store, build(store, OLD, "old"))
    new = build(store, NEW)
    with pytest.raises(StackwrightError, match=r"pytorch/2\.12\.0-cpu .* was released before it"):
        do_release(store, new, certificate(new))


def test_a_suite_that_requires_more_than_was_run_releases_nothing(store: Store) -> None:
    with pytest.raises(StackwrightError, match=r"the required case .new"):
        do_release(store, build(store, NEW), required_cases=frozenset({*CASES, "new.none-1.image"}))


def test_bytes_that_changed_after_the_certificate_are_not_released(store: Store) -> None:
    built = build(store, NEW)
    envelope = certificate(built)
    store.path(built.squashfs.path).write_bytes(b"hsqs evil")
    with pytest.raises(StackwrightError, match=r"the squashfs of .* was changed"):
        do_release(store, built, envelope)
    assert numbers(store) == []
    assert not store.path("live").exists()


def test_a_record_made_to_fit_changed_bytes_is_not_released(store: Store) -> None:
    built = build(store, NEW)
    envelope = certificate(built)
    store.path(built.squashfs.path).write_bytes(b"hsqs evil")
    fitted = built.squashfs.model_copy(update={"digest": hash_bytes(b"hsqs evil")})
    with pytest.raises(StackwrightError, match="for another squashfs"):
        do_release(store, built.model_copy(update={"squashfs": fitted}), envelope)


@pytest.mark.parametrize("tampered", [False, True])
def test_evidence_is_judged_again_before_a_release(
    store: Store, tmp_path: Path, tampered: bool
) -> None:
    built = build(store, NEW)
    run = write_run(tmp_path / "run", built)
    if tampered:
        (run / "results.jsonl").write_bytes((run / "results.jsonl").read_bytes()[:-1])

    def do() -> None:
        release(
            store,
            request(built),
            keys=TRUSTED,
            measure=measurer(store, tree_hash),
            render=render,
            now=NOW,
            evidence=Evidence(run, judge),
        )

    if tampered:
        with pytest.raises(StackwrightError, match=r"results.jsonl: the evidence was changed"):
            do()
    else:
        do()
    assert len(numbers(store)) == (0 if tampered else 1)


def test_a_rollback_restores_what_was_released_before(store: Store) -> None:
    do_release(store, build(store, OLD))
    before = {name: store.path(f"live/{name}").resolve() for name in live_files(store)}
    texts = {n: p.read_bytes() for n, p in before.items() if n != "release.json" and p.is_file()}
    do_release(store, build(store, NEW))
    outcome = do_rollback(store)
    assert (outcome.generation.number, outcome.generation.restores) == (3, 1)
    assert outcome.warnings == ()
    assert live_files(store) == sorted(before)
    assert {n: store.path(f"live/{n}").read_bytes() for n in texts} == texts
    assert default_of(store) == "2.12.0-cpu"


def test_two_rollbacks_go_back_two_releases(store: Store) -> None:
    for text in ("first", "second", "third"):
        do_release(store, build(store, NEW, text))
    do_rollback(store)
    do_rollback(store)
    squashfs = store.path("live/images/pytorch/2.13.0-cpu/image.squashfs")
    assert squashfs.read_bytes() == b"hsqsfirst"
    assert numbers(store) == [1, 2, 3, 4, 5]
    with pytest.raises(StackwrightError, match="no earlier release"):
        do_rollback(store)


def test_a_rollback_survives_a_later_build_of_the_same_label(store: Store) -> None:
    first = build(store, NEW, "first")
    do_release(store, first)
    do_release(store, build(store, NEW, "second"))
    store.write_artefact(build(store, NEW, "third"))
    generation = do_rollback(store).generation
    assert released_artefact(store, generation, "pytorch/2.13.0-cpu") == first


def test_a_rollback_to_an_expired_certificate_is_done_and_said(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    outcome = do_rollback(store, now=EXPIRES)
    assert outcome.changed
    assert outcome.warnings == (
        "the certificate of pytorch/2.12.0-cpu expired at 2027-05-19T20:00:00Z",
    )


def test_a_rollback_to_an_expired_waiver_is_done_and_said(store: Store) -> None:
    waiver = Waiver(case=CASES[1], reason="known", expires=ISSUED.date().isoformat())
    built = build(store, OLD)
    do_release(store, built, certificate(built, verdicts=SLOW, waivers=[waiver]))
    do_release(store, build(store, NEW))
    outcome = do_rollback(store, now=NOW + timedelta(days=1))
    assert outcome.warnings == (f"the waiver of pytorch/2.12.0-cpu for {CASES[1]} has expired",)


def test_a_rollback_to_changed_bytes_is_refused(store: Store) -> None:
    old = build(store, OLD)
    do_release(store, old)
    do_release(store, build(store, NEW))
    store.path(old.squashfs.path).write_bytes(b"evil")
    with pytest.raises(StackwrightError, match=r"the squashfs of .* was changed"):
        do_rollback(store)
    assert numbers(store) == [1, 2]


def test_a_rollback_checks_the_default_even_where_its_pointer_stays(store: Store) -> None:
    old = build(store, OLD)
    do_release(store, old)
    do_release(store, build(store, NEW))
    (store.path(old.prefix.path) / "bin/python3.11").write_text("evil")
    with pytest.raises(StackwrightError, match="does not describe this prefix"):
        do_rollback(store)


def test_a_rollback_to_what_failed_since_is_refused(store: Store) -> None:
    def disputed(certificate: Certificate) -> None:
        raise StackwrightError(f"{certificate.statement.label} failed since")

    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    with pytest.raises(StackwrightError, match=f"{OLD} failed since"):
        do_rollback(store, believed=disputed)
    assert numbers(store) == [1, 2]


def test_a_rollback_without_its_certificate_is_refused(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    (pointer,) = read_history(store)[0].pointers.values()
    path = certificate_path(store, pointer.certificate)
    path.unlink()
    with pytest.raises(StackwrightError, match="cannot read the certificate"):
        do_rollback(store)


def test_a_rollback_by_another_valid_certificate_is_refused(store: Store) -> None:
    old = build(store, OLD)
    do_release(store, old)
    do_release(store, build(store, NEW))
    (pointer,) = read_history(store)[0].pointers.values()
    again = certificate(old, issued=ISSUED + timedelta(seconds=1))
    certificate_path(store, pointer.certificate).write_bytes(again)
    with pytest.raises(StackwrightError, match="with another certificate"):
        do_rollback(store)


def test_a_rollback_under_a_key_that_is_no_longer_trusted_is_refused(store: Store) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    keys = TrustedKeys(release=(new_key().public,))
    with pytest.raises(StackwrightError, match="signed by an unknown key"):
        do_rollback(store, keys=keys)
    do_rollback(store, keys=TrustedKeys(release=(*keys.release, RELEASE.public)))


@pytest.mark.parametrize("hashed", [False, True])
def test_a_rollback_takes_no_modulefile_from_an_old_generation(store: Store, hashed: bool) -> None:
    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    for number in (1, 2):
        path = store.path(f"generations/{number}/modules/pytorch/2.12.0-cpu.lua")
        before = hash_bytes(path.read_bytes())
        path.write_text("os.execute('evil')")
        record = store.path(f"generations/{number}/release.json")
        if hashed:
            record.write_text(record.read_text().replace(before, hash_bytes(path.read_bytes())))
    do_rollback(store)
    live = store.path("live/modules/pytorch/2.12.0-cpu.lua")
    assert live.read_bytes() == modulefile(OLD)


def test_a_rollback_leaves_other_versions_as_users_have_them_now(store: Store) -> None:
    for label in (OLD, NEW):
        do_release(store, build(store, label))
    again = build(store, NEW, "again")
    do_release(store, again, who="another")
    (before,) = [g.content["pytorch/2.12.0-cpu"] for g in read_history(store)[-1:]]
    after = do_rollback(store).generation
    assert after.content["pytorch/2.12.0-cpu"] == before


def test_a_rollback_makes_modulefiles_for_where_the_store_is_now(store: Store) -> None:
    def placed(artefact: Artefact, default: str) -> Mapping[str, bytes]:
        made = dict.fromkeys(render(artefact, default), b"a kernel")
        return {**made, "modules/pytorch/2.12.0-cpu.lua": str(store.root).encode()}

    do_release(store, build(store, OLD))
    do_release(store, build(store, NEW))
    do_rollback(store, render=placed)
    live = store.path("live/modules/pytorch/2.12.0-cpu.lua")
    assert live.read_bytes() == str(store.root).encode()


def edit_first_generation(store: Store, old: str, new: str) -> None:
    """Put one text in place of another in release.json, which nobody signs."""
    path = store.path("generations/1/release.json")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("part", ["image", "squashfs", "prefix"])
def test_a_rollback_to_a_pointer_that_was_edited_is_refused(store: Store, part: str) -> None:
    old, evil = build(store, OLD), build(store, OLD, "evil")
    do_release(store, old)
    do_release(store, build(store, NEW))
    edit_first_generation(store, getattr(old.digests, part), getattr(evil.digests, part))
    with pytest.raises(StackwrightError, match="with another certificate"):
        do_rollback(store)


def test_a_rollback_to_a_pointer_and_a_record_that_were_edited_is_refused(store: Store) -> None:
    old, evil = build(store, OLD), build(store, OLD, "evil")
    do_release(store, old)
    do_release(store, build(store, NEW))
    record = store.path("generations/1/images/pytorch/2.12.0-cpu/artefact.json")
    before = hash_bytes(record.read_bytes())
    record.write_text(evil.model_dump_json(by_alias=True))
    edit_first_generation(store, before, hash_bytes(record.read_bytes()))
    for part in ("image", "squashfs", "prefix"):
        edit_first_generation(store, getattr(old.digests, part), getattr(evil.digests, part))
    edit_first_generation(store, old.plan_hash, evil.plan_hash)
    with pytest.raises(StackwrightError, match="the certificate is for another plan"):
        do_rollback(store)


def test_a_rollback_to_links_that_were_edited_is_refused(store: Store) -> None:
    old, evil = build(store, OLD), build(store, OLD, "evil")
    do_release(store, old)
    do_release(store, build(store, NEW))
    edit_first_generation(store, old.squashfs.path, evil.squashfs.path)
    with pytest.raises(StackwrightError, match="generation 1 has links to something else"):
        do_rollback(store)


def test_a_rollback_takes_no_links_of_another_version_from_an_old_generation(store: Store) -> None:
    other, evil = build(store, OTHER.replace("tensorflow", "pytorch")), build(store, OLD, "evil")
    for artefact in (other, build(store, OLD)):
        do_release(store, artefact)
    do_release(store, build(store, OLD, "newer"))
    path = store.path("generations/2/release.json")
    path.write_text(path.read_text().replace(other.squashfs.path, evil.squashfs.path))
    do_rollback(store)
    link = store.path(f"live/images/{parse(other.label).module}/image.squashfs")
    assert link.resolve() == store.path(other.squashfs.path)


def forge(store: Store) -> None:
    """Put a module beside the released one and make it the default, all of it in release.json."""
    live = store.path("live").resolve()
    module, default = b"os.execute('evil')", b'module_version("pytorch/9.9-cpu", "default")'
    (live / "modules/pytorch/9.9-cpu.lua").write_bytes(module)
    (live / "modules/pytorch/.modulerc.lua").write_bytes(default)
    record = json.loads((live / "release.json").read_text())
    record["content"]["pytorch/9.9-cpu"] = {
        "files": {"modules/pytorch/9.9-cpu.lua": hash_bytes(module)},
        "links": {},
    }
    record["content"]["pytorch"]["files"]["modules/pytorch/.modulerc.lua"] = hash_bytes(default)
    (live / "release.json").write_text(json.dumps(record))


def test_content_of_what_is_not_released_stops_releases_and_rollbacks(store: Store) -> None:
    do_release(store, build(store, OTHER))
    do_release(store, build(store, NEW))
    forge(store)
    with pytest.raises(StackwrightError, match=r"content of pytorch/9.9-cpu, which is not rel"):
        do_release(store, build(store, OTHER, "again"))
    with pytest.raises(StackwrightError, match=r"content of pytorch/9.9-cpu, which is not rel"):
        do_rollback(store, "tensorflow")


def test_a_release_believes_no_default_of_another_stack_that_was_edited(store: Store) -> None:
    do_release(store, build(store, NEW))
    live = store.path("live").resolve()
    path, default = live / "modules/pytorch/.modulerc.lua", b"os.execute('evil')"
    before = path.read_bytes()
    path.write_bytes(default)
    record = (live / "release.json").read_text()
    (live / "release.json").write_text(
        record.replace(hash_bytes(before), hash_bytes(default)),
    )
    do_release(store, build(store, OTHER))
    assert store.path("live/modules/pytorch/.modulerc.lua").read_bytes() == before


@pytest.mark.parametrize("part", ["record", "links"])
def test_a_release_takes_no_bytes_of_another_stack_from_an_edited_generation(
    store: Store, part: str
) -> None:
    good, evil = build(store, NEW), build(store, NEW, "evil")
    do_release(store, good)
    live = store.path("live").resolve()
    text = (live / "release.json").read_text().replace(good.squashfs.path, evil.squashfs.path)
    if part == "record":
        record = live / "images/pytorch/2.13.0-cpu/artefact.json"
        before = hash_bytes(record.read_bytes())
        record.write_bytes(canonical_json(evil.model_dump(mode="json", by_alias=True)))
        text = text.replace(before, hash_bytes(record.read_bytes()))
    (live / "release.json").write_text(text)
    with pytest.raises(StackwrightError, match=r"pytorch/2.13.0-cpu, which is live as well, is n"):
        do_release(store, build(store, OTHER))


def test_a_rollback_leaves_out_what_is_not_certified_any_more(store: Store) -> None:
    good, evil = build(store, NEW), build(store, NEW, "evil")
    for artefact in (good, build(store, OTHER), build(store, OTHER, "again")):
        do_release(store, artefact)
    path = store.path("live/release.json")
    path.write_text(path.read_text().replace(good.squashfs.path, evil.squashfs.path))
    outcome = do_rollback(store, "tensorflow")
    assert outcome.generation.pointers.keys() == outcome.generation.content.keys() - {"tensorflow"}
    assert outcome.generation.pointers.keys() == {parse(OTHER).module}
    assert outcome.warnings[0].startswith("pytorch/2.13.0-cpu is live no more")
    assert "pytorch" not in outcome.generation.defaults


def test_what_is_compared_with_is_believed_only_with_its_certificate(store: Store) -> None:
    """Else a candidate could stand in the place of what it has to be compared with."""
    old, slow = build(store, NEW, "fast"), build(store, NEW, "slow")
    do_release(store, old)
    record = store.path("generations/1/images/pytorch/2.13.0-cpu/artefact.json")
    before = hash_bytes(record.read_bytes())
    record.write_bytes(canonical_json(slow.model_dump(mode="json", by_alias=True)))
    edit_first_generation(store, before, hash_bytes(record.read_bytes()))
    edit_first_generation(store, old.image.digest, slow.image.digest)

    with pytest.raises(StackwrightError, match=r"generation 1 released .* with another"):
        do_release(store, slow, certificate(slow))
    with pytest.raises(StackwrightError, match=r"generation 1 released .* with another"):
        baseline_of(store, parse(NEW), slow, TRUSTED)


def waived(store: Store, built: Artefact, verdict: str = "FAIL") -> bytes:
    """A certificate of a run in which one case was waived; its judgement is in the store."""
    verdicts = {CASES[0]: "PASS", CASES[1]: verdict}
    waiver = Waiver(case=CASES[1], reason="known", expires=NOW.date().isoformat())
    image = released_image(store, built.label)
    judged = judgement(built, verdicts, arms=compared_with(built, image))
    path = store.path(f"runs/{built.label.replace('/', '-')}-{verdict}/judgement.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(judged)
    return certificate(built, verdicts=verdicts, waivers=[waiver], baseline=image)


def test_a_waived_slowdown_gets_no_certificate_as_its_own_yardstick(store: Store) -> None:
    fast, slow = build(store, NEW, "fast"), build(store, NEW, "slow")
    do_release(store, fast)
    do_release(store, slow, waived(store, slow))

    assert baseline_of(store, parse(NEW), slow, TRUSTED) == fast
    with pytest.raises(StackwrightError, match=r"compares with nothing, but pytorch/2\.13"):
        do_release(store, slow, certificate(slow))


def test_a_waived_slowdown_lowers_no_yardstick_of_later_builds(store: Store) -> None:
    fast, slow = build(store, OLD, "fast"), build(store, OLD, "slow")
    do_release(store, fast)
    do_release(store, slow, waived(store, slow))
    new = build(store, NEW)

    assert baseline_of(store, parse(NEW), new, TRUSTED) == fast
    with pytest.raises(StackwrightError, match="compares with"):
        do_release(store, new, certificate(new, baseline=slow.image.digest))
    outcome = do_release(store, new, certificate(new, baseline=fast.image.digest))
    assert default_of(store) == "2.12.0-cpu"
    assert [warning.split(",")[0] for warning in outcome.warnings] == [
        "compared with an earlier release than pytorch/2.12.0-cpu",
        "the default stays 2.12.0-cpu: 2.13.0-cpu was compared with another release; make it the"
        f" default with: stackwright release '{NEW}' --default",
    ]


def test_a_slowdown_whose_evidence_is_gone_lowers_no_yardstick(store: Store) -> None:
    fast, slow = build(store, NEW, "fast"), build(store, NEW, "slow")
    do_release(store, fast)
    do_release(store, slow, waived(store, slow))
    shutil.rmtree(store.path("runs"))
    assert baseline_of(store, parse(NEW), build(store, NEW), TRUSTED) == fast


def test_what_was_waived_for_want_of_a_second_node_is_a_yardstick(store: Store) -> None:
    old, lonely = build(store, NEW, "old"), build(store, NEW, "lonely")
    do_release(store, old)
    do_release(store, lonely, waived(store, lonely, "UNAVAILABLE"))
    assert baseline_of(store, parse(NEW), build(store, NEW), TRUSTED) == lonely


def test_a_first_release_by_waiver_is_compared_with_all_the_same(store: Store) -> None:
    slow = build(store, NEW, "slow")
    do_release(store, slow, waived(store, slow))
    assert baseline_of(store, parse(NEW), build(store, NEW), TRUSTED) == slow


def test_what_a_rollback_undid_is_no_yardstick(store: Store) -> None:
    first, broken = build(store, NEW, "first"), build(store, NEW, "broken")
    do_release(store, first)
    do_release(store, broken)
    assert baseline_of(store, parse(NEW), broken, TRUSTED) == first
    do_rollback(store)
    assert baseline_of(store, parse(NEW), build(store, NEW), TRUSTED) == first
    assert baseline_of(store, parse(NEW), first, TRUSTED) is None


def test_a_new_version_of_another_variant_than_the_default_is_compared(store: Store) -> None:
    do_release(store, build(store, CUDA, "cuda"))
    do_release(store, build(store, "pytorch/2.11.0-cpu@local", "older"))
    old = build(store, OLD, "old")
    do_release(store, old)
    assert default_of(store) == "2.13.0-cuda"
    assert baseline_of(store, parse(NEW), build(store, NEW), TRUSTED) == old
    assert baseline_of(store, parse("pytorch/2.13.0-rocm@local"), old, TRUSTED) is None


def test_releasing_the_same_again_mends_a_link(store: Store) -> None:
    built = build(store, NEW)
    do_release(store, built)
    link = store.path("generations/1/images/pytorch/2.13.0-cpu/oci")
    link.unlink()
    link.symlink_to("/tmp")

    assert do_release(store, built).changed
    live = store.path("live/images/pytorch/2.13.0-cpu/oci")
    assert live.resolve() == store.path(built.image.oci).resolve()


@pytest.mark.parametrize(
    "path",
    [
        "modules/pytorch/9.9-cpu.lua",
        "modules/pytorch/default",
        "jupyter/kernels/planted/kernel.json",
        "jupyter/kernels/empty/",
        "images/notes.txt",
        ".hidden",
    ],
)
def test_what_was_added_to_a_generation_is_found_and_mended(store: Store, path: str) -> None:
    built = build(store, NEW)
    released = do_release(store, built).generation
    assert [*damaged(store, released)] == []
    live = store.path("generations/1")
    planted = live / path
    if path.endswith("/"):
        planted.mkdir()
    elif planted.name == "default":
        planted.symlink_to("2.13.0-cpu.lua")
    else:
        planted.parent.mkdir(exist_ok=True)
        planted.write_text("evil")

    (found, *_) = damaged(store, released)
    assert planted == found or planted.is_relative_to(found)
    assert do_release(store, built).changed
    assert not os.path.lexists(store.path("live") / path)


@pytest.mark.parametrize("name", ["modules", "modules/pytorch/2.13.0-cpu.lua"])
def test_a_link_to_the_same_content_is_not_what_was_released(
    store: Store, tmp_path: Path, name: str
) -> None:
    built = build(store, NEW)
    released = do_release(store, built).generation
    path = store.path("generations/1") / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    assert path in [*damaged(store, released)]
    assert do_release(store, built).changed


def test_a_rollback_of_another_system_is_refused(store: Store) -> None:
    do_release(store, build(store, OLD))
    with pytest.raises(StackwrightError, match="serves the system local, not perlmutter"):
        do_rollback(store, system="perlmutter")


def test_the_record_says_who_when_and_why(store: Store) -> None:
    do_release(store, build(store, NEW), who="ada", why="issue 17")
    record = json.loads(store.path("live/release.json").read_text())
    assert (record["who"], record["why"]) == ("ada", "issue 17")
    assert record["created"] == "2026-11-20T20:00:00Z"
