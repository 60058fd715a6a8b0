import os
import stat
import threading

import pytest

from veza.access.secrets import Keyring, SecretRefused, digest, new_secret


@pytest.fixture
def keyring():
    return Keyring([os.urandom(32)])


def test_secrets_are_long_random_and_kept_as_hashes():
    """A20: 256 random bits, of which the database holds 32 bytes that lead nowhere."""
    made = {new_secret("rt_") for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 3 + 43 for secret in made)
    secret = made.pop()
    assert len(digest(secret)) == 32
    assert secret.encode() not in digest(secret)
    assert digest(secret) == digest(secret) != digest(made.pop())
    assert digest("\ud800")  # what a stranger presents may be no text at all


def test_the_first_start_makes_a_secret_and_keeps_it(tmp_path):
    """A14: at least 32 random bytes, mode 0600, the same at the next start."""
    data_dir = tmp_path / "data"
    first = Keyring.load_or_create(data_dir)
    path = data_dir / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes().strip()) >= 43
    assert [p.name for p in data_dir.iterdir()] == ["secret.key"]
    assert Keyring.load_or_create(data_dir).derive("x") == first.derive("x")


def test_of_two_first_starts_one_secret_wins(tmp_path):
    """A14: starters that race end up with the same secret."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(Keyring.load_or_create(tmp_path).derive("x")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert all(keys == found[0] for keys in found)
    assert [p.name for p in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path, mode):
    """X18: the start is refused with one line that says what to do."""
    Keyring.load_or_create(tmp_path)
    (tmp_path / "secret.key").chmod(mode)
    with pytest.raises(SecretRefused, match="chmod 600") as caught:
        Keyring.load_or_create(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_lost_secret_is_not_replaced(tmp_path):
    """X18: where there is data, a missing secret is refused rather than made anew."""
    with pytest.raises(SecretRefused, match="missing"):
        Keyring.load_or_create(tmp_path, may_create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("secret", ["", " ", "changeme", "x" * 31, "0" * 64, "secret" * 8])
def test_weak_secrets_are_refused(tmp_path, secret):
    """A14: nothing short, nothing that is only a placeholder, wherever it comes from."""
    with pytest.raises(SecretRefused):
        Keyring.load_or_create(tmp_path, secret)
    path = tmp_path / "secret.key"
    path.touch(0o600)
    path.write_text(secret)
    with pytest.raises(SecretRefused):
        Keyring.load_or_create(tmp_path)


def test_the_environment_wins_and_leaves_no_file(tmp_path):
    """A14: with VEZA_SECRET_KEY nothing is written; several are split by commas."""
    new, old = new_secret(), new_secret()
    keyring = Keyring.load_or_create(tmp_path, f"{new}, {old}")
    assert not list(tmp_path.iterdir())
    assert keyring.derive("x") == Keyring([new.encode(), old.encode()]).derive("x")
    assert keyring.derive("x")[1] == Keyring([old.encode()]).derive("x")[0]


def test_each_purpose_has_its_own_key(keyring):
    (_, one), (_, other) = keyring.derive("one")[0], keyring.derive("other")[0]
    assert one != other
    assert len(one) == 32


def test_sealed_bytes_open_for_their_purpose_only(keyring):
    """W13, A20: a dump shows nothing of what is sealed, and rows cannot be swapped."""
    sealed = keyring.seal(b"my totp secret", "totp:1")
    assert b"totp secret" not in sealed
    assert keyring.seal(b"my totp secret", "totp:1") != sealed
    assert keyring.open_sealed(sealed, "totp:1") == b"my totp secret"
    for changed in (b"", sealed[:10], sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"\0" + sealed[1:]):
        with pytest.raises(SecretRefused):
            keyring.open_sealed(changed, "totp:1")
    with pytest.raises(SecretRefused):
        keyring.open_sealed(sealed, "totp:2")
    with pytest.raises(SecretRefused):
        Keyring([os.urandom(32)]).open_sealed(sealed, "totp:1")


def test_the_successor_of_a_refresh_token_is_always_the_same(keyring):
    """A17, A19: a repeat inside the grace gets the same successor, though it is stored nowhere."""
    token, nonce = new_secret(), keyring.new_nonce()
    successor = keyring.successor_of(token, nonce)
    assert keyring.successor_of(token, nonce) == successor
    assert len(successor) == 43
    assert successor != token
    assert keyring.successor_of(successor, nonce) != successor
    assert keyring.successor_of(token, keyring.new_nonce()) != successor


def test_a_dump_does_not_lead_to_the_successor(keyring):
    """A20: whoever has the token and the row, but not the server's secret, cannot follow the chain."""
    token, nonce = new_secret(), keyring.new_nonce()
    with pytest.raises(SecretRefused):
        Keyring([os.urandom(32)]).successor_of(token, nonce)


def test_a_changed_secret_still_opens_the_past():
    """A14: with the old secret kept in second place, nothing that it made is lost."""
    old, new = os.urandom(32), os.urandom(32)
    before, after = Keyring([old]), Keyring([new, old])
    nonce = before.new_nonce()
    assert after.open_sealed(before.seal(b"x", "p"), "p") == b"x"
    assert after.successor_of("token", nonce) == before.successor_of("token", nonce)
    with pytest.raises(SecretRefused):
        before.open_sealed(after.seal(b"x", "p"), "p")
