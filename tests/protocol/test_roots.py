"""Root rules, named after the attacks they stop (TUF §5.3)."""

import pytest

from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.roots import TrustedRoot
from protocol.suite import S1
from schemas import membership as m
from tests.protocol.network import T0, Network, net_of, root_of, signed_root, signer, x


def start():
    return Network().root


def refused(call, *codes):
    with pytest.raises(ProtocolError) as error:
        call()
    assert error.value.code in codes, error.value
    return error.value


def second(net, **changes):
    return root_of(["g1", "g2", "g4"], n=2, net=net, iat=T0 + DAY, exp=T0 + 396 * DAY, **changes)


def test_a_root_of_another_network_is_refused_at_the_first_step():
    raw = Network().root_raw
    refused(lambda: TrustedRoot.start(raw, "A" * 43, S1), "wrong-network")


def test_root_2_signed_by_both_thresholds_is_followed():
    root = start()
    newer = root.update(signed_root(second(root.net), ["g1", "g2"]))
    assert (newer.root.n, newer.net) == (2, root.net)
    assert signer("g4").kid in newer.guarantors
    assert signer("g3").kid not in newer.guarantors


def test_root_2_signed_only_by_the_new_guarantors_is_refused():
    root = start()
    mine = root_of(["e1", "e2"], n=2, net=root.net)
    refused(lambda: root.update(signed_root(mine, ["e1", "e2"])), "threshold")
    refused(lambda: root.update(signed_root(mine, ["e1", "e2", "g1"])), "threshold")


def test_root_2_signed_only_by_the_old_guarantors_is_refused():
    root = start()
    theirs = root_of(["n1", "n2"], n=2, net=root.net)
    refused(lambda: root.update(signed_root(theirs, ["g1", "g2", "n1"])), "threshold")
    assert root.update(signed_root(theirs, ["g1", "g2", "n1", "n2"])).root.n == 2


def test_the_same_guarantor_key_twice_counts_once():
    root = start()
    raw = signed_root(second(root.net), ["g1", "g2"])
    once = signed_root(second(root.net), ["g1"])
    assert refused(lambda: root.update(once), "threshold").got == "1 signatures"
    doubled = raw.replace(raw.split(b'"signatures":[')[1][:-2], b",".join([once.split(b'"signatures":[')[1][:-2]] * 2))
    refused(lambda: root.update(doubled), "bad-shape", "threshold")
    twins = root_of(["g1", "g1"], n=2, net=root.net)
    refused(lambda: root.update(signed_root(twins, ["g1", "g2"])), "root-chain")


@pytest.mark.parametrize("n", [1, 3, 4])
def test_a_root_that_skips_or_repeats_a_step_is_refused(n):
    root = start()
    raw = signed_root(root_of(["g1", "g2"], n=n, net=root.net), ["g1", "g2"])
    assert refused(lambda: root.update(raw), "root-chain").field == "n"


def test_walking_goes_step_by_step_and_stops_at_256():
    root = start()
    chain = [signed_root(root_of(["g1", "g2"], n=n, net=root.net), ["g1", "g2"]) for n in range(2, 260)]
    assert root.walk(chain[:3]).root.n == 4
    refused(lambda: root.walk(chain[1:3]), "root-chain")
    assert refused(lambda: root.walk(chain), "root-chain").expected == "at most 256 steps"


def test_a_root_of_the_same_guarantors_for_another_network_is_refused():
    root = start()
    refused(lambda: root.update(signed_root(second("A" * 43), ["g1", "g2"])), "wrong-network")
    refused(lambda: root.update(signed_root(root_of(["g1", "g2"], n=2), ["g1", "g2"])), "wrong-network")


def test_an_expired_root_is_degraded_for_180_days_and_only_the_newest_is_asked():
    root = start()
    exp = root.root.exp
    assert [root.status(t) for t in (exp, exp + 1, exp + 180 * DAY, exp + 180 * DAY + 1)] == [
        "valid",
        "degraded",
        "degraded",
        "expired",
    ]
    # root-1 long expired still leads to root-2: expiry is never checked on the way
    late = root.update(
        signed_root(root_of(["g1", "g2"], n=2, net=root.net, iat=exp + 400 * DAY, exp=exp + 500 * DAY), ["g1", "g2"])
    )
    assert late.status(exp + 450 * DAY) == "valid"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": 4}, "threshold"),
        ({"admission_threshold": 4}, "admission_threshold"),
        ({"threshold": 1}, "pilot"),
        ({"online": m.Pinned(x(signer("g1")))}, "online"),
        ({"log": m.Pinned(x(signer("g2")))}, "log"),
        ({"exp": T0}, "exp"),
        ({"exp": T0 + 500 * DAY}, "exp"),
        ({"log": m.Pinned("A" * 43)}, "log"),
    ],
)
def test_a_root_whose_numbers_make_no_sense_is_refused(changes, field):
    raw = signed_root(root_of(["g1", "g2", "g3"], **changes), ["g1", "g2", "g3"])
    assert refused(lambda: TrustedRoot.start(raw, net_of(raw), S1), "root-chain").field == field


def test_a_pilot_root_is_replaced_by_the_real_ceremony_and_never_comes_back():
    raw = signed_root(root_of(["solo"], threshold=1, pilot=True), ["solo"])
    pilot = TrustedRoot.start(raw, net_of(raw), S1)
    assert pilot.pilot
    real = pilot.update(signed_root(root_of(["g1", "g2", "g3"], n=2, net=pilot.net), ["solo", "g1", "g2"]))
    assert not real.pilot
    assert real.net == pilot.net
    refused(
        lambda: real.update(signed_root(root_of(["g1"], n=3, threshold=1, pilot=True, net=pilot.net), ["g1", "g2"])),
        "root-chain",
    )


@pytest.mark.parametrize("bit", range(0, 2400, 37))
def test_no_flipped_bit_of_a_root_passes(bit):
    raw = bytearray(Network().root_raw)
    net = net_of(bytes(raw))
    raw[bit // 8 % len(raw)] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        TrustedRoot.start(bytes(raw), net, S1)


def test_a_root_larger_than_half_a_megabyte_is_refused():
    refused(lambda: TrustedRoot.start(b" " * 512_001, "A" * 43, S1), "too-large")
