"""ajv, the validator that many editors and CI systems use, in strict mode: it judges as we do."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.strict_yaml import read_yaml

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = [ROOT / "schema/campaign.schema.json", ROOT / "schema/runner.schema.json"]
AJV = "ajv@8.20.0"


def missing(reason):
    """Skip, but where ajv is required (in CI) fail."""
    if os.environ.get("RUNNER_TEST_AJV") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def ajv(tmp_path_factory, request):
    """The folder with ajv in it, installed once and kept in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm are not installed")
    cache = getattr(request.config, "cache", None)
    kept = Path(cache.mkdir("ajv")) / AJV if cache is not None else None
    if kept is not None and kept.exists():
        return kept / "node_modules"
    folder = tmp_path_factory.mktemp("ajv")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), AJV]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        missing("npm did not install ajv within a minute")
    if result.returncode:
        missing(f"npm cannot install ajv: {result.stderr.strip().splitlines()[-1:]}")
    if kept is not None and not kept.exists():
        shutil.copytree(folder, kept, dirs_exist_ok=True)
    return folder / "node_modules"


def judge(ajv, documents):
    order = {"schemas": [str(path) for path in SCHEMAS], "documents": documents}
    result = subprocess.run(
        ["node", str(ROOT / "tests/ajv_strict.cjs")],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NODE_PATH": str(ajv)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def campaign(**changes):
    document = read_yaml(ROOT / "campaigns/lebaran_promo.yml").value
    return {"schema": 0, "value": {**document, **changes}}


def test_strict_ajv_compiles_our_schemas_and_judges_as_we_do(ajv):
    files = sorted((ROOT / "campaigns").glob("*.yml"))
    good = [{"schema": 0, "value": read_yaml(path).value} for path in files]
    good.append({"schema": 1, "value": read_yaml(ROOT / "runner.yml").value})
    for index, path in enumerate(SCHEMAS):
        schema = json.loads(path.read_text(encoding="utf-8"))
        good += [{"schema": index, "value": example} for example in schema["examples"]]
    bad = [
        (campaign(campaign="No Spaces"), "/campaign"),
        (campaign(varaibles=[]), ""),
        (campaign(recipient={"id": "a", "phone": "b"}), "/recipient"),
        (campaign(guards={"max_rejected": "130 %"}), "/guards/max_rejected"),
        ({"schema": 1, "value": {"providers": {"ada": {"sender": "+60 11"}}}}, "/providers/ada/sender"),
    ]
    verdicts = judge(ajv, [*good, *(document for document, _ in bad)])
    assert verdicts[: len(good)] == [[]] * len(good)
    for errors, (_, path) in zip(verdicts[len(good) :], bad, strict=True):
        assert path in errors
