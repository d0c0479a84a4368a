"""A private repository that is a package of each build tool of the recipes page, and the projects that depend on it.

Nothing else is needed to build it: pip's backend is in the repository, and no package depends on another one.
"""

TAG = "v1.0.0"

PRIVATE = {
    "go.mod": "module github.com/your-org/your-repo\n\ngo 1.20\n",
    "repo.go": "package repo\n",
    "package.json": '{"name": "your-repo", "version": "1.0.0"}\n',
    "Cargo.toml": '[package]\nname = "your-repo"\nversion = "1.0.0"\nedition = "2021"\n',
    "src/lib.rs": "",
    "main.tf": 'output "private" {\n  value = true\n}\n',
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": '''
import zipfile

def build_wheel(folder, settings=None, metadata=None):
    name = "your_repo-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("your_repo.py", "")
        wheel.writestr("your_repo-1.0.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: your-repo\\nVersion: 1.0.0\\n")
        wheel.writestr("your_repo-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("your_repo-1.0.0.dist-info/RECORD", "")
    return name
''',
}

URL = "https://github.com/your-org/your-repo"

# By the recipe's heading: the program, the reader's project, and a file that only exists after the recipe has fetched the package.
PROJECTS = {
    "Go": ("go", {"go.mod": f"module example.com/project\n\ngo 1.20\n\nrequire github.com/your-org/your-repo {TAG}\n"}, f"cache/go/github.com/your-org/your-repo@{TAG}/repo.go"),
    "npm": ("npm", {"package.json": '{"name": "project", "version": "1.0.0"}\n'}, "node_modules/your-repo/package.json"),
    "pip": ("pip", {}, "cache/pip/your_repo.py"),
    "Cargo": (
        "cargo",
        {
            # It is a workspace of its own, although a test's folder is in ours.
            "Cargo.toml": f'[package]\nname = "project"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nyour-repo = {{ git = "{URL}" }}\n[workspace]\n',
            "src/lib.rs": "",
        },
        "cache/cargo/git/checkouts/your-repo-*/*/Cargo.toml",
    ),
    "Terraform": ("terraform", {"main.tf": f'module "private" {{\n  source = "git::{URL}?ref={TAG}"\n}}\n'}, ".terraform/modules/private/main.tf"),
}

# Caches in the project's folder, and no request to a registry.
SETTINGS = {
    "GOMODCACHE": "cache/go",
    "GOFLAGS": "-modcacherw",
    "GOTOOLCHAIN": "local",
    "npm_config_cache": "cache/npm",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
    "NODE_DISABLE_COMPILE_CACHE": "1",
    "PIP_TARGET": "cache/pip",
    "PIP_NO_INDEX": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "CARGO_HOME": "cache/cargo",
    "CHECKPOINT_DISABLE": "1",
}


def write(folder, files: dict) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def environment(folder) -> dict:
    """The settings, with absolute paths."""
    return {name: str(folder / value) if value.startswith("cache/") else value for name, value in SETTINGS.items()}
