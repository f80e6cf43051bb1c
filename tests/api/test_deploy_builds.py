"""What `stepwire deploy` builds: esbuild with packages of its own, makefiles, layers of Python and Node.js."""

import json
import shutil
import subprocess

import pytest
from support import program

ESBUILD = "0.28.2"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def app(tmp_path, own_node):
    """Deploys the files it is given and calls the function `Hello`."""
    folder = tmp_path / "app"

    def call(files, event=None):
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text)
        done = subprocess.run(
            [program(), "deploy", "--yes", "--data", str(own_node.folder)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        [function] = own_node.client("lambda").list_functions()["Functions"]
        answer = own_node.client("lambda").invoke(
            FunctionName=function["FunctionName"], Payload=json.dumps(event or {})
        )
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload
        return json.loads(payload), function, done.stdout

    call.folder, call.node = folder, own_node
    return call


def template(properties, metadata="", more=""):
    return (
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Hello:\n"
        f"    Type: AWS::Serverless::Function\n    Properties: {properties}\n{metadata}{more}"
    )


SOURCE = """\
import { named, type Named } from "./named";
import { satisfies } from "semver";
export const handler = async (event: Named) => ({ said: named(event), old: satisfies("1.2.3", "<1") });
"""
NAMED = """\
export interface Named { name?: string }
export const named = (given: Named): string => `hello ${given.name ?? "you"}`;
"""


@needs_npm
def test_esbuild_bundles_typescript_with_its_packages(app):
    files = {
        "template.yaml": template(
            "{Runtime: nodejs20.x, Handler: app.handler, CodeUri: src/}",
            "    Metadata:\n      BuildMethod: esbuild\n      BuildProperties:\n"
            "        EntryPoints: [app.ts]\n        Target: es2022\n        Minify: true\n"
            "        Sourcemap: true\n",
        ),
        "src/package.json": {
            "dependencies": {"semver": "7.7.3"},
            "devDependencies": {"esbuild": ESBUILD},
        },
        "src/app.ts": SOURCE,
        "src/named.ts": NAMED,
    }
    answer, function, _ = app(files, {"name": "esbuild"})
    assert answer == {"said": "hello esbuild", "old": False}
    assert function["CodeSize"] < 200_000, "the bundle alone, without node_modules"
    # What does not compile is told with esbuild's own words, and nothing changes.
    (app.folder / "src" / "app.ts").write_text(SOURCE.replace("./named", "./nobody"))
    failed = subprocess.run(
        [program(), "deploy", "--yes", "--data", str(app.node.folder)],
        cwd=app.folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert failed.returncode != 0
    assert 'Could not resolve "./nobody"' in failed.stdout + failed.stderr
    assert not list((app.folder / "src").glob("node_modules")), "the source is left as it is"


@needs_make
def test_a_makefile_builds_a_function(app):
    files = {
        "template.yaml": template(
            "{Runtime: python3.11, Handler: made.handler, CodeUri: src/}",
            "    Metadata: {BuildMethod: makefile}\n",
        ),
        "src/Makefile": "build-Hello:\n\tsed s/NAME/make/ app.in > $(ARTIFACTS_DIR)/made.py\n",
        "src/app.in": 'def handler(event, context):\n    return "made by NAME"\n',
    }
    assert app(files)[0] == "made by make"


def test_a_layer_of_python_brings_its_packages(app):
    """As AWS has it: what is in `python/` of the layer can be imported."""
    layer = (
        "  Packages:\n    Type: AWS::Serverless::LayerVersion\n"
        "    Properties: {ContentUri: layer/, CompatibleRuntimes: [python3.11]}\n"
        "    Metadata: {BuildMethod: python3.11}\n"
    )
    files = {
        "template.yaml": template(
            "{Runtime: python3.11, Handler: app.handler, CodeUri: src/, Layers: [!Ref Packages]}",
            more=layer,
        ),
        "layer/requirements.txt": "iso8601==2.1.0\n",
        "layer/shared.py": "GREETING = 'hello'\n",
        "src/app.py": "import iso8601, shared\n"
        "def handler(event, context):\n"
        "    return [shared.GREETING, iso8601.parse_date('2026-11-30').year]\n",
    }
    assert app(files)[0] == ["hello", 2026]


@needs_npm
def test_a_layer_of_node_brings_its_packages(app):
    layer = (
        "  Packages:\n    Type: AWS::Serverless::LayerVersion\n"
        "    Properties: {ContentUri: layer/, CompatibleRuntimes: [nodejs20.x]}\n"
        "    Metadata: {BuildMethod: nodejs20.x}\n"
    )
    files = {
        "template.yaml": template(
            "{Runtime: nodejs20.x, Handler: app.handler, CodeUri: src/, Layers: [!Ref Packages]}",
            more=layer,
        ),
        "layer/package.json": {"dependencies": {"semver": "7.7.3"}},
        "src/app.js": "const semver = require('semver');\n"
        "exports.handler = async () => semver.inc('1.2.3', 'minor');\n",
    }
    assert app(files)[0] == "1.3.0"


@needs_make
def test_a_makefile_builds_a_layer(app):
    layer = (
        "  Packages:\n    Type: AWS::Serverless::LayerVersion\n"
        "    Properties: {ContentUri: layer/, CompatibleRuntimes: [python3.11]}\n"
        "    Metadata: {BuildMethod: makefile}\n"
    )
    files = {
        "template.yaml": template(
            "{Runtime: python3.11, Handler: app.handler, CodeUri: src/, Layers: [!Ref Packages]}",
            more=layer,
        ),
        "layer/Makefile": "build-Packages:\n\tmkdir -p $(ARTIFACTS_DIR)/python\n"
        "\techo 'GREETING = \"from a layer\"' > $(ARTIFACTS_DIR)/python/shared.py\n",
        "src/app.py": "import shared\ndef handler(event, context):\n    return shared.GREETING\n",
    }
    assert app(files)[0] == "from a layer"
