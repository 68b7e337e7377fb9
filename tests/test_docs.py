"""The documents against the code: what exists is described, what is generated is current, what is shown parses."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from docs import examples as shown
from docs import generate
from protocol import jws, members, paths, proofs, publications, referral, referral_display, roots, strict
from protocol.calls import check_token
from protocol.envelope import REJECTABLE, check_fresh, decode_event_body, open_sealed, read_outer, verify_outer
from protocol.offers import CODED, KINDS, check_codes, check_offer
from protocol.receipts import read_receipt
from protocol.referral import KINDS as EVENT_KINDS
from protocol.routing import REASONS, WARNINGS, read_rules
from protocol.suite import S1
from schemas.problems import PROBLEMS
from schemas.vocabularies import table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SPEC = (DOCS / "spec.md").read_text("utf-8")
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
EXAMPLE = re.compile(r"<!-- generated: example:(?P<name>[a-z-]+) -->\n```json\n(?P<text>.*?)\n```\n<!-- end -->", re.S)
ROUTE = re.compile(r"^\| (GET|POST) \| `([^`?]+)[^`]*` \|", re.M)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def lines_of(block: str) -> str:
    """The text of one generated block of the specification."""
    return next(found["text"] for found in generate.BLOCK.finditer(SPEC) if found["name"] == block)


# -- generated parts


def test_generated_parts_are_those_of_their_sources() -> None:
    assert generate.drift() == [], "run «./run python -m docs.generate»"


def test_the_referral_table_of_the_specification_is_the_one_of_the_machine() -> None:
    assert (DOCS / "referral-table.md").read_text("utf-8") == referral.markdown()
    assert lines_of("referral") == referral.markdown().partition("\n\n")[2]


def test_every_error_code_limit_and_typ_is_in_the_specification() -> None:
    assert all(f"| `{code}` |" in lines_of("problems") for code in PROBLEMS)
    assert all(f"`{code}`" in lines_of("rejectable") for code in REJECTABLE)
    assert all(f"| `{typ}` |" in lines_of("types") for typ in jws.TYPES)
    assert generate.PAYLOADS.keys() == jws.TYPES.keys()
    assert "`BUCKETS`" in lines_of("limits")


def test_no_code_in_the_documents_is_unknown_to_the_code() -> None:
    known = {*PROBLEMS, *WARNINGS, *REASONS, *EVENT_KINDS, *referral.STATES}
    tables = re.findall(r"^\|.*\|$", SPEC[: SPEC.index("## 8.")], re.M)
    refusals = {
        word for line in tables for word in re.findall(r"`(bad-[a-z-]+|[a-z]+-mismatch|unsupported-[a-z]+)`", line)
    }
    assert refusals <= known


# -- routes


def app_routes() -> set[tuple[str, str]]:
    """Every address of both programs, from their own lists."""
    from node.app import App as NodeApp
    from node.mailbox.handlers import MailboxService
    from node.runtime.local import local_routes
    from registry.app import METRICS, rows

    mailbox = MailboxService(relay="x", membership=None, writer=None, readers=None, clock=None)
    found = {(row.method, row.path) for row in rows(None)}
    found |= {(route.method, route.path) for route in [*mailbox.routes(), *local_routes("", {})]}
    source = Path(NodeApp.__module__.replace(".", "/") + ".py")
    named = re.findall(r"Route\(\"(GET|POST)\", paths\.([A-Z_]+)", (ROOT / source).read_text("utf-8"))
    found |= {(method, getattr(paths, name)) for method, name in named}
    return found | {("GET", paths.HEALTH), ("GET", METRICS)}


def test_the_table_of_endpoints_is_closed() -> None:
    assert set(ROUTE.findall(SPEC)) == app_routes()


def test_every_path_we_have_a_name_for_is_in_the_specification() -> None:
    named = [value for name, value in vars(paths).items() if name.isupper() and isinstance(value, str)]
    assert named
    assert [path for path in named if path not in SPEC] == []


# -- examples


def test_every_object_shown_parses_with_its_shape() -> None:
    found = list(EXAMPLE.finditer(SPEC))
    assert {one["name"] for one in found} == set(shown.examples())
    for one in found:
        shape = shown.examples()[one["name"]].shape
        strict.decode(one["text"].encode(), shape, max_bytes=100_000)


def test_every_other_json_text_of_the_documents_is_json() -> None:
    for page in PAGES:
        for text in re.findall(r"```json\n(.*?)\n```", page.read_text("utf-8"), re.S):
            json.loads(text)


def test_the_examples_are_one_network_whose_signatures_hold() -> None:
    raw = shown.root_raw()
    root = roots.TrustedRoot.start(raw, shown.trusted().net, S1)
    membership = members.read_members(shown.members_raw(), root, shown.NOW)
    assert set(membership.members) == set(shown.NODES)
    assert (membership.void, membership.unroutable) == ({}, {})
    assert read_rules(membership.doc.rules) == (shown.RULE,)


def test_the_envelope_shown_opens_and_its_receipt_holds() -> None:
    net, keyring = shown.trusted().net, shown.verified()
    sealed = shown.sealed()
    verified = verify_outer(read_outer(sealed.e, sealed.s), keyring, net=net, me=shown.DISTRETTO)
    check_fresh(verified, shown.NOW)
    key = shown.sealer(shown.DISTRETTO)
    opened = open_sealed(verified, sealed.s, {key.kid: key}, S1)
    assert decode_event_body(opened.body) == shown.offer_body()
    receipt = read_receipt(shown.receipt_text(), keyring, net=net, me=shown.COMUNE, now=shown.NOW + 2).receipt
    assert receipt.acks[0].mid == verified.mid
    call = check_token(
        shown.token(), keyring, net=net, aud="bacheca", method="POST", path="/v1/mailbox/distretto", now=shown.NOW
    )
    assert call.node == shown.COMUNE


def test_the_offer_and_the_acceptance_shown_are_a_legal_beginning() -> None:
    offer, accept = shown.offer_body(), shown.accept_body()
    check_offer(offer.offer, shown.verified().member(shown.DISTRETTO).caps)
    assert all(
        getattr(offer.offer, field) in table(words) for field, words in CODED.items() if getattr(offer.offer, field)
    )
    check_codes(accept.ev, reason=None, outcome=None, text=None)
    leg = referral.fold(
        [referral.Event("S", offer.n, "offer", offer.seen)], [referral.Event("R", accept.n, "accept", accept.seen)]
    )
    assert leg.state == "accepted"


def test_the_proof_shown_leads_from_the_networks_id_to_the_record() -> None:
    raw = msgspec.json.encode(shown.map_proof())
    proved = proofs.verify_proof(raw, net=shown.trusted().net, suite=S1, node=shown.DISPENSA, id_=shown.RECORD_ID)
    assert proved.service == shown.service()
    assert proved.members_version == shown.verified().version


def test_the_record_shown_is_publishable_and_uses_codes_of_the_vocabularies() -> None:
    (line,) = shown.post().records.values()
    record = publications.read_record(line, "public").service
    assert all(code in table("need_areas") for code in record.needs)
    assert all(code in table("target_groups") for code in record.targets)
    assert record.comune in table("comuni")


def test_kinds_of_offer_in_the_specification_are_those_of_the_rules() -> None:
    said: dict[str, tuple[str, str, str]] = {}
    for row in re.findall(r"^\| (RK-[^|]+) \| (yes|no) \| (yes|no) \| (.+) \|$", SPEC, re.M):
        said |= dict.fromkeys(re.findall(r"RK-[A-Z]+", row[0]), row[1:])
    yes = {True: "yes", False: "no"}
    assert said == {
        code: (yes[kind.person], yes[kind.health], f"`{kind.needs}`" if kind.needs else "—")
        for code, kind in KINDS.items()
    }


# -- commands and configuration


@pytest.mark.parametrize("program", ["node", "registry"])
def test_every_command_and_option_is_in_the_manual(program: str) -> None:
    text = (DOCS / "comandi.md").read_text("utf-8")
    for entry in generate.commands(program):
        assert f"### {entry.path}\n" in text
        assert all(left.split()[0].strip(",") in text for left, _ in entry.params)


def test_every_configuration_key_is_in_the_manual_with_its_default() -> None:
    text = (DOCS / "operare.md").read_text("utf-8")
    for key, default in generate.config_keys().items():
        assert f"| `{key}` | {default} |" in text


def test_no_configuration_key_in_the_manual_is_unknown() -> None:
    text = (DOCS / "operare.md").read_text("utf-8")
    said = re.findall(r"^\| `([a-z_.\[\]]+)` \| (?:obbligatoria|assente|`)", text, re.M)
    assert set(said) == set(generate.config_keys())


def test_the_configuration_shown_is_read() -> None:
    import tomllib

    from node.runtime.config import NodeConfig

    text = (DOCS / "operare.md").read_text("utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    assert msgspec.convert(tomllib.loads(toml), NodeConfig).bodies[0].id == "comune-tavullia"


# -- links and words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text("utf-8"))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else (page.parent / path).resolve()
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    """Headings as GitHub and Forgejo name them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def committed() -> list[Path]:
    """Every file under version control that is here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


REGISTRIES = tuple(
    "".join(parts)
    for parts in (
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("npmjs", ".com"),
        ("npmjs", ".org"),
        ("proxy.golang", ".org"),
        ("crates", ".io"),
        ("jsr", ".io"),
    )
)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_no_committed_file_names_a_package_registry() -> None:
    for path in committed():
        content = path.read_bytes()
        assert [host for host in REGISTRIES if host.encode() in content] == [], path.relative_to(ROOT)


FORBIDDEN = re.compile(r"\b(nod[oi]|leg|outbox|snapshot|checkpoint|witness|envelope|hash)\b", re.I)


def words_people_read() -> Iterator[tuple[str, str]]:
    """(where, text) of every table of wording."""
    for code, problem in PROBLEMS.items():
        yield f"PROBLEMS[{code}].it", problem.it
        yield f"PROBLEMS[{code}].fix", re.sub(r"«raccordo-node[^»]*»", "", problem.fix)
    screens = (
        *referral_display.SCREENS.values(),
        *referral_display.OFFERED.values(),
        *referral_display.PROVISIONAL.values(),
    )
    for screen in screens:
        yield f"screen {screen.code}", " ".join(screen)
    yield from ((f"ACTIONS[{kind}]", text) for kind, text in referral_display.ACTIONS.items())
    yield from ((f"ADDED_CODES[{code}]", text[0]) for code, text in referral_display.ADDED_CODES.items())
    yield "FROZEN", referral_display.FROZEN
    yield from ((f"WARNINGS[{code}]", warn.text) for code, warn in WARNINGS.items())
    yield from ((f"REASONS[{code}]", text) for code, text in REASONS.items())


def test_no_word_of_the_machine_stands_in_what_people_read() -> None:
    assert [(where, found.group()) for where, text in words_people_read() if (found := FORBIDDEN.search(text))] == []


def test_every_problem_says_what_happened_and_what_to_do() -> None:
    for code, problem in PROBLEMS.items():
        assert problem.it.endswith("."), code
        assert problem.fix.endswith("."), code
        assert problem.en, code
