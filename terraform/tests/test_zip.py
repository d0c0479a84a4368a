"""What zip.tf reads in a local zip at plan time: the program's name, mode and processor, for zips from various tools."""

import os
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

import rig

NOISE = bytes(range(256)) * 40


def elf(machine: int, flavor: int = 0, kind: int = 3) -> bytes:
    """The start of a 64-bit ELF file: `flavor` is the OS ABI, `kind` says whether it is position-independent."""
    identification = b"\x7fELF\x02\x01\x01" + bytes([flavor]) + bytes(8)
    return identification + struct.pack("<HHI", kind, machine, 1) + NOISE


ARM64, X86_64, RISCV = elf(183), elf(62), elf(243)


def deflated(data: bytes, level: int = 9, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return packer.compress(data) + packer.flush()


def write(path, data=ARM64, packed=None, method=8, mode=0o100755, host=3, name=b"bootstrap", extra=b"", comment=b""):
    """A zip with one entry, with full control over its fields."""
    packed = deflated(data) if packed is None else packed
    common = struct.pack("<HHHHHIIIH", 20, 0, method, 0, 33, zlib.crc32(data), len(packed), len(data), len(name))
    local = b"PK\x03\x04" + common + struct.pack("<H", len(extra)) + name + extra
    directory = b"PK\x01\x02" + bytes([20, host]) + common + struct.pack("<HHHHII", 0, 0, 0, 0, mode << 16, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(local + packed), len(comment)) + comment
    path.write_bytes(local + packed + directory + end)
    return path


def plan(workspace, path, architecture="arm64"):
    root = workspace(name=f"{path.stem}-{architecture}")
    root.write(f'lambda_artifact = {{ lambda_zip_path = "{path}" }}\n architecture = "{architecture}"')
    return root.plan()["aws_lambda_function.broker"]


# How a program can be stored, by the tools that people use: zip -0 to -9, zopfli, Windows, Go, and unusual ones.
PACKED = {
    "level 1": lambda data: {"packed": deflated(data, 1)},
    "level 9": lambda data: {"packed": deflated(data, 9)},
    "fixed codes": lambda data: {"packed": deflated(data, 9, zlib.Z_FIXED)},
    "Huffman codes only": lambda data: {"packed": deflated(data, 9, zlib.Z_HUFFMAN_ONLY)},
    "runs only": lambda data: {"packed": deflated(data, 9, zlib.Z_RLE)},
    "deflate without compression": lambda data: {"packed": deflated(data, 0)},
    "stored": lambda data: {"packed": data, "method": 0},
    "an extra field": lambda data: {"extra": b"UT\x05\x00\x03abcd"},
    "a comment": lambda data: {"comment": b"made by a tool"},
}


def first_is_fast(cases) -> list:
    """All cases of a test; `make test` runs only the first one."""
    first, *others = cases
    return [first, *(pytest.param(case, marks=pytest.mark.slow) for case in others)]


@pytest.mark.parametrize("how", first_is_fast(PACKED))
def test_the_processor_is_read_however_the_zip_was_made(workspace, tmp_path, how):
    """An error that names the processor shows that it was read. The test of the packaged function has a plan without an error."""
    for data, machine, other in ((ARM64, "arm64", "x86_64"), (elf(62, flavor=3, kind=2), "x86_64", "arm64")):
        path = write(tmp_path / f"{machine}.zip", data, **PACKED[how](data))
        with pytest.raises(rig.Failed, match=f"contains a program for {machine}, but architecture is {other}"):
            plan(workspace, path, other)


def test_the_packaged_function_is_read(workspace, tmp_path):
    """The function's own program for this machine, packed as `make package` packs it, with zopfli."""
    machine = "arm64" if os.uname().machine == "aarch64" else "x86_64"
    packed = Path(os.environ["TEST_ZIPS"]) / f"github-token-broker{'' if machine == 'arm64' else '-x86_64'}.zip"
    assert packed.exists(), f"{packed} does not exist: `make test-terraform` writes it"
    assert plan(workspace, packed, machine) == ["create"]
    with pytest.raises(rig.Failed, match=f"contains a program for {machine}"):
        plan(workspace, packed, "arm64" if machine == "x86_64" else "x86_64")


UNKNOWN = {
    "a script": {"data": b"#!/bin/sh\necho one\n"},
    "another processor": {"data": RISCV},
    "an empty file": {"data": b""},
    "another compression": {"packed": b"BZh91AY", "method": 12},
    "damaged data": {"packed": b"\xff" * 60},
    "codes without a length": {"packed": b"\x05" + bytes(40)},
    "a truncated program": {"packed": deflated(ARM64)[:30]},
    "one byte": {"data": b"\x7f"},
    "the first bytes of an ELF file": {"data": ARM64[:8]},
}


@pytest.mark.parametrize("what", first_is_fast(UNKNOWN))
def test_what_cannot_be_read_is_left_to_lambda(workspace, tmp_path, what):
    assert plan(workspace, write(tmp_path / "broker.zip", **UNKNOWN[what])) == ["create"]


@pytest.mark.parametrize("mode", first_is_fast([0o100644, 0o100600, 0o100700, 0o100750, 0o100751, 0o100000]))
def test_a_program_that_lambda_cannot_execute(workspace, tmp_path, mode):
    with pytest.raises(rig.Failed, match="Lambda is not allowed to execute"):
        plan(workspace, write(tmp_path / "broker.zip", mode=mode))


@pytest.mark.slow
def test_a_program_from_windows_has_no_mode(workspace, tmp_path):
    with pytest.raises(rig.Failed, match="Lambda is not allowed to execute"):
        plan(workspace, write(tmp_path / "broker.zip", mode=0, host=0))


@pytest.mark.parametrize("mode", first_is_fast([0o100755, 0o100555, 0o100777, 0o755]))
def test_a_program_that_lambda_can_execute(workspace, tmp_path, mode):
    assert plan(workspace, write(tmp_path / "broker.zip", mode=mode)) == ["create"]


@pytest.mark.slow
def test_a_mode_of_another_system_is_left_to_lambda(workspace, tmp_path):
    assert plan(workspace, write(tmp_path / "broker.zip", mode=0, host=10)) == ["create"]


@pytest.mark.parametrize("name", first_is_fast(["main", "bootstrap.exe", "target/bootstrap", "./bootstrap", "Bootstrap", "bootstrap2"]))
def test_a_zip_without_a_program_named_bootstrap(workspace, tmp_path, name):
    with pytest.raises(rig.Failed, match="has no file named bootstrap at its top level"):
        plan(workspace, write(tmp_path / "broker.zip", name=name.encode()))


@pytest.mark.slow
@pytest.mark.parametrize("padding", range(3))
def test_bootstrap_is_found_among_other_files(workspace, tmp_path, padding):
    """At each offset modulo 3: base64 has three bytes in a group."""
    path = tmp_path / "broker.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"LICENSE{'x' * padding}", NOISE[: 1000 + padding])
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
        archive.writestr(entry, X86_64)
        archive.writestr("NOTICE", "text")
    assert plan(workspace, path, "x86_64") == ["create"]
    with pytest.raises(rig.Failed, match="contains a program for x86_64"):
        plan(workspace, path, "arm64")


@pytest.mark.slow
def test_a_directory_that_is_not_in_view_is_left_to_lambda(workspace, tmp_path):
    path = tmp_path / "broker.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
        for i in range(100):
            archive.writestr(f"a-file-with-a-rather-long-name-{i:03}", "")
    assert plan(workspace, path) == ["create"]
