"""Keys: private to their owner, never overwritten, P-256 only."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from certificate_samples import BUILDER, RELEASE, STRANGER
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.certify.keys import (
    PrivateKey,
    TrustedKeys,
    create_pair,
    load_private,
    load_public,
    trusted_keys,
)
from stackwright.errors import StackwrightError
from stackwright.inputs.labels import parse
from stackwright.inputs.site import Site
from stackwright.store import Store
from stackwright.workshop import Workshop


def test_a_new_pair_signs_and_verifies_after_loading(tmp_path: Path) -> None:
    create_pair(tmp_path, "release")
    signature = load_private(tmp_path / "release.key").sign(b"text")
    public = load_public(tmp_path / "release.pub")
    assert public.verifies(signature, b"text")
    assert not public.verifies(signature, b"other text")
    assert not public.verifies(b"no DER", b"text")


def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    create_pair(tmp_path, "release")
    assert stat.S_IMODE((tmp_path / "release.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "release.pub").stat().st_mode) == 0o644
    assert sorted(p.name for p in tmp_path.iterdir()) == ["release.key", "release.pub"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    create_pair(tmp_path, "release")
    (tmp_path / "release.key").chmod(mode)
    with pytest.raises(StackwrightError, match="others can read the private key") as caught:
        load_private(tmp_path / "release.key")
    assert f"chmod 600 {tmp_path}/release.key" in (caught.value.hint or "")


def test_the_wrong_half_of_a_key_leads_to_the_right_one(tmp_path: Path) -> None:
    create_pair(tmp_path, "release")

    with pytest.raises(StackwrightError, match="this is a public key") as signing:
        load_private(tmp_path / "release.pub")
    with pytest.raises(StackwrightError, match="this is a private key") as verifying:
        load_public(tmp_path / "release.key")

    assert f"{tmp_path}/release.key" in (signing.value.hint or "")
    assert f"{tmp_path}/release.pub" in (verifying.value.hint or "")


@pytest.mark.parametrize("left", ["release.key", "release.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, left: str) -> None:
    create_pair(tmp_path, "release")
    for path in tmp_path.iterdir():
        if path.name != left:
            path.unlink()
    before = (tmp_path / left).read_bytes()
    with pytest.raises(StackwrightError, match="never overwritten"):
        create_pair(tmp_path, "release")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(left, before)]


def test_the_key_id_is_that_of_openssl(tmp_path: Path) -> None:
    key = create_pair(tmp_path, "release").public
    der = ["openssl", "pkey", "-pubin", "-in", f"{tmp_path}/release.pub", "-outform", "DER"]
    info = subprocess.run(der, check=True, capture_output=True).stdout
    shown = subprocess.run(["sha256sum"], input=info, check=True, capture_output=True).stdout
    assert shown.decode().split()[0] == key.id


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StackwrightError, match="No such file") as caught:
        load_private(tmp_path / "builder.key")
    assert caught.value.hint == "make one with: stackwright keys create builder"


def test_another_curve_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "release.pub").write_bytes(pem)
    with pytest.raises(StackwrightError, match="not an ECDSA P-256 public key"):
        load_public(tmp_path / "release.pub")


def test_text_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "release.key"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    with pytest.raises(StackwrightError, match="not an unencrypted private key"):
        load_private(path)
    with pytest.raises(StackwrightError, match="not a public key"):
        load_public(path)


def test_one_key_cannot_be_builder_and_release_key() -> None:
    with pytest.raises(StackwrightError, match="both a builder's and a release key"):
        TrustedKeys(release=(RELEASE.public,), builder=(BUILDER.public, RELEASE.public))


def test_a_replaced_key_stays_trusted_while_its_public_half_is_kept(tmp_path: Path) -> None:
    old = create_pair(tmp_path, "release-2025").public
    new = create_pair(tmp_path, "release").public
    builder = create_pair(tmp_path, "builder").public
    trusted = trusted_keys(tmp_path / "none", tmp_path)
    assert {key.id for key in trusted.release} == {old.id, new.id}
    assert {key.id for key in trusted.builder} == {builder.id}


def public_half(site: Path, pair: PrivateKey, name: str) -> None:
    site.mkdir(exist_ok=True)
    (site / f"{name}.pub").write_bytes(pair.public.pem)


def test_keys_that_the_site_pins_replace_those_of_the_store(tmp_path: Path) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(store, "release")
    builder = create_pair(store, "builder").public
    public_half(site, RELEASE, "release-2026")
    trusted = trusted_keys(site, store)
    assert [key.id for key in trusted.release] == [RELEASE.public.id]
    assert [key.id for key in trusted.builder] == [builder.id]
    public_half(site, BUILDER, "builder")
    assert [key.id for key in trusted_keys(site, store).builder] == [BUILDER.public.id]


def test_without_keys_in_the_site_those_of_the_store_count(tmp_path: Path) -> None:
    release = create_pair(tmp_path / "store", "release").public
    builder = create_pair(tmp_path / "store", "builder").public
    trusted = trusted_keys(tmp_path / "site", tmp_path / "store")
    assert [key.id for key in trusted.release] == [release.id]
    assert [key.id for key in trusted.builder] == [builder.id]


@pytest.mark.parametrize("left", [None, ".gitkeep", "README.md"])
def test_a_site_without_its_release_key_does_not_fall_back_to_the_store(
    tmp_path: Path, left: str | None
) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(store, "release")
    public_half(site, RELEASE, "release")
    trusted_keys(site, store)
    (site / "release.pub").unlink()
    if left:
        (site / left).touch()
    with pytest.raises(StackwrightError, match="the site pins no release key that counts"):
        trusted_keys(site, store)


def test_a_builders_key_in_the_site_does_not_leave_release_keys_to_the_store(
    tmp_path: Path,
) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(store, "release")
    public_half(site, BUILDER, "builder")
    with pytest.raises(StackwrightError, match="the site pins no release key that counts"):
        trusted_keys(site, store)


def test_a_revoked_key_counts_nowhere(tmp_path: Path) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    builders = [create_pair(store, name) for name in ("builder", "builder-2025")]
    public_half(site, RELEASE, "release")
    public_half(site, STRANGER, "release-2025")
    public_half(site, STRANGER, "revoked-2025")
    public_half(site, builders[0], "builder")
    public_half(site, builders[1], "builder-2025")
    public_half(site, builders[1], "revoked-builder")
    trusted = trusted_keys(site, store)
    assert [key.id for key in trusted.release] == [RELEASE.public.id]
    assert [key.id for key in trusted.builder] == [builders[0].public.id]


def test_revoking_the_only_builders_key_does_not_bring_back_those_of_the_store(
    tmp_path: Path,
) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(store, "builder")
    public_half(site, RELEASE, "release")
    public_half(site, BUILDER, "builder")
    trusted_keys(site, store)
    (site / "builder.pub").rename(site / "revoked-builder.pub")
    with pytest.raises(StackwrightError, match="the site pins no builder key that counts") as found:
        trusted_keys(site, store)
    assert str(found.value.hint).endswith("builder key that you trust there, as builder.pub")


def test_a_revoked_key_is_not_believed_because_somebody_names_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    keys = tmp_path / "site/keys"
    keys.mkdir(parents=True)
    for pair, name in ((RELEASE, "release"), (BUILDER, "builder"), (STRANGER, "revoked-old")):
        public_half(keys, pair, name)
    shop = Workshop(Site(tmp_path / "site"), parse("mini/1.0-cpu@local"), store)

    assert [key.id for key in shop.trusted((keys / "release.pub",)).release] == [RELEASE.public.id]
    with pytest.raises(StackwrightError, match=r"revoked-old\.pub: this site revoked that key"):
        shop.trusted((keys / "release.pub", keys / "revoked-old.pub"))


def test_revoking_the_only_release_key_leaves_none(tmp_path: Path) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    public_half(site, create_pair(store, "release"), "revoked")
    with pytest.raises(StackwrightError, match="the site pins no release key that counts"):
        trusted_keys(site, store)


def test_a_damaged_key_in_the_site_does_not_bring_back_those_of_the_store(tmp_path: Path) -> None:
    create_pair(tmp_path / "store", "release")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "release.pub").write_bytes(b"")
    with pytest.raises(StackwrightError, match="not a public key"):
        trusted_keys(tmp_path / "site", tmp_path / "store")


def test_a_builders_key_in_the_store_cannot_be_the_sites_release_key(tmp_path: Path) -> None:
    public_half(tmp_path / "site", create_pair(tmp_path / "store", "builder"), "release")
    with pytest.raises(StackwrightError, match="both a builder's and a release key"):
        trusted_keys(tmp_path / "site", tmp_path / "store")


@pytest.mark.parametrize("name", ["release", "builder"])
def test_a_private_key_in_the_site_is_refused(tmp_path: Path, name: str) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(site, name)
    with pytest.raises(StackwrightError, match="a private key lies in the site") as caught:
        trusted_keys(site, store)
    assert caught.value.hint == (
        f"keep only its public half there: mv -n {site}/{name}.key {store}/"
    )


def test_a_private_key_does_not_show_in_a_log(tmp_path: Path) -> None:
    pair = create_pair(tmp_path, "release")
    secret = (tmp_path / "release.key").read_text().splitlines()[1]
    assert secret not in repr(pair)


@pytest.mark.parametrize("linked", ["site/keys", "site/keys/release.pub"])
def test_a_key_behind_a_link_out_of_the_site_is_not_pinned(tmp_path: Path, linked: str) -> None:
    (tmp_path / "site").mkdir()
    public_half(tmp_path / "site/keys", RELEASE, "release")
    outside = tmp_path / "elsewhere"
    (tmp_path / linked).rename(outside)
    (tmp_path / linked).symlink_to(outside)

    with pytest.raises(StackwrightError, match="the link leads out of"):
        trusted_keys(tmp_path / "site/keys", tmp_path / "store")


def test_a_pinning_folder_that_pins_nothing_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "store"
    create_pair(store, "release")
    (tmp_path / "site").symlink_to("not-fetched")
    with pytest.raises(StackwrightError, match="not a folder, so it pins no key"):
        trusted_keys(tmp_path / "site", store)


def test_a_key_under_another_name_is_not_overlooked(tmp_path: Path) -> None:
    site, store = tmp_path / "site", tmp_path / "store"
    create_pair(store, "release")
    public_half(site, RELEASE, "release")
    (site / "release.pub").rename(site / "release.pem")
    with pytest.raises(StackwrightError, match=r"release\.pem: not a name of a key"):
        trusted_keys(site, store)
